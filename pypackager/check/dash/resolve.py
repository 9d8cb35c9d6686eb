"""Makes an `Mpd` of a tree: periods get their times, Representations what they inherit, timelines their rows.

In: a tree, the URL it came from, and UTC. Out: an `Mpd`; findings of the rules on addressing. Never: a second copy.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from pypackager.check.dash.mpd import Addressing, Mpd, Period, Representation, time_offset
from pypackager.check.dash.template import fault_in, identifiers
from pypackager.check.dash.timeline import LARGEST, SAFE, Rows, constant_rows, read_missing, read_timeline
from pypackager.check.dash.tree import Node
from pypackager.check.dash.values import parse_duration, parse_range
from pypackager.check.finding import Scope
from pypackager.check.references import resolve_reference
from pypackager.check.rules import rule

ADDRESSING = rule(
    "DASH-ADDRESSING", "error", "ISO 23009-1 5.3.9.1",
    "a Representation has one of SegmentBase, SegmentList and SegmentTemplate, own or inherited",
    example="a Representation with SegmentList in an AdaptationSet with SegmentTemplate",
)  # fmt: skip
LENGTHS = rule(
    "DASH-SEGMENT-TIMES", "error", "ISO 23009-1 5.3.9.2.1",
    "segments of a list or a template have @duration or a SegmentTimeline, not both",
    example="SegmentTemplate with @media alone",
)  # fmt: skip
TEMPLATE = rule(
    "DASH-TEMPLATE", "error", "ISO 23009-1 5.3.9.4.4",
    "a template has known identifiers; @media one that differs per segment, @initialization none",
    example='initialization="$Number$.mp4"',
)  # fmt: skip
TIMESCALE = rule(
    "DASH-TIMESCALE", "error", "ISO 23009-1 5.3.9.2.2", "a timescale is above 0",
    example='timescale="0"',
)  # fmt: skip
URLS = rule(
    "DASH-LIST-LENGTH", "error", "ISO 23009-1 5.3.9.3",
    "a SegmentList with a SegmentTimeline has as many SegmentURL as the timeline has segments",
    example="5 SegmentURL under a timeline of 6 segments",
)  # fmt: skip

_KINDS = ("SegmentTemplate", "SegmentList", "SegmentBase")


def resolve(root: Node, url: str, now: Fraction, scope: Scope) -> Mpd:
    """Resolves an MPD.

    Args:
        root: Its tree.
        url: Where it came from.
        now: Seconds UTC: segments that are listed by a rule (`@duration`) exist up to now.
        scope: Where to report.
    """
    base = _base(url, root)
    mpd = Mpd(url, root)
    nodes = root.all("Period")
    before: Period | None = None
    for node in nodes:
        before = Period(node.values.get("id", ""), node, _start(node, before, mpd), None)
        before.end = _own_end(before)
        mpd.periods.append(before)
    for period, following in zip(mpd.periods, [*mpd.periods[1:], None], strict=False):
        # An announced Period ends where the next one starts (5.3.2.1).
        if following is not None and following.start is not None:
            period.end = following.start if period.end is None else min(period.end, following.start)
        elif following is None and period.end is None:
            period.end = mpd.duration("mediaPresentationDuration")
    for period in mpd.periods:
        for group in period.sets:
            for node in group.all("Representation"):
                mpd_scope = scope.at(track=label_of(node.values.get("id", ""), group, node))
                period.representations.append(_representation(mpd, period, group, node, base, now, mpd_scope))
    return mpd


def label_of(name: str, group: Node, node: Node) -> str:
    """What a Representation is called in findings."""
    values = {**group.values, **node.values}
    kind = values.get("contentType") or values.get("mimeType", "").partition("/")[0]
    return name if name.startswith(kind) else f"{kind} {name}"


def _start(node: Node, before: Period | None, mpd: Mpd) -> Fraction | None:
    text = node.valid("start")
    if text is not None:
        return parse_duration(text)
    if before is None:
        return None if mpd.dynamic else Fraction(0)
    return before.end


def _own_end(period: Period) -> Fraction | None:
    text = period.node.valid("duration")
    length = parse_duration(text) if text is not None else None
    return period.start + length if period.start is not None and length is not None else None


def _base(url: str, node: Node) -> str:
    """A base URL; of several the first, as a player that has no reason to change would take it (5.6.4)."""
    element = node.first("BaseURL")
    return resolve_reference(url, element.text) if element is not None else url


def _representation(mpd: Mpd, period: Period, group: Node, node: Node, base: str, now: Fraction, scope: Scope) -> Representation:
    chain = (period.node, group, node)
    for level in chain:
        base = _base(base, level)
    representation = Representation(node.values.get("id", ""), node, group, period, base, _addressing(chain, node, scope))
    addressing = representation.addressing
    if addressing.number("timescale", 1) == 0:
        scope.breach(TIMESCALE, 0, "above 0", line=addressing.line)
        return representation
    if representation.offset >= LARGEST:
        scope.breach(SAFE, representation.offset, "an offset that times can have", line=addressing.line)
        return representation
    if addressing.kind == "SegmentTemplate":
        _check_template(addressing, scope)
    if addressing.kind in ("SegmentTemplate", "SegmentList"):
        representation.rows = _rows(mpd, representation, now, scope)
    if addressing.kind == "SegmentList":
        _read_list(representation, scope)
    return representation


def _addressing(chain: tuple[Node, ...], node: Node, scope: Scope) -> Addressing:
    present = [kind for kind in _KINDS if any(level.first(kind) is not None for level in chain)]
    if len(present) != 1:
        scope.breach(ADDRESSING, " and ".join(present) or "none", f"one of {', '.join(_KINDS)}", line=node.line)
    if not present:
        return Addressing()
    kind = next(kind for level in reversed(chain) for kind in _KINDS if level.first(kind) is not None)
    nodes = [child for level in chain if (child := level.first(kind)) is not None]
    values: dict[str, str] = {}
    for level in nodes:
        values |= level.values
    return Addressing(kind, values, nodes)


def _check_template(addressing: Addressing, scope: Scope) -> None:
    media, init = addressing.values.get("media", ""), addressing.values.get("initialization", "")
    for name, template in (("media", media), ("initialization", init)):
        if (fault := fault_in(template)) is not None:
            scope.breach(TEMPLATE, f"{fault} in @{name}", "$RepresentationID$, $Number$, $Time$, $Bandwidth$", line=addressing.line)
    changing = {"Number", "Time"}
    if not identifiers(media) & changing:
        scope.breach(TEMPLATE, f'media="{media}"', "$Number$ or $Time$ in it", line=addressing.line)
    if identifiers(init) & changing:
        scope.breach(TEMPLATE, f'initialization="{init}"', "neither $Number$ nor $Time$", line=addressing.line)


def _rows(mpd: Mpd, representation: Representation, now: Fraction, scope: Scope) -> Rows:
    addressing, period = representation.addressing, representation.period
    timeline, duration = addressing.child("SegmentTimeline"), addressing.number("duration", 0)
    urls = _segment_urls(addressing)
    single = addressing.kind == "SegmentList" and len(urls) == 1
    if (timeline is None) == (not duration) and not (single and timeline is None):
        scope.breach(LENGTHS, "both" if duration else "neither", "@duration or SegmentTimeline", line=addressing.line)
    first, scale = addressing.number("startNumber", 1), representation.timescale
    if timeline is not None:
        limit = period.end if period.end is not None or not mpd.dynamic else _reached(mpd, representation, now)
        until = None
        if limit is not None and period.start is not None:
            until = representation.offset + int((limit - period.start) * scale)
        rows = read_timeline(timeline, first, until, scope)
        if (failover := addressing.child("FailoverContent")) is not None:
            read_missing(failover, rows, scope)
        return rows
    representation.exact = False
    if addressing.kind == "SegmentList":
        length = duration or (int((period.end - (period.start or 0)) * scale) if period.end is not None else 0)
        span = Fraction(0), Fraction(max(1, length) * len(urls))
        return _moved(constant_rows(max(1, length), first, span, addressing.line, scope), representation)
    if "Time" in identifiers(addressing.values.get("media", "")):
        scope.breach(TEMPLATE, "$Time$ without a SegmentTimeline", "$Number$, or a SegmentTimeline", line=addressing.line)
        return Rows()
    if not duration or period.start is None:
        return Rows()
    return _moved(constant_rows(duration, first, _span(mpd, representation, now), addressing.line, scope), representation)


def _moved(rows: Rows, representation: Representation) -> Rows:
    """Rows whose times count from the start of the Period, on the track's own timeline."""
    return Rows(rows.number, rows.time + representation.offset, rows.duration, rows.line)


