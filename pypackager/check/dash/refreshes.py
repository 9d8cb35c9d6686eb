"""What may change between two copies of an MPD (ISO/IEC 23009-1 5.4.1, and what DASH-IF's timing model adds).

In: a copy and the one before. Out: findings.
"""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np

from pypackager.check.dash.mpd import Mpd, Period, Representation
from pypackager.check.dash.one_copy import track_label
from pypackager.check.finding import Scope
from pypackager.check.presentation import SHORT_HOLE
from pypackager.check.rules import rule

_UPDATING = "DASH-IF Timing Model, MPD updates"

AST = rule(
    "DASH-AST-CHANGED", "error", _UPDATING, "@availabilityStartTime does not change",
    example="it moves by a second with every copy", verified=True,
)  # fmt: skip
PUBLISHED = rule(
    "DASH-PUBLISH-TIME", "error", "ISO 23009-1 5.4.1", "@publishTime rises when the MPD changes, and never falls",
    example="two segments more under the same publishTime",
)  # fmt: skip
REPUBLISHED = rule(
    "DASH-PUBLISH-TIME-IDLE", "warning", "DASH-IF IOP 4.3 4.4.3", "@publishTime stays when nothing else changes",
    example="publishTime is the time of the request",
)  # fmt: skip
NO_UPDATES = rule(
    "DASH-UNANNOUNCED", "error", "DASH-IF Timing Model, MPD snapshot validity",
    "an MPD without @minimumUpdatePeriod does not change any more",
    example="a static MPD that gets longer", verified=True,
)  # fmt: skip
BACK = rule(
    "DASH-TYPE-CHANGED", "error", "ISO 23009-1 5.4.1", "what was static stays static",
    example="type static, then dynamic",
)  # fmt: skip
PERIOD = rule(
    "DASH-PERIOD-CHANGED", "error", _UPDATING, "Period@start does not change; Period@duration is added or shortened at most",
    example="the start of Period 1 moves with the window", verified=True,
)  # fmt: skip
PERIODS = rule(
    "DASH-PERIOD-ORDER", "error", "DASH-IF Timing Model, Adding content to the MPD",
    "Periods are added at the end and removed from the head",
    example="a Period is inserted before one that was there", verified=True,
)  # fmt: skip
WITHDRAWN = rule(
    "DASH-REPRESENTATION-WITHDRAWN", "error", _UPDATING, "the Representations of a Period stay as long as it does",
    example="the 720p layer is gone from a Period that goes on", verified=True,
)  # fmt: skip
ADDED = rule(
    "DASH-REPRESENTATION-ADDED", "warning", _UPDATING, "no Representation is added to a Period that was there",
    example="a language comes into a Period that goes on", verified=True,
)  # fmt: skip
CHANGED = rule(
    "DASH-REPRESENTATION-CHANGED", "error", _UPDATING, "a Representation keeps its codecs, sizes, language, timescale and initialisation",
    example="@codecs of Representation v1 changes inside a Period", verified=True,
)  # fmt: skip
OFFSET = rule(
    "DASH-PTO-CHANGED", "error", _UPDATING, "@presentationTimeOffset does not change",
    example="it follows the head of the window", verified=True,
)  # fmt: skip
SEGMENT = rule(
    "DASH-SEGMENT-CHANGED", "error", "DASH-IF Timing Model, Explicit addressing",
    "a segment that was listed keeps its time, duration and URL",
    example="S@t 900000 of the last copy is 900045 in this one", verified=True,
)  # fmt: skip
REMOVED = rule(
    "DASH-SEGMENT-WITHDRAWN", "error", "DASH-IF Timing Model, Removing content from the MPD",
    "segments are removed from the head alone, and when they have left the window", example="the newest segment of the last copy is gone",
    verified=True,
)  # fmt: skip
INSERTED = rule(
    "DASH-SEGMENT-INSERTED", "error", "DASH-IF Timing Model, Adding content to the MPD", "segments are added behind those that were there",
    example="a hole of the last copy is filled in this one", verified=True,
)  # fmt: skip
EARLIER_PERIOD = rule(
    "DASH-SEGMENT-PERIOD", "warning", "DASH-IF Timing Model, Adding content to the MPD", "segments are added to the last Period alone",
    example="Period 1 grows while there is a Period 2", verified=True,
)  # fmt: skip

_FIXED = (
    "mimeType", "codecs", "width", "height", "frameRate", "audioSamplingRate", "lang", "contentType", "sar", "scanType",
)  # fmt: skip
_PUBLISH_TIME = re.compile(rb'\spublishTime\s*=\s*("[^"]*"|\'[^\']*\')')
_CLOCKS = re.compile(rb"<UTCTiming[^>]*>")


