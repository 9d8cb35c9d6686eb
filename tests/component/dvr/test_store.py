"""A channel's store on a real directory, with the faults of disks and processes."""

from __future__ import annotations

import errno
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from pypackager import _core
from pypackager.dvr import journal
from pypackager.dvr.ledger import KEPT_CLOCKS, KEPT_EVENTS
from pypackager.dvr.recovery import JOURNALS, Replay
from pypackager.dvr.store import ROLL_NS, ChannelStore
from pypackager.dvr.writing import Completion
from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation
from pypackager.model.records import (
    FLAG_GAP,
    FLAG_PARTIAL,
    FLAG_PERIOD,
    FLAG_SYNC,
    Anchored,
    BlobOpened,
    ClockPlaced,
    Event,
    FragmentWritten,
    Measured,
    PeriodOpened,
    Published,
    Row,
    TrackAdded,
)
from tests.helpers.dvr import AUDIO, SECOND, VIDEO, Channel, config, content, data_of, fragment

HOUR = 3600 * SECOND


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Channel]:
    channel = Channel(tmp_path / "news")
    yield channel
    channel.close()


def journals(channel: Channel) -> list[int]:
    return journal.file_numbers(channel.directory / JOURNALS)


def media(channel: Channel) -> set[str]:
    return {str(path.relative_to(channel.directory / "blobs")) for path in channel.directory.glob("blobs/*/*")}


def by_kind(said: list[Completion], kind: type) -> list[Completion]:
    return [completion for completion in said if isinstance(completion.record, kind)]


# --- order: bytes, record, listed


def test_nothing_is_shown_before_it_is_written(channel: Channel) -> None:
    channel.write(0)
    channel.list(0)
    assert channel.store.presentation("p", HOUR).tracks == ()
    assert channel.store.ledger.tracks[1].pending == {}
    channel.settle()
    assert [len(track.time) for track in channel.store.presentation("p", HOUR).tracks] == [1, 1]


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


# --- numbers


def test_a_time_is_used_once(channel: Channel) -> None:
    channel.run(0, 2)
    channel.write(2)
    for index in (0, 1, 2):
        with pytest.raises(PackagerError, match="TIME_USED"):
            channel.write(index)
    channel.settle()
    channel.kill()
    for index in (0, 1, 2):
        with pytest.raises(PackagerError, match="TIME_USED"):
            channel.write(index)


def test_a_partial_fragment_may_be_replaced_until_it_is_listed(channel: Channel) -> None:
    channel.store.put_fragment(1, fragment(0, 90_000, b"half"), 1, FLAG_SYNC | FLAG_PARTIAL)
    channel.settle()
    channel.store.put_fragment(1, fragment(0, 180_000, b"whole"), 1, FLAG_SYNC)
    channel.settle()
    channel.kill()
    channel.list(0, tracks=(VIDEO,))
    channel.settle()
    assert data_of(channel.store, 1) == [(0, b"whole")]


def test_a_partial_fragment_may_be_replaced_while_it_is_being_written(channel: Channel) -> None:
    half, whole = fragment(0, 90_000, b"half"), fragment(0, 180_000, b"whole")
    channel.store.put_fragment(1, half, 1, FLAG_SYNC | FLAG_PARTIAL)
    with pytest.raises(PackagerError, match="TIME_USED"):
        channel.store.put_fragment(1, half, 1, FLAG_SYNC | FLAG_PARTIAL)
    channel.store.put_fragment(1, whole, 1, FLAG_SYNC)
    for again in (FLAG_SYNC, FLAG_SYNC | FLAG_PARTIAL):
        with pytest.raises(PackagerError, match="TIME_USED"):
            channel.store.put_fragment(1, whole, 1, again)
    channel.list(0, tracks=(VIDEO,))
    channel.settle()
    assert data_of(channel.store, 1) == [(0, b"whole")]
    channel.kill()
    assert data_of(channel.store, 1) == [(0, b"whole")]


