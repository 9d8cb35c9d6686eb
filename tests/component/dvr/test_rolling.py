"""Files roll over: what is sealed stays as it is, and each journal file is enough to go on from."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pypackager.dvr import journal
from pypackager.dvr.recovery import JOURNALS, Replay
from pypackager.dvr.rollover import ROLL_NS
from pypackager.model.records import (
    FLAG_SYNC,
)
from tests.helpers.dvr import VIDEO, Channel, config, content, data_of, fragment, journals, media


def test_rolling_waits_for_what_is_under_way(channel: Channel) -> None:
    channel.run(0, 1)
    channel.write(1)
    assert not channel.store.roll_due(ROLL_NS - 1)
    assert channel.store.roll_due(ROLL_NS)
    channel.store.roll(ROLL_NS)
    assert journals(channel) == [1]
    assert not channel.store.roll_due(2 * ROLL_NS)
    channel.write(2)
    channel.list(1)
    channel.list(2)
    channel.settle()
    assert journals(channel) == [1, 2]
    assert not channel.store.roll_due(2 * ROLL_NS - 1)
    assert media(channel) == {"video-1/000001.cmfv", "video-1/000003.cmfv", "audio-1/000002.cmfa", "audio-1/000004.cmfa"}
    assert data_of(channel.store, 1) == [(i * 180_000, bytes([i, 1]) * 50) for i in range(3)]
    assert content(Replay(channel.directory).ledger) == content(channel.store.ledger)


def test_a_sealed_file_is_never_written_again(channel: Channel) -> None:
    channel.run(0, 3)
    channel.store.roll(ROLL_NS)
    channel.settle()
    sealed = {path: path.read_bytes() for path in channel.directory.rglob("*.*")}
    sealed.pop(channel.directory / JOURNALS / journal.file_name(2))
    channel.run(3, 6)
    channel.kill()
    channel.run(6, 9)
    assert all(path.read_bytes() == data for path, data in sealed.items())


def test_replay_from_any_file_on_knows_all_but_the_older_rows(channel: Channel) -> None:
    for turn in range(3):
        channel.run(turn * 4, turn * 4 + 3)
        channel.write(turn * 4 + 3)
        channel.settle()
        channel.store.roll((turn + 1) * ROLL_NS)
        channel.list(turn * 4 + 3)
        channel.settle()
    live = channel.store.ledger
    for number in journals(channel)[:-1]:
        (channel.directory / JOURNALS / journal.file_name(number)).unlink()
        ledger = Replay(channel.directory).ledger
        assert ledger.snapshot() == live.snapshot()
        for track, whole in zip(ledger.tracks.values(), live.tracks.values(), strict=True):
            rows = track.columns.window(track.columns.first, track.columns.end)
            same = whole.columns.window(track.columns.first, track.columns.end)
            assert [column.tolist() for column in rows] == [column.tolist() for column in same]


def test_all_files_are_closed(channel: Channel) -> None:
    channel.run(0, 2)
    channel.write(2)
    channel.store.roll(ROLL_NS)
    channel.write(3)
    number = channel.store.add_config(1, config("b"))
    channel.store.put_fragment(1, fragment(4 * 180_000, 180_000, b"new"), number, FLAG_SYNC)
    channel.settle()
    assert len(data_of(channel.store, 1)) == 2
    # Two blobs and the journal are open, of five and two.
    assert channel.writer.open_files() == 3
    assert [f.config for f in channel.store.ledger.tracks[1].pending.values()] == [1, 1, 2]


def test_a_blob_that_was_never_recorded_makes_room(channel: Channel) -> None:
    channel.run(0, 1)
    channel.store.roll(ROLL_NS)
    channel.settle()
    channel.write(1, size=500)
    channel.kill()  # files are there, their records are not
    assert channel.store.report.orphans == 2
    channel.run(1, 2)
    assert (channel.directory / "blobs/video-1/000003.cmfv").read_bytes() == b"INITa" + bytes([1, 1]) * 50


def test_a_roll_without_space_is_due_again(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    channel.run(0, 1)

    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "no space", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        channel.store.roll(ROLL_NS)
    assert (channel.store.roll_errno, channel.store.roll_due(ROLL_NS)) == (errno.ENOSPC, True)
    channel.run(1, 2)
    channel.store.roll(ROLL_NS)
    channel.run(2, 3)
    assert (channel.store.roll_errno, journals(channel)) == (0, [1, 2])
    channel.kill()
    assert len(data_of(channel.store, 1)) == 3


def test_a_configuration_that_comes_back_is_known_to_who_replays_from_a_later_file(channel: Channel) -> None:
    channel.run(0, 3)
    other = channel.store.add_config(VIDEO.number, config("b"))
    ticks = 2 * VIDEO.timescale
    channel.store.put_fragment(VIDEO.number, fragment(3 * ticks, ticks, b"other"), other, FLAG_SYNC)
    channel.list(3, tracks=(VIDEO,))
    channel.settle()
    channel.store.roll(ROLL_NS)
    channel.settle()
    # The encoder goes back to what it sent before: the configuration keeps its number and is not recorded again.
    channel.run(4, 6)
    assert channel.store.trim(0) == 1
    channel.kill()
    assert data_of(channel.store, VIDEO.number) == [(i * ticks, bytes([i, 1]) * 50) for i in (4, 5)]
