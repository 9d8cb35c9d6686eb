"""What waits of a track: a few fragments decide about one that comes, however many wait."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from pypackager.model.track import Kind, TrackInfo
from pypackager.timeline.merge import TAKEN, insert, judge
from pypackager.timeline.pending import Fragment, TrackLine

SCALE = 1000
KINDS: tuple[Kind, ...] = ("video", "audio")
ARRIVALS = st.tuples(st.integers(0, 12_000), st.integers(1, 4000), st.booleans(), st.booleans())
"""Time, duration, whether its source broke it off, whether the disk lost it."""


class Thorough(TrackLine):
    """A line that looks at all that waits."""

    def reaching(self, time: int, duration: int) -> list[Fragment]:
        return list(self.waiting)


def lines(kind: Kind, published: int | None) -> tuple[TrackLine, TrackLine]:
    info = TrackInfo(id="t", number=1, kind=kind, timescale=SCALE, bitrate=1)
    return TrackLine(info, edge=published), Thorough(info, edge=published)


def coming(arrival: tuple[int, int, bool, bool]) -> Fragment:
    time, duration, partial, lost = arrival
    return Fragment(time, duration, 1, 0, 10, 0, partial, 0, lost=lost)


@given(st.sampled_from(KINDS), st.none() | st.integers(0, 6000), st.lists(ARRIVALS, max_size=30))
@example("audio", None, [(0, 5, False, False)])
@example("video", None, [(0, 2000, False, False), (2000, 2000, False, False), (1960, 40, False, False), (2040, 4000, True, False)])
def test_only_what_is_near_counts(kind: Kind, published: int | None, arrivals: list[tuple[int, int, bool, bool]]) -> None:
    quick, thorough = lines(kind, published)
    for arrival in arrivals:
        time, duration, partial, _ = arrival
        verdict = judge(quick, time, duration, partial=partial)
        assert verdict == judge(thorough, time, duration, partial=partial)
        if verdict in TAKEN:
            insert(quick, coming(arrival))
            insert(thorough, coming(arrival))
        assert quick.waiting == thorough.waiting


@given(st.lists(ARRIVALS, max_size=12), st.integers(0, 13_000))
def test_what_begins_before_a_time_is_at_the_front(arrivals: list[tuple[int, int, bool, bool]], time: int) -> None:
    line, _ = lines("video", None)
    for arrival in arrivals:
        insert(line, coming(arrival))
    assert line.begun_before(line.ns(time)) == [fragment for fragment in line.waiting if fragment.time < time]
