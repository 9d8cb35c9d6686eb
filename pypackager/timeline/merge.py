"""The merge of a track's sources: how a fragment relates to what its track has taken already.

In: a line, a place on the timeline. Out: what the fragment there is (new, a duplicate, late, …); the line with it in place. Never: bytes.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Literal

from pypackager.timeline.pending import ROUNDING_NS, Fragment, TrackLine
from pypackager.timeline.times import from_ns

Verdict = Literal["new", "replaces", "duplicate", "differs", "late", "overlaps"]
TAKEN = ("new", "replaces")


def judge(line: TrackLine, time: int, duration: int, *, partial: bool) -> Verdict:
    """How a fragment [time, time + duration) relates to what is there.

    First complete wins; a fragment that the source broke off, or that may still grow, is replaced by a whole one until it is published.
    So are stumps of sound: a source that goes, or comes, within a fragment cuts there, and what another one has of it is whole.
    """
    is_sound = line.info.kind == "audio"
    if time <= line.last_time or (line.edge is not None and time < line.edge - line.tolerance):
        return "late"
    if is_sound and line.edge is not None and line.ns(time + duration - line.edge) <= ROUNDING_NS:
        return "late"
    near = line.reaching(time, duration)
    if is_sound and _covered(line, near, time, duration):
        return "duplicate"
    there = _there(line, near, time, duration)
    over = [f for f in near if _overlap(line, f, time, duration)]
    inside = all(_inside(line, f, time, duration) for f in over)
    if there is not None:
        if (
            not partial
            and inside
            and (there.partial or there.lost or (there.held and there.duration < duration) or _is_left(line, there, duration))
        ):
            return "replaces"
        if not inside or not _lacks(line, over, duration):
            return "duplicate" if partial or abs(there.duration - duration) <= from_ns(ROUNDING_NS, line.info.timescale) else "differs"
    if not over:
        return "new"
    return "replaces" if inside and _lacks(line, over, duration) else "overlaps"


def insert(line: TrackLine, fragment: Fragment) -> None:
    """Puts a fragment in its place; one at the same time, and those that it holds, are replaced."""
    near = line.reaching(fragment.time, fragment.duration)
    there = _there(line, near, fragment.time, fragment.duration)
    for other in near:
        if other is there or _overlap(line, other, fragment.time, fragment.duration):
            line.remove(other)
    bisect.insort(line.waiting, fragment, key=lambda f: f.time)


def _is_left(line: TrackLine, fragment: Fragment, duration: int) -> bool:
    """Whether a fragment is what its source left of one of a duration: one that is stopped in order ends its last GOP where it is."""
    return line.is_short(fragment) and fragment.duration < duration and line.feeds.isdisjoint({fragment.conn, *fragment.peers})


def _lacks(line: TrackLine, over: Sequence[Fragment], duration: int) -> bool:
    """Whether fragments of sound, all within one of a duration, have fewer frames than that."""
    return line.info.kind == "audio" and line.ns(duration - sum(f.duration for f in over)) > ROUNDING_NS


def _covered(line: TrackLine, near: Sequence[Fragment], time: int, duration: int) -> bool:
    """Whether all of it waits, in however many pieces."""
    end, waiting = time + duration, (f for f in near if not f.lost)
    there = sum(max(0, min(end, fragment.end) - max(time, fragment.time)) for fragment in waiting)
    return line.ns(duration - there) <= ROUNDING_NS


def _inside(line: TrackLine, fragment: Fragment, time: int, duration: int) -> bool:
    """Whether nothing is lost of a fragment when one of a duration takes its place: of sound no frame."""
    slack = from_ns(ROUNDING_NS, line.info.timescale) if line.info.kind == "audio" else line.tolerance
    return fragment.lost or (time - slack <= fragment.time and fragment.end <= time + duration + slack)


def _overlap(line: TrackLine, fragment: Fragment, time: int, duration: int) -> bool:
    # Half of the shorter one at most: one of a few milliseconds within the tolerance would else be inside another.
    slack = min(line.tolerance, fragment.duration // 2, duration // 2)
    return fragment.time < time + duration - slack and fragment.end > time + slack


def _there(line: TrackLine, near: Sequence[Fragment], time: int, duration: int) -> Fragment | None:
    """The waiting fragment that starts at the same time, within the tolerance: less where one is only a few frames long."""
    slack = min(line.tolerance, duration // 2)
    return next((f for f in near if abs(f.time - time) <= min(slack, f.duration // 2)), None)
