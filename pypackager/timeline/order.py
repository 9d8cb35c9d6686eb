"""Fragments that a connection sends out of order (ingest specification: times rise, "reordering is limited"; docs/design/time.md).

In: what waits of a track. Out: how long the published edge waits for what was passed over, and what comes too late to be taken. Never: a
wait without a hole, or for a source that leaves holes and has never filled one.

A fragment is late by as many fragments as its connection sent before it that belong behind it. Whether a hole is a fragment that is late or
one that is lost shows only when that many have come, or their time has passed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pypackager.timeline.pending import TOLERANCE_NS, TrackLine

VAIN = 2
"""So many holes are waited for though nothing came into them; from then on none is, until a fragment does come late."""

Place = Literal["in order", "late", "too late"]


def place(line: TrackLine, time: int, back_ns: int, most: int, stored: Callable[[int, int], object], *, taken: bool) -> Place:
    """Where a fragment stands that does not start where the one before it on its connection ended.

    Args:
        line: its track, without it.
        time: its start.
        back_ns: how far it starts before that end; negative behind a hole.
        most: so many fragments late may it come.
        stored: the fragment of a track that was published at a time; None without.
        taken: nothing is there in its place, and the published edge is not past it.
    """
    if back_ns < -TOLERANCE_NS and taken:
        if line.skipped is None or (line.edge is not None and line.edge > line.skipped):
            line.unfilled += 1
        line.skipped = time
    if back_ns <= TOLERANCE_NS:
        return "in order"
    behind = sum(fragment.time > time for fragment in line.waiting)
    if taken:
        line.unfilled = 0
        return "late" if behind <= most else "too late"
    if any(abs(fragment.time - time) <= line.tolerance for fragment in line.waiting) or stored(line.info.number, time) is not None:
        # It is there: sent again.
        return "in order"
    line.unfilled = 0
    return "too late"


def awaited_until_ns(line: TrackLine, end_ns: int, most: int, grace_ns: int) -> int | None:
    """Until when (monotonic) a fragment before the end of a slot may come that its connection has passed over; None: none is missing."""
    if line.skipped is None or line.unfilled > VAIN or not line.feeds or (line.edge is not None and line.edge > line.skipped):
        return None
    reach = line.edge
    for number, fragment in enumerate(line.waiting):
        length = max(fragment.duration, line.waiting[0].duration)
        # Half a fragment more: they may differ in length.
        hole = 0 if reach is None else fragment.time - reach
        if reach is not None and line.tolerance < hole <= most * length + length // 2 and len(line.waiting) - number <= most:
            if line.ns(reach) + line.ns(length) // 2 >= end_ns:
                return None
            # The one behind it may have come as much too early as this one comes too late.
            return min(f.arrived_ns for f in line.waiting[number:]) + (2 * most - 1) * line.ns(length) + grace_ns
        reach = fragment.end if reach is None else max(reach, fragment.end)
    return None
