"""Capacity: a process whose turns come late has more to do than its processor gives it, and encoders and players are about to notice.

In: how late a turn of this process came. Out: an alert of each of its channels. Never: what is done about it; that is the operator's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from pypackager.timeline.times import SECOND_NS

LATE_NS = SECOND_NS
"""A turn that comes so late is late: half a fragment, and what a viewer of the live edge may lose."""
IN_A_ROW = 2
"""One alone may be a large journal that was opened, or a pause of the host."""


class Told(Protocol):
    """A channel, as capacity sees it."""

    def alert(self, code: str, detail: str) -> None:
        """Tells the operator."""
        ...


class Overload:
    """Counts late turns."""

    def __init__(self) -> None:
        self._late = 0

    def turn(self, late_ns: int, channels: Iterable[Told]) -> None:
        """A turn came so many nanoseconds later than it was due."""
        self._late = self._late + 1 if late_ns >= LATE_NS else 0
        if self._late < IN_A_ROW:
            return
        detail = f"turns of this process come {late_ns / SECOND_NS:.1f} s late: it has more to do than its processor does"
        for channel in channels:
            channel.alert("CAPACITY", detail)
