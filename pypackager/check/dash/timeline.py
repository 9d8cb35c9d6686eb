"""SegmentTimeline (ISO/IEC 23009-1 5.3.9.6): S elements in, one row per segment out.

Rows are NumPy columns: a window of 25 hours has 45,000 of them per track, and every refresh is compared with the one before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pypackager.check.dash.tree import Node
from pypackager.check.finding import Scope
from pypackager.check.rules import rule

OVERLAP = rule(
    "DASH-TIMELINE-OVERLAP", "error", "ISO 23009-1 5.3.9.6", "an S element does not start before the one before it has ended",
    example='<S t="0" d="100"/><S t="90" d="100"/>',
)  # fmt: skip
HOLE = rule(
    "DASH-TIMELINE-HOLE", "warning", "DASH-IF Timing Model, Referencing media segments",
    "a timeline has no holes, and none that FailoverContent says are in its segments",
    example='<S t="0" d="100"/><S t="300" d="100"/>, or <FCS t="100" d="200"/> under valid="false"', verified=True,
)  # fmt: skip
REPEAT = rule(
    "DASH-TIMELINE-REPEAT", "error", "ISO 23009-1 5.3.9.6", "@d is above 0, and @r below 0 only where the end is known by what follows",
    example='<S t="0" d="0"/>',
)  # fmt: skip
NUMBER = rule(
    "DASH-TIMELINE-NUMBER", "warning", "DASH-IF Timing Model, Explicit addressing", "S@n is not used",
    example='<S n="7" t="0" d="100"/>', verified=True,
)  # fmt: skip
SAFE = rule(
    "DASH-TIME-2-53", "warning", "DASH-IF Timing Model, Large timescales",
    "times stay below 2^53, above which JavaScript has no whole numbers",
    example="a timescale of 10 MHz from 1970 on", verified=True,
)  # fmt: skip

MOST_ROWS = 1 << 20
LARGEST = 1 << 62
"""No tick of a segment is as much: columns have 64 bits."""


@dataclass
class Rows:
    """Segments of one Representation in one Period, in order; times in ticks of its timescale."""

    number: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    time: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    duration: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    line: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    missing: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """How much of each, at its end, is said to have no media."""

    def __post_init__(self) -> None:
        if not len(self.missing):
            self.missing = np.zeros(len(self.time), np.int64)

    def __len__(self) -> int:
        return len(self.time)

    @property
    def end(self) -> NDArray[np.int64]:
        """Where each ends."""
        return self.time + self.duration

    def select(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Rows:
        """Some of them."""
        return Rows(self.number[which], self.time[which], self.duration[which], self.line[which], self.missing[which])


def read_timeline(node: Node, first_number: int, until: int | None, scope: Scope) -> Rows:
    """Reads a timeline.

    Args:
        node: SegmentTimeline.
        first_number: @startNumber.
        until: Tick at which an open repeat (`r="-1"`) of the last element ends; None when that is not known.
        scope: Where to report.
    """
    times, durations, counts, lines = [0], [0], [0], [node.line]
    entries = [entry for entry in node.all("S") if entry.number("d") is not None]
    at = 0
    holes = total = 0
    for n, entry in enumerate(entries):
        duration = entry.number("d") or 0
        stated = entry.number("t")
        if "n" in entry.values:
            scope.breach(NUMBER, f"n={entry.values['n']}", "no @n", line=entry.line)
        if stated is not None and n:
            if stated < at:
                scope.breach(OVERLAP, f"t={stated}", f"at least {at}, where the one before ends", line=entry.line)
            elif stated > at and not holes:
                scope.breach(HOLE, f"t={stated}, {stated - at} ticks behind the end of the one before", at, line=entry.line)
            holes += stated > at
        at = at if stated is None else stated
        count = _count(entry, entries[n + 1] if n + 1 < len(entries) else None, at, duration, until)
        if count is None or not duration:
            found = f"d={duration}" if not duration else f"r={entry.values['r']} without an end"
            scope.breach(REPEAT, found, "a duration above 0 and a known number of segments", line=entry.line)
            continue
        # One that is repeated up to what is past already has no segment, and may be as long as it likes to be.
        if at + duration * max(count, 1) >= LARGEST or total + count > MOST_ROWS:
            scope.breach(REPEAT, f"{count} segments up to {at + duration * count}", f"at most {MOST_ROWS} before 2^62", line=entry.line)
            break
        times.append(at)
        durations.append(duration)
        counts.append(count)
        lines.append(entry.line)
        at += duration * count
        total += count
    if at >= 1 << 53:
        scope.breach(SAFE, at, f"at most {(1 << 53) - 1}", line=lines[-1])
    return _rows(times, durations, counts, lines, first_number)


def _count(entry: Node, following: Node | None, at: int, duration: int, until: int | None) -> int | None:
    repeat = entry.number("r") or 0
    if repeat >= 0:
        return repeat + 1
    end = following.number("t") if following is not None else until
    if end is None or not duration:
        return None
    return max(0, -((at - end) // duration))


def _rows(times: list[int], durations: list[int], counts: list[int], lines: list[int], first_number: int) -> Rows:
    count = np.array(counts, np.int64)
    duration = np.repeat(np.array(durations, np.int64), count)
    total = len(duration)
    place = np.arange(total) - np.repeat(np.cumsum(count) - count, count)
    time = np.repeat(np.array(times, np.int64), count) + place * duration
    return Rows(np.arange(total, dtype=np.int64) + first_number, time, duration, np.repeat(np.array(lines, np.int64), count))


def read_missing(node: Node, rows: Rows, scope: Scope) -> None:
    """Notes in rows what has no media (ISO/IEC 23009-1:2022 5.3.9.2).

    A section that covers a segment from its beginning says nothing of how long it lasts, and is passed over.

    Args:
        node: FailoverContent.
        rows: Of its timeline.
        scope: Where to report.
    """
    if node.values.get("valid", "true") not in ("false", "0"):
        return
    told = False
    for section in node.all("FCS"):
        time, duration = section.number("t"), section.number("d")
        row = int(np.searchsorted(rows.time, time)) - 1 if time is not None and time < LARGEST else -1
        if time is None or row < 0 or time >= rows.end[row]:
            continue
        if duration is None or time + duration >= rows.end[row]:
            rows.missing[row] = rows.end[row] - time
            if not told:
                scope.breach(HOLE, f"no media from {time} to {int(rows.end[row])}", "media up to the next segment", line=section.line)
            told = True


def constant_rows(duration: int, first_number: int, span: tuple[Fraction, Fraction], line: int, scope: Scope) -> Rows:
    """Segments of one duration (`@duration`) whose ends lie in a span of ticks behind the start of the Period."""
    first = max(0, int(span[0] // duration))
    stop = min(max(first, int(span[1] // duration)), first + MOST_ROWS)
    if stop * duration >= LARGEST:
        scope.breach(SAFE, stop * duration, "segments that end before 2^53", line=line)
        return Rows()
    place = np.arange(first, stop, dtype=np.int64)
    size = np.full(len(place), duration, np.int64)
    return Rows(place + first_number, place * duration, size, np.full(len(place), line, np.int64))