def test_the_edge_only_rises(channel: Channel) -> None:
    channel.run(0, 4)
    channel.write(4)
    with pytest.raises(PackagerError, match="EDGE_BACKWARDS"):
        channel.list(3)
    with pytest.raises(PackagerError, match="EDGE_BACKWARDS"):
        channel.store.publish([Row(1, 4 * 180_000, 180_000, 0, FLAG_SYNC)])
    with pytest.raises(PackagerError, match="FRAGMENT_UNKNOWN"):
        channel.list(5)
    with pytest.raises(PackagerError, match="TRACK_UNKNOWN"):
        channel.store.publish([Row(9, 0, 1, 0, FLAG_GAP)])
    with pytest.raises(PackagerError, match="CONFIG_UNKNOWN"):
        channel.store.put_fragment(1, fragment(5 * 180_000, 180_000, b"x"), 2, FLAG_SYNC)
    with pytest.raises(PackagerError, match="TRACK_EXISTS"):
        channel.store.add_track(VIDEO)


def test_a_configuration_is_recorded_once_and_gets_a_blob_of_its_own(channel: Channel) -> None:
    channel.run(0, 1)
    store = channel.store
    assert (store.add_config(1, config("a")), store.add_config(1, config("b")), store.add_config(1, config("b"))) == (1, 2, 2)
    store.put_fragment(1, fragment(180_000, 180_000, b"new"), 2, FLAG_SYNC)
    channel.list(1, tracks=(VIDEO,))
    channel.settle()
    channel.kill()
    assert channel.store.add_config(1, config("b")) == 2
    video = channel.store.presentation("p", HOUR).tracks[0]
    assert (video.config.tolist(), video.blob.tolist()) == ([1, 2], [1, 3])
    assert video.configs[2].init == b"INITb"
    assert (channel.directory / "blobs/video-1/000003.cmfv").read_bytes() == b"INITbnew"


def test_decisions_come_back(channel: Channel) -> None:
    store = channel.store
    store.append(Anchored(123))
    store.append(Measured(2 * SECOND, 3, 6))
    for number in range(KEPT_CLOCKS + 3):
        store.append(ClockPlaced(number, "primary", number * 10))
    for number in range(KEPT_EVENTS + 3):
        store.append(Event(number, "DISK_LOW", "x"))
    store.open_period(0)
    store.open_period(SECOND)
    channel.settle()
    store.append(Anchored(456))
    assert [completion.reason for completion in channel.settle()] == ["the anchor is decided once"]
    channel.kill()
    ledger = channel.store.ledger
    assert (ledger.anchor_ns, ledger.target_duration_s, ledger.periods[-1].number) == (123, 6, 1)
    assert list(ledger.clocks) == list(range(3, KEPT_CLOCKS + 3))
    assert ledger.events[0].utc_ns == 3
    channel.store.open_period(2 * SECOND)
    assert by_kind(channel.settle(), PeriodOpened)[0].record == PeriodOpened(2, 2 * SECOND)


# --- roll-over and trimming


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


def test_what_left_the_window_lingers_for_a_minute(channel: Channel) -> None:
    def lately(window_ns: int) -> Presentation:
        made = channel.store.presentation("p", window_ns).lately
        assert made is not None
        return made()

    channel.run(0, 6)
    for window_ns in (HOUR, 12 * SECOND):
        assert [len(track.time) for track in lately(window_ns).tracks] == [6, 6]
    channel.run(6, 60)
    shown = channel.store.presentation("p", 12 * SECOND)
    late = lately(12 * SECOND)
    assert late is lately(12 * SECOND)
    assert [len(track.time) for track in shown.tracks] == [6, 6]
    assert [len(track.time) for track in late.tracks] == [36, 36]
    assert late.tracks[0].time[-1] == shown.tracks[0].time[-1]
    assert late.caches is not shown.caches
    # Not for a viewer who asked for a part, nor on demand: neither window moves.
    assert channel.store.presentation("p", 12 * SECOND, start_ns=110 * SECOND).lately is None
    assert channel.store.presentation("p", 12 * SECOND, ended=True).lately is None


