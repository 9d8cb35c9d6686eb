"""Initialisation segments of ISO base media files (ISO 14496-12, CMAF ISO 23000-19 7.3): what they say of each track."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from pypackager.check.finding import Scope
from pypackager.check.media.aac import read_config
from pypackager.check.media.avc import read_parameter_sets
from pypackager.check.media.boxes import Box, BoxError, boxes, find, u32, u64
from pypackager.check.media.samples import Codec, Header, Kind
from pypackager.check.rules import rule

BOX = rule(
    "MP4-BOX", "error", "ISO 14496-12 4.2", "boxes lie inside their parents without a stray byte",
    example="a moof says 900 bytes where 884 are left",
)  # fmt: skip
INIT = rule(
    "MP4-INIT", "error", "ISO 23000-19 7.3.1", "an initialisation segment has ftyp, then moov with mvex and without samples, and no media",
    example="a moov without mvex",
)  # fmt: skip
TRACK = rule(
    "MP4-TRACK", "error", "ISO 14496-12 8.4", "each track has a header, a timescale, a handler and one readable sample description",
    example="a timescale of 0",
)  # fmt: skip
CONFIG = rule(
    "MP4-CODEC-CONFIG", "error", "ISO 14496-15 5.3.3.1", "the decoder configuration can be read and agrees with the parameter sets in it",
    example="avcC says profile 66, its SPS says 100",
)  # fmt: skip

_KINDS: dict[bytes, Kind] = {b"vide": "video", b"soun": "audio", b"text": "text", b"subt": "text"}
_VISUAL_ENTRY, _AUDIO_ENTRY = 78, 28
"""Bytes of a sample entry before its boxes (ISO 14496-12 12.1.3, 12.2.3)."""


@dataclass
class Mp4Track:
    """What `moov` says of one track."""

    ident: int
    kind: Kind
    timescale: int
    language: str
    codec: Codec | None
    length_size: int = 0
    """Bytes of a NAL unit's length; 0: samples are not made of NAL units that the reader knows."""
    edit: int = 0
    """Ticks that the edit list takes off every time."""
    duration: int = 0
    size: int = 0
    flags: int = 0
    """Defaults of `trex`."""


@dataclass
class Mp4Header(Header):
    """An initialisation segment."""

    tracks: dict[int, Mp4Track] = field(default_factory=dict)


def read_header(data: bytes, scope: Scope) -> Mp4Header | None:
    """Reads an initialisation segment."""
    try:
        kinds = [box.kind for box in boxes(data)]
        if b"ftyp" not in kinds[:1] or kinds.count(b"moov") != 1 or {b"moof", b"mdat"} & set(kinds):
            scope.breach(INIT, " ".join(kind.decode("latin-1") for kind in kinds) or "nothing", "ftyp moov")
        if b"moov" not in kinds:
            return None
        if not find(data, "moov/mvex"):
            scope.breach(INIT, "no mvex in moov", "mvex: fragments follow")
        header = Mp4Header(data)
        movie_timescale = _movie_timescale(data)
        for trak in find(data, "moov/trak"):
            track = _read_track(data, trak, movie_timescale, scope)
            if track is not None:
                header.tracks[track.ident] = track
        for trex in find(data, "moov/mvex/trex"):
            known = header.tracks.get(u32(data, trex.payload + 4))
            if known is not None:
                known.duration, known.size, known.flags = (u32(data, trex.payload + offset) for offset in (12, 16, 20))
    except BoxError as fault:
        scope.breach(BOX, str(fault), "boxes that fit", byte=fault.at)
    except (struct.error, IndexError):
        scope.breach(BOX, "a box ends before its fields", "boxes that hold their fields")
    else:
        return header
    return None


def _read_track(data: bytes, trak: Box, movie_timescale: int, scope: Scope) -> Mp4Track | None:
    parts = [find(data, path, trak.payload, trak.end) for path in ("tkhd", "mdia/mdhd", "mdia/hdlr", "mdia/minf/stbl/stsd")]
    if any(len(part) != 1 for part in parts):
        scope.breach(TRACK, "tkhd, mdhd, hdlr or stsd is missing or there twice", "one of each", byte=trak.start)
        return None
    tkhd, mdhd, hdlr, stsd = (part[0] for part in parts)
    ident = u32(data, tkhd.payload + (20 if data[tkhd.payload] else 12))
    scale_at = mdhd.payload + (20 if data[mdhd.payload] else 12)
    timescale = u32(data, scale_at)
    if not timescale or not ident:
        scope.breach(TRACK, f"track_ID {ident}, timescale {timescale}", "both above 0", byte=trak.start)
        return None
    packed = u32(data, scale_at + (12 if data[mdhd.payload] else 8)) >> 16
    language = "".join(chr((packed >> shift & 31) + 0x60) for shift in (10, 5, 0))
    kind = _KINDS.get(data[hdlr.payload + 8 : hdlr.payload + 12], "data")
    track = Mp4Track(ident, kind, timescale, language, None, edit=_read_edits(data, trak, timescale, movie_timescale))
    for table in ("stts", "stsc", "stsz", "stco"):
        for box in find(data, f"mdia/minf/stbl/{table}", trak.payload, trak.end):
            if u32(data, box.payload + (8 if table == "stsz" else 4)):
                scope.breach(INIT, f"{table} has entries", "no samples in moov", byte=box.start)
    entries = list(boxes(data, stsd.payload + 8, stsd.end))
    if len(entries) != 1:
        scope.breach(TRACK, f"{len(entries)} sample entries", "one", byte=stsd.start)
    if entries:
        try:
            _read_entry(data, entries[0], track)
        except ValueError as fault:
            if isinstance(fault, BoxError):
                raise
            scope.breach(CONFIG, str(fault), "a configuration that a decoder can be opened with", byte=entries[0].start)
    return track


