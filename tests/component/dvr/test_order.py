"""Payload, record, listed: what a store shows is what a killed process would find again."""

from __future__ import annotations

import select
from pathlib import Path

import pytest

from pypackager import _core
from pypackager.dvr.recovery import Replay
from pypackager.dvr.rollover import ROLL_NS
from pypackager.dvr.store import ChannelStore
from pypackager.dvr.writing import Completion
from pypackager.model.errors import PackagerError
from pypackager.model.records import FLAG_GAP, Measured
from tests.helpers.dvr import SECOND, VIDEO, Channel, content, data_of, media

HOUR = 3600 * SECOND


def test_nothing_is_shown_before_it_is_written(channel: Channel) -> None:
    channel.write(0)
    channel.list(0)
    assert channel.store.presentation("p", HOUR).tracks == ()
    assert channel.store.ledger.tracks[1].pending == {}
    channel.settle()
    assert [len(track.time) for track in channel.store.presentation("p", HOUR).tracks] == [1, 1]


def test_what_is_listed_is_told_before_the_journal_has_it(channel: Channel) -> None:
    """The timeline compares what comes with what it published, at any instant; writes of the journal are gathered, and disks are slow."""
    channel.run(0, 1)
    channel.write(1)
    channel.settle()
    channel.list(1)
    near, far = 180_000 + 900, 180_000 + 901
    there = [channel.store.stored(1, time) for time in (0, 180_000, near, far)]
    assert there == [(180_000, 100, True), (180_000, 100, True), (180_000, 100, True), None]
    channel.writer.room = 0
    channel.settle()
    assert channel.store.stored(1, 180_000) == (180_000, 100, True), "the disk did not take it, and it is listed as soon as that does"
    channel.writer.room = 1 << 60
    channel.store.retry()
    channel.settle()
    assert [channel.store.stored(1, time) for time in (0, 180_000, near, far)] == there


def test_of_what_is_listed_as_a_gap_nothing_is_told(channel: Channel) -> None:
    channel.run(0, 1)
    channel.list(1, flags=FLAG_GAP)
    assert channel.store.stored(1, 180_000) is None
    channel.settle()
    assert channel.store.stored(1, 180_000) is None


def test_kill_between_payload_and_record_leaves_nothing(channel: Channel) -> None:
    channel.run(0, 1)
    channel.write(1, tracks=(VIDEO,))
    channel.kill(parts=1)
    assert not channel.store.ledger.tracks[1].pending
    channel.write(1, tracks=(VIDEO,))
    channel.list(1, tracks=(VIDEO,))
    channel.settle()
    assert data_of(channel.store, 1) == [(0, bytes([0, 1]) * 50), (180_000, bytes([1, 1]) * 50)]


def test_written_and_not_listed_is_pending_after_kill(channel: Channel) -> None:
    channel.run(0, 1)
    channel.write(1)
    channel.settle()
    channel.kill()
    assert [list(track.pending) for track in channel.store.ledger.tracks.values()] == [[180_000], [96_000]]
    channel.list(1)
    channel.settle()
    assert data_of(channel.store, 2)[1] == (96_000, bytes([1, 2]) * 50)


def test_a_torn_record_is_cut_and_counted(channel: Channel) -> None:
    channel.run(0, 2)
    channel.write(2, tracks=(VIDEO,))
    channel.kill(parts=1, torn=9)
    assert channel.store.report.cut_bytes == 9
    assert len(channel.store.report.damage) == 1
    channel.kill()
    assert channel.store.report.cut_bytes == 0


def test_each_blob_begins_with_its_header(channel: Channel) -> None:
    channel.run(0, 1)
    assert (channel.directory / "blobs/video-1/000001.cmfv").read_bytes() == b"INITa" + bytes([0, 1]) * 50
    assert media(channel) == {"video-1/000001.cmfv", "audio-1/000002.cmfa"}


def test_a_channel_has_one_owner(channel: Channel) -> None:
    with pytest.raises(PackagerError, match="CHANNEL_LOCKED"):
        ChannelStore.open(channel.directory, channel.writer, 0)


def test_the_native_writer_does_what_the_fake_one_does(tmp_path: Path) -> None:
    writer = _core.Writer()
    store = ChannelStore.open(tmp_path / "news", writer, 0)
    store.add_track(VIDEO)
    ticket = store.append(Measured(2 * SECOND, 3, 6))
    said: list[Completion] = []
    while not any(c.ticket == ticket for c in said):
        assert select.select([writer.fileno()], [], [], 10)[0]
        for done, error in writer.done():
            said += store.finished(done, error)
    assert all(c.fine for c in said)
    before = content(store.ledger)
    store.roll(ROLL_NS)
    store.close()
    writer.stop()
    assert content(Replay(tmp_path / "news").ledger) == before
