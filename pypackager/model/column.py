"""A column of whole numbers, as readers see it: one at a time, or as an array of what is asked for.

A column of 25 hours is stored in few bytes and widened only where it is read. It knows no arithmetic, so that nothing is ever computed in
less than 64 bits: `column[low:high]` is an array, `column[:]` is that of all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol, Self, SupportsIndex, overload

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


class Column(Protocol):
    """Numbers of the rows of a track."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[int]: ...

    @overload
    def __getitem__(self, at: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, at: slice, /) -> Numbers: ...

    def tolist(self) -> list[int]:
        """All numbers."""
        ...

    def part(self, low: int, high: int) -> Self:
        """The column of rows [low, high), which reads nothing."""
        ...

    def searchsorted(self, value: int, side: Literal["left", "right"] = "left") -> int:
        """Of a column that never falls: how many are less than a number, or with "right" not greater."""
        ...
