"""Small segments and headers for the targets of the judge's media readers: a few samples each, made of noise under true headers."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from pypackager.check.media.smooth_fragments import TFRF, TFXD
from pypackager.check.media.ts_tables import crc32_mpeg
from tests.helpers.captures import body_of
from tests.helpers.made_media import AAC_MONO, AAC_STEREO, PPS, SPS, START_CODE, box, lengths, picture, sound

_CAPTURES = Path(__file__).resolve().parents[2] / "rust/core/tests/data"
_SIZE = 20
"""Bytes of noise in a sample."""
_PICTURES = [lengths(picture(n, key=not n, size=_SIZE)) for n in range(3)]
_SOUNDS = [sound(n, size=_SIZE) for n in range(3)]
_SETS = lengths(SPS[160], PPS)
_FLAGS = [0x02000000, 0x01010000, 0x01010000]
_HIGH = bytes.fromhex("674d401fe8802802dd80b50101000000")
"""Main profile, 1280x720, without a rate."""
_AVCC = b"\x01" + SPS[160][1:4] + b"\xff\xe1" + struct.pack(">H", len(SPS[160])) + SPS[160] + b"\x01" + struct.pack(">H", len(PPS)) + PPS
_CONFIGS = [AAC_STEREO, AAC_MONO, *map(bytes.fromhex, ("2b920800", "eb8a0800", "131056e598", "138856e5a54880", "97800bb800c0"))]


def _parts(data: bytes) -> list[bytes]:
    """The boxes of one level."""
    out: list[bytes] = []
    while len(data) >= 8:
        size = max(8, int.from_bytes(data[:4], "big"))
        out.append(data[:size])
        data = data[size:]
    return out


def mp4_headers() -> Iterator[bytes]:
    """Headers of real encoders, with all of their tracks and with one."""
    for capture in sorted(_CAPTURES.glob("*.http")):
        top = _parts(body_of(capture.read_bytes()))
        ftyp, moov = (next(part for part in top if part[4:8] == kind) for kind in (b"ftyp", b"moov"))
        yield ftyp + moov
        inside = _parts(moov[8:])
        for trak in [part for part in inside if part[4:8] == b"trak"]:
            yield ftyp + box(b"moov", *(part for part in inside if part[4:8] in (b"mvhd", b"mvex")), trak)


def _fragment(
    track: int, samples: list[bytes], columns: int, *, times: bytes = b"", base: bool = False, tail: bytes = b"", number: int = 1
) -> bytes:
    """A moof with its mdat; `columns` are the flags of trun, `times` the boxes behind it."""
    length = 3600 if track == 1 else 1024
    values = {0x100: [length] * 3, 0x200: [*map(len, samples)], 0x400: _FLAGS, 0x800: [2 * length, length, 0]}
    table = b"".join(struct.pack(">I", column[n]) for n in range(len(samples)) for bit, column in values.items() if columns & bit)
    first = struct.pack(">I", _FLAGS[0]) if columns & 4 else b""
    defaults = 0x38 | base
    tfhd = box(b"tfhd", struct.pack(">II", defaults, track), bytes(8 * base), struct.pack(">III", length, len(samples[0]), 0))

    def moof(offset: int) -> bytes:
        trun = box(b"trun", struct.pack(">IIi", columns | 1, len(samples), offset), first, table)
        return box(b"moof", box(b"mfhd", struct.pack(">II", 0, number)), box(b"traf", tfhd, times, trun))

    return moof(len(moof(0)) + 8) + box(b"mdat", *samples, tail)


def mp4_fragments() -> Iterator[bytes]:
    """Fragments of pictures and of sound, with every column and with none."""
    narrow, wide = box(b"tfdt", struct.pack(">II", 0, 90_000)), box(b"tfdt", struct.pack(">IQ", 1 << 24, 1 << 40))
    yield _fragment(1, _PICTURES, 0xF00, times=narrow)
    yield _fragment(1, _PICTURES, 0x204, times=wide)
    yield _fragment(1, _PICTURES[:1], 0x800 | 1 << 24, times=wide, tail=b"more")
    yield _fragment(2, _SOUNDS, 0, times=narrow)
    yield _fragment(2, _SOUNDS, 0x300, times=wide, base=True)
    yield (
        box(b"styp", b"msdh\0\0\0\0msdh") + _fragment(1, _PICTURES, 0x600, times=wide) + _fragment(2, _SOUNDS, 0x200, times=wide, number=2)
    )


def smooth_fragments() -> Iterator[bytes]:
    """Fragments with both kinds of times."""
    narrow = box(b"uuid", TFXD, struct.pack(">III", 0, 90_000, 10_800))
    wide = box(b"uuid", TFXD, struct.pack(">IQQ", 1 << 24, 1 << 40, 10_800))
    following = box(b"uuid", TFRF, struct.pack(">IBQQQQ", 1 << 24, 2, 1 << 41, 10_800, 1 << 42, 10_800))
    yield _fragment(1, [_SETS + _PICTURES[0], *_PICTURES[1:]], 0x600, times=wide + following)
    yield _fragment(1, _PICTURES, 0xE00 | 1 << 24, times=narrow + box(b"tfdt", struct.pack(">II", 0, 90_000)))
    yield _fragment(2, _SOUNDS, 0x200, times=narrow + box(b"uuid", TFRF, struct.pack(">IBII", 0, 1, 1 << 20, 1024)))
    yield _fragment(2, _SOUNDS, 0, times=b"", base=True)


def _stamp(mark: int, ticks: int) -> bytes:
    """PTS or DTS (ISO 13818-1 2.4.3.7)."""
    high, middle, low = ticks >> 30 & 7, ticks >> 15 & 0x7FFF, ticks & 0x7FFF
    return bytes((mark << 4 | high << 1 | 1,)) + struct.pack(">HH", middle << 1 | 1, low << 1 | 1)


def _pes(kind: int, pts: int, payload: bytes, dts: int | None = None) -> bytes:
    stamps = _stamp(2, pts) if dts is None else _stamp(3, pts) + _stamp(1, dts)
    length = 3 + len(stamps) + len(payload) if kind == 0xC0 else 0
    return (
        b"\x00\x00\x01" + bytes((kind,)) + struct.pack(">HBBB", length, 0x80, 0x80 if dts is None else 0xC0, len(stamps)) + stamps + payload
    )


def _adts(frame: bytes, *, crc: bool = False) -> bytes:
    head = 9 if crc else 7
    size = head + len(frame)
    return (
        bytes((0xFF, 0xF0 if crc else 0xF1, 0x4C, 0x80 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC, 0, 0)[:head]) + frame
    )


_AUD = START_CODE + b"\x09\xf0"
_ACCESS_UNITS = [
    _AUD + b"".join(START_CODE + unit for unit in (SPS[160], PPS, picture(0, key=True, size=_SIZE))),
    _AUD + START_CODE + picture(1, key=False, size=_SIZE),
]
_VIDEO = [_pes(0xE0, 90_000, _ACCESS_UNITS[0], 86_400), _pes(0xE0, 97_200, _ACCESS_UNITS[1], 90_000)]
_FRAMES = b"".join(_adts(each) for each in _SOUNDS)
_AUDIO = [_pes(0xC0, 90_000, _FRAMES), _pes(0xC0, 95_760, _adts(_SOUNDS[0], crc=True) + _FRAMES[:20]), _pes(0xC0, 97_680, _FRAMES[20:])]


def _packet(pid: int, count: int, payload: bytes, *, start: bool = True, pcr: int | None = None) -> bytes:
    """A packet: what it lacks is stuffing."""
    clock = b"" if pcr is None else struct.pack(">Q", (pcr << 15 | 0x7E00) << 16)[:6]
    room = 184 - len(payload)
    field = b""
    if room:
        inside = (bytes((0x10 if clock else 0,)) + clock).ljust(room - 1, b"\xff")[: room - 1]
        field = bytes((room - 1,)) + inside
    return struct.pack(">BHB", 0x47, start << 14 | pid, (0x30 if room else 0x10) | count & 15) + field + payload


def _table(pid: int, table: int, body: bytes) -> bytes:
    section = struct.pack(">BHHBBB", table, 0xB000 | len(body) + 9, 1, 0xC1, 0, 0) + body
    whole = b"\x00" + section + struct.pack(">I", crc32_mpeg(section))
    return struct.pack(">BHB", 0x47, 0x4000 | pid, 0x10) + whole.ljust(184, b"\xff")


def ts_segments() -> Iterator[bytes]:
    """Tables, then two access units and some frames."""
    pat = _table(0, 0x00, struct.pack(">HH", 1, 0xE020))
    language = b"\x0a\x04eng\x00"
    streams = struct.pack(">BHH", 0x1B, 0xE100, 0xF000) + struct.pack(">BHH", 0x0F, 0xE101, 0xF000 | len(language)) + language
    pmt = _table(0x20, 0x02, struct.pack(">HH", 0xE100, 0xF000) + streams)
    video = [_packet(0x100, n, pes, pcr=80_000 + 3600 * n) for n, pes in enumerate(_VIDEO)]
    audio = [_packet(0x101, n, pes) for n, pes in enumerate(_AUDIO)]
    yield b"".join((pat, pmt, *video, *audio))
    sound_alone = _table(0x20, 0x02, struct.pack(">HH", 0xE101, 0xF000) + struct.pack(">BHH", 0x0F, 0xE101, 0xF000))
    yield b"".join((pat, sound_alone, _packet(0x101, 0, _AUDIO[0], pcr=85_000)))
    yield pat + pmt


def ts_streams() -> Iterator[bytes]:
    """PES packets of one stream behind each other."""
    yield b"\x00" + b"".join(_VIDEO)
    yield b"\x80" + b"".join(_AUDIO)


def _tag(kind: int, time: int, body: bytes) -> bytes:
    head = bytes((kind,)) + len(body).to_bytes(3, "big") + time.to_bytes(3, "big") + bytes(4)
    return head + body + struct.pack(">I", 11 + len(body))


def f4f_fragments() -> Iterator[bytes]:
    """Sequence headers, then pictures and sound."""
    headers = [_tag(9, 40, b"\x17\x00\x00\x00\x00" + _AVCC), _tag(8, 40, b"\xaf\x00" + AAC_STEREO)]
    pictures = [_tag(9, 40 + 40 * n, bytes((0x27 if n else 0x17, 1, 0, 0, 0)) + unit) for n, unit in enumerate(_PICTURES)]
    sounds = [_tag(8, 40 + 21 * n, b"\xaf\x01" + frame) for n, frame in enumerate(_SOUNDS)]
    yield box(b"mdat", *headers, *pictures, *sounds)
    yield box(b"moof", b"") + box(b"mdat", _tag(18, 0, b"\x02\x00\x0aonMetaData\x05"), _tag(8, 40, b"\x2f" + _SOUNDS[0]))


def aac_configs() -> Iterator[bytes]:
    """With and without SBR and PS, signalled in each way."""
    yield from _CONFIGS


def avc_parameter_sets() -> Iterator[bytes]:
    """SPS alone, behind start codes, and in an avcC."""
    yield from (SPS[160], SPS[640], _HIGH, bytes.fromhex("6764001facd940500 5bb011000000300100000030320f183196 0".replace(" ", "")))
    yield START_CODE + SPS[160] + START_CODE + PPS
    yield _AVCC


def amf_values() -> Iterator[bytes]:
    """What encoders call onMetaData, and every type."""
    name = b"\x02\x00\x0aonMetaData"
    yield name + b"\x08\x00\x00\x00\x02\x00\x05width\x00\x40\x94\x00\x00\x00\x00\x00\x00\x00\x06stereo\x01\x01\x00\x00\x09"
    yield name + b"\x03\x00\x06height\x00\x40\x76\x80\x00\x00\x00\x00\x00\x00\x01a\x03\x00\x00\x09\x00\x00\x09"
    yield b"\x0a\x00\x00\x00\x02\x05\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x06"
