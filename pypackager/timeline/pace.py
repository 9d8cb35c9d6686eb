"""How far ahead of the wall clock is published (docs/design/time.md, "Ahead of the clock").

In: how far media reaches. Out: the media time up to which is published now. Never: which fragments those are.

An encoder that is back at once is placed behind what it published, by up to 1.5 s ahead of the clock. What is listed by then has not ended
by the clock that players are given (DASH availabilityStartTime, PROGRAM-DATE-TIME), so it waits until it has.
"""

from __future__ import annotations

from pypackager.timeline.feeds import Now
from pypackager.timeline.ports import Alert
from pypackager.timeline.times import SECOND_NS

TOLERANCE_NS = SECOND_NS // 2
"""An encoder opens with a burst, or makes up for a pause: that much ahead is published as it comes."""
MOST_NS = 5 * SECOND_NS
"""What reaches farther ahead is of no restart: its source sends faster than it plays, or a clock is wrong. It would be held for ever."""


class Pace:
    """The wall clock of when the newest source clock was placed, carried on by the monotonic one: a step of it moves nothing that runs."""

    def __init__(self, alert: Alert) -> None:
        self._alert = alert
        self._utc_less_mono_ns: int | None = None

    def set(self, now: Now) -> None:
        """A source clock is placed by the wall clock of this moment."""
        self._utc_less_mono_ns = now.utc_ns - now.mono_ns

    def until_ns(self, now: Now, anchor_ns: int | None, reach_ns: int | None) -> int | None:
        """The media time up to which is published now; None: nothing is held back.

        Args:
            now: the instant of the call.
            anchor_ns: UTC of media time zero.
            reach_ns: end of the newest fragment of all tracks.
        """
        if self._utc_less_mono_ns is None:
            self.set(now)
        if anchor_ns is None or reach_ns is None or self._utc_less_mono_ns is None:
            return None
        until_ns = now.mono_ns + self._utc_less_mono_ns - anchor_ns + TOLERANCE_NS
        ahead_ns = reach_ns - until_ns
        if ahead_ns <= 0:
            return None
        if ahead_ns > MOST_NS:
            seconds = (ahead_ns + TOLERANCE_NS) / SECOND_NS
            self._alert("AHEAD_OF_TIME", f"media is {seconds:.1f} s ahead of the wall clock: published as it comes")
            return None
        return until_ns
