"""Liveness: what a watch of a live presentation says of its pace, its edge and its window."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import msgspec
import pytest

from pypackager.check.finding import Report
from pypackager.check.judge.liveness import check_liveness
from pypackager.check.presentation import Claims, Listing, Look, Presentation, Track

NOW = 1_700_000_000
SEGMENT, WINDOW, POLL = 6, 60, 2
Edge = Callable[[float], float]
"""How many seconds of media are listed when so many seconds have passed."""


def steady(passed: float) -> float:
    """A segment is listed when it is whole."""
    return float(passed // SEGMENT * SEGMENT)


def watched(
    edge: Edge = steady,
    *,
    seconds: int = 60,
    label: str = "video",
    behind: float = 2.0,
    answer: float = 0.05,
    window: Callable[[float], float] | None = None,
) -> Track:
    """A track that was looked at for some time, with answers that took `answer` seconds."""
    track = Track(label, f"http://origin.test/{label}.m3u8", Claims(target_duration=Fraction(SEGMENT)))
    track.listings["0"] = Listing("0", Fraction(0), Fraction(SEGMENT), "0", "0")
    before: Fraction | None = None
    for passed in range(0, seconds + 1, POLL):
        end = Fraction(NOW) + Fraction(edge(passed)) - Fraction(behind)
        depth = Fraction(window(passed) if window else WINDOW)
        track.looks.append(Look(NOW + passed, NOW + passed + answer, end - depth, end, changed=before is None or end > before, ended=False))
        before = end
    return track


def judged(*tracks: Track, form: str = "hls", absolute: bool = True) -> tuple[set[str], int]:
    """Rules that were broken, and how many findings there are."""
    report = Report()
    check_liveness(Presentation(form, form, "http://origin.test/", live=True, tracks=list(tracks), absolute=absolute), report.scope())
    return report.broken(), len(report.findings())


def frozen(passed: float) -> float:
    """Nothing comes after twelve seconds."""
    return steady(min(passed, 12))


def interrupted(passed: float) -> float:
    """Nothing comes for half a minute, then all at once."""
    return steady(passed) if passed < 12 or passed > 42 else 12.0


def late_once(passed: float) -> float:
    """One segment comes a whole duration late, with the next."""
    return steady(passed) if not 18 <= passed < 24 else 12.0


MISTAKES: dict[str, tuple[str, Track]] = {
    "nothing new": ("LIVE-STALL", watched(frozen)),
    "half a minute of nothing": ("LIVE-STALL", watched(interrupted)),
    "too slow": ("LIVE-PACE", watched(lambda passed: steady(passed * 0.75))),
    "too fast": ("LIVE-PACE", watched(lambda passed: steady(passed * 1.3), behind=20)),
    "one segment late": ("LIVE-JITTER", watched(late_once)),
    "far behind": ("LIVE-EDGE", watched(behind=120)),
    "in the future": ("LIVE-FUTURE", watched(behind=-20)),
    "the window collapses": ("LIVE-WINDOW", watched(window=lambda passed: WINDOW if passed < 30 else 18)),
}


@pytest.mark.parametrize("behind", [0.0, 3.0, 15.0])
def test_a_steady_presentation_is_clean(behind: float) -> None:
    video, audio = watched(behind=behind), watched(label="audio", behind=behind)
    assert judged(video, audio) == (set(), 0)


@pytest.mark.parametrize("late", [0.0, 1.0, 2.9])
def test_jitter_that_players_bear_is_none(late: float) -> None:
    """Every second segment is late by up to half a duration."""

    def edge(passed: float) -> float:
        return steady(passed - (late if passed // SEGMENT % 2 else 0.0))

    assert judged(watched(edge)) == (set(), 0)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_by_the_rule_meant_for_it(name: str) -> None:
    rule, track = MISTAKES[name]
    assert judged(track) == ({rule}, 1)


def test_a_track_that_lags_is_told_with_the_one_that_leads() -> None:
    assert judged(watched(), watched(label="audio", behind=14)) == ({"LIVE-LAG"}, 1)
    assert judged(watched(), watched(label="audio", behind=14), form="smooth", absolute=False) == ({"LIVE-LAG"}, 1)
    # Playlists without dates say nothing of each other.
    assert judged(watched(), watched(label="audio", behind=14), absolute=False) == (set(), 0)


def test_answers_that_are_long_on_their_way_are_no_lag() -> None:
    """When what they say was true is not known, only that it was so when they were asked for or later."""
    assert judged(watched(), watched(label="audio", answer=12)) == (set(), 0)
    assert judged(watched(answer=3), watched(label="audio", behind=17)) == ({"LIVE-LAG"}, 1)


def test_what_has_ended_need_not_advance() -> None:
    track = watched(frozen)
    track.looks = [msgspec.structs.replace(look, ended=look.asked >= NOW + 14) for look in track.looks]
    assert judged(track) == (set(), 0)


def test_one_look_is_no_watch() -> None:
    assert judged(watched(seconds=0)) == (set(), 0)


def test_a_stall_is_told_once_and_another_again() -> None:
    def twice(passed: float) -> float:
        for begin in (12, 72):
            if begin <= passed < begin + 40:
                return float(begin)
        return steady(passed)

    assert judged(watched(twice, seconds=120)) == ({"LIVE-STALL"}, 2)
