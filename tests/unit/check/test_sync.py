"""Tracks of one presentation against each other."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from pypackager.check.finding import Report
from pypackager.check.judge.sync import check_sync
from pypackager.check.media.samples import Kind, Media, Samples
from pypackager.check.presentation import Listing, Loaded, Presentation, Track

RATE = 1000


def samples(kind: Kind, start: int, size: int = 10) -> Samples:
    dts = start + 40 * np.arange(size, dtype=np.int64)
    key = np.arange(size) == 0
    return Samples(kind, RATE, None, dts, dts, np.full(size, 40, np.int64), key, key, np.arange(size, dtype=np.uint64), size)


def segment(name: str, start: int, *streams: Samples) -> Loaded:
    return Loaded(Listing(name, Fraction(start, RATE), Fraction(400, RATE), name, name), Media(list(streams)), 1, 0)


@pytest.mark.parametrize(("late", "found"), [(0, set()), (300, {"SYNC-TRACKS"})])
def test_sound_in_a_gap_of_the_pictures_says_nothing_of_their_times(late: int, found: set[str]) -> None:
    """A muxed segment without pictures is cut where the pictures would be, and its sound starts a little later."""
    whole = [segment("0", 0, samples("video", 0), samples("audio", 20)), segment("1", 400, samples("video", 400), samples("audio", 420))]
    gap = [segment("0", 0, samples("audio", 120)), segment("1", 400, samples("video", 400 - late), samples("audio", 420 - late))]
    tracks = [Track("whole", "", loaded=whole), Track("gap", "", loaded=gap)]
    report = Report()
    check_sync(Presentation("hls", "hls", "", True, tracks), report.scope(presentation="hls"))
    assert report.broken() == found
