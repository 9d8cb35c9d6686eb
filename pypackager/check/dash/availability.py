"""Whether what an MPD lists exists by the clock, and whether its window is what it says (ISO/IEC 23009-1 5.3.9.5.3).

In: an `Mpd` and UTC by the clock that it names. Out: findings. What is listed and not there is found when it is fetched (HTTP-STATUS).
"""

from __future__ import annotations

from fractions import Fraction

from pypackager.check.dash.mpd import Mpd, Representation
from pypackager.check.dash.one_copy import track_label
from pypackager.check.finding import Scope
from pypackager.check.rules import rule

EARLY = rule(
    "DASH-EARLY", "error", "ISO 23009-1 5.3.9.5.3", "a listed segment ends before now, by @availabilityStartTime and the Period",
    example="a segment is listed 5 s before its @availabilityStartTime + Period@start + (t + d) / timescale",
)  # fmt: skip
FUTURE = rule(
    "DASH-PUBLISH-FUTURE", "error", "ISO 23009-1 5.3.1.2", "@publishTime is not in the future",
    example="a publishTime one hour from now",
)  # fmt: skip
SHALLOW = rule(
    "DASH-WINDOW-SHORT", "error", "DASH-IF Timing Model, Necessary segment references",
    "everything that @timeShiftBufferDepth promises is listed",
    example='timeShiftBufferDepth="PT1H" over 5 minutes of segments of a Period of 2 hours', verified=True,
)  # fmt: skip
EXPIRED = rule(
    "DASH-EXPIRED", "warning", "DASH-IF Timing Model, Removing content from the MPD",
    "segments that have left @timeShiftBufferDepth are not listed",
    example='an hour of segments under timeShiftBufferDepth="PT1M"', verified=True,
)  # fmt: skip

_CLOCK = Fraction(1, 5)
"""Seconds by which two clocks that were compared over a network may differ."""
_BURST = Fraction(3, 4)
"""Seconds by which an encoder may be ahead of its own pace: it opens with a burst of half a second, or makes up for a pause."""


def check_availability(mpd: Mpd, now: Fraction, scope: Scope) -> None:
    """Checks a dynamic MPD that had arrived at `now`."""
    published = mpd.date("publishTime")
    if published is not None and published > now + 1:
        scope.breach(FUTURE, f"{float(published - now):.1f} s from now", "now or before", line=mpd.node.line)
    if mpd.date("availabilityStartTime") is None:
        return
    for each in mpd.representations:
        if each.addressing.child("SegmentTimeline") is not None and len(each.rows) and each.period.start is not None:
            _check(mpd, each, now, scope.at(track=track_label(each)))


def _check(mpd: Mpd, each: Representation, now: Fraction, scope: Scope) -> None:
    rows = each.rows
    early = mpd.available(each, int(rows.end[-1])) - now
    if early > _BURST:
        found = f"{int(rows.time[-1])} ends {float(early):.3f} s from now"
        scope.breach(EARLY, found, "segments that have ended", line=int(rows.line[-1]))
        return
    depth = mpd.duration("timeShiftBufferDepth")
    if depth is None:
        return
    longest = Fraction(int(rows.duration.max()), each.timescale)
    first = mpd.available(each, int(rows.time[0]))
    begins = mpd.available(each, each.offset)
    # The newest segment may still be on its way, and the oldest leave while the answer does.
    missing = first - max(now - depth, begins)
    if missing > 2 * longest + _CLOCK and each.period is mpd.periods[0]:
        found = f"the first segment starts {float(now - first):.1f} s ago"
        scope.breach(SHALLOW, found, f"{float(min(depth, now - begins)):.1f} s ago", line=int(rows.line[0]))
    # Measured from the newest, so that a source that pauses does not let everything expire.
    span = Fraction(int(rows.end[-1] - rows.end[0]), each.timescale)
    slack = 3 * longest + (mpd.duration("minimumUpdatePeriod") or 0) + depth / 10
    if span > depth + slack and not _is_one_run(each):
        found = f"{float(span):.1f} s of segments"
        scope.breach(EXPIRED, found, f"{float(depth):g} s", line=int(rows.line[0]))


def _is_one_run(each: Representation) -> bool:
    """One S element stands for all of them: it stays until the last has expired."""
    return int(each.rows.line[0]) == int(each.rows.line[-1])
