"""Fragments of HDS (Adobe F4V, FLV 10.1 annex E): a box `mdat` of FLV tags in, samples out.

In: bytes. Out: samples with the times of their tags, and where each kind of tag was first seen. Never: a bootstrap's opinion.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from pypackager.check.finding import Scope
from pypackager.check.media.aac import read_config
from pypackager.check.media.boxes import BoxError, boxes, u24
from pypackager.check.media.mp4_header import BOX, read_avcc
from pypackager.check.media.samples import Codec, Header, Kind, Media, Samples, digest_avc, digest_raw
from pypackager.check.rules import Rule, rule

FRAGMENT = rule(
    "FLV-FRAGMENT", "error", "Adobe F4V 2.13", "a fragment has one mdat, with FLV tags in it",
    example="a fragment of moof alone",
)  # fmt: skip
TAG = rule(
    "FLV-TAG", "error", "FLV 10.1 E.4.1", "a tag is audio, video or script data, of StreamID 0, and ends inside its fragment",
    example="a tag of 4,000 bytes where 900 are left",
)  # fmt: skip
PREVIOUS_SIZE = rule(
    "FLV-PREVIOUS-SIZE", "error", "FLV 10.1 E.3", "PreviousTagSize behind a tag is 11 more than its DataSize",
    example="0 behind a tag of 900 bytes",
)  # fmt: skip
ORDER = rule(
    "FLV-ORDER", "error", "FLV 10.1 E.4.1", "times of tags of one kind do not fall inside a fragment",
    example="a video tag of 4,000 ms behind one of 4,040",
)  # fmt: skip
SEQUENCE_HEADER = rule(
    "FLV-SEQUENCE-HEADER", "error", "FLV 10.1 E.4.3.2", "in each fragment a sequence header that can be read precedes H.264 and AAC",
    example="a fragment that starts with pictures: nobody can begin there",
)  # fmt: skip
CODEC = rule(
    "FLV-CODEC", "error", "FLV 10.1 E.4.2.1", "tags are of codecs that HDS players decode, with the flags these demand",
    example="an AAC tag that does not start with AF",
)  # fmt: skip
KEY = rule(
    "FLV-KEY", "error", "FLV 10.1 E.4.3.1", "FrameType is 1 when, and only when, the picture is an IDR",
    example="FrameType 1 on a P picture",
)  # fmt: skip
NAL = rule(
    "FLV-NAL", "error", "ISO 14496-15 5.3.4.2", "the lengths of NAL units fill their tag exactly",
    example="a NAL unit of 4,000 bytes in a tag of 900",
)  # fmt: skip

_AUDIO, _VIDEO, _SCRIPT = 8, 9, 18
_KINDS: dict[int, Kind] = {_AUDIO: "audio", _VIDEO: "video"}
_AVC, _AAC, _MP3 = 7, 10, (2, 14)
_AAC_FLAGS = 0xAF
_HEADER = 11


@dataclass
class F4fMedia(Media):
    """A fragment."""

    header_times: dict[Kind, int] = field(default_factory=dict)
    """Of the first sequence header of each kind, in ms."""


@dataclass
class _Column:
    """Samples of one kind in the making."""

    kind: Kind
    codec: Codec | None = None
    width: int = 0
    """Bytes of a NAL unit's length."""
    last: int | None = None
    dts: list[int] = field(default_factory=list)
    pts: list[int] = field(default_factory=list)
    idr: list[bool] = field(default_factory=list)
    digest: list[int] = field(default_factory=list)
    size: int = 0
    told: set[str] = field(default_factory=set)


def read_f4f(data: bytes, _: Header | None, scope: Scope) -> F4fMedia:
    """Reads a fragment."""
    media = F4fMedia(states_streams=False)
    columns = {tag: _Column(kind) for tag, kind in _KINDS.items()}
    try:
        mdats = [box for box in boxes(data) if box.kind == b"mdat"]
    except BoxError as fault:
        scope.breach(BOX, str(fault), "boxes that fit", byte=fault.at)
        return media
    if len(mdats) != 1:
        scope.breach(FRAGMENT, f"{len(mdats)} mdat", "one")
        return media
    for tag, time, start, end in _tags(data, mdats[0].payload, mdats[0].end, scope):
        if tag not in columns or start == end:
            continue
        column = columns[tag]
        if column.last is not None and time < column.last:
            scope.breach(ORDER, f"{column.kind} of {time} ms behind {column.last} ms", "a time that does not fall", byte=start)
        column.last = time
        (_read_video if tag == _VIDEO else _read_audio)(data, start, end, time, column, media, scope)
    media.streams = [_samples(tag, columns[tag]) for tag in (_VIDEO, _AUDIO) if columns[tag].dts]
    return media