def _span(mpd: Mpd, representation: Representation, now: Fraction) -> tuple[Fraction, Fraction]:
    """Ticks behind the start of the Period between which the ends of segments lie that exist now (5.3.9.5.3)."""
    period, scale = representation.period, representation.timescale
    start = period.start or Fraction(0)
    duration = representation.addressing.number("duration", 0)
    whole = None
    if period.end is not None:
        # The last segment may be shorter than the others.
        whole = Fraction(-(-(period.end - start) * scale // duration) * duration)
    if not mpd.dynamic:
        return Fraction(0), whole or Fraction(0)
    reached = _reached(mpd, representation, now) or start
    depth = mpd.duration("timeShiftBufferDepth")
    first = Fraction(0) if depth is None else max(Fraction(0), (reached - depth - start) * scale)
    last = (reached - start) * scale
    return first, last if whole is None else min(whole, last)


def _reached(mpd: Mpd, representation: Representation, now: Fraction) -> Fraction | None:
    """The presentation time up to which segments exist now."""
    started = mpd.date("availabilityStartTime")
    return now - started + min(time_offset(mpd, representation), Fraction(3600)) if started is not None else None


def _segment_urls(addressing: Addressing) -> list[Node]:
    """Those of the closest SegmentList that has any."""
    none: list[Node] = []
    return next((urls for node in reversed(addressing.nodes) if (urls := node.all("SegmentURL"))), none)


def _read_list(representation: Representation, scope: Scope) -> None:
    urls = _segment_urls(representation.addressing)
    if len(urls) != len(representation.rows):
        found = f"{len(urls)} SegmentURL for {len(representation.rows)} segments"
        scope.breach(URLS, found, "as many", line=representation.addressing.line)
        representation.rows = representation.rows.select(np.arange(min(len(urls), len(representation.rows))))
    for node in urls:
        representation.ranges.append(
            (resolve_reference(representation.base, node.values.get("media", "")), parse_range(node.values.get("mediaRange", "")))
        )