def content(data: bytes) -> bytes:
    """An MPD without what may differ between two answers of one version."""
    return _CLOCKS.sub(b"", _PUBLISH_TIME.sub(b"", data))


def check_refresh(before: Mpd, after: Mpd, *, same: bool, now: Fraction, scope: Scope) -> None:
    """Checks a copy against the one before.

    Args:
        before: The last copy.
        after: This one.
        same: They differ in nothing but @publishTime.
        now: Seconds UTC of this one.
        scope: Where to report.
    """
    _check_published(before, after, same=same, scope=scope)
    if same:
        return
    line = after.node.line
    if not before.dynamic and after.dynamic:
        scope.breach(BACK, "dynamic", "static, as before", line=line)
    elif "minimumUpdatePeriod" not in before.node.values:
        scope.breach(NO_UPDATES, "another copy", "the same", line=line)
    starts = [mpd.node.values.get("availabilityStartTime") for mpd in (before, after)]
    moved = before.date("availabilityStartTime") != after.date("availabilityStartTime")
    if moved and (after.dynamic or starts[1] is not None):
        scope.breach(AST, starts[1], starts[0], line=line)
    # A start that moved moves every availability with it: what is removed early is not judged by it as well.
    _check_periods(before, after, None if moved else now, scope)


def _check_published(before: Mpd, after: Mpd, *, same: bool, scope: Scope) -> None:
    was, now = before.date("publishTime"), after.date("publishTime")
    if was is None or now is None:
        return
    text, line = after.node.values["publishTime"], after.node.line
    if now < was:
        scope.breach(PUBLISHED, text, f"not before {before.node.values['publishTime']}", line=line)
    elif now == was and not same:
        scope.breach(PUBLISHED, f"{text}, as before", "a later time, for the MPD is another", line=line)
    elif now != was and same:
        scope.breach(REPUBLISHED, text, f"{before.node.values['publishTime']}, for the MPD is the same", line=line)


def _check_periods(before: Mpd, after: Mpd, now: Fraction | None, scope: Scope) -> None:
    known = {_key(period): period for period in before.periods}
    ours = [_key(period) for period in after.periods]
    old = [key for key in known if key in ours]
    new_from = next((n for n, key in enumerate(ours) if key not in known), len(ours))
    if [key for key in ours if key in known] != old or any(key in known for key in ours[new_from:]):
        scope.breach(
            PERIODS, f"Periods {', '.join(ours)}", f"those that are left of {', '.join(known)}, then new ones", line=after.node.line
        )
    left = [n for n, key in enumerate(known) if key in ours]
    gone = [period for n, period in enumerate(before.periods) if _key(period) not in ours and (not left or n > left[0])]
    for period in gone if left or not ours else before.periods:
        line = after.node.line
        if any(len(each.rows) for each in period.representations):
            scope.breach(PERIODS, f"Period {_key(period)} is gone", "Periods that have not expired stay", line=line)
    for period in after.periods:
        was = known.get(_key(period))
        if was is not None:
            _check_period((before, was), (after, period), now, scope)


def _key(period: Period) -> str:
    return period.id or f"at {period.start}"


def _check_period(before: tuple[Mpd, Period], after: tuple[Mpd, Period], now: Fraction | None, scope: Scope) -> None:
    was, period = before[1], after[1]
    line = period.node.line
    if was.start != period.start:
        found = f"Period {_key(period)} starts at {_seconds(period.start)}"
        scope.breach(PERIOD, found, f"{_seconds(was.start)}, as before", line=line)
        return
    stated = [each.node.values.get("duration") for each in (was, period)]
    if stated[0] is not None and (stated[1] is None or (was.end or 0) < (period.end or 0)):
        scope.breach(PERIOD, f"duration {stated[1]}", f"{stated[0]}, as before, or less", line=line)
    known = {(each.set.values.get("id"), each.id): each for each in was.representations}
    for each in period.representations:
        old = known.pop((each.set.values.get("id"), each.id), None)
        here = scope.at(track=track_label(each))
        if old is None:
            here.breach(ADDED, f"Representation {each.id}", "a new Period for it", line=each.line)
        elif _check_same(old, each, here):
            grown = _check_rows((before[0], old), (after[0], each), now, here)
            if grown and period is not after[0].periods[-1] and was is not before[0].periods[-1]:
                here.breach(EARLIER_PERIOD, f"{grown} segments more in Period {_key(period)}", "none", line=each.line)
    for old in known.values():
        scope.at(track=track_label(old)).breach(WITHDRAWN, f"Representation {old.id} is gone", "it stays", line=line)


def _seconds(value: Fraction | None) -> str:
    return "an unknown time" if value is None else f"{float(value):g} s"