def test_trimming_drops_whole_files_and_keeps_what_waits_in_them(channel: Channel) -> None:
    channel.run(0, 6)
    channel.write(6)
    channel.settle()
    channel.store.roll(ROLL_NS)
    channel.list(6)
    channel.settle()
    channel.run(7, 9)
    assert channel.store.trim(6 * SECOND + 1) == 0
    old = channel.store.presentation("p", HOUR)
    # Six rows (12 s) of eighteen seconds are in the first file; the last of them ends 6 s before the edge.
    assert channel.store.trim(6 * SECOND) == 1
    assert journals(channel) == [2]
    assert "video-1/000001.cmfv" in media(channel)
    assert data_of(channel.store, 1) == [(i * 180_000, bytes([i, 1]) * 50) for i in range(6, 9)]
    assert [(t.first, len(t.time), int(t.segment[0])) for t in channel.store.presentation("p", HOUR).tracks] == [(6, 3, 2)] * 2
    assert [len(t.time) for t in old.tracks] == [9, 9]
    assert 1 in old.blob_paths
    channel.store.roll(2 * ROLL_NS)
    channel.run(9, 12)
    assert channel.store.trim(6 * SECOND) == 1
    assert media(channel) == {"video-1/000005.cmfv", "audio-1/000006.cmfa"}
    channel.kill()
    assert [(t.first, len(t.time)) for t in channel.store.presentation("p", HOUR).tracks] == [(9, 3), (9, 3)]


def test_a_fragment_that_waits_keeps_its_blob(channel: Channel) -> None:
    channel.write(9, tracks=(AUDIO,))
    for turn in range(3):
        for index in range(turn * 3, turn * 3 + 3):
            channel.write(index, tracks=(VIDEO,))
            channel.list(index, tracks=(VIDEO,))
        channel.settle()
        channel.store.roll((turn + 1) * ROLL_NS)
    channel.settle()
    assert channel.store.trim(0) == 3
    channel.kill()
    assert channel.store.report.lost == []
    channel.list(9, tracks=(AUDIO,))
    channel.settle()
    assert data_of(channel.store, 2) == [(9 * 96_000, bytes([9, 2]) * 50)]


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


def test_a_killed_trim_is_finished_by_the_next_start(channel: Channel) -> None:
    channel.run(0, 3)
    channel.store.roll(ROLL_NS)
    channel.run(3, 6)
    (channel.directory / JOURNALS / journal.file_name(1)).unlink()
    channel.kill()
    assert (channel.store.report.orphans, channel.store.report.lost) == (2, [])
    assert len(media(channel)) == 2
    assert len(data_of(channel.store, 1)) == 3


def test_a_blob_that_was_never_recorded_makes_room(channel: Channel) -> None:
    channel.run(0, 1)
    channel.store.roll(ROLL_NS)
    channel.settle()
    channel.write(1, size=500)
    channel.kill()  # files are there, their records are not
    assert channel.store.report.orphans == 2
    channel.run(1, 2)
    assert (channel.directory / "blobs/video-1/000003.cmfv").read_bytes() == b"INITa" + bytes([1, 1]) * 50


# --- disk full


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
    assert media(channel) == {"video-1/000001.cmfv", "video-1/000002.cmfv", "audio-1/000003.cmfa"}
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


# --- power loss


def test_sync_goes_blobs_first_and_only_when_there_is_something(channel: Channel) -> None:
    channel.run(0, 1)
    ticket = channel.store.sync()
    said = channel.settle()
    assert Completion(ticket or 0, None) in said
    names = [Path(path).suffix for path in channel.writer.synced[-1]]
    assert names == [".cmfv", ".cmfa", ".journal"]
    assert channel.store.sync() is None
    channel.write(1, tracks=(AUDIO,))
    channel.settle()
    assert channel.store.sync()
    channel.settle()
    assert [Path(path).suffix for path in channel.writer.synced[-1]] == [".cmfa", ".journal"]


