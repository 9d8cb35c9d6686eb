"""Columns of any 64-bit numbers against plain lists of rows: what they show, what they find, and that nothing given away changes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pypackager.dvr.index import Columns, ColumnView
from pypackager.model.records import FLAG_GAP

LEAST, MOST, REACH = -(1 << 63), (1 << 63) - 1, 1 << 40
EDGES = [sign * (1 << bits) + near for bits in (7, 8, 15, 16, 31, 32, 62) for sign in (1, -1) for near in (-1, 0, 1)]
anything = st.sampled_from([0, 1, LEAST, MOST, *EDGES]) | st.integers(-3, 3) | st.integers(LEAST, MOST)
steps = st.sampled_from([1, 2, 180_000, 1 << 31, 1 << 33]) | st.integers(1, 1 << 58)
SIZE, SEGMENT, FLAGS, BLOB, OFFSET = 2, 3, 4, 8, 9

Row = list[int]


def shown(window: tuple[ColumnView, ...]) -> list[Row]:
    return [list(row) for row in zip(*(column.tolist() for column in window), strict=True)]


class ColumnsMachine(RuleBasedStateMachine):
    """Rows come one by one and in tables, leave at the front and change; copies are made, and lists of Python's numbers do the same."""

    def __init__(self) -> None:
        super().__init__()
        self.columns = Columns()
        self.first = 0
        self.rows: list[Row] = []
        self.given: list[tuple[tuple[ColumnView, ...], list[Row]]] = []
        self.copies: list[tuple[Columns, list[Row], int]] = []

    @initialize(first=st.integers(0, 1000))
    def begin(self, first: int) -> None:
        self.columns, self.first = Columns(first), first

    def _next(self, data: st.DataObject, step: int, calm: bool) -> Row | None:
        time = self.rows[-1][0] + step if self.rows else data.draw(st.integers(LEAST, MOST >> 1))
        # Sums of durations and sizes have to stay within 64 bits, in the index as in the manifests.
        if time > MOST - REACH:
            return None
        others = [7] * 7 if calm else [data.draw(anything) for _ in range(7)]
        return [time, min(step, REACH), data.draw(st.integers(0, REACH)), *others]

    @rule(data=st.data(), step=steps, calm=st.booleans())
    def append(self, data: st.DataObject, step: int, calm: bool) -> None:
        if (row := self._next(data, step, calm)) is not None:
            time, duration, size, segment, flags, config, period, discontinuity, blob, offset = row
            self.columns.append(time, duration, size, segment, flags, config, period, discontinuity, blob, offset)
            self.rows.append(row)

    @rule(data=st.data(), step=st.sampled_from([1, 180_000, 20_000_000]), count=st.integers(0, 200), wild=st.integers(0, 199))
    def extend(self, data: st.DataObject, step: int, count: int, wild: int) -> None:
        """Many at once, among which one differs from the others in everything."""
        time = self.rows[-1][0] if self.rows else 0
        if time + count * step > MOST - REACH:
            return
        usual = [time, step, 1000, 5, 1, 1, 0, 0, 9, 700]
        rows = [[time + (i + 1) * step, *usual[1:]] for i in range(count)]
        if wild < count:
            rows[wild][3:] = [data.draw(anything) for _ in range(7)]
        table = np.array(rows, np.int64).reshape(count, 10).T.copy()
        self.columns.extend(table)
        self.rows += rows
        if count:
            with pytest.raises(ValueError, match="not after"):
                self.columns.extend(table)

    @rule(many=st.integers(0, 150))
    def trim(self, many: int) -> None:
        gone = min(many, len(self.rows))
        self.columns.trim(self.first + many)
        self.first += gone
        del self.rows[:gone]

    @rule(place=st.integers(0, 1000), flags=anything)
    def mark(self, place: int, flags: int) -> None:
        if self.rows:
            place %= len(self.rows)
            self.columns.mark(self.first + place, flags)
            self.rows[place] = [*self.rows[place]]
            self.rows[place][FLAGS] |= flags

    @rule(place=st.integers(0, 1000), flags=anything)
    def make_gap(self, place: int, flags: int) -> None:
        if self.rows:
            place %= len(self.rows)
            self.columns.make_gap(self.first + place, flags)
            row = self.rows[place] = [*self.rows[place]]
            row[SIZE], row[FLAGS], row[BLOB], row[OFFSET] = 0, flags, -1, 0

    @rule(low=st.integers(0, 1000), high=st.integers(0, 1000))
    def give(self, low: int, high: int) -> None:
        low, high = sorted((low % (len(self.rows) + 1), high % (len(self.rows) + 1)))
        window = self.columns.window(self.first + low, self.first + high)
        self.given.append((window, [[*row] for row in self.rows[low:high]]))

    @rule()
    def freeze(self) -> None:
        self.copies.append((self.columns.frozen(), [[*row] for row in self.rows], self.first))

    @rule(low=st.integers(0, 1000))
    def go_on_with_a_copy(self, low: int) -> None:
        """What was copied stays as it is, whatever its copy gets."""
        low %= len(self.rows) + 1
        self.copies.append((self.columns, [[*row] for row in self.rows], self.first))
        self.columns = self.columns.copied(self.first + low)
        self.first += low
        del self.rows[:low]

    @rule(low=st.integers(0, 1000), high=st.integers(0, 1000), flag=st.sampled_from([FLAG_GAP, 1, 1 << 40, LEAST]), near=anything)
    def ask(self, low: int, high: int, flag: int, near: int) -> None:
        rows, first, columns = self.rows, self.first, self.columns
        low, high = sorted((low % (len(rows) + 1), high % (len(rows) + 1)))
        assert columns.size_between(first + low, first + high) == sum(row[SIZE] for row in rows[low:high])
        assert columns.ticks_without(first + low, first + high, flag) == sum(row[1] for row in rows[low:high] if not row[FLAGS] & flag)
        flagged = [place for place, row in enumerate(rows) if row[FLAGS] & flag]
        assert columns.next_flagged(first + low, flag) == first + next((place for place in flagged if place >= low), len(rows))
        assert columns.last_flagged(first + high, flag) == first + max((place for place in flagged if place <= high), default=-1)
        for time in [near, *(row[0] for row in rows[low : low + 1])]:
            times = [row[0] for row in rows]
            assert columns.first_from(time) == first + bisect_left(times, time)
            behind = bisect_right(times, time)
            behind -= behind > 0 and times[behind - 1] + rows[behind - 1][1] > time
            assert columns.first_ending_after(time) == first + behind
            view = columns.window(first + low, first + high)[0]
            for wanted in (time, time + (1 << 70), time - (1 << 70)):
                assert view.searchsorted(wanted) == bisect_left(times[low:high], wanted)
                assert view.searchsorted(wanted, "right") == bisect_right(times[low:high], wanted)

    @invariant()
    def shows_its_rows(self) -> None:
        assert (self.columns.first, self.columns.end, len(self.columns)) == (self.first, self.first + len(self.rows), len(self.rows))
        assert self.columns.table(self.columns.first, self.columns.end).T.tolist() == self.rows
        assert shown(self.columns.window(self.columns.first, self.columns.end)) == self.rows

    def teardown(self) -> None:
        for window, rows in self.given:
            assert shown(window) == rows
            for column, numbers in zip(window, zip(*rows, strict=True), strict=bool(rows)):
                assert [column[place] for place in range(-len(rows), len(rows))] == [*numbers, *numbers]
                half = len(rows) // 2
                assert column.part(half, len(rows)).tolist() == column[half:].tolist() == list(numbers[half:])
        for copy, rows, first in self.copies:
            assert (copy.first, copy.table(copy.first, copy.end).T.tolist()) == (first, rows)
            assert copy.size_between(copy.first, copy.end) == sum(row[SIZE] for row in rows)


ColumnsMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestColumns: Any = ColumnsMachine.TestCase
