"""Rules on one copy of an MPD (ISO/IEC 23009-1 5.3, and 8.4 for the live profile).

In: an `Mpd`. Out: findings. Never: another copy, a clock, or media.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np

from pypackager.check.dash.mpd import Mpd, Period, Representation
from pypackager.check.dash.resolve import label_of
from pypackager.check.dash.tree import Node
from pypackager.check.finding import Scope
from pypackager.check.rules import Rule, rule

DYNAMIC = rule(
    "DASH-DYNAMIC", "error", "ISO 23009-1 5.3.1.2", "a dynamic MPD has @availabilityStartTime and @publishTime",
    example='type="dynamic" without @availabilityStartTime',
)  # fmt: skip
STATIC = rule(
    "DASH-STATIC", "error", "ISO 23009-1 5.3.1.2", "a static MPD has no @minimumUpdatePeriod: it does not change",
    example='type="static" with minimumUpdatePeriod="PT2S"',
)  # fmt: skip
LENGTH = rule(
    "DASH-LENGTH-MISSING", "error", "ISO 23009-1 5.3.1.2", "an MPD without @minimumUpdatePeriod says how long the presentation is",
    example="a static MPD with neither @mediaPresentationDuration nor a last Period@duration",
)  # fmt: skip
LASTS = rule(
    "DASH-LENGTH", "error", "DASH-IF Timing Model, Presentation timing characteristics",
    "a presentation of fixed length is as long as its segments, to half a segment",
    example='mediaPresentationDuration="PT60S" over 12 s of segments',
    verified=True,
)  # fmt: skip
PERIOD_START = rule(
    "DASH-PERIOD-START", "error", "ISO 23009-1 5.3.2.1", "the start of each Period is known, and not before the start of the one before it",
    example="a second Period without @start behind one without @duration",
)  # fmt: skip
PERIOD_ID = rule(
    "DASH-PERIOD-ID", "error", "ISO 23009-1 5.3.2.2", "each Period of a dynamic MPD has an id, and no two have the same",
    example='two Periods id="1"',
)  # fmt: skip
IDS = rule(
    "DASH-ID", "error", "ISO 23009-1 5.3.3.2, 5.3.5.2", "ids of AdaptationSets and of Representations are given once in a Period",
    example='two Representations id="v1"',
)  # fmt: skip
EMPTY = rule(
    "DASH-EMPTY", "error", "ISO 23009-1 5.3.2.1", "a Period that lasts has AdaptationSets, and each of them a Representation",
    example="an AdaptationSet without a Representation",
)  # fmt: skip
MIME = rule(
    "DASH-MIME", "error", "ISO 23009-1 5.3.7.2", "each Representation has a media type, own or its AdaptationSet's",
    example="neither AdaptationSet@mimeType nor Representation@mimeType",
)  # fmt: skip
LONGEST = rule(
    "DASH-MAX-SEGMENT", "error", "ISO 23009-1 5.3.1.2", "no segment is longer than @maxSegmentDuration",
    example='a segment of 3 s under maxSegmentDuration="PT2S"',
)  # fmt: skip
OUTSIDE = rule(
    "DASH-OUTSIDE-PERIOD", "error", "DASH-IF Timing Model, Alignment of periods and representations",
    "no listed segment lies wholly before or behind its Period",
    example="a @presentationTimeOffset that is a minute too large", verified=True,
)  # fmt: skip
TEMPLATES = rule(
    "DASH-LIVE-TEMPLATE", "error", "ISO 23009-1 8.4.2", "in the live profile each Representation has a SegmentTemplate with @media",
    example="SegmentList under urn:mpeg:dash:profile:isoff-live:2011",
)  # fmt: skip
ALIGNMENT = rule(
    "DASH-ALIGNMENT", "error", "ISO 23009-1 5.3.3.2",
    "under @segmentAlignment the segments of all Representations of a set have the same times",
    example='segmentAlignment="true" over GOPs of 2 s and of 4 s',
)  # fmt: skip
RANGES = rule(
    "DASH-RANGE", "error", "ISO 23009-1 5.3.3.2", "values of a Representation lie between the minima and maxima of its AdaptationSet",
    example='maxWidth="1280" over a Representation of width 1920',
)  # fmt: skip
DELAY = rule(
    "DASH-DELAY", "error", "DASH-IF Timing Model, Presentation delay", "@suggestedPresentationDelay is shorter than @timeShiftBufferDepth",
    example='suggestedPresentationDelay="PT30S" in a window of 20 s', verified=True,
)  # fmt: skip
UPDATES = rule(
    "DASH-UPDATE-PERIOD", "warning", "DASH-IF Timing Model, MPD snapshot validity",
    "an MPD that lists finished segments is asked for at least as often as they come",
    example='minimumUpdatePeriod="PT30S" over segments of 2 s', verified=True,
)  # fmt: skip
MIXED = rule(
    "DASH-MIXED-CONTENT", "warning", "ISO 23009-1 5.6", "an MPD that came over https names no segments over http",
    example="https://origin/a.mpd with BaseURL http://origin/a/",
)  # fmt: skip

LIVE = "urn:mpeg:dash:profile:isoff-live:2011"
_RANGED = (("bandwidth", "Bandwidth"), ("width", "Width"), ("height", "Height"))


def check_copy(mpd: Mpd, scope: Scope) -> None:
    """Checks an MPD by itself."""
    _check_type(mpd, scope)
    _check_periods(mpd, scope)
    for period in mpd.periods:
        _check_period(period, scope)
    for representation in mpd.representations:
        _check_representation(mpd, representation, scope.at(track=track_label(representation)))
    for period in mpd.periods:
        for group in period.sets:
            _check_alignment([each for each in period.representations if each.set is group], scope)
    _check_length(mpd, scope)


def track_label(representation: Representation) -> str:
    """What a Representation is called in findings."""
    return label_of(representation.id, representation.set, representation.node)


def profiles_of(mpd: Mpd) -> set[str]:
    """@profiles, one by one."""
    return {part.strip() for part in mpd.node.values.get("profiles", "").split(",")}


def _check_type(mpd: Mpd, scope: Scope) -> None:
    values, line = mpd.node.values, mpd.node.line
    update = mpd.duration("minimumUpdatePeriod")
    if mpd.dynamic:
        for name in ("availabilityStartTime", "publishTime"):
            if name not in values:
                scope.breach(DYNAMIC, f"no @{name}", f"@{name}", line=line)
    elif update is not None:
        scope.breach(STATIC, f"minimumUpdatePeriod={values['minimumUpdatePeriod']}", "none", line=line)
    last = mpd.periods[-1] if mpd.periods else None
    if "minimumUpdatePeriod" not in values and last is not None and last.end is None:
        scope.breach(LENGTH, "no length", "@mediaPresentationDuration or Period@duration", line=line)
    delay, depth = mpd.duration("suggestedPresentationDelay"), mpd.duration("timeShiftBufferDepth")
    if delay is not None and depth is not None and delay >= depth:
        scope.breach(DELAY, f"{float(delay):g} s in a window of {float(depth):g} s", "a shorter delay", line=line)
    listed = [each for each in mpd.representations if each.addressing.child("SegmentTimeline") is not None and len(each.rows)]
    if mpd.dynamic and update is not None and listed:
        longest = max(Fraction(int(each.rows.duration.max()), each.timescale) for each in listed)
        if update > longest:
            scope.breach(UPDATES, f"asked for every {float(update):g} s", f"{float(longest):g} s, as long as a segment", line=line)


def _check_periods(mpd: Mpd, scope: Scope) -> None:
    latest = Fraction(0)
    for period in mpd.periods:
        if period.start is None:
            scope.breach(PERIOD_START, "a Period whose start is not known", "@start, or @duration before it", line=period.node.line)
        elif period.start < latest:
            scope.breach(PERIOD_START, f"{float(period.start):g} s", f"at least {float(latest):g} s", line=period.node.line)
        latest = max(latest, period.start or latest)
        if mpd.dynamic and not period.id:
            scope.breach(PERIOD_ID, "a Period without id", "an id", line=period.node.line)
    _check_unique([(period.id, period.node) for period in mpd.periods], "Period", PERIOD_ID, scope)


def _check_unique(named: list[tuple[str, Node]], what: str, broken: Rule, scope: Scope) -> None:
    counts = Counter(name for name, _ in named if name)
    for name, count in counts.items():
        if count > 1:
            line = [node.line for other, node in named if other == name][1]
            scope.breach(broken, f"{count} of {what} id={name}", "one", line=line)


def _check_period(period: Period, scope: Scope) -> None:
    if not period.sets and not (period.end is not None and period.end == period.start):
        scope.breach(EMPTY, "a Period without AdaptationSet", "one at least", line=period.node.line)
    _check_unique([(group.values.get("id", ""), group) for group in period.sets], "AdaptationSet", IDS, scope)
    _check_unique([(each.id, each.node) for each in period.representations], "Representation", IDS, scope)
    for group in period.sets:
        if group.first("Representation") is None:
            scope.breach(EMPTY, "an AdaptationSet without Representation", "one at least", line=group.line)


def _check_representation(mpd: Mpd, representation: Representation, scope: Scope) -> None:
    line, values, addressing = representation.line, representation.values, representation.addressing
    if "mimeType" not in values:
        scope.breach(MIME, "no @mimeType", "@mimeType", line=line)
    if LIVE in profiles_of(mpd) and addressing.kind and not (addressing.kind == "SegmentTemplate" and "media" in addressing.values):
        scope.breach(TEMPLATES, f"{addressing.kind} without @media", "SegmentTemplate@media", line=line)
    for name, suffix in _RANGED:
        value = representation.node.number(name)
        for bound, sign in ((f"min{suffix}", -1), (f"max{suffix}", 1)):
            limit = representation.set.number(bound)
            if value is not None and limit is not None and sign * value > sign * limit:
                scope.breach(RANGES, f"{name}={value} under {bound}={limit}", "a value inside", line=line)
    url = representation.url(0)[0] if len(representation.rows) else representation.init[0]
    if mpd.url.startswith("https:") and url.startswith("http:"):
        scope.breach(MIXED, url, "https", line=line)
    _check_rows(mpd, representation, scope)


def _check_rows(mpd: Mpd, representation: Representation, scope: Scope) -> None:
    rows, scale, period = representation.rows, representation.timescale, representation.period
    if not len(rows):
        return
    longest = mpd.duration("maxSegmentDuration")
    if longest is not None:
        # Rounded to what people write: a tenth of a second.
        for row in (rows.duration > int((longest + Fraction(1, 20)) * scale)).nonzero()[0][:1]:
            found = f"{int(rows.duration[row]) / scale:g} s at {int(rows.time[row])}"
            scope.breach(LONGEST, found, f"at most {float(longest):g} s", line=int(rows.line[row]))
    if period.start is None:
        return
    # Encoders' clocks are not the manifest's: a millisecond outside is on the edge.
    edge = scale // 1000
    before, behind = rows.end <= representation.offset - edge, np.zeros(len(rows), np.bool_)
    if period.end is not None:
        behind = rows.time >= representation.offset + int((period.end - period.start) * scale) + edge
    for outside, where in ((before, "before"), (behind, "behind")):
        which = outside.nonzero()[0]
        if len(which):
            row = int(which[0])
            found = f"{len(which)} segments {where} the Period, the first at {int(rows.time[row])}"
            bounds = f"from {representation.offset}" if where == "before" else f"up to {float(period.end or 0):g} s"
            scope.breach(OUTSIDE, found, f"segments {bounds}", line=int(rows.line[row]))


def _check_alignment(members: list[Representation], scope: Scope) -> None:
    timed = [each for each in members if each.exact and len(each.rows)]
    if len(timed) < 2 or timed[0].set.values.get("segmentAlignment") not in ("true", "1"):
        return
    first = timed[0]
    # Aligned are segments that do not overlap others' neighbours: the newest and the last one may end as they like.
    starts = [{Fraction(int(tick) - each.offset, each.timescale) for tick in each.rows.time} for each in timed]
    for each, ours in zip(timed[1:], starts[1:], strict=True):
        begin, end = max(min(starts[0]), min(ours)), min(max(starts[0]), max(ours))
        # What is said to be missing of one keeps its place.
        odd = sorted(start for start in starts[0] ^ ours if begin <= start <= end and not _misses(first if start in ours else each, start))
        if odd:
            found = f"{len(odd)} segments do not start with {first.id}'s, the first at {float(odd[0]):g} s"
            scope.at(track=track_label(each)).breach(ALIGNMENT, found, "the same times", line=each.line)


def _misses(representation: Representation, start: Fraction) -> bool:
    """Whether it is said to have no media at a time of its Period."""
    rows, tick = representation.rows, start * representation.timescale + representation.offset
    row = int(np.searchsorted(rows.time, int(tick), side="right")) - 1
    return row >= 0 and int(rows.end[row] - rows.missing[row]) <= tick < int(rows.end[row])


def _check_length(mpd: Mpd, scope: Scope) -> None:
    """The last Period of fixed length is full of segments, and no segments lie behind it."""
    last = mpd.periods[-1] if mpd.periods else None
    if last is None or last.end is None or mpd.dynamic:
        return
    ends = [(each.presentation_time(int(each.rows.end.max())), each) for each in last.representations if each.exact and len(each.rows)]
    if not ends:
        return
    latest, which = max(ends, key=lambda pair: pair[0])
    slack = Fraction(int(which.rows.duration.max()), which.timescale) / 2
    if abs(latest - last.end) > slack:
        found = f"the presentation ends at {float(last.end):g} s, its segments at {float(latest):g} s"
        scope.breach(LASTS, found, "the same", line=mpd.node.line)
