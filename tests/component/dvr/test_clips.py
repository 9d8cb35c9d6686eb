"""Clips: a part of an asset as an asset of its own, without a copy."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from pypackager.dvr.assets import Asset
from pypackager.dvr.description import read_description
from pypackager.dvr.library import Library
from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation
from tests.helpers.dvr import SECOND, Channel, checked, clipped, same, stored

HOUR = 3600 * SECOND
AT = 2 * SECOND
"""Duration of a fragment; three make a segment."""


def times(shown: Presentation, track: int = 0) -> list[int]:
    """Indices of the fragments."""
    found = shown.tracks[track]
    return [int(time) // (2 * found.info.timescale) for time in found.time]


def stop(channel: Channel, asset: Asset) -> None:
    asset.stop(now_ns=77)
    channel.store.roll(0)
    channel.store.sync()
    channel.settle()


@pytest.fixture
def running(channel: Channel, tmp_path: Path) -> Asset:
    """Fragments 0 to 11, then 18 to 29 in a second run; a file for every six."""
    asset = Asset.start(tmp_path / "assets" / "show", channel.store, name="show", channel="news", window_ns=HOUR)
    for turn in range(5):
        channel.run(turn * 6, turn * 6 + 6)
        if turn == 1:
            stop(channel, asset)
        else:
            channel.store.roll((turn + 1) * 400 * SECOND)
            channel.settle()
        if turn == 2:
            asset.start_again(channel.store, HOUR)
    return asset


@pytest.fixture
def show(channel: Channel, running: Asset) -> Asset:
    """The same when its program has ended."""
    stop(channel, running)
    return running


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (0, 30, [*range(12), *range(18, 30)]),
        (0, 3, [0, 1, 2]),
        (4, 5, [3, 4, 5]),
        (3, 7, [*range(3, 9)]),
        (10, 20, [9, 10, 11, 18, 19, 20]),
        (13, 19, [18, 19, 20]),
        (22, 25, [*range(21, 27)]),
        (27, 99, [27, 28, 29]),
    ],
)
def test_a_clip_is_what_was_recorded_there_at_segment_borders(
    channel: Channel, show: Asset, tmp_path: Path, start: int, end: int, expected: list[int]
) -> None:
    part = show.presentation(start * AT, end * AT)
    clip = clipped(show, tmp_path / "assets" / "clip", "clip", start * AT, end * AT, 99)
    shown = clip.presentation()
    assert (times(shown), times(shown, 1), shown.ended, shown.name) == (expected, expected, True, "clip")
    # The same URLs below its own name, the same numbers.
    for mine, theirs in zip(shown.tracks, part.tracks, strict=True):
        assert [column.tolist() for column in (mine.segment, mine.period, mine.discontinuity)] == [
            column.tolist() for column in (theirs.segment, theirs.period, theirs.discontinuity)
        ]
        assert mine.first == theirs.first
    assert stored(shown) == stored(part)
    shutil.rmtree(channel.directory / "blobs")
    show.delete()
    assert same(Asset.open(clip.directory).presentation(), shown)
    assert stored(shown) == stored(Asset.open(clip.directory).presentation())
    assert checked(clip) == (2 * len(expected), [])


def test_it_takes_only_the_files_that_it_needs(show: Asset, tmp_path: Path) -> None:
    before = Library(tmp_path / "assets").disk_bytes()
    clip = clipped(show, tmp_path / "assets" / "clip", "clip", 6 * AT, 9 * AT, 99)
    assert len(list(clip.directory.rglob("*.cmf?"))) == 2
    assert len(list(clip.directory.rglob("*.journal"))) == 1
    assert Library(tmp_path / "assets").disk_bytes() < before + 2000


def test_of_a_program_that_runs_it_is_what_is_published(channel: Channel, running: Asset, tmp_path: Path) -> None:
    channel.write(30)
    clip = clipped(running, tmp_path / "assets" / "clip", "clip", 27 * AT, 40 * AT, 99)
    channel.list(30)
    channel.run(31, 36)
    assert times(clip.presentation()) == [27, 28, 29]
    assert running.running
    assert times(running.presentation())[-1] == 35
    channel.kill()
    assert times(Asset.open(clip.directory).presentation()) == [27, 28, 29]
    assert times(Asset.resume(running.directory, channel.store).presentation())[-1] == 35


def test_of_a_first_run_too(channel: Channel, tmp_path: Path) -> None:
    channel.run(0, 3)
    asset = Asset.start(tmp_path / "assets" / "show", channel.store, name="show", channel="news", window_ns=HOUR)
    channel.run(3, 12)
    clip = clipped(asset, tmp_path / "assets" / "clip", "clip", 0, 7 * AT, 99)
    assert times(clip.presentation()) == [3, 4, 5, 6, 7, 8]
    asset.delete()
    assert same(Asset.open(clip.directory).presentation(), clip.presentation())


def test_what_left_the_window_is_in_no_clip(channel: Channel, tmp_path: Path) -> None:
    asset = Asset.start(tmp_path / "assets" / "show", channel.store, name="show", channel="news", window_ns=6 * AT)
    channel.run(0, 12)
    clip = clipped(asset, tmp_path / "assets" / "clip", "clip", 0, 9 * AT, 99)
    assert times(clip.presentation()) == [6, 7, 8]


def test_a_clip_of_a_clip(show: Asset, tmp_path: Path) -> None:
    clip = clipped(show, tmp_path / "assets" / "one", "one", 6 * AT, 24 * AT, 99)
    again = clipped(clip, tmp_path / "assets" / "two", "two", 0, 9 * AT, 99)
    assert (times(clip.presentation()), times(again.presentation())) == ([*range(6, 12), *range(18, 24)], [6, 7, 8])
    assert times(clip.presentation(0, 99 * AT)) == times(clip.presentation())


def test_damage_goes_with_it(show: Asset, tmp_path: Path) -> None:
    show.mark({(1, 7 * 180_000), (1, 20 * 180_000)})
    clip = clipped(show, tmp_path / "assets" / "clip", "clip", 6 * AT, 9 * AT, 99)
    assert clip.description.damaged == ((1, 7 * 180_000),)
    assert len(stored(clip.presentation())) == 5


def test_what_cannot_be_clipped(channel: Channel, show: Asset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PackagerError, match="CLIP_EMPTY"):
        clipped(show, tmp_path / "assets" / "clip", "clip", 30 * AT, 31 * AT, 99)
    with pytest.raises(PackagerError, match="ASSET_EXISTS"):
        clipped(show, show.directory, "show", 0, 3 * AT, 99)
    clip = clipped(show, tmp_path / "assets" / "clip", "clip", 0, 3 * AT, 99)
    with pytest.raises(PackagerError, match="ASSET_IS_CLIP"):
        clip.start_again(channel.store, HOUR)

    def full(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "no space", str(target))

    monkeypatch.setattr(Path, "hardlink_to", full)
    with pytest.raises(OSError, match="no space"):
        clipped(show, tmp_path / "assets" / "other", "other", 0, 3 * AT, 99)
    assert Library(tmp_path / "assets").names() == ["clip", "show"]
    assert not (tmp_path / "assets" / "other").exists()
    assert read_description(clip.directory).part == {1: (0, 3), 2: (0, 3)}
