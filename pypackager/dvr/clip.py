"""Cuts a presentation out of a ledger: which rows a window, a program or a catch-up request shows.

In: a ledger and bounds. Out: a Presentation of read-only views. Never: I/O, a clock, a change to the ledger.

All tracks are cut at one border, a segment start of the reference track (the first video track with rows in the window, else the first
track). A track's border is the segment start of its own that is nearest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pypackager.dvr import lineup
from pypackager.dvr.ledger import Ledger
from pypackager.dvr.track import Track
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.records import FLAG_GAP, FLAG_OPENS

NS = 1_000_000_000
LINGER_NS = 60 * NS
"""What left the window is listed no more and served so much longer: a slow player still asks for what an older playlist named."""
TOGETHER_NS = NS // 10
"""Audio frames do not end where pictures do."""
KEPT_NS = 2 * LINGER_NS
"""Its files are kept longer: an answer that was planned at the last moment finds its bytes."""


class Bounds(msgspec.Struct, frozen=True):
    """Which part of a channel's life a presentation may show."""

    window_ns: int
    """Media time before the newest row's end."""
    start_rows: Mapping[int, int] = {}
    """Absolute row numbers (by track) at which a program started: it begins with the next segment."""
    part: Mapping[int, tuple[int, int]] | None = None
    """Rows [first, end) by track that an excerpt is made of; tracks that are not named are not in it."""
    start_ns: int | None = None
    """Media time that a viewer asks to start from: the segment that holds it is the first."""
    end_ns: int | None = None
    """Media time that a viewer asks to stop at: the segment that holds the instant before it is the last."""


