"""Mistakes in fragmented MP4: boxes, sample tables, times, samples."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from tests.helpers.made_hls import COPIES, master_url
from tests.helpers.mutations.patient import Mutation, Patient, mutation

Bytes = bytes | bytearray


def _u32(data: Bytes, at: int) -> int:
    return int(struct.unpack_from(">I", data, at)[0])


def _put(data: bytearray, kind: bytes, offset: int, value: int) -> bytearray:
    """Writes 32 bits behind the type of the first box of a kind."""
    struct.pack_into(">I", data, data.index(kind) + 4 + offset, value & 0xFFFFFFFF)
    return data


def _renamed(kind: bytes) -> Callable[[bytearray], Bytes]:
    return lambda data: data.replace(kind, b"free", 1)


def shift(data: bytearray, seconds: float, timescale: int = 12_800) -> bytearray:
    """A fragment lies elsewhere in time."""
    at = data.index(b"tfdt") + 8
    form = ">Q" if data[at - 4] else ">I"
    struct.pack_into(form, data, at, struct.unpack_from(form, data, at)[0] + int(seconds * timescale))
    return data


def _number_twice(data: bytearray) -> Bytes:
    """A fragment without samples follows, under the number of the one before."""

    def taken(kind: bytes) -> Bytes:
        at = data.index(kind) - 4
        return data[at : at + _u32(data, at)]

    def box(kind: bytes, payload: Bytes) -> bytes:
        return struct.pack(">I", 8 + len(payload)) + kind + payload

    empty = box(b"traf", taken(b"tfhd") + taken(b"tfdt"))
    return data + box(b"moof", taken(b"mfhd") + empty) + box(b"mdat", b"")


def _grow(data: bytearray) -> Bytes:
    at = data.index(b"mdat") - 4
    struct.pack_into(">I", data, at, _u32(data, at) + 8)
    return data + b"12345678"


def _trun(data: Bytes) -> tuple[int, int]:
    """Where the fields of trun begin, and its flags."""
    at = data.index(b"trun") + 4
    return at, _u32(data, at) & 0xFFFFFF


def _first_flags(data: bytearray, flags: int) -> bytearray:
    """Sets the flags of the first sample."""
    at, present = _trun(data)
    place = at + 8 + (4 if present & 0x1 else 0)
    if not present & 0x4:
        place += sum(4 for bit in (0x100, 0x200) if present & bit)
    struct.pack_into(">I", data, place, flags)
    return data


def _units(data: Bytes) -> list[int]:
    """Where the first NAL units of mdat begin, behind their lengths."""
    at, out = data.index(b"mdat") + 4, list[int]()
    while len(out) < 6 and at + 5 < len(data):
        out.append(at + 4)
        at += 4 + _u32(data, at)
    return out


def _no_key(data: bytearray) -> bytearray:
    """The IDR picture becomes another, and is marked so."""
    at = next(place for place in _units(data) if data[place] & 0x1F == 5)
    data[at] = data[at] & 0xE0 | 1
    return _first_flags(data, 0x01010000)


def _nal_length(data: bytearray) -> bytearray:
    at = _units(data)[0] - 4
    struct.pack_into(">I", data, at, _u32(data, at) + 3)
    return data


def _flip(patient: Patient) -> None:
    """A picture differs in one bit."""

    def change(data: bytearray) -> bytearray:
        data[-5] ^= 1 << patient.chance.randint(0, 7)
        return data

    patient.body(patient.segment(), change)


def _other_time(patient: Patient) -> None:
    """One picture is shown 40 ms later."""

    def change(data: bytearray) -> bytearray:
        # A composition offset for the whole run: the table grows by a column.
        at, present = _trun(data)
        assert not present & 0x800
        count = _u32(data, at + 4)
        fixed = at + 8 + (4 if present & 0x1 else 0) + (4 if present & 0x4 else 0)
        width = 4 * sum(1 for bit in (0x100, 0x200, 0x400) if present & bit)
        rows = [bytes(data[fixed + width * n : fixed + width * (n + 1)]) for n in range(count)]
        late = patient.chance.randint(2, count - 3)
        table = b"".join(row + struct.pack(">I", 512 if n == late else 0) for n, row in enumerate(rows))
        struct.pack_into(">I", data, at, _u32(data, at) | 0x800)
        if present & 0x1:
            struct.pack_into(">I", data, at + 8, _u32(data, at + 8) + 4 * count)
        for kind in (b"trun", b"traf", b"moof"):
            place = data.index(kind) - 4
            struct.pack_into(">I", data, place, _u32(data, place) + 4 * count)
        return data[:fixed] + table + data[fixed + width * count :]

    patient.body(patient.segment(), change)


def _init(patient: Patient, change: Callable[[bytearray], Bytes]) -> None:
    patient.body(patient.headers[patient.variant()], change)


def _shift_track(patient: Patient) -> None:
    for url in patient.media["audio"]:
        patient.body(url, lambda data: shift(data, 0.3, 48_000))


def _shift_from(patient: Patient) -> None:
    name, first = patient.variant(), patient.number()
    for url in patient.media[name][first:]:
        patient.body(url, lambda data: shift(data, 0.5))


def _ends_early(patient: Patient) -> None:
    """The newest segment is never listed."""
    for name in patient.media:
        patient.text(name, r"(?:#EXT-X-PROGRAM-DATE-TIME:.*\n)?#EXTINF:.*\n\w+5\.m4s\n", "", copies=range(2, COPIES))


def _without_layer(patient: Patient) -> None:
    """A variant of the transport streams is not listed."""
    lines = re.compile(rb"#EXT-X-STREAM-INF:.*\n" + patient.variant().encode() + rb"\.m3u8\n")
    patient.body(master_url("mpegts"), lambda data: lines.sub(b"", bytes(data)))


def _timescale(data: bytearray) -> bytearray:
    at = data.index(b"mdhd") + 4
    struct.pack_into(">I", data, at + (20 if data[at] else 12), 0)
    return data


_UNREADABLE = ("MEDIA-EMPTY", "MEDIA-CONTINUOUS", "MEDIA-TIME")

SEGMENTS: dict[str, Mutation] = {
    "a segment is cut off": mutation("MP4-BOX", lambda p: p.body(p.segment(), lambda data: data[: -p.chance.randint(1, 99)]), *_UNREADABLE),
    "no tfdt": mutation("MP4-FRAGMENT", lambda p: p.body(p.segment(), _renamed(b"tfdt")), *_UNREADABLE),
    "no mfhd": mutation("MP4-FRAGMENT", lambda p: p.body(p.segment(), _renamed(b"mfhd"))),
    "a number twice": mutation("MP4-SEQUENCE", lambda p: p.body(p.segment(), _number_twice)),
    "another track": mutation("MP4-TRACK-ID", lambda p: p.body(p.segment(), lambda data: _put(data, b"tfhd", 4, 7)), *_UNREADABLE),
    "a row too many": mutation("MP4-TRUN", lambda p: p.body(p.segment(), lambda data: _put(data, b"trun", 4, 999)), *_UNREADABLE),
    "a wrong offset": mutation(
        "MP4-SAMPLE-BOUNDS",
        lambda p: p.body(p.segment(), lambda data: _put(data, b"trun", 8, _u32(data, data.index(b"trun") + 12) + 4)),
        *_UNREADABLE,
    ),
    "bytes of no sample": mutation("MP4-MDAT-UNUSED", lambda p: p.body(p.segment(), _grow)),
    "a wrong NAL length": mutation("MP4-NAL", lambda p: p.body(p.segment(), _nal_length), "MP4-SYNC"),
    "a key frame that is not marked": mutation(
        "MP4-SYNC", lambda p: p.body(p.segment(), lambda data: _first_flags(data, 0x01010000)), "MEDIA-KEY-FIRST"
    ),
    "no key frame": mutation("MEDIA-KEY-FIRST", lambda p: p.body(p.segment(), _no_key), "MP4-SYNC"),
    "a segment from elsewhere in time": mutation(
        "MEDIA-CONTINUOUS", lambda p: p.body(p.segment(), lambda data: shift(data, p.chance.choice([-0.5, 0.5]))), "MEDIA-TIME"
    ),
    "time jumps": mutation("MEDIA-CONTINUOUS", _shift_from, "MEDIA-TIME"),
    "all sound is late": mutation("SYNC-TRACKS", _shift_track),
    "no samples": mutation("MEDIA-EMPTY", lambda p: p.body(p.segment(), _renamed(b"trun")), "MEDIA-CONTINUOUS", "MEDIA-TIME"),
    "a page with status 200": mutation("MEDIA-CONTAINER", lambda p: p.body(p.segment(), lambda _: b"<html>not found</html>"), *_UNREADABLE),
    "a segment is not there": mutation("HTTP-STATUS", lambda p: p.recording.answers.pop(p.segment())),
    "no mvex": mutation("MP4-INIT", lambda p: _init(p, _renamed(b"mvex"))),
    "no timescale": mutation("MP4-TRACK", lambda p: _init(p, _timescale), "MP4-TRACK-ID", "MP4-INIT", "MEDIA-EMPTY"),
    "another profile in avcC": mutation(
        "MP4-CODEC-CONFIG", lambda p: _init(p, lambda data: data.replace(b"avcC\x01\x42", b"avcC\x01\x64")), "MEDIA-CODECS"
    ),
    "the header of the other variant": mutation(
        "MEDIA-CODECS",
        lambda p: p.body(p.headers["high"], lambda _: p.recording.answers[p.headers["low"]][0][1].body),
        "MEDIA-RESOLUTION",
    ),
}
"""Of CMAF."""

COMPARED: dict[str, Mutation] = {
    "a bit of a picture": mutation("SYNC-FRAMES", _flip),
    "a picture is shown later": mutation("SYNC-TIMES", _other_time, "MP4-NAL"),
    "sound is later than picture": mutation("SYNC-SHIFT", _shift_track, "SYNC-TRACKS"),
    "the end is missing": mutation("SYNC-BORDERS", _ends_early, "LIVE-PACE", "HLS-WINDOW"),
    "a layer is missing": mutation("SYNC-LAYER", _without_layer),
}
"""Of CMAF, compared with the transport streams."""
