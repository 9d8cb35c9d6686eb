"""What the witness of an interrupted encoder sees: each fault begins a stretch of its own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.helpers.frames import Frame, Track
from tests.helpers.sessions import stretches

SENT = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


def track(numbers: Sequence[int], first: int = 0) -> Track:
    """Frames of 40 ms one behind the other, told apart by their numbers."""
    frames = [Frame(at, at, bytes([number])) for at, number in enumerate(numbers, first)]
    return Track("video", 25, "made", frames=frames)


def found(*periods: Track, sent: Sequence[int] = SENT) -> list[tuple[int, int]]:
    return [(one.place, one.frames) for one in stretches(track(sent), periods)]


@pytest.mark.parametrize(
    ("got", "told"),
    [
        (SENT, [(0, 10)]),
        ([2, 3, 4], [(2, 3)]),
        ([0, 1, 2, 6, 7], [(0, 3), (6, 2)]),
        ([0, 1, 1, 2], [(0, 2), (1, 2)]),
        ([0, 2, 1, 3], [(0, 1), (2, 1), (1, 1), (3, 1)]),
        ([0, 1, 99, 3], [(0, 2), (-1, 1), (3, 1)]),
    ],
)
def test_what_is_lost_doubled_swapped_or_unknown_begins_another_stretch(got: list[int], told: list[tuple[int, int]]) -> None:
    assert found(track(got)) == told


def test_periods_are_one_story() -> None:
    assert found(track([0, 1, 2]), track([3, 4], 3), track([0, 1], 20)) == [(0, 5), (0, 2)]


def test_of_frames_that_are_alike_those_count_that_go_on_for_longest() -> None:
    assert found(track([7, 8, 7, 9, 9]), sent=[7, 7, 8, 7, 9, 9, 7]) == [(1, 5)]


def test_times_are_held_against_those_that_were_sent() -> None:
    got = track([3, 4, 5], 100)
    got.frames[1] = Frame(102, 102, got.frames[1].digest)
    [one] = stretches(track(SENT), [got])
    assert [round(each, 6) for each in (one.begin, one.end, one.off)] == [4.0, 4.12, 0.04]