def _check_same(old: Representation, new: Representation, scope: Scope) -> bool:
    """Whether segments of the two can be compared."""
    for name in _FIXED:
        was, now = old.values.get(name), new.values.get(name)
        if was != now:
            scope.breach(CHANGED, f"{name}={now}", f"{was}, as before", line=new.line)
    if old.init != new.init:
        scope.breach(CHANGED, f"initialisation {new.init[0]}", f"{old.init[0]}, as before", line=new.line)
    if old.timescale != new.timescale:
        scope.breach(CHANGED, f"timescale={new.timescale}", f"{old.timescale}, as before", line=new.addressing.line)
        return False
    if old.offset != new.offset:
        scope.breach(OFFSET, new.offset, f"{old.offset}, as before", line=new.addressing.line)
        return False
    return old.exact and new.exact


def _check_rows(before: tuple[Mpd, Representation], after: tuple[Mpd, Representation], now: Fraction | None, scope: Scope) -> int:
    """Compares what both list; returns how many segments are new."""
    old, new = before[1].rows, after[1].rows
    if not len(old):
        return len(new)
    if not len(new):
        scope.breach(REMOVED, "no segment any more", f"up to {int(old.time[-1])}", line=after[1].line)
        return 0
    edge = int(old.end[-1])
    kept, listed = old.select(old.time >= new.time[0]), new.select(new.time < edge)
    missing, extra = kept.select(~np.isin(kept.time, listed.time)), listed.select(~np.isin(listed.time, kept.time))
    if len(missing) and len(extra):
        found, line = f"{int(extra.time[0])} and {len(extra) - 1} more that were not listed", int(extra.line[0])
        scope.breach(SEGMENT, found, f"{int(missing.time[0])}, as before", line=line)
    elif len(missing):
        found = f"{len(missing)} segments are gone, the first at {int(missing.time[0])}"
        scope.breach(REMOVED, found, f"those from {int(new.time[0])} on stay", line=int(new.line[-1]))
    elif len(extra) and len(kept):
        scope.breach(
            INSERTED, f"{len(extra)} segments, the first at {int(extra.time[0])}", f"new ones from {edge} on", line=int(extra.line[0])
        )
    elif len(extra):
        scope.breach(SEGMENT, f"it starts again at {int(extra.time[0])}", f"from {edge} on", line=int(extra.line[0]))
    else:
        _check_lasting(before[1], after[1], scope)
        _check_expired(before, after, now, scope)
    return int((new.time >= edge).sum())


def _check_lasting(old: Representation, new: Representation, scope: Scope) -> None:
    """Durations and URLs of what both list."""
    first = int(np.searchsorted(old.rows.time, int(new.rows.time[0])))
    count = min(len(old.rows) - first, len(new.rows))
    if count <= 0:
        return
    was, now = old.rows.select(np.arange(first, first + count)), new.rows.select(np.arange(count))
    differs = was.duration != now.duration
    if first + count == len(old.rows) and count < len(new.rows) and now.end[-1] == new.rows.time[count]:
        # The newest of the last copy goes up to the next one: a timeline has no holes. More than a frame or two has to be told.
        more, told = int(now.duration[-1] - was.duration[-1]), int(now.missing[-1])
        differs[-1] &= not (0 < more < new.timescale * SHORT_HOLE or 0 < more == told)
    for n in differs.nonzero()[0][:1]:
        found = f"{int(now.time[n])} lasts {int(now.duration[n])}"
        scope.breach(SEGMENT, found, f"{int(was.duration[n])}, as before", line=int(now.line[n]))
    for n in (0, count - 1):
        if old.url(first + n) != new.url(n):
            found = f"{int(now.time[n])} is {new.url(n)[0]}"
            scope.breach(SEGMENT, found, f"{old.url(first + n)[0]}, as before", line=int(now.line[n]))
            return


def _check_expired(before: tuple[Mpd, Representation], after: tuple[Mpd, Representation], now: Fraction | None, scope: Scope) -> None:
    """What was removed from the head had left the window."""
    (mpd, old), (ours, new) = before, after
    depth = ours.duration("timeShiftBufferDepth") or mpd.duration("timeShiftBufferDepth")
    gone = old.rows.select(old.rows.time < new.rows.time[0])
    if not len(gone) or now is None or depth is None or mpd.date("availabilityStartTime") is None:
        return
    left = mpd.available(old, int(gone.end[-1])) - (now - depth)
    # Segments that end at the edge of the window while the answer travels are nobody's fault.
    slack = Fraction(int(gone.duration.max()), old.timescale) + 1
    if left > slack:
        found = f"{int(gone.time[-1])} is gone {float(left):.1f} s before it leaves the window"
        scope.breach(REMOVED, found, f"segments of the last {float(depth):g} s", line=int(new.rows.line[0]))
