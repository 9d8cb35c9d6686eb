"""What the two tables of a bootstrap say together: which fragments there are, when each starts, in which segment it lies.

In: entries. Out: fragments, and findings of the rules on one bootstrap.

FragmentsPerSegment is written in two ways, and players know both: it counts the fragments that are listed, or all there ever were.
"""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from itertools import accumulate, pairwise

import msgspec

from pypackager.check.finding import Scope
from pypackager.check.hds.bootstrap import Bootstrap, Run
from pypackager.check.rules import rule

RUN_ORDER = rule(
    "HDS-RUN-ORDER", "error", "Adobe F4V 2.11.2.2", "numbers rise from entry to entry of afrt, and times do not fall without a mark",
    example="an entry for fragment 7 behind one for fragment 9",
)  # fmt: skip
RUN_TIME = rule(
    "HDS-RUN-TIME", "error", "Adobe F4V 2.11.2.2", "an entry starts where the fragments of the one before end, or a mark says otherwise",
    example="fragment 5 starts at 10,000 ms behind four of 2,000 ms from 0, and no mark of a time jump",
)  # fmt: skip
MARK = rule(
    "HDS-DISCONTINUITY", "error", "Adobe F4V 2.11.2.2", "a mark is one of 0 to 3; 1, 2 and 3 stand before an entry, 0 stands last",
    example="an entry of duration 0 with indicator 7",
)  # fmt: skip
SEGMENT_RUN = rule(
    "HDS-SEGMENT-RUN", "error", "Adobe F4V 2.11.2.1", "segments count up from 1 or later, each with fragments, as many as afrt lists",
    example="FragmentsPerSegment is 3, and afrt has an entry for the 9th fragment",
)  # fmt: skip
CURRENT_TIME = rule(
    "HDS-CURRENT-TIME", "error", "Adobe F4V 2.11.2", "currentMediaTime lies in the newest fragment, or at its end",
    example="currentMediaTime is 20,000 ms, the fragments end at 14,000",
)  # fmt: skip
END = rule(
    "HDS-END", "error", "Adobe F4V 2.11.2", "a bootstrap with the mark of the end is not live",
    example="discontinuity indicator 0 under the live flag",
)  # fmt: skip

MOST_FRAGMENTS = 500_000
_END = 0


class Fragment(msgspec.Struct, frozen=True):
    """A fragment as listed."""

    number: int
    segment: int
    start: int
    """In the table's timescale, as the duration."""
    duration: int
    continuity: int
    """Marks of the table before it: times go on where it is the same."""


class Table(msgspec.Struct, frozen=True):
    """A bootstrap with its fragments."""

    bootstrap: Bootstrap
    fragments: tuple[Fragment, ...]

    def seconds(self, ticks: int) -> Fraction:
        """Of its fragment run table."""
        return Fraction(ticks, self.bootstrap.run_timescale)

    @property
    def end(self) -> Fraction:
        """Of the newest fragment, in seconds."""
        last = self.fragments[-1]
        return self.seconds(last.start + last.duration)


def lay_out(bootstrap: Bootstrap, scope: Scope) -> Table:
    """The fragments of a bootstrap."""
    _check_marks(bootstrap, scope)
    runs = [run for run in bootstrap.runs if run.duration]
    if not runs:
        return Table(bootstrap, ())
    newest = _newest(bootstrap, runs, scope)
    out: list[Fragment] = []
    bounds = _bounds(bootstrap)
    following = _following(bootstrap, newest)
    continuity, due = 0, runs[0].time
    for n, run in enumerate(bootstrap.runs):
        if not run.duration:
            continuity += run.indicator in (1, 2, 3)
            continue
        count = min(max(following[n], run.first + 1), newest + 1) - run.first
        joined = not n or bootstrap.runs[n - 1].duration > 0
        if out and joined:
            _check_joint(run, out[-1], due, scope)
        for each in range(min(count, MOST_FRAGMENTS - len(out))):
            number = run.first + each
            segment = _segment(bootstrap, bounds, number - runs[0].first)
            out.append(Fragment(number, segment, run.time + each * run.duration, run.duration, continuity))
        due = run.time + count * run.duration
    table = Table(bootstrap, tuple(out))
    if out:
        _check_current(table, scope)
    return table