class _Span:
    """The rows [base, top) of a track that bounds allow at all, and the cut [low, high) of them."""

    __slots__ = ("base", "columns", "high", "low", "number", "scale", "started", "top")

    def __init__(self, number: int, track: Track, bounds: Bounds) -> None:
        self.number = number
        self.columns = columns = track.columns
        self.scale = track.info.timescale
        start = bounds.start_rows.get(number, 0)
        self.base = max(columns.first, start)
        self.top = max(columns.end, self.base)
        if bounds.part is not None:
            first, end = bounds.part.get(number, (0, 0))
            self.base = max(self.base, first)
            self.top = max(self.base, min(self.top, end))
        self.low, self.high = self.base, self.top
        # The first row of all opens a segment by definition; one in the middle of life has to say so.
        self.started = 0 < start == self.base

    def end_ns(self) -> int:
        return self.columns.end_at(self.top - 1) * NS // self.scale

    def time_ns(self, row: int) -> int:
        return self.columns.time_at(row) * NS // self.scale

    def reaching(self, time_ns: int) -> int:
        """The first row that ends later than `time_ns`."""
        return min(max(self.columns.first_ending_after(time_ns * self.scale // NS), self.base), self.top)

    def opening(self, row: int) -> int:
        """The first segment start at `row` or later, `top` when there is none."""
        return min(self.columns.next_flagged(row, FLAG_OPENS), self.top)

    def segment_of(self, row: int) -> int:
        """The start of the segment that `row` is in; the next one when that is not here, `top` when there is none."""
        start = self.columns.last_flagged(row, FLAG_OPENS)
        return start if start >= self.base else self.opening(row)

    def border(self, time_ns: int) -> int:
        """The segment start, or the end of what is there, that is nearest to another track's segment start."""
        row = min(max(self.columns.first_from(time_ns * self.scale // NS), self.base), self.top)
        after, before = self.opening(row), self.columns.last_flagged(row - 1, FLAG_OPENS)
        if before < self.base:
            return after
        after_ns = self.time_ns(after) if after < self.top else self.end_ns()
        return before if time_ns - self.time_ns(before) <= after_ns - time_ns else after


def present(
    ledger: Ledger, name: str, bounds: Bounds, *, ended: bool, published_ns: int | None, paths: Mapping[int, str], caches: dict[Any, Any]
) -> Presentation:
    """The presentation that the bounds allow; without tracks when nothing is published in them.

    Args:
        ledger: the channel's state.
        name: name of the presentation.
        bounds: what to show.
        ended: nothing will be added any more.
        published_ns: UTC at which it changed last; None: when the media clock passed the published edge, which every node knows alike.
        paths: absolute paths of blobs.
        caches: scratch space of the presentation's name.
    """
    spans = [span for number, track in sorted(ledger.tracks.items()) if (span := _Span(number, track, bounds)).base < span.top]
    edge_ns = max((span.end_ns() for span in spans), default=0)
    measured = ledger.measured
    interval_ns = measured.interval_ns if measured else 0
    if spans:
        # An excerpt is what it is, unless a viewer asks for less.
        if bounds.part is None or bounds.start_ns is not None:
            _cut_head(ledger, spans, edge_ns - bounds.window_ns, bounds.start_ns)
        if bounds.end_ns is not None:
            _cut_tail(ledger, spans, bounds.end_ns)
    tracks = tuple(_window(ledger.tracks[span.number], span) for span in spans if span.low < span.high)
    shown = {number for track in tracks for number in (int(track.period[0]), int(track.period[-1]))}
    first_ns = min((int(track.time[0]) * NS // track.info.timescale for track in tracks), default=0)
    end_ns = max((int(track.time[-1] + track.duration[-1]) * NS // track.info.timescale for track in tracks), default=0)
    anchor_ns = ledger.anchor_ns or 0
    return Presentation(
        name=name,
        version=ledger.version,
        tracks=tracks,
        signals=ledger.signals.shown(tracks),
        periods=lineup.shown(ledger.periods, range(min(shown), max(shown) + 1), first_ns, end_ns) if shown else (),
        anchor_ns=anchor_ns,
        interval_ns=interval_ns,
        fragments_per_segment=measured.fragments_per_segment if measured else 1,
        target_duration_s=ledger.target_duration_s,
        window_ns=bounds.window_ns,
        ended=ended,
        published_ns=anchor_ns + edge_ns if published_ns is None else published_ns,
        blob_paths=paths,
        caches=caches,
    )


def _reference(ledger: Ledger, spans: list[_Span], low_ns: int) -> _Span:
    """The first video track, else the first track, of those that begin where the window does: one that joined later shows no more of it."""
    live = [span for span in spans if span.end_ns() > low_ns] or spans
    begins = {span.number: max(low_ns, span.time_ns(min(span.reaching(low_ns), span.top - 1))) for span in live}
    early_ns = min(begins.values()) + TOGETHER_NS
    live = [span for span in live if begins[span.number] <= early_ns]
    return next((span for span in live if ledger.tracks[span.number].info.kind == "video"), live[0])


def _cut_head(ledger: Ledger, spans: list[_Span], low_ns: int, start_ns: int | None) -> None:
    reference = _reference(ledger, spans, low_ns)
    row = reference.reaching(low_ns)
    clipped = row > reference.base or reference.columns.first > 0 or reference.started
    if clipped:
        opening = reference.segment_of(row)
        # A window without any segment start is shown from where it begins; a program waits for its first segment.
        row = opening if opening < reference.top or (reference.started and row == reference.base) else row
    if start_ns is not None and (asked := reference.reaching(start_ns)) > row:
        row = max(row, reference.columns.last_flagged(asked, FLAG_OPENS))
        clipped = True
    reference.low = row
    for span in spans:
        if span is reference:
            continue
        if row == reference.top:
            span.low = span.top
        elif clipped:
            span.low = span.border(reference.time_ns(row))
        elif (own := span.reaching(low_ns)) > span.base:
            span.low = span.segment_of(own)


def _cut_tail(ledger: Ledger, spans: list[_Span], end_ns: int) -> None:
    reference = _reference(ledger, spans, end_ns - 1)
    row = reference.columns.first_from(-(-end_ns * reference.scale // NS))
    row = reference.opening(min(max(row, reference.low), reference.top))
    if row == reference.top:
        return
    time_ns = reference.time_ns(row)
    for span in spans:
        span.high = max(span.low, row if span is reference else span.border(time_ns))


def _window(track: Track, span: _Span) -> TrackWindow:
    columns = track.columns
    low, high = span.low, span.high
    # A hole, listed as a gap or between two periods, has no rate.
    ticks = columns.ticks_without(low, high, FLAG_GAP)
    size = columns.size_between(low, high)
    return TrackWindow(
        track.info,
        track.configs,
        low,
        *columns.window(low, high),
        track.peak_bps,
        size * 8 * track.info.timescale // ticks if ticks > 0 else 0,
    )
