"""Reads HDS: bootstrap boxes and the FLV tags of F4F fragments (Adobe HDS 1.0, F4V 10.1, FLV 10.1). Independent of the code under test."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Literal

from tests.helpers.frames import Frame, Track, digest_nal_units, digest_raw, split_lengths
from tests.helpers.read_mp4 import Box, boxes


@dataclass
class Bootstrap:
    """An `abst` box, flattened."""

    live: bool
    version: int
    timescale: int
    current_media_time: int
    segments: list[tuple[int, int]] = field(default_factory=list)
    """(first segment, fragments per segment)."""
    runs: list[tuple[int, int, int, int | None]] = field(default_factory=list)
    """(first fragment, its time, duration, discontinuity indicator)."""

    def fragments(self) -> list[int]:
        """Numbers of all fragments listed."""
        first = next(number for number, _, _, _ in self.runs if number)
        return list(range(first, first + sum(count for _, count in self.segments)))


def read_bootstrap(data: bytes) -> Bootstrap:
    """Parses an `abst` box with its run tables."""
    (abst,) = boxes(data)
    assert abst.kind == b"abst"
    at = abst.payload + 4
    version, bits, timescale, current = struct.unpack_from(">IBIQ", data, at)
    at = _strings(data, at + 25, 1)  # movieIdentifier
    at = _strings(data, at + 1, data[at])  # servers
    at = _strings(data, at + 1, data[at])  # qualities
    at = _strings(data, at, 2)  # DrmData, MetaData
    out = Bootstrap(bool(bits & 0x20), version, timescale, current)
    for _ in range(2):
        count, at = data[at], at + 1
        for _ in range(count):
            box = next(boxes(data, at, abst.end))
            _read_table(data, box, out)
            at = box.end
    assert at == abst.end, f"abst has {abst.end - at} bytes too many"
    return out


def _read_table(data: bytes, box: Box, out: Bootstrap) -> None:
    at = box.payload + 4
    if box.kind == b"afrt":
        at += 4
    at = _strings(data, at + 1, data[at])
    (count,) = struct.unpack_from(">I", data, at)
    at += 4
    for _ in range(count):
        if box.kind == b"asrt":
            out.segments.append(struct.unpack_from(">II", data, at))
            at += 8
            continue
        first, time, duration = struct.unpack_from(">IQI", data, at)
        at += 16
        indicator = None
        if duration == 0:
            indicator, at = data[at], at + 1
        out.runs.append((first, time, duration, indicator))
    assert at == box.end, f"{box.kind!r} has {box.end - at} bytes too many"


def _strings(data: bytes, at: int, count: int) -> int:
    for _ in range(count):
        at = data.index(b"\x00", at) + 1
    return at


def read_f4f(fragments: list[bytes], label: str) -> list[Track]:
    """Tracks of the fragments. Each must start with the sequence headers of what it carries, so that a seek can begin there."""
    tracks: dict[int, Track] = {}
    for number, fragment in enumerate(fragments):
        (mdat,) = [box for box in boxes(fragment) if box.kind == b"mdat"]
        ready: set[int] = set()
        for kind, time, body in _tags(fragment[mdat.payload : mdat.end]):
            if kind not in {8, 9}:
                continue
            name: Literal["video", "audio"] = "video" if kind == 9 else "audio"
            track = tracks.setdefault(kind, Track(name, 1000, f"{label} {name}", decodes_before=True))
            if body[1] == 0:
                ready.add(kind)
                continue
            assert kind in ready, f"{label}: fragment {number} has media before its sequence header"
            if kind == 8:
                track.frames.append(Frame(time, time, digest_raw(body[2:]), key=True))
            elif body[1] == 1:
                shift = int.from_bytes(body[2:5], "big", signed=True)
                digest = digest_nal_units(split_lengths(body[5:]))
                track.frames.append(Frame(time, time + shift, digest, key=body[0] >> 4 == 1))
    return list(tracks.values())


def _tags(data: bytes) -> list[tuple[int, int, bytes]]:
    out, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        time = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        end = at + 11 + size
        assert end + 4 <= len(data), f"an FLV tag of {size} bytes at {at} leaves its fragment"
        assert int.from_bytes(data[end : end + 4], "big") == 11 + size, f"wrong PreviousTagSize at {end}"
        out.append((data[at], time, data[at + 11 : end]))
        at = end + 4
    return out