def _tags(data: bytes, at: int, bound: int, scope: Scope) -> Iterator[tuple[int, int, int, int]]:
    """Type, time, and the bounds of the body of each tag."""
    while at < bound:
        if at + _HEADER > bound:
            scope.breach(TAG, f"{bound - at} stray bytes", "whole tags", byte=at)
            return
        tag, size, stream = data[at] & 0x1F, u24(data, at + 1), u24(data, at + 8)
        time = u24(data, at + 4) | data[at + 7] << 24
        start, end = at + _HEADER, at + _HEADER + size
        if end + 4 > bound or tag not in (_AUDIO, _VIDEO, _SCRIPT) or stream:
            found = f"type {tag}, StreamID {stream}, {size} bytes with {bound - start} left"
            scope.breach(TAG, found, f"type {_AUDIO}, {_VIDEO} or {_SCRIPT}, StreamID 0, and room", byte=at)
            return
        yield tag, time, start, end
        previous = int.from_bytes(data[end : end + 4], "big")
        if previous != _HEADER + size:
            scope.breach(PREVIOUS_SIZE, previous, _HEADER + size, byte=end)
        at = end + 4


def _read_video(data: bytes, start: int, end: int, time: int, column: _Column, media: F4fMedia, scope: Scope) -> None:
    frame_type, codec = data[start] >> 4, data[start] & 0x0F
    if codec != _AVC or end < start + 5:
        _tell(column, scope, CODEC, f"video of CodecID {codec}", f"{_AVC}: H.264", start)
        return
    packet, body = data[start + 1], start + 5
    if packet == 0:
        media.header_times.setdefault("video", time)
        try:
            column.codec, column.width = read_avcc(data[body:end], "avc1")
        except ValueError as fault:
            scope.breach(SEQUENCE_HEADER, str(fault), "an avcC that can be read", byte=body)
        return
    if packet != 1:
        return
    if not column.width:
        _tell(column, scope, SEQUENCE_HEADER, "a picture without one before it", "an AVC sequence header", start)
        column.width = 4
    units: list[tuple[int, int]] = []
    view, at = memoryview(data), body
    while at + column.width <= end:
        size = int.from_bytes(view[at : at + column.width], "big")
        units.append((at + column.width, min(at + column.width + size, end)))
        at += column.width + size
    if at != end:
        scope.breach(NAL, f"NAL units end at byte {at}", f"at the end of the tag, {end}", byte=body)
    digest, idr = digest_avc(units, view)
    if (frame_type == 1) != idr:
        _tell(column, scope, KEY, f"FrameType {frame_type} on {'an IDR' if idr else 'another'} picture", "1 on an IDR alone", start)
    shift = u24(data, start + 2)
    _add(column, time, time + (shift - (1 << 24) if shift >= 1 << 23 else shift), digest, end - body, idr=idr)


def _read_audio(data: bytes, start: int, end: int, time: int, column: _Column, media: F4fMedia, scope: Scope) -> None:
    codec = data[start] >> 4
    if codec in _MP3:
        column.codec = column.codec or Codec("mp3", "audio")
        _add(column, time, time, digest_raw(memoryview(data)[start + 1 : end]), end - start - 1, idr=True)
        return
    if codec != _AAC or end < start + 2:
        _tell(column, scope, CODEC, f"audio of SoundFormat {codec}", f"{_AAC}: AAC, or {_MP3[0]}: MP3", start)
        return
    if data[start] != _AAC_FLAGS:
        _tell(column, scope, CODEC, f"AAC with flags {data[start]:02X}", f"{_AAC_FLAGS:02X}", start)
    body = start + 2
    if data[start + 1] == 0:
        media.header_times.setdefault("audio", time)
        try:
            column.codec = read_config(data[body:end])
        except ValueError as fault:
            scope.breach(SEQUENCE_HEADER, str(fault), "an AudioSpecificConfig that can be read", byte=body)
        return
    if column.codec is None:
        _tell(column, scope, SEQUENCE_HEADER, "a frame of AAC without one before it", "an AAC sequence header", start)
    _add(column, time, time, digest_raw(memoryview(data)[body:end]), end - body, idr=True)


def _tell(column: _Column, scope: Scope, broken: Rule, found: str, expected: str, byte: int) -> None:
    """Reports once for a fragment: what is wrong with one tag is mostly wrong with all."""
    if broken.id not in column.told:
        column.told.add(broken.id)
        scope.breach(broken, found, expected, byte=byte)


def _add(column: _Column, dts: int, pts: int, digest: int, size: int, *, idr: bool) -> None:
    column.dts.append(dts)
    column.pts.append(pts)
    column.digest.append(digest)
    column.idr.append(idr)
    column.size += size


def _samples(tag: int, column: _Column) -> Samples:
    idr = np.array(column.idr, np.bool_)
    return Samples(
        column.kind, 1000, column.codec, np.array(column.dts, np.int64), np.array(column.pts, np.int64),
        np.full(len(idr), -1, np.int64), idr, idr, np.array(column.digest, np.uint64), column.size, ident=tag,
    )  # fmt: skip
