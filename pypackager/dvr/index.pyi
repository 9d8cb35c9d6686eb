from collections.abc import Iterator
from typing import Any, Literal, Self, SupportsIndex, final, overload

from pypackager.model.column import Numbers

@final
class ColumnView:
    """A read-only column of some rows: `pypackager.model.column.Column`."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[int]: ...
    @overload
    def __getitem__(self, at: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, at: slice, /) -> Numbers: ...
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Numbers: ...
    def tolist(self) -> list[int]:
        """All numbers."""

    def part(self, low: int, high: int) -> Self:
        """The column of rows [low, high), without a copy."""

    def searchsorted(self, value: int, side: Literal["left", "right"] = "left") -> int:
        """Of a column that never falls: how many rows are less than a number of any size, or with "right" not greater."""

@final
class Columns:
    """Append-only columns of one track; rows carry absolute numbers that count over the track's life."""

    first: int
    """Absolute number of the oldest row."""

    def __init__(self, first: int = 0) -> None: ...
    def __len__(self) -> int: ...
    @property
    def end(self) -> int:
        """Absolute number of the next row."""

    @property
    def nbytes(self) -> int:
        """Memory that the rows take."""

    def append(
        self,
        time: int,
        duration: int,
        size: int,
        segment: int,
        flags: int,
        config: int,
        period: int,
        discontinuity: int,
        blob: int,
        offset: int,
    ) -> None:
        """Adds a row behind the last one. Raises ValueError when its time does not rise."""

    def extend(self, rows: Numbers) -> None:
        """Adds rows behind the last one, all or none: what `table` gives. Raises ValueError like `append`."""

    def trim(self, number: int) -> None:
        """Forgets the rows before absolute row `number`."""

    def frozen(self) -> Columns:
        """A copy that takes no rows and shares the blocks."""

    def copied(self, low: int) -> Columns:
        """A copy of the rows from `low` on that takes rows; it shares the blocks that are full."""

    def mark(self, number: int, flags: int) -> None:
        """Adds flags to a row; views that were given away keep what they show."""

    def make_gap(self, number: int, flags: int) -> None:
        """Turns a row into a gap; views that were given away keep what they show."""

    def window(
        self, low: int, high: int
    ) -> tuple[ColumnView, ColumnView, ColumnView, ColumnView, ColumnView, ColumnView, ColumnView, ColumnView, ColumnView, ColumnView]:
        """time, duration, size, segment, flags, config, period, discontinuity, blob, offset of rows [low, high), read-only."""

    def table(self, low: int, high: int) -> Numbers:
        """A copy of rows [low, high): those ten columns, one after the other."""

    def time_at(self, number: int) -> int: ...
    def end_at(self, number: int) -> int: ...
    def segment_at(self, number: int) -> int: ...
    def flags_at(self, number: int) -> int: ...
    def size_between(self, low: int, high: int) -> int:
        """Bytes of rows [low, high)."""

    def ticks_without(self, low: int, high: int, flag: int) -> int:
        """How long those of rows [low, high) last that do not have `flag`."""

    def first_from(self, time: int) -> int:
        """Absolute number of the first row that starts at `time` or later; `end` when there is none."""

    def first_ending_after(self, time: int) -> int:
        """Absolute number of the first row that ends later than `time`; `end` when there is none."""

    def first_of_segment(self, segment: int) -> int:
        """Absolute number of the first row of `segment` or a later one; `end` when there is none."""

    def next_flagged(self, number: int, flag: int) -> int:
        """Absolute number of the first row at `number` or later with `flag`; `end` when there is none."""

    def last_flagged(self, number: int, flag: int) -> int:
        """Absolute number of the last row at `number` or earlier with `flag`; `first - 1` when there is none."""
