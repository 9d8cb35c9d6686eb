"""Segments that no encoder writes: a finding, neither an exception nor a loop without end nor a memory that is filled."""

from __future__ import annotations

import random
import struct

import pytest

from pypackager.check.finding import Report
from pypackager.check.media.avc import read_parameter_sets
from pypackager.check.media.bits import Bits
from pypackager.check.media.mp4_fragments import read_fragments
from pypackager.check.media.mp4_header import Mp4Header, Mp4Track, read_header
from pypackager.check.media.samples import Media
from pypackager.check.media.smooth_fragments import read_smooth_fragment
from pypackager.check.media.ts_tables import crc32_mpeg
from tests.helpers.made_media import box

MVHD = box(b"mvhd", struct.pack(">IIIII", 0, 0, 0, 1000, 0))
MDHD = box(b"mdhd", struct.pack(">IIIIII", 0, 0, 0, 48_000, 0, 0x55C4 << 16))
HDLR = box(b"hdlr", struct.pack(">II4s", 0, 0, b"soun"), bytes(13))
STSD = box(b"stsd", struct.pack(">II", 0, 1), box(b"Opus", bytes(28)))
TKHD = box(b"tkhd", struct.pack(">IIIII", 0, 0, 0, 1, 0))
MDIA = box(b"mdia", MDHD, HDLR, box(b"minf", box(b"stbl", STSD)))
ELST = box(b"edts", box(b"elst", struct.pack(">IIIiI", 0, 1, 500, -1, 1 << 16), struct.pack(">IiI", 0, 1024, 1 << 16)))
FTYP = box(b"ftyp", b"isom\0\0\0\0")


@pytest.mark.parametrize(("clocks", "edit"), [([], 1024 - 500 * 48_000), ([MVHD], 1024 - 24_000), ([MVHD, MVHD], 1024 - 24_000)])
def test_edits_are_read_whatever_clocks_there_are(clocks: list[bytes], edit: int) -> None:
    report = Report()
    header = read_header(FTYP + box(b"moov", *clocks, box(b"mvex"), box(b"trak", TKHD, MDIA, ELST)), report.scope())
    assert header is not None
    assert header.tracks[1].edit == edit


@pytest.mark.parametrize("last", [b"tkhd", b"mdhd"])
def test_a_header_that_ends_with_an_empty_box(last: bytes) -> None:
    report = Report()
    empty = box(last)
    inside = [box(b"mdia", HDLR, box(b"minf", box(b"stbl", STSD)), *([empty] if last == b"mdhd" else [MDHD]))]
    parts = [*inside, empty] if last == b"tkhd" else [TKHD, *inside]
    assert read_header(FTYP + box(b"moov", box(b"mvex"), box(b"trak", *parts)), report.scope()) is None
    assert report.broken() == {"MP4-BOX"}


def fragment(
    *trafs: list[bytes], media: bytes = b"abcdef", time: int = 0, base: int | None = None, smooth: bool = False, behind: bool = False
) -> tuple[Media, set[str]]:
    """What is read of a fragment of one track of sound, whose trafs have these truns, and the rules that it breaks."""
    tfhd = box(b"tfhd", struct.pack(">II", base is not None, 1), b"" if base is None else struct.pack(">Q", base))
    tfdt = box(b"tfdt", struct.pack(">IQ", 1 << 24, time))
    moof = box(
        b"moof", box(b"mfhd", struct.pack(">II", 0, 1)), *(box(b"traf", tfhd, *([] if behind else [tfdt]), *truns) for truns in trafs)
    )
    report, mdat = Report(), box(b"mdat", media)
    whole = mdat + moof if behind else moof + mdat
    track = Mp4Track(0 if smooth else 1, "audio", 48_000, "und", None, duration=1024, size=6)
    reader = read_smooth_fragment if smooth else read_fragments
    return reader(whole, Mp4Header(tracks={track.ident: track}), report.scope()), report.broken()


def trun(count: int, offset: int, *sizes: int) -> bytes:
    """A trun of the sizes, or of samples that are all as the header says."""
    flags = 0x201 if sizes else 1
    return box(b"trun", struct.pack(">IIi", flags, count, offset), *(struct.pack(">I", size) for size in sizes))


HEAD = 8 + 16 + 8 + 16 + 20 + 20 + 8
"""Bytes before the samples of a fragment of one traf with one trun without sizes."""


def test_the_fragment_that_the_others_are_made_of_is_good() -> None:
    media, broken = fragment([trun(1, HEAD)])
    assert [len(stream) for stream in media.streams] == [1]
    assert broken == set()


@pytest.mark.parametrize("time", [1 << 62, 1 << 63, (1 << 64) - 1])
def test_a_time_that_no_column_holds(time: int) -> None:
    assert fragment([trun(1, HEAD)], time=time)[1] == {"MP4-FRAGMENT"}