def spoil(channel: Channel, index: int) -> None:
    """Zeroes a video fragment, as a power loss does with what was never synced."""
    with (channel.directory / "blobs/video-1/000001.cmfv").open("r+b") as file:
        file.seek(5 + 100 * index)
        file.write(bytes(100))


def test_bytes_that_a_power_loss_took_become_a_gap(channel: Channel) -> None:
    channel.run(0, 1)
    channel.store.sync()
    channel.settle()
    channel.run(1, 3)
    channel.write(3)
    channel.settle()
    for index in (1, 3):
        spoil(channel, index)
    channel.kill()
    assert channel.store.report.lost == [(1, 180_000), (1, 540_000)]
    assert [data is None for _, data in data_of(channel.store, 1)] == [False, True, False]
    assert not channel.store.ledger.tracks[1].pending
    before = content(channel.store.ledger)
    assert content(Replay(channel.directory).ledger) == before
    channel.kill()
    assert [data is None for _, data in data_of(channel.store, 1)] == [False, True, False]


def test_what_a_checkpoint_vouches_for_is_not_read_again(channel: Channel) -> None:
    channel.run(0, 2)
    channel.store.sync()
    channel.settle()
    spoil(channel, 0)
    channel.kill()
    assert channel.store.report.lost == []


def test_a_failed_sync_vouches_for_nothing_any_more(channel: Channel) -> None:
    channel.run(0, 1)
    channel.writer.sync_errno = errno.EIO
    channel.store.sync()
    assert channel.settle()[-1].errno == errno.EIO
    channel.writer.sync_errno = 0
    channel.run(1, 2)
    channel.store.sync()
    channel.settle()
    spoil(channel, 0)
    channel.kill()
    assert channel.store.report.lost == [(1, 0)]


def test_a_blob_that_is_gone_or_short_is_noticed_whenever_it_was_written(channel: Channel) -> None:
    channel.run(0, 3)
    channel.store.sync()
    channel.settle()
    os.truncate(channel.directory / "blobs/video-1/000001.cmfv", 5 + 250)
    (channel.directory / "blobs/audio-1/000002.cmfa").unlink()
    channel.kill()
    assert channel.store.report.lost == [(1, 360_000), (2, 0), (2, 96_000), (2, 192_000)]


def test_what_the_last_process_left_unsynced_is_synced_first(channel: Channel) -> None:
    channel.run(0, 1)
    channel.kill()
    channel.settle()
    assert [Path(path).name for path in channel.writer.synced[0]] == ["000002.cmfa", "000001.cmfv", "00000001.journal"]


def test_damage_in_the_middle_costs_the_rows_before_it_and_never_lies(channel: Channel) -> None:
    channel.run(0, 3)
    channel.store.roll(ROLL_NS)
    channel.run(3, 6)
    path = channel.directory / JOURNALS / journal.file_name(1)
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    channel.kill()
    video = channel.store.presentation("p", HOUR).tracks[0]
    assert (video.first, video.time.tolist()) == (3, [i * 180_000 for i in range(3, 6)])
    assert len(channel.store.report.damage) == 1
    channel.run(6, 7)


def test_a_newest_file_without_a_snapshot_is_put_aside(channel: Channel) -> None:
    channel.run(0, 3)
    (channel.directory / JOURNALS / journal.file_name(2)).write_bytes(bytes(300))
    channel.kill()
    assert len(data_of(channel.store, 1)) == 3
    assert journals(channel) == [1, 3]


# --- ownership


def test_a_channel_has_one_owner(channel: Channel) -> None:
    with pytest.raises(PackagerError, match="CHANNEL_LOCKED"):
        ChannelStore.open(channel.directory, channel.writer, 0)


def test_versions_rise_over_a_restart(channel: Channel) -> None:
    channel.run(0, 1)
    before = channel.store.presentation("p", HOUR)
    assert channel.store.presentation("p", HOUR) is before
    channel.run(1, 2)
    after = channel.store.presentation("p", HOUR)
    assert after.version > before.version
    assert after.caches is before.caches
    channel.kill()
    assert channel.store.presentation("p", HOUR).version > after.version


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
