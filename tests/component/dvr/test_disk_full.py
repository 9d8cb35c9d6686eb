"""The disk takes nothing: what does not fit is lost and nothing else, and what moves the edge waits."""

from __future__ import annotations

import errno

import pytest

from pypackager.dvr import edge
from pypackager.dvr.recovery import Replay
from pypackager.dvr.rollover import ROLL_NS
from pypackager.model.errors import PackagerError
from pypackager.model.records import (
    FLAG_GAP,
    FLAG_PERIOD,
    BlobOpened,
    FragmentWritten,
    PeriodOpened,
    Published,
    TrackAdded,
)
from tests.helpers.dvr import SECOND, VIDEO, Channel, by_kind, config, content, data_of, journals, media


class Covering:
    """Covers the channel's files, as an asset does."""

    window_ns = 0

    def __init__(self) -> None:
        self.names: set[str] = set()

    def trim(self) -> None:
        """It has no window of its own."""

    def give_up_older(self, file: int) -> bool:
        """It has nothing that the channel has not."""
        assert file
        return False

    def file_opened(self, name: str) -> None:
        """Takes a name."""
        self.names.add(name)

    def file_dropped(self, name: str) -> None:
        """Gives it up."""
        self.names.remove(name)


def test_disk_full_loses_what_does_not_fit_and_nothing_else(channel: Channel) -> None:
    channel.run(0, 2)
    channel.writer.room = 150
    channel.write(2)
    channel.list(2)
    said = channel.settle()
    assert [c.errno for c in by_kind(said, FragmentWritten)] == [0, errno.ENOSPC]
    assert [c.errno for c in by_kind(said, Published)] == [errno.ENOSPC]
    channel.writer.room = 1 << 60
    channel.store.retry()
    channel.settle()
    expected = [(i * 180_000, bytes([i, 1]) * 50) for i in range(3)]
    assert data_of(channel.store, 1) == expected
    assert data_of(channel.store, 2)[2:] == [(192_000, None)]
    channel.run(3, 4)
    expected += [(3 * 180_000, bytes([3, 1]) * 50)]
    # What failed left no hole in the blob.
    assert (channel.directory / "blobs/audio-1/000002.cmfa").stat().st_size == 5 + 300
    channel.kill()
    assert data_of(channel.store, 1) == expected


def test_what_moves_the_edge_waits_for_the_disk_and_keeps_its_order(channel: Channel) -> None:
    channel.run(0, 3)
    for index in range(3, 7):
        channel.write(index)
    channel.settle()
    channel.writer.room = 0
    channel.store.open_period(3 * 2 * SECOND)
    for index in (3, 4, 5):
        channel.list(index, flags=FLAG_PERIOD if index == 3 else 0)
    newest = channel.store.newest
    said = channel.settle()
    assert [c.record for c in said if c.errno] == [PeriodOpened(0, 3 * 2 * SECOND)], "said once, and nothing that stands on it was sent"
    channel.store.retry()
    assert len([c for c in channel.settle() if c.errno]) == 1
    channel.writer.room = 1 << 60
    channel.list(6)
    channel.settle()
    assert len(data_of(channel.store, 1)) == 3
    assert not channel.store.settled(newest)
    channel.store.retry()
    assert all(c.fine for c in channel.settle())
    assert channel.store.settled(newest)
    columns = channel.store.ledger.tracks[1].columns
    _, _, _, segment, flags, _, period, *_ = columns.window(0, 7)
    assert segment.tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert [bool(flag & FLAG_GAP) for flag in flags.tolist()] == [False] * 7
    assert period.tolist() == [0] * 7
    assert channel.store.ledger.periods[-1].start_ns == 3 * 2 * SECOND
    before = content(channel.store.ledger)
    assert content(Replay(channel.directory).ledger) == before


