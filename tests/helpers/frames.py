"""An independent witness: what went in and what came out, frame by frame. Nothing here imports pypackager.

In: tracks as lists of frames, read by `read_mp4`, `read_ts`, `read_flv` and `presentation`. Out: silence, or an AssertionError that says
which frame of which track differs. Frames are compared by hash, so tracks find their counterparts by content, never by name.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av

# AUD, SPS and PPS: containers move these between the stream and its header (ISO 14496-15 5.3, ISO 13818-1 2.14).
_CARRIED_APART = {7, 8, 9}
_MILLISECOND = Fraction(1, 1000)
_COARSE = 1000
"""Up to this timescale two frames may have one time."""


@dataclass(frozen=True, slots=True)
class Frame:
    """An access unit: times in ticks, and a hash of what a decoder gets."""

    dts: int
    pts: int
    digest: bytes
    key: bool = False


@dataclass
class Track:
    """All frames of a track in decoding order."""

    kind: Literal["video", "audio"]
    timescale: int
    label: str
    language: str = "und"
    decodes_before: bool = False
    """Transport streams and FLV demand dts <= pts."""
    frames: list[Frame] = field(default_factory=list)

    def seconds(self, ticks: int) -> Fraction:
        """A time of this track in seconds, exact."""
        return Fraction(ticks, self.timescale)

    def digests(self) -> list[bytes]:
        """The hashes alone."""
        return [frame.digest for frame in self.frames]


def digest_nal_units(units: Iterable[bytes]) -> bytes:
    """Hash of an H.264 access unit without AUD, SPS and PPS."""
    digest = hashlib.sha1(usedforsecurity=False)
    for unit in units:
        if unit and unit[0] & 0x1F not in _CARRIED_APART:
            digest.update(len(unit).to_bytes(4, "big") + unit)
    return digest.digest()


def digest_raw(frame: bytes) -> bytes:
    """Hash of a raw AAC frame."""
    return hashlib.sha1(frame, usedforsecurity=False).digest()


def split_lengths(data: bytes, length_size: int = 4) -> list[bytes]:
    """NAL units of a sample with length fields (ISO 14496-15 5.3.4.2)."""
    units, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + length_size], "big")
        at += length_size
        assert at + size <= len(data), f"NAL unit of {size} bytes at {at} leaves its sample of {len(data)}"
        units.append(data[at : at + size])
        at += size
    return units


def split_start_codes(data: bytes) -> list[bytes]:
    """NAL units of a byte stream (ISO 14496-10 annex B). A unit never ends in a zero byte, so zeros before a start code are padding."""
    return [unit for part in data.split(b"\x00\x00\x01") if (unit := part.rstrip(b"\x00"))]


def read_file(path: Path) -> list[Track]:
    """Every track of a file on disk, read by FFmpeg's demuxer: what an encoder was given to send."""
    tracks: list[Track] = []
    with av.open(str(path)) as container:
        for stream in container.streams:
            base = stream.time_base
            assert base is not None
            kind: Literal["video", "audio"] = "video" if stream.type == "video" else "audio"
            tracks.append(Track(kind, base.denominator, f"{path.name}#{stream.index}", stream.metadata.get("language", "und")))
        for packet in container.demux():
            if packet.dts is None or packet.pts is None:
                continue
            track, data = tracks[packet.stream_index], bytes(packet)
            digest = digest_nal_units(split_lengths(data)) if track.kind == "video" else digest_raw(data)
            track.frames.append(Frame(packet.dts, packet.pts, digest, packet.is_keyframe))
    return tracks


def counterpart(sent: Sequence[Track], got: Track) -> Track:
    """The track that was sent and came out as `got`."""
    assert got.frames, f"{got.label}: no frames"
    for track in sent:
        if track.kind == got.kind and _find(track.digests(), got.digests()[:3]) is not None:
            return track
    raise AssertionError(f"{got.label}: its first frames were never sent")


def assert_same(sent: Track, got: Track, *, whole: bool = True, coarser: int = 1_000_000) -> int:
    """Fails unless `got` has the frames of `sent`, in count, order, hash and time differences; returns where in `sent` it starts.

    Args:
        sent: What the encoder was given.
        got: What an output carries.
        whole: Every frame must be there; otherwise an unbroken run of them is enough.
        coarser: A timescale on the way, when it is coarser than both ends (1000 for RTMP).
    """
    start = 0 if whole else _find(sent.digests(), got.digests()[:3])
    assert start is not None, f"{got.label}: its first frames were never sent"
    wanted = sent.frames[start:] if whole else sent.frames[start : start + len(got.frames)]
    for n, (frame, other) in enumerate(zip(wanted, got.frames, strict=False)):
        assert frame.digest == other.digest, f"{got.label}: frame {n} of {len(got.frames)} is not frame {start + n} of {sent.label}"
    assert len(wanted) == len(got.frames), f"{got.label}: {len(got.frames)} frames came out, {len(wanted)} went in"

    tolerance = Fraction(1, min(sent.timescale, got.timescale, coarser))
    first, other_first = wanted[0], got.frames[0]
    for n, (frame, other) in enumerate(zip(wanted, got.frames, strict=True)):
        for name in ("dts", "pts"):
            before = sent.seconds(getattr(frame, name) - getattr(first, name))
            after = got.seconds(getattr(other, name) - getattr(other_first, name))
            assert abs(before - after) <= tolerance, (
                f"{got.label}: frame {n}: {name} is {float(after):.6f} s after the first, {float(before):.6f} s were sent"
            )
    for n, (before_it, frame) in enumerate(itertools.pairwise(got.frames)):
        assert before_it.dts < frame.dts or got.timescale <= _COARSE, f"{got.label}: dts does not rise at frame {n + 1}"
        assert before_it.dts <= frame.dts, f"{got.label}: dts falls at frame {n + 1}"
        assert frame.dts <= frame.pts or not got.decodes_before, f"{got.label}: frame {n + 1} is decoded after it is shown"
    return start


def assert_presentation(
    sent: Sequence[Track], got: Sequence[Track], *, whole: bool = True, coarser: int = 1_000_000, one_audio: bool = False
) -> None:
    """Fails unless every track that was sent came out, and audio and video stand to each other as they did.

    Args:
        sent: What the encoder was given.
        got: What an output carries.
        whole: See `assert_same`.
        coarser: See `assert_same`.
        one_audio: The output has a place for one audio track alone.
    """
    offsets: list[tuple[str, Fraction]] = []
    found = set()
    for track in got:
        source = counterpart(sent, track)
        start = assert_same(source, track, whole=whole, coarser=coarser)
        found.add(source.label)
        offsets.append((track.label, track.seconds(track.frames[0].pts) - source.seconds(source.frames[start].pts)))
    missing = {track.label for track in sent} - found
    sounds = {track.label for track in sent if track.kind == "audio"}
    if one_audio and sounds & found:
        missing -= sounds
    assert not missing, f"never came out: {sorted(missing)}"
    (label, least), (other, most) = min(offsets, key=lambda pair: pair[1]), max(offsets, key=lambda pair: pair[1])
    assert most - least <= _MILLISECOND, f"{other} plays {float((most - least) * 1000):.3f} ms late against {label}"


def _find(sequence: Sequence[bytes], part: Sequence[bytes]) -> int | None:
    for at in range(len(sequence) - len(part) + 1):
        if list(sequence[at : at + len(part)]) == list(part):
            return at
    return None
