"""How far encoders' clocks have moved against the wall clock since they began: more than two seconds is told of.

In: where each source clock stands, every few seconds. Out: the drift of the worst. Never: a correction (docs/design/time.md).

A fragment comes when it has ended, or later: over a minute the earliest arrivals say how the two clocks stand, whatever the network does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from pypackager.timeline.clocks import Clock
from pypackager.timeline.times import SECOND_NS

SPAN_NS = 60 * SECOND_NS
MOST_NS = 2 * SECOND_NS


class _Course(msgspec.Struct):
    """How a source clock stood at each look of the last minute."""

    source_ns: int = 0
    began_ns: int | None = None
    """Its lead over the wall clock in its first minute; None in that."""
    leads: deque[tuple[int, int]] = msgspec.field(default_factory=deque)
    """(monotonic time, lead)."""


class Drift:
    """The source clocks of one channel."""

    def __init__(self) -> None:
        self._courses: dict[int, _Course] = {}

    def look(self, clocks: Iterable[Clock], media_now_ns: int, mono_ns: int) -> int:
        """The drift in nanoseconds of the clock that drifts most, positive when it is fast; 0 when that is not worth a word."""
        running = [clock for clock in clocks if clock.feeds]
        self._courses = {clock.number: self._courses.get(clock.number, _Course()) for clock in running}
        drifts = [self._drift(self._courses[clock.number], clock, media_now_ns, mono_ns) for clock in running]
        worst = max(drifts, key=abs, default=0)
        return worst if abs(worst) > MOST_NS else 0

    def _drift(self, course: _Course, clock: Clock, media_now_ns: int, mono_ns: int) -> int:
        if clock.last_source_ns > course.source_ns:
            course.source_ns = clock.last_source_ns
            course.leads.append((mono_ns, clock.out_ns(clock.last_source_ns) - media_now_ns))
        if not course.leads or mono_ns - course.leads[0][0] < SPAN_NS:
            return 0
        lead_ns = max(lead for _, lead in course.leads)
        while course.leads and mono_ns - course.leads[0][0] >= SPAN_NS:
            course.leads.popleft()
        if course.began_ns is None:
            course.began_ns = lead_ns
        return lead_ns - course.began_ns
