"""Reads CMAF and Smooth Streaming fragments: boxes in, frames out (ISO 14496-12, MS-SSTR). Independent of the code under test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from tests.helpers.frames import Frame, Track, digest_nal_units, digest_raw, split_lengths

TFXD = UUID("6d1d9b05-42d5-44e6-80e2-141daff757b2").bytes
TFRF = UUID("d4807ef2-ca39-4695-8e54-26cb9e46a79f").bytes
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf", b"edts"}


@dataclass(frozen=True)
class Box:
    """A box: its type, and where its payload lies."""

    kind: bytes
    start: int
    payload: int
    end: int


@dataclass(frozen=True)
class Header:
    """What an initialisation segment says of its one track."""

    kind: Literal["video", "audio"]
    timescale: int
    language: str
    length_size: int = 4
    edit: int = 0
    """Ticks that the edit list takes off every time."""
    default_duration: int = 0
    default_size: int = 0
    default_flags: int = 0


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes of one level, in order.

    Raises:
        AssertionError: a size does not fit.
    """
    end = len(data) if end is None else end
    at = start
    while at < end:
        assert at + 8 <= end, f"{end - at} stray bytes at {at}"
        size, kind, payload = _u32(data, at), data[at + 4 : at + 8], at + 8
        if size == 1:
            size, payload = _u64(data, at + 8), at + 16
        assert payload <= at + size <= end, f"box {kind!r} of {size} bytes at {at} leaves its parent"
        yield Box(kind, at, payload, at + size)
        at += size


def find(data: bytes, path: str, start: int = 0, end: int | None = None) -> list[Box]:
    """Every box at a path such as ``moof/traf/tfdt``."""
    head, _, rest = path.partition("/")
    out = []
    for box in boxes(data, start, end):
        if box.kind == head.encode():
            out += find(data, rest, box.payload, box.end) if rest else [box]
    return out


def read_header(init: bytes) -> Header:
    """The track of an initialisation segment, which must have exactly one."""
    (mdhd,) = find(init, "moov/trak/mdia/mdhd")
    (hdlr,) = find(init, "moov/trak/mdia/hdlr")
    (trex,) = find(init, "moov/mvex/trex")
    version = init[mdhd.payload]
    timescale_at = mdhd.payload + (20 if version else 12)
    packed = int.from_bytes(init[timescale_at + (12 if version else 8) :][:2], "big")
    language = "".join(chr((packed >> shift & 31) + 0x60) for shift in (10, 5, 0))
    kind: Literal["video", "audio"] = "video" if init[hdlr.payload + 8 : hdlr.payload + 12] == b"vide" else "audio"
    length_size = 4
    if kind == "video":
        at = init.index(b"avcC")
        length_size = (init[at + 8] & 3) + 1
    timescale = _u32(init, timescale_at)
    defaults = [_u32(init, trex.payload + offset) for offset in (12, 16, 20)]
    return Header(kind, timescale, language, length_size, _read_edits(init, timescale), *defaults)


def _read_edits(init: bytes, timescale: int) -> int:
    """What an edit list takes off every time: an empty edit delays, the first real one skips (ISO 14496-12 8.6.6)."""
    (mvhd,) = find(init, "moov/mvhd")
    movie_timescale = _u32(init, mvhd.payload + (20 if init[mvhd.payload] else 12))
    edit = 0
    for elst in find(init, "moov/trak/edts/elst"):
        size = 8 if init[elst.payload] else 4
        for at in range(elst.payload + 8, elst.end, 2 * size + 4):
            media_time = _signed(init[at + size : at + 2 * size])
            if media_time >= 0:
                return edit + media_time
            edit -= int.from_bytes(init[at : at + size], "big") * timescale // movie_timescale
    return edit


def read_cmaf(init: bytes, segments: list[bytes], label: str) -> Track:
    """A track from its CMAF header and its segments."""
    header = read_header(init)
    track = Track(header.kind, header.timescale, label, header.language)
    for segment in segments:
        track.frames += _read_fragments(segment, header)
    return track


