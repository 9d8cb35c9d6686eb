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


Rows = TrackWindow | Chunks
"""Parallel columns; row `i` is number `first + i`."""


Clock = Callable[[Any, Any, int], tuple[Any, Any]]
"""Time and duration in a list, of a stored time and duration in ticks of a timescale; of integers as of whole columns."""


def ticks(time: Any, duration: Any, timescale: int) -> tuple[Any, Any]:  # noqa: ARG001 -- one signature for all clocks
    """Stored times as they are."""
    return time, duration


def is_bridged(hole: Any, timescale: int) -> Any:
    """Whether holes, in ticks, are of less than 100 ms: a frame or two that players play over."""
    return (hole > 0) & (10 * hole < timescale)


class RunStrip:
    """Rows of one track as runs: a SegmentTimeline, the chunks of a StreamIndex, a fragment run table.

    Runs end where the duration changes, at holes and at periods. All but the last are closed, and rendered.

    Args:
        start: absolute number of the first row.
        element: renders a run.
        bridges: a row in front of a hole of less than 100 ms lasts up to the next row. A run begins with it, so that the text is the same
            whether the next row was known or not.
    """

    def __init__(self, start: int, element: Element, *, bridges: bool = False) -> None:
        self._strip = Strip(start)
        self._element = element
        self._bridges = bridges
        # Of all runs, the open one at the end included: audio that is cut at video edges has thirty thousand in 25 hours.
        self._rows, self._times, self._durations, self._counts = array("q"), array("q"), array("q"), array("q")
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
        self._strip.end = stop

    def _feed_rows(self, track: Rows, clock: Clock, first: int, last: int, *, gaps: bool) -> None:
        """Row by row: what came since the last version."""
        for row in range(first, last):
            if int(track.flags[row]) & FLAG_GAP and not gaps:
                continue
            time, duration = clock(int(track.time[row]), int(track.duration[row]), track.info.timescale)
            number, run = track.first + row, self._run(-1)
            # The row before this one is in the window or just left it; then it is known by its period's border.
            same_period = row > 0 and int(track.period[row]) == int(track.period[row - 1])
            follows = same_period and run.row + run.count == number
            hole = time - run.time - run.count * run.duration
            if self._bridges and follows and is_bridged(hole, track.info.timescale):
                self._bridge(run, hole)
                run, hole = self._run(-1), 0
            joined = follows and not hole
            if joined and run.duration == duration:
                self._counts[-1] += 1
            else:
                self._append(number, time, duration, 1, joined)

    def _feed_window(self, track: Rows, clock: Clock, first: int, last: int, *, gaps: bool) -> None:
        """All rows at once: a window that was not asked for before may have tens of thousands."""
        rows = np.arange(first, last)
        if not gaps:
            rows = rows[(track.flags[first:last] & FLAG_GAP) == 0]
        if not len(rows):
            return
        times, durations = clock(track.time[rows], track.duration[rows], track.info.timescale)
        periods = track.period[rows]
        follows = (np.diff(rows) == 1) & (np.diff(periods) == 0)
        holes = times[1:] - times[:-1] - durations[:-1]
        bridged = follows & is_bridged(holes, track.info.timescale) & self._bridges
        durations = np.concatenate([durations[:-1] + holes * bridged, durations[-1:]])
        joined = follows & ((holes == 0) | bridged)
        breaks = np.flatnonzero(~(joined & (np.diff(durations) == 0)) | np.append(bridged, values=False)[1:]) + 1
        begins = np.concatenate([[0], breaks])
        counts = np.diff(np.concatenate([begins, [len(rows)]]))
        goes_on = np.concatenate([[False], joined])[begins]
        columns = ((rows[begins] + track.first), times[begins], durations[begins], counts, goes_on)
        for values in zip(*(column.tolist() for column in columns), strict=True):
            self._append(*values)

    def _bridge(self, run: Run, hole: int) -> None:
        """The last row lasts longer by a hole."""
        if run.count > 1:
            self._counts[-1] -= 1
            self._append(run.row + run.count - 1, run.time + (run.count - 1) * run.duration, run.duration, 1, joined=True)
        self._durations[-1] += hole

    def _append(self, row: int, time: int, duration: int, count: int, joined: int) -> None:
        if self._rows:
            last = self._run(-1)
            self._strip.append(last.row, self._element(last, False))
        self._rows.append(row)
        self._times.append(time)
        self._durations.append(duration)
        self._counts.append(count)
        self._joined.append(joined)

    def slice(self, start: int, stop: int) -> Iterator[Piece]:
        """The rendered runs of the absolute rows [start, stop)."""
        first, last = self._bounds(start, stop)
        if first == last:
            return
        yield self._element(_until(_since(self._run(first), start), stop), True)
        if last - first > 1:
            final = self._run(last - 1)
            yield from self._strip.slice(self._rows[first + 1], final.row)
            yield self._element(_until(final, stop), False)

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
            for column in (self._rows, self._times, self._durations, self._counts, self._joined):
                del column[:first]
        self._strip.trim(row)


def _since(run: Run, start: int) -> Run:
    skip = start - run.row
    return Run(start, run.time + skip * run.duration, run.duration, run.count - skip, joined=False, due=start) if skip > 0 else run


def _until(run: Run, stop: int) -> Run:
    return replace(run, count=min(run.count, stop - run.row))
