"""Rows as runs of equal duration: a SegmentTimeline, the chunks of a StreamIndex, a fragment run table.

In: the rows of a track. Out: slices of rendered runs. Never: a format; that is the element's business.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from pypackager.model.presentation import TrackWindow
from pypackager.model.records import FLAG_GAP
from pypackager.packaging.chunks import Chunks
from pypackager.packaging.rows import BLOCK, Piece, Strip

GAPS_TO_A_SECOND = 10
"""A hole that is shorter than such a part of a second is a frame or two that was left out; a longer one is a gap."""


class Run(msgspec.Struct, frozen=True, gc=False):
    """Consecutive rows of equal duration without a hole between."""

    row: int
    """Absolute number of the first."""
    time: int
    duration: int
    count: int
    joined: bool
    """It starts where the run before it ends, in the same period."""
    due: int
    """Absolute number of the row behind the run before it: others are not listed between them."""


Element = Callable[[Run, bool], bytes]
"""Renders a run, and says whether it is the first of its list: then it has to state its time."""

Gap = Callable[[int, int], bytes]
"""Renders a hole that a row lasts over: its time and its duration."""


Rows = TrackWindow | Chunks
"""Parallel columns; row `i` is number `first + i`."""


Clock = Callable[[Any, Any, int], tuple[Any, Any]]
"""Time and duration in a list, of a stored time and duration in ticks of a timescale; of integers as of whole columns."""


def ticks(time: Any, duration: Any, timescale: int) -> tuple[Any, Any]:  # noqa: ARG001 -- one signature for all clocks
    """Stored times as they are."""
    return time, duration


class RunStrip:
    """Rows of one track as runs: a SegmentTimeline, the chunks of a StreamIndex, a fragment run table.

    Runs end where the duration changes, at holes and at periods. All but the last are closed, and rendered.

    Args:
        start: absolute number of the first row.
        element: renders a run.
        bridges: a row in front of a hole lasts up to the next row of its period, gaps between them or not. A run begins with it, so that
            the text is the same whether the next row was known or not. The last row of a slice lasts as long as its media.
        gap: renders what rows last longer than their media, where that is more than a frame or two; None: nobody asks.
    """

    def __init__(self, start: int, element: Element, *, bridges: bool = False, gap: Gap | None = None) -> None:
        self._strip, self._gaps = Strip(start), Strip(start)
        self._element, self._gap = element, gap
        self._bridges = bridges
        # Of all runs, the open one at the end included: audio that is cut at video edges has thirty thousand in 25 hours.
        self._rows, self._times, self._durations, self._counts = array("q"), array("q"), array("q"), array("q")
        self._holes = array("q")
        """By how much the first row of a run lasts longer than its media."""
        self._gap_rows, self._gap_lasts = array("q"), array("q")
        """The rows in front of gaps, and how long they last with these."""
        self._joined = bytearray()

    def _run(self, index: int) -> Run:
        row, before = self._rows[index], index - 1 if index >= 0 else len(self._rows) + index - 1
        due = self._rows[before] + self._counts[before] if before >= 0 else row
        return Run(row, self._times[index], self._durations[index], self._counts[index], bool(self._joined[index]), due)

    @property
    def start(self) -> int:
        """First absolute row that was fed."""
        return self._strip.start

    @property
    def end(self) -> int:
        """First absolute row that was not fed yet."""
        return self._strip.end

    def feed(self, track: Rows, clock: Clock, stop: int, *, gaps: bool = False) -> None:
        """Takes the rows up to the absolute row `stop`.

        Args:
            track: the rows.
            clock: what their times are in the list.
            stop: absolute row behind the last one.
            gaps: they are listed too.
        """
        start = self._strip.end
        if start >= stop:
            return
        first, last = start - track.first, stop - track.first
        if self._rows:
            self._feed_rows(track, clock, first, last, gaps=gaps)
        else:
            self._feed_window(track, clock, first, last, gaps=gaps)
        self._strip.end = self._gaps.end = stop

    def _feed_rows(self, track: Rows, clock: Clock, first: int, last: int, *, gaps: bool) -> None:
        """Row by row: what came since the last version."""
        for row in range(first, last):
            if int(track.flags[row]) & FLAG_GAP and not gaps:
                continue
            time, duration = clock(int(track.time[row]), int(track.duration[row]), track.info.timescale)
            number, run = track.first + row, self._run(-1)
            before = run.row + run.count - 1 - track.first
            # The last listed row is in the window, or left it; then nobody lists both, and what is said of that one is not told any more.
            same_period = row > 0 and int(track.period[row]) == int(track.period[max(before, 0)])
            adjacent = before + 1 == row
            hole = time - run.time - run.count * run.duration
            if self._bridges and same_period and hole > 0:
                self._bridge(run, hole, track.info.timescale)
                run, hole = self._run(-1), 0
            joined = same_period and (adjacent or self._bridges) and not hole
            if joined and adjacent and run.duration == duration:
                self._counts[-1] += 1
            else:
                self._append(number, time, duration, 1, joined)

    def _feed_window(self, track: Rows, clock: Clock, first: int, last: int, *, gaps: bool) -> None:
        """All rows at once: a window that was not asked for before may have tens of thousands."""
        listed = np.arange(last - first)
        if not gaps:
            listed = listed[(track.flags[first:last] & FLAG_GAP) == 0]
        if not len(listed):
            return
        times, durations, periods = (column[first:last][listed] for column in (track.time, track.duration, track.period))
        times, durations = clock(times, durations, track.info.timescale)
        rows = listed + first
        same_period, adjacent = np.diff(periods) == 0, np.diff(rows) == 1
        holes = times[1:] - times[:-1] - durations[:-1]
        bridged = same_period & (holes > 0) & self._bridges
        longer = np.append(holes * bridged, 0)
        durations = durations + longer
        joined = same_period & (adjacent | self._bridges) & ((holes == 0) | bridged)
        breaks = np.flatnonzero(~(joined & adjacent & (np.diff(durations) == 0)) | (longer[1:] > 0)) + 1
        begins = np.concatenate([[0], breaks])
        counts = np.diff(np.concatenate([begins, [len(rows)]]))
        goes_on = np.concatenate([[False], joined])[begins]
        columns = ((rows[begins] + track.first), times[begins], durations[begins], counts, goes_on, longer[begins])
        for values in zip(*(column.tolist() for column in columns), strict=True):
            self._append(*values)
        for row in np.flatnonzero(longer).tolist():
            self._note(int(rows[row]) + track.first, int(times[row]), int(durations[row]), int(longer[row]), track.info.timescale)

    def _bridge(self, run: Run, hole: int, timescale: int) -> None:
        """The last row lasts longer by a hole."""
        if run.count > 1:
            self._counts[-1] -= 1
            self._append(run.row + run.count - 1, run.time + (run.count - 1) * run.duration, run.duration, 1, joined=True)
        self._durations[-1] += hole
        self._holes[-1] = hole
        self._note(self._rows[-1], self._times[-1], self._durations[-1], hole, timescale)

    def _note(self, row: int, time: int, duration: int, hole: int, timescale: int) -> None:
        """A row lasts over a hole."""
        if self._gap is not None and GAPS_TO_A_SECOND * hole >= timescale:
            self._gaps.append(row, self._gap(time + duration - hole, hole))
            self._gap_rows.append(row)
            self._gap_lasts.append(duration)

    def _append(self, row: int, time: int, duration: int, count: int, joined: int, hole: int = 0) -> None:
        if self._rows:
            last = self._run(-1)
            self._strip.append(last.row, self._element(last, False))
        self._rows.append(row)
        self._times.append(time)
        self._durations.append(duration)
        self._counts.append(count)
        self._joined.append(joined)
        self._holes.append(hole)

    def slice(self, start: int, stop: int) -> Iterator[Piece]:
        """The rendered runs of the absolute rows [start, stop)."""
        first, last = self._bounds(start, stop)
        if first == last:
            return
        yield self._element(self._last(first, start, stop) if last - first == 1 else _since(self._run(first), start), True)
        if last - first > 1:
            final = self._last(last - 1, start, stop)
            yield from self._strip.slice(self._rows[first + 1], final.row)
            yield self._element(final, False)

    def _last(self, index: int, start: int, stop: int) -> Run:
        """What a slice has of its last run: up to what its last row would be bridged is not listed."""
        run = _until(_since(self._run(index), start), stop)
        alone = run.count == 1 and run.row == self._rows[index]
        return replace(run, duration=run.duration - self._holes[index]) if alone else run

    def gaps(self, start: int, stop: int) -> list[Piece]:
        """The rendered gaps between the absolute rows [start, stop); an empty list where there are none."""
        begin, end = self._gaps_between(start, stop)
        return list(self._gaps.slice(start, self._gap_rows[end - 1] + 1)) if begin < end else []

    def longest(self, start: int, stop: int) -> int:
        """How long a row is listed that has a gap behind it, the longest of the absolute rows [start, stop); 0 where there is no gap."""
        begin, end = self._gaps_between(start, stop)
        return max(self._gap_lasts[begin:end], default=0)

    def _gaps_between(self, start: int, stop: int) -> tuple[int, int]:
        if not self._gap_rows:
            return 0, 0
        first, last = self._bounds(start, stop)
        if first == last:
            return 0, 0
        final = _until(self._run(last - 1), stop)
        return bisect_left(self._gap_rows, start), bisect_left(self._gap_rows, final.row + final.count - 1)

    def runs(self, start: int, stop: int) -> int:
        """How many runs the absolute rows [start, stop) are."""
        first, last = self._bounds(start, stop)
        return last - first

    def count(self, start: int, stop: int) -> int:
        """Listed rows of the absolute rows [start, stop)."""
        first, last = self._bounds(start, stop)
        if first == last:
            return 0
        whole = sum(self._counts[first:last])
        head, tail = self._run(first), self._run(last - 1)
        return whole - (head.count - _since(head, start).count) - (tail.count - _until(tail, stop).count)

    def _bounds(self, start: int, stop: int) -> tuple[int, int]:
        """Indices of the runs with rows in [start, stop)."""
        if start >= stop:
            return 0, 0
        first = bisect_right(self._rows, start) - 1
        if first < 0 or self._rows[first] + self._counts[first] <= start:
            first += 1
        return first, max(first, bisect_left(self._rows, stop))

    def trim(self, row: int) -> None:
        """Forgets what ends before an absolute row, once that is worth the copy."""
        first = bisect_right(self._rows, row) - 1
        if first > BLOCK:
            for column in (self._rows, self._times, self._durations, self._counts, self._joined, self._holes):
                del column[:first]
            gone = bisect_left(self._gap_rows, self._rows[0])
            del self._gap_rows[:gone], self._gap_lasts[:gone]
        self._strip.trim(row)
        self._gaps.trim(row)


def _since(run: Run, start: int) -> Run:
    skip = start - run.row
    return Run(start, run.time + skip * run.duration, run.duration, run.count - skip, joined=False, due=start) if skip > 0 else run


def _until(run: Run, stop: int) -> Run:
    return replace(run, count=min(run.count, stop - run.row))
