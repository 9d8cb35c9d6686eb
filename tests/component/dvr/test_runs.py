"""A program that is started again: its asset goes on, with a new period, the same URLs and nothing rewritten."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from pypackager.dvr.assets import Asset
from pypackager.dvr.clip import KEPT_NS
from pypackager.dvr.description import DESCRIPTION, Stop, read_description
from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation
from pypackager.model.records import FLAG_OPENS, FLAG_PERIOD
from tests.helpers.dvr import AUDIO, SECOND, VIDEO, Channel, same, stored

HOUR = 3600 * SECOND
SEGMENT_NS = 6 * SECOND


def start(channel: Channel, tmp_path: Path, window_ns: int = HOUR) -> Asset:
    return Asset.start(tmp_path / "assets" / "show", channel.store, name="show", channel="news", window_ns=window_ns)


def stop(channel: Channel, asset: Asset) -> None:
    asset.stop(now_ns=77)
    channel.store.roll(0)
    channel.store.sync()
    channel.settle()


def times(shown: Presentation, track: int = 0) -> list[int]:
    """Indices of the fragments (2 s each)."""
    found = shown.tracks[track]
    return [int(time) // (2 * found.info.timescale) for time in found.time]


def numbers(shown: Presentation, column: str) -> list[int]:
    (first, *others) = ([int(value) for value in getattr(track, column)] for track in shown.tracks)
    assert all(other == first for other in others), "alike in all tracks"
    return first


@pytest.fixture
def twice(channel: Channel, tmp_path: Path) -> Asset:
    """Fragments 3 to 6, and 12 to 15 after it was started again at 10."""
    channel.run(0, 3)
    asset = start(channel, tmp_path)
    channel.run(3, 7)
    stop(channel, asset)
    channel.run(7, 10)
    asset.start_again(channel.store, HOUR)
    channel.run(10, 16)
    return asset


def test_it_is_what_its_runs_recorded(twice: Asset) -> None:
    shown = twice.presentation()
    assert not shown.ended
    assert times(shown) == times(shown, 1) == [3, 4, 5, 6, 12, 13, 14, 15]
    assert [data[:1] for data in stored(shown)] == [bytes([index]) for index in times(shown)] * 2


def test_rows_segments_and_periods_go_on_without_a_hole(twice: Asset) -> None:
    shown = twice.presentation()
    assert numbers(shown, "segment") == [1, 1, 1, 2, 3, 3, 3, 4]
    assert numbers(shown, "period") == numbers(shown, "discontinuity") == [0, 0, 0, 0, 1, 1, 1, 1]
    assert [track.first for track in shown.tracks] == [3, 3]
    flags = numbers(shown, "flags")
    assert [flag & FLAG_PERIOD for flag in flags] == [0, 0, 0, 0, FLAG_PERIOD, 0, 0, 0]
    assert [bool(flag & FLAG_OPENS) for flag in flags] == [True, False, False, True, True, False, False, True]
    assert [(period.number, period.start_ns) for period in shown.periods][-1] == (1, 12 * 2 * SECOND)


def test_it_is_live_at_once_with_all_that_was_listed(channel: Channel, tmp_path: Path) -> None:
    asset = start(channel, tmp_path)
    channel.run(0, 4)
    stop(channel, asset)
    ended = asset.presentation()
    asset.start_again(channel.store, HOUR)
    live = asset.presentation()
    assert (ended.ended, live.ended) == (True, False)
    assert live.version > ended.version
    assert [t.time.tolist() for t in live.tracks] == [t.time.tolist() for t in ended.tracks]
    channel.run(4, 6)
    assert times(asset.presentation()) == [0, 1, 2, 3], "the segment that is under way is the channel's"


def test_stopped_again_it_is_the_same_from_its_own_files(channel: Channel, twice: Asset) -> None:
    live = twice.presentation()
    stop(channel, twice)
    ended = twice.presentation()
    assert (ended.ended, ended.version > live.version) == (True, True)
    assert [t.time.tolist() for t in ended.tracks] == [t.time.tolist() for t in live.tracks]
    channel.run(16, 20)
    channel.store.trim(0)
    shutil.rmtree(channel.directory / "blobs")
    again = Asset.open(twice.directory).presentation()
    assert same(again, ended)
    assert stored(again) == stored(ended)


def test_any_number_of_runs(channel: Channel, tmp_path: Path) -> None:
    asset = start(channel, tmp_path)
    versions: list[int] = []
    expected: list[int] = []
    index = 0
    for turn in range(6):
        if turn:
            asset.start_again(channel.store, HOUR)
        versions.append(asset.presentation().version)
        channel.run(index, index + 6)
        expected += range(index, index + 6)
        versions.append(asset.presentation().version)
        stop(channel, asset)
        versions.append(asset.presentation().version)
        index += 9
        channel.run(index - 3, index)
        if turn % 2:
            asset = Asset.open(asset.directory)
        assert same(Asset.open(asset.directory).presentation(), asset.presentation())
    shown = asset.presentation()
    assert times(shown) == expected
    assert numbers(shown, "segment") == [row // 3 for row in range(36)]
    assert numbers(shown, "period") == [row // 6 for row in range(36)]
    assert versions == sorted(set(versions))


def test_a_period_of_the_channel_begins_the_run_once(channel: Channel, tmp_path: Path) -> None:
    asset = start(channel, tmp_path)
    channel.run(0, 3)
    stop(channel, asset)
    for index in (3, 6, 9):
        channel.store.open_period(index * 2 * SECOND - 5)
        if index == 6:
            asset.start_again(channel.store, HOUR)
        channel.write(index)
        channel.list(index, flags=FLAG_PERIOD)
        channel.run(index + 1, index + 3)
    shown = asset.presentation()
    # The channel's numbers are 0, 1, 2; players count 0, 1, 2 as well, with one discontinuity at each border.
    assert times(shown) == [0, 1, 2, 6, 7, 8, 9, 10, 11]
    assert numbers(shown, "discontinuity") == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [(period.number, period.start_ns) for period in shown.periods] == [(1, 12 * SECOND - 5), (2, 18 * SECOND - 5)]


def test_a_track_that_joins_or_leaves_between_runs(channel: Channel, tmp_path: Path) -> None:
    channel.run(0, 3)
    asset = start(channel, tmp_path)
    for index in range(3, 6):
        channel.write(index, tracks=(VIDEO,))
        channel.list(index, tracks=(VIDEO,))
    channel.settle()
    stop(channel, asset)
    asset.start_again(channel.store, HOUR)
    channel.run(6, 9)
    for index in range(9, 12):
        channel.write(index, tracks=(AUDIO,))
        channel.list(index, tracks=(AUDIO,))
    channel.settle()
    shown = asset.presentation()
    assert (times(shown), times(shown, 1)) == ([3, 4, 5, 6, 7, 8], [6, 7, 8, 9, 10, 11])
    assert [track.segment.tolist() for track in shown.tracks] == [[1, 1, 1, 2, 2, 2], [2, 2, 2, 3, 3, 3]]
    stop(channel, asset)
    assert same(Asset.open(asset.directory).presentation(), asset.presentation())


def test_a_run_without_media_changes_nothing(channel: Channel, tmp_path: Path) -> None:
    asset = start(channel, tmp_path)
    for _ in range(3):
        stop(channel, asset)
        assert asset.presentation().tracks == ()
        assert same(Asset.open(asset.directory).presentation(), asset.presentation())
        asset.start_again(channel.store, HOUR)
    channel.run(0, 4)
    stop(channel, asset)
    asset.start_again(channel.store, HOUR)
    stop(channel, asset)
    asset.start_again(channel.store, HOUR)
    channel.run(4, 9)
    shown = asset.presentation()
    assert (times(shown), numbers(shown, "period")) == ([0, 1, 2, 3, 6, 7, 8], [0, 0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize("listed", [10, 11, 13, 16])
def test_it_goes_on_after_kill(channel: Channel, tmp_path: Path, listed: int) -> None:
    asset = start(channel, tmp_path)
    channel.run(0, 7)
    stop(channel, asset)
    channel.run(7, 10)
    asset.start_again(channel.store, HOUR)
    channel.run(10, listed)
    was = asset.presentation()
    channel.kill()
    asset = Asset.resume(asset.directory, channel.store)
    back = asset.presentation()
    assert [t.time.tolist() for t in back.tracks] == [t.time.tolist() for t in was.tracks]
    assert back.version > was.version
    channel.run(listed, 20)
    shown = asset.presentation()
    assert times(shown) == [*range(7), *range(12, 20)]
    assert numbers(shown, "segment") == [0, 0, 0, 1, 1, 1, 2, 3, 3, 3, 4, 4, 4, 5, 5]
    stop(channel, asset)
    assert same(Asset.open(asset.directory).presentation(), asset.presentation())


def test_earlier_runs_leave_the_window_for_good(channel: Channel, tmp_path: Path) -> None:
    asset = start(channel, tmp_path, 60 * SECOND)
    for turn in range(12):
        channel.run(turn * 36, turn * 36 + 18)
        channel.store.roll((turn + 1) * 400 * SECOND)
        channel.store.trim(0)
        stop(channel, asset)
        channel.run(turn * 36 + 18, turn * 36 + 36)
        if turn % 4 == 3:
            channel.kill()
            asset = Asset.open(asset.directory)
        asset.start_again(channel.store, 60 * SECOND)
    channel.run(12 * 36, 12 * 36 + 12)
    channel.store.trim(60 * SECOND + KEPT_NS)
    shown = asset.presentation()
    assert times(shown) == [*range(12 * 36, 12 * 36 + 12)]
    assert numbers(shown, "segment") == [12 * 6 + row // 3 for row in range(12)]
    assert numbers(shown, "period") == [12] * 12
    assert {track.first for track in shown.tracks} == {12 * 18}, "HDS numbers go on as well"
    linger_ns = 60 * SECOND + KEPT_NS
    assert len(list(asset.directory.rglob("*.cmfv"))) <= 2 * (linger_ns // (72 * SECOND) + 2)
    assert len(read_description(asset.directory).runs) <= linger_ns // (72 * SECOND) + 2
    stop(channel, asset)
    ended = asset.presentation()
    assert same(Asset.open(asset.directory).presentation(), ended)
    assert stored(ended)


def test_the_window_may_be_another(channel: Channel, tmp_path: Path) -> None:
    asset = start(channel, tmp_path)
    channel.run(0, 30)
    stop(channel, asset)
    asset.start_again(channel.store, 12 * SECOND)
    channel.run(30, 33)
    assert times(asset.presentation()) == [27, 28, 29, 30, 31, 32]
    assert asset.presentation().window_ns == 12 * SECOND


def test_disk_low_takes_earlier_runs_first(channel: Channel, tmp_path: Path) -> None:
    asset = start(channel, tmp_path)
    channel.run(0, 6)
    stop(channel, asset)
    channel.store.trim(0)
    asset.start_again(channel.store, HOUR)
    channel.run(6, 9)
    channel.store.roll(400 * SECOND)
    channel.run(9, 12)
    before = asset.presentation().version
    assert channel.store.trim_oldest()
    shown = asset.presentation()
    assert times(shown) == [6, 7, 8, 9, 10, 11]
    assert (shown.version > before, numbers(shown, "segment")) == (True, [2, 2, 2, 3, 3, 3])
    assert channel.store.trim_oldest()
    assert times(asset.presentation()) == [9, 10, 11]
    assert not channel.store.trim_oldest()
    assert len(list(asset.directory.rglob("*.cmfv"))) == 1
    stop(channel, asset)
    assert same(Asset.open(asset.directory).presentation(), asset.presentation())


def test_nothing_is_copied_or_rewritten(channel: Channel, twice: Asset) -> None:
    inodes = {path.stat().st_ino for path in channel.directory.rglob("*.*") if path.is_file()}
    media = [path for path in twice.directory.rglob("*") if path.is_file() and path.name != DESCRIPTION]
    assert len([path for path in media if path.suffix == ".cmfv"]) == 2
    assert {path.stat().st_ino for path in media} <= inodes


@pytest.mark.parametrize("call", ["hardlink_to", "replace"])
def test_a_start_that_fails_leaves_the_asset_as_it_was(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    asset = start(channel, tmp_path)
    channel.run(0, 3)
    stop(channel, asset)
    channel.run(3, 4)
    was = asset.presentation()

    def full(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "no space", str(target))

    with monkeypatch.context() as patch:
        patch.setattr(Path, call, full)
        with pytest.raises(OSError, match="no space"):
            asset.start_again(channel.store, HOUR)
    assert (asset.running, channel.store.watchers) == (False, [])
    assert same(asset.presentation(), was)
    assert same(Asset.open(asset.directory).presentation(), was)
    assert {path.name for path in asset.directory.rglob("*.cmfv")} == {"000001.cmfv"}


def test_a_run_is_not_shown_before_it_is_written_down_where_it_begins(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = start(channel, tmp_path)
    channel.run(0, 3)
    stop(channel, asset)
    asset.start_again(channel.store, HOUR)

    def full(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "no space", str(target))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        channel.run(3, 6)
        assert times(asset.presentation()) == [0, 1, 2]
        with pytest.raises(OSError, match="no space"):
            asset.trim()
    channel.run(6, 9)
    assert times(asset.presentation()) == [*range(9)]
    begin = read_description(asset.directory).runs[-1].begin
    assert begin is not None
    assert begin.segment == 1


def test_a_stop_of_which_the_name_does_not_reach_the_disk_has_not_happened(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asset = start(channel, tmp_path)
    channel.run(0, 3)
    whole, real = asset.directory.stat(), os.fsync

    def broken(handle: int) -> None:
        if os.path.samestat(os.fstat(handle), whole):
            raise OSError(errno.EIO, "input/output error")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(OSError, match="input/output"):
            asset.stop(now_ns=77)
    assert asset.running
    channel.run(3, 6)
    channel.kill()
    asset = Asset.resume(asset.directory, channel.store)
    assert times(asset.presentation()) == [*range(6)]


def test_an_interrupted_start_is_swept_away_by_the_next(channel: Channel, tmp_path: Path) -> None:
    asset = start(channel, tmp_path)
    channel.run(0, 3)
    stop(channel, asset)
    was = asset.presentation()
    # Killed when the files of the new run were linked, and asset.json not written.
    shutil.copy(asset.directory / DESCRIPTION, tmp_path / DESCRIPTION)
    asset.start_again(channel.store, HOUR)
    channel.run(3, 6)
    shutil.copy(tmp_path / DESCRIPTION, asset.directory / DESCRIPTION)
    channel.kill()
    asset = Asset.open(asset.directory)
    assert same(asset.presentation(), was)
    channel.store.roll(400 * SECOND)
    channel.settle()
    asset.start_again(channel.store, HOUR)
    channel.run(6, 9)
    assert times(asset.presentation()) == [0, 1, 2, 6, 7, 8]
    assert {path.name for path in asset.directory.rglob("*.cmfv")} == {"000001.cmfv", "000005.cmfv"}


def test_a_channel_made_anew_is_refused(channel: Channel, tmp_path: Path) -> None:
    asset = start(channel, tmp_path)
    channel.run(0, 3)
    stop(channel, asset)
    other = Channel(tmp_path / "channels" / "other")
    with pytest.raises(PackagerError, match="CHANNEL_REPLACED"):
        asset.start_again(other.store, HOUR)
    other.close()
    asset.start_again(channel.store, HOUR)
    with pytest.raises(PackagerError, match="ASSET_RUNNING"):
        asset.start_again(channel.store, HOUR)


def test_assets_of_the_first_format_are_read_and_started_again(channel: Channel, tmp_path: Path) -> None:
    channel.run(0, 3)
    asset = start(channel, tmp_path)
    channel.run(3, 7)
    stop(channel, asset)
    ended = asset.presentation()
    run = asset.description.runs[0]
    assert isinstance(run.stop, Stop)
    old = {"name": "show", "channel": "news", "window_ns": HOUR, "start_rows": {"1": 3, "2": 3}}
    halt = {"utc_ns": 77, "file": run.stop.file, "offset": run.stop.offset, "version": run.stop.version}
    (asset.directory / DESCRIPTION).write_text(json.dumps({**old, "stop": halt}))
    asset = Asset.open(asset.directory)
    assert same(asset.presentation(), ended)
    asset.start_again(channel.store, HOUR)
    channel.run(7, 12)
    assert times(asset.presentation()) == [3, 4, 5, 6, 9, 10, 11]
    (asset.directory / DESCRIPTION).write_text(json.dumps({"format": 3}))
    with pytest.raises(PackagerError, match="format 3"):
        Asset.open(asset.directory)