def test_a_failed_edge_outlives_a_roll_over_and_not_the_process(channel: Channel) -> None:
    channel.run(0, 3)
    channel.write(3)
    channel.settle()
    channel.writer.room = 0
    channel.list(3)
    channel.settle()
    channel.writer.room = 1 << 60
    channel.store.roll(ROLL_NS)
    channel.store.retry()
    channel.settle()
    assert (len(data_of(channel.store, 1)), journals(channel)) == (4, [1, 2])
    channel.write(4)
    channel.settle()
    channel.writer.room = 0
    channel.list(4)
    channel.settle()
    channel.kill()
    assert len(data_of(channel.store, 1)) == 4
    channel.list(4)
    channel.settle()
    assert data_of(channel.store, 2)[4] == (4 * 96_000, bytes([4, 2]) * 50)


def test_a_blob_whose_record_failed_is_not_used(channel: Channel) -> None:
    channel.writer.room = 10
    channel.write(0, tracks=(VIDEO,))
    said = channel.settle()
    assert by_kind(said, BlobOpened)[0].errno == errno.ENOSPC
    channel.writer.room = 1 << 60
    channel.run(0, 1)
    assert media(channel) == {"video-1/000002.cmfv", "audio-1/000003.cmfa"}
    assert data_of(channel.store, 1) == [(0, bytes([0, 1]) * 50)]
    channel.kill()
    assert media(channel) == {"video-1/000002.cmfv", "audio-1/000003.cmfa"}
    assert data_of(channel.store, 1) == [(0, bytes([0, 1]) * 50)]


def test_a_track_whose_record_failed_is_added_again(channel: Channel) -> None:
    extra = type(VIDEO)("video-2", 3, "video", 90_000, 1)
    channel.writer.room = 0
    channel.store.add_track(extra)
    channel.store.add_config(3, config("a"))
    said = channel.settle()
    assert {c.errno for c in by_kind(said, TrackAdded)} == {errno.ENOSPC}
    channel.writer.room = 1 << 60
    channel.store.add_track(extra)
    assert channel.store.add_config(3, config("a")) == 1
    channel.write(0, tracks=(extra,))
    assert all(c.fine for c in channel.settle())


def test_what_waits_for_the_disk_is_bounded_and_behind_the_bound_no_fragment_is_taken(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "MAX_ROWS", 6)
    channel.run(0, 3)
    channel.writer.room = 0
    for index in (3, 4, 5):
        channel.write(index)
        channel.list(index)
        channel.settle()
    for _ in range(3):
        # Hours pass: while it is sent again as well as in between.
        with pytest.raises(PackagerError, match="EDGE_STUCK"):
            channel.write(6)
        channel.store.retry()
        with pytest.raises(PackagerError, match="EDGE_STUCK"):
            channel.write(6)
        assert [c.errno for c in channel.settle()] == [errno.ENOSPC]
    with pytest.raises(PackagerError) as refused:
        channel.write(6)
    assert (refused.value.status, refused.value.fault) == (507, "operator")
    channel.writer.room = 1 << 60
    channel.store.retry()
    assert all(c.fine for c in channel.settle())
    # What was refused left nothing behind: its time may be used.
    channel.store.open_period(6 * 2 * SECOND)
    for index in (6, 7):
        channel.write(index)
        channel.list(index)
    assert all(c.fine for c in channel.settle())
    rows = [(time // 180_000, data is None) for time, data in data_of(channel.store, 1)]
    assert rows == [(0, False), (1, False), (2, False), (3, True), (4, True), (5, True), (6, False), (7, False)]
    before = content(channel.store.ledger)
    assert content(Replay(channel.directory).ledger) == before


def test_a_disk_that_is_only_slow_has_no_bound_on_rows(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "MAX_ROWS", 2)
    channel.run(0, 20)
    assert len(data_of(channel.store, 1)) == 20


def test_blobs_that_could_not_be_recorded_do_not_pile_up(channel: Channel) -> None:
    covering = Covering()
    channel.store.watchers.append(covering)
    channel.writer.room = 0
    for index in range(50):
        channel.write(index)
        channel.settle()
    assert media(channel) == set()
    assert covering.names == set()
    channel.writer.room = 1 << 60
    channel.run(50, 52)
    assert len(media(channel)) == 2
    assert len(covering.names) == 2
    assert channel.writer.open_files() == 3
