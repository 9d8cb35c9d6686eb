"""Columns against a list of rows."""

from __future__ import annotations

import operator
import tracemalloc
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypackager.dvr.index import Columns
from pypackager.model.records import FLAG_GAP

Rows = list[tuple[int, int, int, int]]


@st.composite
def histories(draw: st.DrawFn) -> tuple[Rows, int, int]:
    """(time, duration, size, flags) of rows with holes between them, the first row's number, and how many are trimmed."""
    rows = []
    time = draw(st.integers(0, 5))
    for _ in range(draw(st.integers(0, 40))):
        duration = draw(st.integers(1, 4))
        rows.append((time, duration, draw(st.integers(0, 9)), draw(st.sampled_from([0, 8]))))
        time += duration + draw(st.sampled_from([0, 0, 0, 1, 5]))
    return rows, draw(st.integers(0, 1000)), draw(st.integers(0, 45))


def fill(rows: Rows, first: int, trim: int) -> Columns:
    columns = Columns(first)
    for i, (time, duration, size, flags) in enumerate(rows):
        columns.append(time, duration, size, i // 3, flags, 1, 0, 0, 7, i)
    columns.trim(first + trim)
    return columns


@given(histories(), st.integers(0, 40))
def test_rows_may_be_added_at_once(history: tuple[Rows, int, int], at: int) -> None:
    rows, first, _ = history
    one, other = fill(rows, first, 0), fill(rows[:at], first, 0)
    other.extend(one.table(min(first + at, one.end), one.end))
    assert [c.tolist() for c in other.window(first, other.end)] == [c.tolist() for c in one.window(first, one.end)]
    assert other.size_between(first, other.end) == sum(size for _, _, size, _ in rows)
    if rows:
        with pytest.raises(ValueError, match="not after"):
            other.extend(one.table(one.end - 1, one.end))
    with pytest.raises(ValueError, match="columns"):
        other.extend(np.zeros((9, 1), dtype=np.int64))


@given(histories(), st.integers(-1, 250))
def test_look_ups_agree_with_a_list(history: tuple[Rows, int, int], at: int) -> None:
    rows, first, trim = history
    columns = fill(rows, first, trim)
    kept = [(first + i, *row) for i, row in enumerate(rows)][trim:]
    end = first + len(rows)
    assert (len(columns), columns.end, columns.first) == (len(kept), end, end - len(kept))
    assert columns.first_from(at) == next((n for n, time, *_ in kept if time >= at), end)
    assert columns.first_ending_after(at) == next((n for n, time, duration, *_ in kept if time + duration > at), end)
    assert columns.first_of_segment(at) == next((n for n, *_ in kept if (n - first) // 3 >= at), end)
    assert columns.next_flagged(first + at, 8) == next((n for n, *_, flags in kept if n >= first + at and flags & 8), end)
    assert columns.last_flagged(first + at, 8) == next(
        (n for n, *_, flags in reversed(kept) if n <= first + at and flags & 8), end - len(kept) - 1
    )
    low = columns.first + len(kept) // 3
    assert columns.size_between(low, end) == sum(size for n, _, _, size, _ in kept if n >= low)
    assert columns.window(low, end)[0].tolist() == [time for n, time, *_ in kept if n >= low]


@given(histories())
def test_views_never_change(history: tuple[Rows, int, int]) -> None:
    rows, first, trim = history
    columns = Columns(first)
    views = []
    for i, (time, duration, size, flags) in enumerate(rows):
        columns.append(time, duration, size, i, flags, 1, 0, 0, 7, i)
        view = columns.window(columns.first, columns.end)
        views.append((view, [column.tolist() for column in view]))
        if i == trim // 2:
            columns.trim(first + trim // 3)
            columns.make_gap(columns.end - 1, 4)
            # The view just taken shows the row as it was.
    assert all([column.tolist() for column in view] == shown for view, shown in views)


def test_a_view_is_changed_by_nobody() -> None:
    columns = fill([(i, 1, 10, 0) for i in range(10)], 0, 0)
    time = columns.window(2, 8)[0]
    time[:][0] = 1
    assert time.tolist() == list(time) == np.asarray(time).tolist() == [2, 3, 4, 5, 6, 7]
    with pytest.raises(TypeError):
        operator.setitem(cast("Any", time), 0, 1)


def hours(seed: int, scale: int, durations: list[int], size: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """25 hours of a track: fragments of about 2 s whose sizes vary, three to a segment, a blob for each five minutes of fifteen tracks."""
    rows = 45_000
    number = np.arange(rows)
    lasts = np.resize(durations, rows)
    sizes = np.random.default_rng(seed).integers(size // 2, size, rows)
    written = np.cumsum(sizes) - sizes
    blob = number // 150
    flags = np.where(number % 3 == 0, 3, np.where(number % 3 == 2, 17, 1))
    time = 1_767_268_800 * scale + np.cumsum(lasts) - lasts
    table = (
        time,
        lasts,
        sizes,
        number // 3,
        flags,
        number * 0 + 1,
        blob // 100,
        blob // 100,
        blob * 15 + 70_000,
        written - written[blob * 150],
    )
    return np.stack(table)


def test_25_hours_of_a_full_channel_are_small() -> None:
    tracks = [hours(seed, 10_000_000, [20_000_000], 25_000_000) for seed in range(10)]
    tracks += [hours(seed, 48_000, [96_256, 95_232, 96_256, 96_256], 100_000) for seed in range(10, 15)]
    tracemalloc.start()
    try:
        columns = [Columns() for _ in tracks]
        for each, table in zip(columns, tracks, strict=True):
            each.extend(table)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert all(np.array_equal(each.table(0, 45_000), table) for each, table in zip(columns, tracks, strict=True))
    # The window's index may be 32 MiB in all: there are blobs, configurations and what the allocator leaves over as well.
    assert sum(each.nbytes for each in columns) <= 16 << 20
    assert taken == pytest.approx(sum(each.nbytes for each in columns), rel=0.05), "what it says is what it takes"


def test_a_window_that_slides_for_days_stays_as_small() -> None:
    columns, most = Columns(), 0
    for number in range(6000):
        columns.append(
            number * 180_000, 180_000, 1_000_000 + number * 7919 % 500_000, number // 3, 1, 1, 0, 0, number // 150, number % 150 * 1_000_000
        )
        if number % 150 == 0:
            columns.trim(number - 450)
            most = max(most, columns.nbytes)
    assert most <= 700 * 32


def test_views_of_one_time_hold_no_table_of_their_own() -> None:
    columns = fill([(i, 1, 10, 0) for i in range(6400)], 0, 0)
    tracemalloc.start()
    try:
        kept = [columns.window(number, 6400) for number in range(0, 6400, 640)]
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken / len(kept) < 3000, "a list of a hundred blocks, and ten columns of it"


def test_a_gap_takes_its_bytes_from_the_sums() -> None:
    columns = fill([(i, 1, 10, 0) for i in range(10)], 0, 3)
    columns.make_gap(5, 4)
    assert columns.size_between(3, 10) == 60
    assert columns.size_between(5, 6) == 0
    assert [int(column[0]) for column in columns.window(5, 6)] == [5, 1, 0, 1, 4, 1, 0, 0, -1, 0]
    columns.append(10, 1, 10, 4, 0, 1, 0, 0, 7, 0)
    assert columns.size_between(4, 11) == 60


def test_a_frozen_copy_stays() -> None:
    columns = fill([(i, 1, 10, 0) for i in range(5)], 7, 1)
    copy = columns.frozen()
    columns.append(5, 1, 10, 4, 0, 1, 0, 0, 7, 0)
    columns.trim(11)
    assert (copy.first, copy.end, copy.window(8, 12)[0].tolist()) == (8, 12, [1, 2, 3, 4])
    with pytest.raises(ValueError, match="frozen"):
        copy.append(5, 1, 10, 4, 0, 1, 0, 0, 7, 0)


def test_a_row_that_becomes_a_gap_lasts_no_longer() -> None:
    """Of blocks whose rows are all there the sum is kept."""
    columns = fill([(10 * i, 10, 5, 0) for i in range(300)], 0, 0)
    before = columns.frozen()
    assert columns.ticks_without(0, 300, FLAG_GAP) == 3000
    columns.mark(70, FLAG_GAP)
    columns.make_gap(250, FLAG_GAP)
    assert columns.ticks_without(0, 300, FLAG_GAP) == 2980
    assert columns.ticks_without(0, 300, 1 << 20) == 3000, "another flag"
    assert before.ticks_without(0, 300, FLAG_GAP) == 3000


@pytest.mark.parametrize("rows", [(-1, 3), (0, 11), (6, 5), (11, 11)])
def test_rows_outside_are_refused(rows: tuple[int, int]) -> None:
    columns = fill([(i, 1, 10, 0) for i in range(10)], 0, 0)
    with pytest.raises(IndexError):
        columns.window(*rows)
    with pytest.raises(IndexError):
        columns.size_between(*rows)
    with pytest.raises(IndexError):
        columns.time_at(10)


def test_times_rise() -> None:
    columns = fill([(5, 1, 1, 0)], 0, 0)
    with pytest.raises(ValueError, match="not after"):
        columns.append(5, 1, 1, 0, 0, 0, 0, 0, 0, 0)


@given(histories(), st.integers(0, 40), st.booleans())
def test_a_copy_of_the_newest_rows_goes_its_own_way(history: tuple[Rows, int, int], skip: int, seen: bool) -> None:
    rows, first, trim = history
    columns = fill(rows, first, trim)
    low = min(columns.first + skip, columns.end)
    before = [column.tolist() for column in columns.window(low, columns.end)]
    copy = columns.copied(low)
    shown = copy.window(low, copy.end) if seen else ()
    copy.append(1000, 1, 77, 9, 0, 1, 0, 0, 7, 0)
    copy.mark(low, 64)
    copy.extend(np.array([[2000 + i, 1, 1, 9, 0, 1, 0, 0, 7, 0] for i in range(500)]).T.copy())
    assert [column.tolist() for column in columns.window(low, columns.end)] == before
    assert [column.tolist() for column in shown] == (before if seen else [])
    assert copy.end == columns.end + 501
    assert copy.flags_at(low) & 64
    assert copy.size_between(low, copy.end) == sum(before[2]) + 577
