"""Which track of one presentation is which of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from pypackager.check.finding import Report
from pypackager.check.judge.compare import check_same
from pypackager.check.media.samples import Media, Samples
from pypackager.check.presentation import Listing, Loaded, Presentation, Track

RATE = 25


def track(label: str, frames: Sequence[int], start: int) -> Track:
    """A track of one segment: a picture for each number, from a time on."""
    size = len(frames)
    dts = start + np.arange(size, dtype=np.int64)
    key = np.arange(size) == 0
    samples = Samples("video", RATE, None, dts, dts, np.ones(size, np.int64), key, key, np.array(frames, np.uint64), size)
    listing = Listing(label, Fraction(start, RATE), Fraction(size, RATE), label, label)
    return Track(label, label, loaded=[Loaded(listing, Media([samples]), size, 0)])


def compared(one: Sequence[Track], other: Sequence[Track]) -> set[str]:
    report = Report()
    check_same(Presentation("hls", "hls", "", False, list(one)), Presentation("dash", "dash", "", False, list(other)), report, whole=True)
    return report.broken()


def test_a_track_that_shows_a_part_of_another_again_is_not_that_other() -> None:
    tracks = [track("main", range(100), 0), track("again", range(20, 60), 300)]
    assert compared(tracks, tracks) == set()
    assert compared(tracks, tracks[::-1]) == set()


def test_a_track_that_repeats_itself_more_often_is_not_that_other() -> None:
    tracks = [track("main", [*range(100), *range(100), *range(30)], 0), track("again", [*range(30, 100), *range(60)], 300)]
    assert compared(tracks, tracks) == set()
    assert compared(tracks, tracks[::-1]) == set()


def test_a_track_that_is_late_in_one_of_them_is_found() -> None:
    tracks = [track("main", range(100), 0), track("again", range(20, 60), 300)]
    assert compared(tracks, [tracks[0], track("again", range(20, 60), 310)]) == {"SYNC-SHIFT"}


def test_a_part_of_a_track_that_repeats_itself_is_found_by_its_times() -> None:
    """A level of HDS that began late carries the end of the audio, and another track had the same sound before."""
    loop = [*range(100), *range(100), *range(50)]
    ours = [track("pictures", range(1000, 1100), 0), track("sound", loop, 0), track("other", range(40, 100), 400)]
    theirs = [track("pictures", range(1000, 1100), 30), track("end", loop[140:200], 170)]
    assert compared(ours, theirs) == {"SYNC-TRACK"}
    assert compared(ours, [theirs[0], track("end", loop[140:200], 430)]) == {"SYNC-TRACK"}, "of the other"
    assert "SYNC-SHIFT" in compared(ours, [theirs[0], track("end", loop[140:200], 433)]), "of none"


def test_tracks_in_which_everything_comes_again_are_found() -> None:
    loops = [track("pictures", [*range(100), *range(100)], 0), track("more", [*range(90), *range(90)], 500)]
    late = [track("pictures", [*range(100), *range(100)], 30), track("more", [*range(90), *range(90)], 530)]
    assert compared(loops, late) == set()
    assert compared(loops, late[::-1]) == set()


@pytest.mark.parametrize("gap", [True, False])
def test_what_one_lists_as_missing_the_other_may_have(gap: bool) -> None:
    """Smooth has no word for a gap of one layer: another stands in."""
    ours, rest = track("main", range(100), 0), track("main", range(150, 300), 150)
    hole = Listing("hole", Fraction(100, RATE), Fraction(50, RATE), "hole", "hole", gap=gap)
    listings = {listing.key: listing for listing in (ours.loaded[0].listing, hole)}
    ours = replace(ours, listings=listings, loaded=[*ours.loaded, *rest.loaded])
    assert compared([ours], [track("main", range(300), 30)]) == (set() if gap else {"SYNC-FRAMES"})
    assert compared([track("main", range(300), 30)], [ours]) == (set() if gap else {"SYNC-FRAMES"})
    beside = [*range(90), *range(400, 410), *range(100, 300)]
    assert compared([ours], [track("main", beside, 30)]) == {"SYNC-FRAMES"}
