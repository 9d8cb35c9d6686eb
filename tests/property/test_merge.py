"""Two sources send the same sound, each cut where it likes, each away for a while, never both: every frame is listed once, in order."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.helpers.merge_rig import Pair, border, frames, picture

FIRST, LAST = 100, 124
SIDES = ("primary", "secondary")

offs = st.lists(st.integers(-2, 2), min_size=15, max_size=15)
"""By how many frames a source's borders are off."""
gone = st.tuples(st.sampled_from((104, 106, 108, 110)), st.integers(0, 93), st.integers(0, 93), st.sampled_from(SIDES), st.booleans())
"""(second, frame at which a source breaks off, frame at which it is back, which source, whether what it broke off is told to be broken)."""


def cut(second: int, side: str, off: Mapping[str, list[int]]) -> tuple[int, int]:
    """The frames of a source's fragment."""
    numbers = off[side]
    first, last = ((second + n - FIRST) // 2 for n in (0, 2))
    return border(second) + (numbers[first] if first else 0), border(second + 2) + numbers[last]


def off_at(*numbers: tuple[int, int]) -> list[int]:
    """No border is off but these, by so many frames."""
    return [dict(numbers).get(place, 0) for place in range(15)]


def primary_first(*turns: int) -> list[bool]:
    return [turn in turns for turn in range(12)]


@example(off_at(), off_at((6, -2)), [(110, 0, 92, "primary", False)], primary_first(3))
@example(off_at((4, -1)), off_at((5, -1)), [(108, 93, 0, "primary", True)], primary_first(1, 2))
@example(off_at((10, -1)), off_at((5, -1), (8, -1), (9, 1), (10, -1)), [(110, 1, 0, "secondary", True)], primary_first(6))
@example(off_at((3, -2)), off_at(), [(104, 92, 83, "secondary", True), (106, 52, 91, "primary", True)], primary_first(2, 4, 5))
@example(off_at((6, -2)), off_at(), [(110, 93, 40, "secondary", True)], primary_first(2, 4, 5))
@settings(max_examples=150)
@given(one=offs, other=offs, outages=st.lists(gone, max_size=3), order=st.lists(st.booleans(), min_size=12, max_size=12))
def test_every_frame_once(one: list[int], other: list[int], outages: list[tuple[int, int, int, str, bool]], order: list[bool]) -> None:
    pair = Pair()
    off: dict[str, list[int]] = dict(zip(SIDES, (one, other), strict=True))
    # At the beginning both are there and agree.
    for second in (FIRST, FIRST + 2):
        pair.both(second)
    one[:3] = other[:3] = [0, 0, 0]
    away = {outage[0]: outage[1:] for outage in outages}
    for turn, second in enumerate(range(FIRST + 4, LAST, 2)):
        for side in SIDES if order[turn] else reversed(SIDES):
            first, last = cut(second, side, off)
            pair.send(side, "video", picture(second))
            if second in away and away[second][2] == side:
                end, again, _, partial = away[second]
                sent = [(first, border(second) + end, partial), (border(second) + max(end + 1, again), last, False)]
                for begin, until, broken in sent:
                    if begin < until:
                        pair.send(side, "audio", frames(begin, until, partial=broken))
            else:
                pair.send(side, "audio", frames(first, last))
            pair.rig.wait(0.05)
        pair.rig.wait(1.9)
    pair.rig.wait(6)
    rows = pair.sound()
    assert rows[0][0] == border(FIRST)
    assert all(before[1] == after[0] for before, after in pairwise(rows)), rows
    assert rows[-1][1] == border(LAST) + max(one[12], other[12])
    assert len(pair.rig.store.periods) == 1
