from typing import final

import numpy as np
import numpy.typing as npt

from pypackager.model.presentation import Column

@final
class Columns:
    """Append-only columns of one track; rows carry absolute numbers that count over the track's life."""

    first: int
    """Absolute number of the oldest row."""

    def __init__(self, first: int = 0, capacity: int = 256) -> None: ...
    def __len__(self) -> int: ...
    @property
    def end(self) -> int:
        """Absolute number of the next row."""

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

    def extend(self, rows: npt.NDArray[np.int64]) -> None:
        """Adds rows behind the last one, all or none: the columns that `window` gives, as one table. Raises ValueError like `append`."""

    def trim(self, number: int) -> None:
        """Forgets the rows before absolute row `number`."""

    def frozen(self) -> Columns:
        """A copy that takes no rows and shares the table."""

    def copied(self, low: int) -> Columns:
        """A copy of the rows from `low` on, in a table of its own, that takes rows."""

    def mark(self, number: int, flags: int) -> None:
        """Adds flags to a row; views that were given away keep what they show."""

    def make_gap(self, number: int, flags: int) -> None:
        """Turns a row into a gap; views that were given away keep what they show."""

    def window(self, low: int, high: int) -> tuple[Column, Column, Column, Column, Column, Column, Column, Column, Column, Column]:
        """time, duration, size, segment, flags, config, period, discontinuity, blob, offset of rows [low, high) as read-only views."""

    def time_at(self, number: int) -> int: ...
    def end_at(self, number: int) -> int: ...
    def segment_at(self, number: int) -> int: ...
    def flags_at(self, number: int) -> int: ...
    def size_between(self, low: int, high: int) -> int:
        """Bytes of rows [low, high)."""

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

def find(time: Column, value: int) -> int:
    """Position of the row that starts exactly at `value`, or -1."""

def runs(time: Column, duration: Column) -> tuple[Column, Column, Column]:
    """Run lengths of (time, duration): start, duration and number of repeats (DASH S@r; Smooth c@r minus one) of each run."""
