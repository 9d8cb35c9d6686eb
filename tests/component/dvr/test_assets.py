"""Assets on a real directory: a view while the program runs, whole by themselves afterwards."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from pypackager.dvr.assets import Asset
from pypackager.dvr.clip import KEPT_NS
from pypackager.dvr.description import read_description
from pypackager.dvr.recovery import Replay
from pypackager.model.errors import PackagerError
from tests.helpers.dvr import SECOND, Channel, same, stored

HOUR = 3600 * SECOND


def start(channel: Channel, tmp_path: Path, name: str = "show", window_ns: int = HOUR) -> Asset:
    return Asset.start(tmp_path / "assets" / name, channel.store, name=name, channel="news", window_ns=window_ns)


def stop(channel: Channel, asset: Asset) -> None:
    asset.stop(now_ns=77)
    channel.store.roll(0)
    channel.store.sync()
    channel.settle()


def test_a_program_begins_at_the_next_segment(channel: Channel, tmp_path: Path) -> None:
    channel.run(0, 4)
    asset = start(channel, tmp_path)
    channel.run(4, 6)
    assert asset.presentation().tracks == ()
    channel.run(6, 8)
    video, audio = asset.presentation().tracks
    assert video.time.tolist() == [6 * 180_000, 7 * 180_000]
    assert audio.time.tolist() == [6 * 96_000, 7 * 96_000]
    assert (video.first, int(video.segment[0])) == (6, 2)


def test_a_stopped_asset_is_the_same_from_its_own_files(channel: Channel, tmp_path: Path) -> None:
    asset = start(channel, tmp_path)
    channel.run(0, 5)
    channel.store.roll(400 * SECOND)
    channel.run(5, 10)
    live = asset.presentation()
    stop(channel, asset)
    ended = asset.presentation()
    assert (ended.ended, ended.published_ns, live.ended) == (True, 77, False)
    assert ended.version > live.version
    assert [t.time.tolist() for t in ended.tracks] == [t.time.tolist() for t in live.tracks]
    channel.run(10, 20)
    assert same(asset.presentation(), ended)
    channel.store.trim(0)
    shutil.rmtree(channel.directory / "blobs")
    again = Asset.open(asset.directory).presentation()
    assert same(again, ended)
    assert again.blob_paths.keys() >= {int(blob) for track in ended.tracks for blob in track.blob}
    assert stored(again) == stored(ended)
    assert stored(again)[3] == bytes([3, 1]) * 50


def test_nothing_is_copied_or_rewritten(channel: Channel, tmp_path: Path) -> None:
    assets = [start(channel, tmp_path, name) for name in ("a", "b", "c")]
    channel.run(0, 6)
    channel.store.roll(400 * SECOND)
    channel.run(6, 9)
    before = {path: path.stat() for path in channel.directory.rglob("*.cmf?")}
    for asset in assets:
        stop(channel, asset)
        inodes = {path.stat().st_ino for path in channel.directory.rglob("*.*") if path.is_file()}
        media = [path for path in asset.directory.rglob("*") if path.is_file() and path.name != "asset.json"]
        assert len([path for path in media if path.suffix in {".cmfv", ".cmfa"}]) == 4
        assert {path.stat().st_ino for path in media} <= inodes
    assert all(path.stat().st_mtime_ns == was.st_mtime_ns for path, was in before.items())
    assert next(iter(before)).stat().st_nlink == 4


def test_what_falls_out_of_a_running_window_is_given_up(channel: Channel, tmp_path: Path) -> None:
    short = start(channel, tmp_path, "short", 12 * SECOND)
    long = start(channel, tmp_path, "long", HOUR)
    for turn in range(4):
        channel.run(turn * 36, turn * 36 + 36)
        channel.store.roll((turn + 1) * 400 * SECOND)
        channel.settle()
    assert channel.store.trim(0) == 0
    assert len(list(long.directory.rglob("*.cmfv"))) == 4
    assert len(list(short.directory.rglob("*.cmfv"))) < 3
    assert [int(t.time[0]) // t.info.timescale for t in short.presentation().tracks] == [276, 276]
    stop(channel, long)
    assert channel.store.trim(0) > 0
    stop(channel, short)
    ended = short.presentation()
    assert same(Asset.open(short.directory).presentation(), ended)
    assert stored(ended)


def test_what_lingers_behind_a_running_window_has_its_bytes_and_begins_with_the_program(channel: Channel, tmp_path: Path) -> None:
    channel.run(0, 12)
    asset = start(channel, tmp_path, window_ns=12 * SECOND)
    starts = []
    for turn in range(1, 8):
        channel.run(turn * 12, turn * 12 + 12)
        channel.store.roll(turn * 400 * SECOND)
        channel.settle()
        channel.store.trim(12 * SECOND + KEPT_NS)
        made = asset.presentation().lately
        assert made is not None
        lately = made()
        assert stored(lately), "the bytes are there"
        starts.append([int(track.time[0]) // track.info.timescale for track in lately.tracks])
    assert starts[0] == [24, 24], "nothing from before the program"
    assert starts[-1] == [7 * 24 + 24 - 72] * 2


def test_a_running_asset_goes_on_after_kill(channel: Channel, tmp_path: Path) -> None:
    asset = start(channel, tmp_path)
    channel.run(0, 6)
    channel.store.watchers.clear()  # the process dies before it links what it opens
    channel.store.roll(400 * SECOND)
    channel.run(6, 9)
    was = asset.presentation()
    channel.kill()
    with pytest.raises(PackagerError, match="ASSET_RUNNING"):
        Asset.open(asset.directory)
    asset = Asset.resume(asset.directory, channel.store)
    back = asset.presentation()
    assert [t.time.tolist() for t in back.tracks] == [t.time.tolist() for t in was.tracks]
    assert back.version > was.version
    channel.run(9, 12)
    stop(channel, asset)
    ended = asset.presentation()
    assert len(ended.tracks[0].time) == 12
    shutil.rmtree(channel.directory / "blobs")
    assert same(Asset.open(asset.directory).presentation(), ended)
    assert len(stored(Asset.open(asset.directory).presentation())) == 24


def test_a_linked_file_that_was_never_recorded_makes_room(channel: Channel, tmp_path: Path) -> None:
    asset = start(channel, tmp_path)
    channel.write(0)
    channel.kill()  # blobs 1 and 2 were opened and linked, their records not written
    assert len(list(asset.directory.rglob("*.cmf?"))) == 2
    channel.run(0, 3)
    asset = Asset.resume(asset.directory, channel.store)
    assert stored(asset.presentation())[2] == bytes([2, 1]) * 50


def test_a_link_that_failed_is_made_later(channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asset = start(channel, tmp_path)

    def full(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "no space", str(target))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "hardlink_to", full)
        channel.run(0, 3)
        with pytest.raises(OSError, match="not linked"):
            asset.stop(now_ns=77)
    assert asset.running
    stop(channel, asset)
    assert len(stored(Asset.open(asset.directory).presentation())) == 6


def test_a_description_that_cannot_be_read_is_named(channel: Channel, tmp_path: Path) -> None:
    asset = start(channel, tmp_path)
    (asset.directory / "asset.json").write_text('{"name": 3}')
    with pytest.raises(PackagerError, match="ASSET_UNREADABLE"):
        Asset.open(asset.directory)


def test_what_is_under_way_at_the_start_is_linked(channel: Channel, tmp_path: Path) -> None:
    channel.run(0, 3)
    channel.store.roll(400 * SECOND)
    channel.write(3)
    asset = start(channel, tmp_path)
    channel.list(3)
    channel.settle()
    stop(channel, asset)
    assert stored(Asset.open(asset.directory).presentation()) == [bytes([3, 1]) * 50, bytes([3, 2]) * 50]


def test_records_after_the_stop_are_not_part_of_it(channel: Channel, tmp_path: Path) -> None:
    asset = start(channel, tmp_path)
    channel.run(0, 3)
    asset.stop(now_ns=77)
    channel.run(3, 9)
    assert len(asset.presentation().tracks[0].time) == 3
    assert same(Asset.open(asset.directory).presentation(), asset.presentation())
    assert len(Replay(asset.directory).ledger.tracks[1].columns) == 9


def test_disk_low_takes_from_running_assets_and_not_from_stopped_ones(channel: Channel, tmp_path: Path) -> None:
    done = start(channel, tmp_path, "done")
    running = start(channel, tmp_path, "running")
    channel.run(0, 6)
    stop(channel, done)
    channel.run(6, 12)
    assert channel.store.trim_oldest()
    assert not channel.store.trim_oldest()
    assert len(running.presentation().tracks[0].time) == 6
    assert {path.name for path in running.directory.rglob("*.cmf?")} == {"000003.cmfv", "000004.cmfa"}
    assert len(stored(done.presentation())) == 12


def test_deleting_leaves_the_others(channel: Channel, tmp_path: Path) -> None:
    asset, other = start(channel, tmp_path), start(channel, tmp_path, "other")
    channel.run(0, 3)
    asset.delete()
    assert not asset.directory.exists()
    channel.run(3, 6)
    assert len(stored(other.presentation())) == 12
    with pytest.raises(PackagerError, match="ASSET_UNKNOWN"):
        read_description(asset.directory)
    with pytest.raises(PackagerError, match="ASSET_EXISTS"):
        start(channel, tmp_path, "other")
    start(channel, tmp_path)
