"""A power loss, or a damaged file: what recovery finds missing is a gap, never something else."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from pypackager.dvr import journal
from pypackager.dvr.recovery import JOURNALS, Replay
from pypackager.dvr.rollover import ROLL_NS
from pypackager.dvr.writing import Completion
from tests.helpers.dvr import AUDIO, SECOND, Channel, content, data_of, journals

HOUR = 3600 * SECOND


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


def test_an_end_waits_for_no_disk(channel: Channel) -> None:
    channel.run(0, 1)
    channel.store.sync()
    under_way = channel.store.syncing
    channel.settle()
    assert (under_way, channel.store.syncing) == (True, False)
    channel.run(1, 2)
    synced = len(channel.writer.synced)
    channel.store.close()
    channel.writer.step()
    # A start reads again what no checkpoint vouches for; the test of it is below.
    assert len(channel.writer.synced) == synced
    assert channel.writer.open_files() == 0
    channel.open()


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