def _read_entry(data: bytes, entry: Box, track: Mp4Track) -> None:
    fourcc = entry.name
    fixed = {"video": _VISUAL_ENTRY, "audio": _AUDIO_ENTRY}.get(track.kind)
    inside = {box.kind: box for box in boxes(data, entry.payload + fixed, entry.end)} if fixed else {}
    if fourcc in ("avc1", "avc3"):
        if b"avcC" not in inside:
            raise ValueError(f"{fourcc} without avcC")
        payload = data[inside[b"avcC"].payload : inside[b"avcC"].end]
        track.codec, track.length_size = read_avcc(payload, fourcc)
        if track.codec.width == 0:
            width, height = struct.unpack_from(">HH", data, entry.payload + 24)
            track.codec = Codec(track.codec.name, "video", payload, width, height)
    elif fourcc == "mp4a" and b"esds" in inside:
        track.codec = read_config(_specific_info(data[inside[b"esds"].payload + 4 : inside[b"esds"].end]))
    elif track.kind == "video":
        width, height = struct.unpack_from(">HH", data, entry.payload + 24)
        track.codec = Codec(fourcc, track.kind, data[entry.payload + _VISUAL_ENTRY : entry.end], width, height)
    else:
        track.codec = Codec(fourcc, track.kind, data[entry.payload : entry.end])


def read_avcc(data: bytes, fourcc: str) -> tuple[Codec, int]:
    """An AVCDecoderConfigurationRecord: the codec, and the bytes of a NAL unit's length.

    Raises:
        ValueError: it can't be read, or contradicts itself.
    """
    if len(data) < 7 or data[0] != 1:
        raise ValueError("avcC is not of version 1")
    units: list[bytes] = []
    at = 5
    for mask in (0x1F, 0xFF):
        if at >= len(data):
            raise ValueError("avcC ends early")
        count, at = data[at] & mask, at + 1
        for _ in range(count):
            size = int.from_bytes(data[at : at + 2], "big")
            if at + 2 + size > len(data):
                raise ValueError("avcC ends early")
            units.append(data[at + 2 : at + 2 + size])
            at += 2 + size
    length_size = (data[4] & 3) + 1
    if not units and fourcc == "avc3":
        return Codec(f"avc3.{data[1:4].hex()}", "video", data), length_size
    codec = read_parameter_sets(units, fourcc)
    if codec.name != f"{fourcc}.{data[1:4].hex()}":
        raise ValueError(f"avcC says {data[1:4].hex()}, its SPS {codec.name.partition('.')[2]}")
    return codec, length_size


def _specific_info(data: bytes) -> bytes:
    """DecoderSpecificInfo of an ES_Descriptor (ISO 14496-1 7.2.6).

    Raises:
        ValueError: there is none.
    """
    at = 0
    while at + 2 <= len(data):
        tag, at = data[at], at + 1
        size = 0
        while at < len(data):
            byte, at = data[at], at + 1
            size = size << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        if tag == 0x03:
            flags = data[at + 2] if at + 2 < len(data) else 0
            at += 3 + (2 if flags & 0x80 else 0) + (2 if flags & 0x20 else 0)
        elif tag == 0x04:
            at += 13
        elif tag == 0x05:
            return data[at : at + size]
        else:
            at += size
    raise ValueError("esds without DecoderSpecificInfo")


def _movie_timescale(data: bytes) -> int:
    """Ticks a second of the movie's own clock, in which edits are written; 1 where none is stated."""
    mvhd = next(iter(find(data, "moov/mvhd")), None)
    return u32(data, mvhd.payload + (20 if data[mvhd.payload] else 12)) or 1 if mvhd is not None else 1


def _read_edits(data: bytes, trak: Box, timescale: int, movie_timescale: int) -> int:
    """What an edit list takes off every time: an empty edit delays, the first real one skips (ISO 14496-12 8.6.6)."""
    edit = 0
    for elst in find(data, "edts/elst", trak.payload, trak.end):
        wide = data[elst.payload] == 1
        for at in range(elst.payload + 8, elst.end, 20 if wide else 12):
            duration = u64(data, at) if wide else u32(data, at)
            media_time = int.from_bytes(data[at + 8 : at + 16] if wide else data[at + 4 : at + 8], "big", signed=True)
            if media_time >= 0:
                return edit + media_time
            edit -= duration * timescale // movie_timescale
    return edit
