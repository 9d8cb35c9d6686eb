"""Runs of rows: a row lasts up to the next one of its period, and the text does not depend on what was known when."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable
from itertools import pairwise

import pytest

from pypackager.model.presentation import TrackWindow
from pypackager.packaging.rows import Page, Piece
from pypackager.packaging.runs import Run, RunStrip, ticks
from tests.helpers.presentations import Row, Spec, present, video

MS = 90


def element(run: Run, head: bool) -> bytes:
    stated = f"t{run.time // MS} " if head or not run.joined else ""
    return f"{stated}d{run.duration // MS} x{run.count}, ".encode()


def gap(time: int, duration: int) -> bytes:
    return f"{time // MS}+{duration // MS} ".encode()


def window(holes: list[int], another_period: int = 1 << 30, gaps: Collection[int] = ()) -> TrackWindow:
    """Fragments of two seconds, each so many milliseconds behind the end of the one before; where another period begins; which are gaps."""
    rows, end = [], 0
    for number, hole in enumerate(holes):
        rows.append(Row((end + hole) * MS, 2000 * MS, period=int(number >= another_period), gap=number in gaps))
        end += hole + 2000
    return present(Spec([video(1, rows)])).tracks[0]


def listed(track: TrackWindow, stops: list[int], *, bridges: bool = True) -> str:
    """The text after the rows have come up to each of the stops."""
    strip = RunStrip(track.first, element, bridges=bridges)
    for stop in stops:
        strip.feed(track, ticks, track.first + stop)
    return text_of(strip.slice(track.first, track.first + stops[-1]))


def text_of(pieces: Iterable[Piece]) -> str:
    page = Page()
    page.add_rows(pieces)
    return page.join().decode()


@pytest.mark.parametrize(
    ("holes", "text"),
    [
        ([0, 0, 0, 40, 0], "t0 d2000 x2, d2040 x1, d2000 x2, "),
        ([0, 85, 85, 0], "t0 d2085 x1, d2085 x1, d2000 x2, "),
        ([0, 0, 99, 100], "t0 d2000 x1, d2099 x1, d2100 x1, d2000 x1, "),
        ([0, 0, 2000], "t0 d2000 x1, d4000 x1, d2000 x1, "),
    ],
)
def test_a_row_lasts_over_a_hole_however_long(holes: list[int], text: str) -> None:
    assert listed(window(holes), [len(holes)]) == text


def test_a_row_lasts_over_rows_of_gap() -> None:
    track = window([0] * 7, gaps=(2, 3, 6))
    # Behind a gap at the end nothing is known yet.
    assert listed(track, [7]) == listed(track, [2, 4, 7]) == "t0 d2000 x1, d6000 x1, d2000 x2, "
    assert listed(track, [4]) == "t0 d2000 x2, "


def test_what_a_row_lasts_over_is_told_where_it_is_more_than_a_frame_or_two() -> None:
    strip = RunStrip(0, element, bridges=True, gap=gap)
    track = window([0, 99, 100, 0, 0, 0], gaps=(4,))
    strip.feed(track, ticks, 6)
    assert text_of(strip.gaps(0, 6)) == "4099+100 8199+2000 "
    assert strip.longest(0, 6) == 4000 * MS
    # Of a slice that ends in front of what is behind a gap, nothing is told of that one.
    assert (text_of(strip.gaps(0, 5)), strip.longest(0, 5)) == ("4099+100 ", 2100 * MS)
    assert (strip.gaps(4, 6), strip.longest(4, 6)) == ([], 0)


def test_nothing_is_bridged_between_periods_or_where_holes_are_listed() -> None:
    assert listed(window([0, 40, 0], another_period=1), [3]) == "t0 d2000 x1, t2040 d2000 x2, "
    assert listed(window([0, 0, 0, 0], another_period=2, gaps=(1,)), [2, 4]) == "t0 d2000 x1, t4000 d2000 x2, "
    assert listed(window([0, 40, 0]), [3], bridges=False) == "t0 d2000 x1, t2040 d2000 x2, "


@pytest.mark.parametrize("seed", range(40))
def test_the_text_is_the_same_whether_rows_came_one_by_one_or_at_once(seed: int) -> None:
    chance = random.Random(seed)
    holes = chance.choices([0, 0, 0, 21, 40, 85, 500], k=30)
    track = window(holes, chance.randrange(1, 40))
    stops = sorted({*chance.sample(range(1, 30), 8), 30})
    assert listed(track, stops) == listed(track, [30])
    ends = [(time, time + duration) for time, duration in zip(track.time.tolist(), track.duration.tolist(), strict=True)]
    assert all(before[1] <= after[0] for before, after in pairwise(ends))