@pytest.mark.parametrize("base", [1 << 62, 1 << 63, (1 << 64) - 1])
def test_a_place_that_no_column_holds(base: int) -> None:
    assert fragment([trun(1, HEAD)], base=base)[1] == {"MP4-SAMPLE-BOUNDS"}


def test_a_count_that_nothing_bears_out_takes_no_memory() -> None:
    assert fragment([trun(0xFFFFFFFF, HEAD)])[1] == {"MP4-TRUN"}


def test_a_byte_is_read_for_one_sample_alone() -> None:
    """Otherwise a moof of a megabyte has the mdat read ten thousand times."""
    media, broken = fragment([trun(1, HEAD + 20), trun(1, HEAD + 20)])
    assert (media.streams, broken) == ([], {"MP4-SAMPLE-BOUNDS"})
    where = 8 + 16 + 3 * (8 + 16 + 20 + 20) + 8
    media, broken = fragment(*[[trun(1, where)]] * 3)
    assert [len(stream) for stream in media.streams] == [1]
    assert broken == {"MP4-SAMPLE-BOUNDS"}


def test_no_sample_is_looked_for_where_there_is_none() -> None:
    """A data offset of -2^31 is a way of half a thousand million steps to the end."""
    for track in ("audio", "video"):
        report = Report()
        header = Mp4Header(tracks={0: Mp4Track(0, "video", 90_000, "und", None, length_size=4 if track == "video" else 0)})
        moof = box(b"moof", box(b"mfhd", bytes(8)), box(b"traf", box(b"tfhd", bytes(8)), trun(0, -(1 << 31))))
        media = read_smooth_fragment(moof + box(b"mdat", b"abc"), header, report.scope())
        assert [len(stream) for stream in media.streams] == [0]
        assert media.picture_parameter_set is None


def test_a_slice_whose_header_is_none() -> None:
    report = Report()
    header = Mp4Header(tracks={0: Mp4Track(0, "video", 90_000, "und", None, length_size=4, size=24)})
    where = 8 + 16 + 8 + 16 + 20 + 8
    moof = box(b"moof", box(b"mfhd", bytes(8)), box(b"traf", box(b"tfhd", bytes(8)), trun(1, where)))
    media = read_smooth_fragment(moof + box(b"mdat", struct.pack(">I", 20), b"\x65", bytes(19)), header, report.scope())
    assert [len(stream) for stream in media.streams] == [1]
    assert media.picture_parameter_set is None


def test_a_smooth_fragment_that_ends_with_an_empty_box() -> None:
    report = Report()
    header = Mp4Header(tracks={0: Mp4Track(0, "audio", 48_000, "und", None)})
    moof = box(b"moof", box(b"mfhd", bytes(8)), box(b"traf", box(b"tfhd", bytes(8)), trun(0, 0), box(b"tfdt")))
    read_smooth_fragment(box(b"mdat") + moof, header, report.scope())
    assert "MP4-BOX" in report.broken()


def test_a_code_has_no_more_than_32_leading_zeros() -> None:
    with pytest.raises(ValueError, match="32 leading zeros"):
        read_parameter_sets([b"\x67\x42\xc0\x0b" + bytes(60_000)])


def test_a_cycle_has_no_more_than_255_frames() -> None:
    # seq_parameter_set_id 0, log2_max_frame_num 0, pic_order_cnt_type 1, flag, two offsets, then 256 frames.
    bits = "1" + "1" + "010" + "0" + "1" + "1" + f"{257:b}".rjust(17, "0")
    body = int(bits.ljust(-(-len(bits) // 8) * 8, "1"), 2).to_bytes(-(-len(bits) // 8), "big")
    with pytest.raises(ValueError, match="a cycle of 256"):
        read_parameter_sets([b"\x67\x42\xc0\x0b" + body + b"\xff" * 2000])


def test_bits_are_those_of_the_whole_as_one_number() -> None:
    chance = random.Random(7)
    data = chance.randbytes(40)
    value, left, bits = int.from_bytes(data, "big"), 320, Bits(data)
    while left:
        width = chance.randrange(min(left, 40) + 1)
        left -= width
        assert bits.take(width) == value >> left & ((1 << width) - 1)
        assert bits.left == left
    with pytest.raises(EOFError):
        bits.take(1)


def test_the_crc_of_sections_is_that_of_the_standard() -> None:
    def bitwise(data: bytes) -> int:
        crc = 0xFFFFFFFF
        for byte in data:
            crc ^= byte << 24
            for _ in range(8):
                crc = (crc << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if crc & 0x80000000 else crc << 1
        return crc

    chance = random.Random(7)
    for size in (0, 1, 17, 184):
        data = chance.randbytes(size)
        assert crc32_mpeg(data) == bitwise(data)
    assert crc32_mpeg(b"123456789") == 0x0376E6E7
