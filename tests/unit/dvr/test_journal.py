"""Framing: what was written is read, and reading stops at the first byte that is wrong."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypackager._core import crc32c
from pypackager.dvr import journal
from pypackager.dvr.records import Checkpoint, FragmentLost, JournalRecord
from pypackager.model.errors import PackagerError
from pypackager.model.records import Event, FragmentWritten, Published, Row

INTEGERS = st.integers(0, 2**53)
RECORDS: st.SearchStrategy[JournalRecord] = st.one_of(
    st.builds(
        FragmentWritten,
        **dict.fromkeys(["track", "time", "duration", "blob", "offset", "size", "config", "flags", "crc", "samples"], INTEGERS),
    ),
    st.builds(Published, st.lists(st.builds(Row, INTEGERS, INTEGERS, INTEGERS, INTEGERS, INTEGERS), max_size=4).map(tuple)),
    st.builds(Event, INTEGERS, st.text(max_size=20), st.text(max_size=50)),
    st.builds(Checkpoint, INTEGERS),
    st.builds(FragmentLost, INTEGERS, INTEGERS),
)


def read(data: bytes) -> tuple[list[JournalRecord], journal.Scan]:
    scan = journal.Scan(data, 3)
    return [record for _, record in scan], scan


@given(st.lists(RECORDS, max_size=8), st.integers(0, 2000))
def test_any_cut_gives_the_records_before_it(records: list[JournalRecord], cut: int) -> None:
    data, ends = journal.write_header(3), []
    for record in records:
        data += journal.write_frame(record)
        ends.append(len(data))
    assert read(data)[0] == records
    cut = min(max(cut, 12), len(data))
    found, scan = read(data[:cut])
    whole = [end for end in ends if end <= cut]
    assert found == records[: len(whole)]
    assert scan.end == (whole[-1] if whole else 12)
    assert bool(scan.damage) == (scan.end != cut)


@given(st.lists(RECORDS, min_size=1, max_size=5), st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_ends_the_file_before_it(records: list[JournalRecord], place: int, change: int) -> None:
    frames = [journal.write_frame(record) for record in records]
    data = bytearray(journal.write_header(3) + b"".join(frames))
    place = 12 + place % (len(data) - 12)
    data[place] ^= change
    found, scan = read(bytes(data))
    assert found == records[: len(found)]
    assert scan.damage
    assert scan.end <= place < scan.end + len(frames[len(found)])


@pytest.mark.parametrize(
    ("tail", "damage"),
    [
        (bytes(4096), "checksum"),
        (b"\xff" * 64, "torn"),
        (b"\x00\x00\x00\x00\xff\xff\xff\x7f", "torn"),
        (b"\x01", "frame header torn"),
    ],
)
def test_what_a_power_loss_leaves_is_damage(tail: bytes, damage: str) -> None:
    found, scan = read(journal.write_header(3) + journal.write_frame(Checkpoint(1)) + tail)
    assert found == [Checkpoint(1)]
    assert damage in scan.damage


def test_a_record_of_another_program_is_damage() -> None:
    payload = msgspec.msgpack.encode(["unheard-of", 1])
    sized = len(payload).to_bytes(4, "little") + payload
    _, scan = read(journal.write_header(3) + crc32c(sized).to_bytes(4, "little") + sized)
    assert "can't be read" in scan.damage


@pytest.mark.parametrize("data", [b"", b"PPKJ", bytes(12), journal.write_header(4)])
def test_a_bad_header_is_refused(data: bytes) -> None:
    with pytest.raises(journal.BadHeaderError):
        journal.Scan(data, 3)


def test_another_format_is_the_operators_business() -> None:
    header = bytearray(journal.write_header(3))
    header[4] += 1
    with pytest.raises(PackagerError, match="JOURNAL_FORMAT"):
        journal.Scan(bytes(header), 3)


def test_a_fragment_costs_less_than_88_bytes() -> None:
    written = FragmentWritten(3, 1_700_000_000 * 90_000, 180_000, 70_000, 123_456_789, 1_000_000, 2, 9, 0xFFFFFFFF, 50)
    listed = Published(tuple(Row(n, 1_700_000_000 * 90_000, 180_000, 850_000_000, 9) for n in range(15)))
    assert len(journal.write_frame(written)) + len(journal.write_frame(listed)) / 15 < 88


def test_a_fragment_of_a_journal_without_indexes_is_read() -> None:
    written = FragmentWritten(3, 180_000, 180_000, 7, 0, 1000, 2, 9, 0xFFFFFFFF, 50)
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(written))
    assert fields.pop() == written.index == -1
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=FragmentWritten) == written