def _check_marks(bootstrap: Bootstrap, scope: Scope) -> None:
    marks = [(n, run) for n, run in enumerate(bootstrap.runs) if not run.duration]
    for n, run in marks:
        last = n == len(bootstrap.runs) - 1
        if run.indicator not in (0, 1, 2, 3) or (run.indicator == _END) != last:
            found = f"indicator {run.indicator} in entry {n + 1} of {len(bootstrap.runs)}"
            scope.breach(MARK, found, "1, 2 or 3 before an entry, or 0 as the last")
        if run.indicator == _END and bootstrap.live:
            scope.breach(END, "the mark of the end under the live flag", "one of them")
    for before, after in pairwise(run for run in bootstrap.runs if run.duration):
        if after.first <= before.first:
            scope.breach(RUN_ORDER, f"an entry for fragment {after.first} behind {before.first}", "a higher number")


def _check_joint(run: Run, before: Fragment, due: int, scope: Scope) -> None:
    count = run.first - before.number
    # Each fragment of a run is rounded: a tick for each is what the table may be off.
    if run.time < before.start:
        scope.breach(RUN_ORDER, f"fragment {run.first} starts at {run.time}, behind {before.start}", "a later time")
    elif abs(run.time - due) > max(1, count):
        scope.breach(RUN_TIME, f"fragment {run.first} starts at {run.time}", f"{due}, where {before.number} ends, or a mark")


def _newest(bootstrap: Bootstrap, runs: list[Run], scope: Scope) -> int:
    """The number of the newest fragment."""
    first, last = runs[0].first, runs[-1]
    for one, other in pairwise(bootstrap.segments):
        if other.first <= one.first:
            scope.breach(SEGMENT_RUN, f"segment {other.first} behind {one.first}", "a higher number")
    if bootstrap.segments[0].first < 1 or any(not entry.fragments for entry in bootstrap.segments):
        scope.breach(SEGMENT_RUN, "a segment 0, or one of 0 fragments", "numbers from 1, with fragments")
    total = sum(max(0, other.first - one.first) * one.fragments for one, other in pairwise(bootstrap.segments))
    total += bootstrap.segments[-1].fragments
    choices = sorted({first + total - 1, total})
    fitting = [number for number in choices if number >= last.first]
    if not fitting:
        scope.breach(SEGMENT_RUN, f"{total} fragments from number {first}", f"as many as reach number {last.first}")
        return last.first
    # The time tells which way of counting is meant.
    current = Fraction(bootstrap.current * bootstrap.run_timescale, bootstrap.timescale)
    due = last.first + (current - last.time) / last.duration - 1
    return min(fitting, key=lambda number: abs(number - due))


def _following(bootstrap: Bootstrap, newest: int) -> list[int]:
    """For each run the number with which the next one begins."""
    out: list[int] = []
    number = newest + 1
    for run in reversed(bootstrap.runs):
        out.append(number)
        # The mark of the end has no number worth it.
        number = run.first if run.duration or run.indicator != _END else number
    return out[::-1]


def _bounds(bootstrap: Bootstrap) -> list[int]:
    """Places in the list at which the entries of asrt begin."""
    counts = (max(0, following.first - entry.first) * entry.fragments for entry, following in pairwise(bootstrap.segments))
    return list(accumulate(counts, initial=0))


def _segment(bootstrap: Bootstrap, bounds: list[int], index: int) -> int:
    """The segment of a fragment, by its place in the list."""
    n = max(0, bisect_right(bounds, index) - 1)
    entry = bootstrap.segments[n]
    return entry.first if len(bounds) == 1 else entry.first + (index - bounds[n]) // max(1, entry.fragments)


def _check_current(table: Table, scope: Scope) -> None:
    last = table.fragments[-1]
    current = Fraction(table.bootstrap.current, table.bootstrap.timescale)
    start, end = table.seconds(last.start), table.end
    slack = Fraction(1, 1000)
    if not start - slack <= current <= end + slack:
        found = f"{float(current):.3f} s"
        scope.breach(CURRENT_TIME, found, f"{float(start):.3f} to {float(end):.3f} s: fragment {last.number}")