def read_smooth_fragment(data: bytes, kind: Literal["video", "audio"], timescale: int) -> list[Frame]:
    """Frames of one Smooth fragment, which has no header of its own; its time comes from tfxd."""
    return _read_fragments(data, Header(kind, timescale, "und"))


def uuid_payload(data: bytes, uuid: bytes) -> bytes | None:
    """What follows the user type of a `uuid` box inside `moof/traf`, or None."""
    for box in find(data, "moof/traf/uuid"):
        if data[box.payload : box.payload + 16] == uuid:
            return data[box.payload + 16 : box.end]
    return None


def _read_fragments(data: bytes, header: Header) -> list[Frame]:
    frames: list[Frame] = []
    for moof in find(data, "moof"):
        trafs = find(data, "traf", moof.payload, moof.end)
        assert len(trafs) == 1, f"{len(trafs)} traf in a single-track moof"
        frames += _read_traf(data, moof, trafs[0], header)
    return frames


def _read_traf(data: bytes, moof: Box, traf: Box, header: Header) -> list[Frame]:
    duration, size, flags = header.default_duration, header.default_size, header.default_flags
    (tfhd,) = find(data, "tfhd", traf.payload, traf.end)
    present = _u24(data, tfhd.payload + 1)
    at = tfhd.payload + 8
    assert not present & 0x1, "absolute data offsets make a segment depend on its place"
    at += 4 if present & 0x2 else 0
    if present & 0x8:
        duration, at = _u32(data, at), at + 4
    if present & 0x10:
        size, at = _u32(data, at), at + 4
    if present & 0x20:
        flags = _u32(data, at)
    time = _base_time(data, traf)
    frames, position = [], moof.start
    for trun in find(data, "trun", traf.payload, traf.end):
        version, present = data[trun.payload], _u24(data, trun.payload + 1)
        count, at = _u32(data, trun.payload + 4), trun.payload + 8
        if present & 0x1:
            position, at = moof.start + _signed(data[at : at + 4]), at + 4
        first_flags = flags
        if present & 0x4:
            first_flags, at = _u32(data, at), at + 4
        for n in range(count):
            this_duration, this_size, this_flags, shift = duration, size, first_flags if n == 0 else flags, 0
            if present & 0x100:
                this_duration, at = _u32(data, at), at + 4
            if present & 0x200:
                this_size, at = _u32(data, at), at + 4
            if present & 0x400:
                this_flags, at = _u32(data, at), at + 4
            if present & 0x800:
                shift, at = (_signed(data[at : at + 4]) if version else _u32(data, at)), at + 4
            assert position + this_size <= len(data), f"sample {n} of {this_size} bytes at {position} leaves the segment"
            sample = data[position : position + this_size]
            position += this_size
            digest = digest_nal_units(split_lengths(sample, header.length_size)) if header.kind == "video" else digest_raw(sample)
            dts = time - header.edit
            frames.append(Frame(dts, dts + shift, digest, not this_flags & 0x10000))
            time += this_duration
        assert at == trun.end, f"trun has {trun.end - at} bytes too many"
    return frames


def _base_time(data: bytes, traf: Box) -> int:
    for tfdt in find(data, "tfdt", traf.payload, traf.end):
        return _u64(data, tfdt.payload + 4) if data[tfdt.payload] else _u32(data, tfdt.payload + 4)
    for box in find(data, "uuid", traf.payload, traf.end):
        if data[box.payload : box.payload + 16] == TFXD:
            at = box.payload + 16
            return _signed(data[at + 4 : at + 12]) if data[at] else _u32(data, at + 4)
    raise AssertionError("a fragment without tfdt and tfxd has no time")


def _u24(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "big")


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _u64(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "big")


def _signed(data: bytes) -> int:
    return int.from_bytes(data, "big", signed=True)
