"""What came from the pump, in turns: who sends much at once keeps neither viewers nor other encoders waiting.

In: events as they came. Out: the same in the same order, some at a time. Never: a header's tracks in two turns: they are judged together.
"""

from __future__ import annotations

from collections.abc import Sequence

from pypackager._core import ChunkReady, PumpEvent

AT_ONCE = 256
"""So many events are a turn: some 30 ms of fragments that are small. Up to 16 MiB come at once, which may be thousands."""


class Turns:
    """Events that came and were not handled yet."""

    def __init__(self) -> None:
        self._waiting: Sequence[PumpEvent] = []

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._waiting)

    def add(self, events: Sequence[PumpEvent]) -> None:
        """More came."""
        self._waiting = [*self._waiting, *events]

    def next(self) -> Sequence[PumpEvent]:
        """Those of the next turn: it ends behind media."""
        numbers = range(AT_ONCE, len(self._waiting))
        end = next((number for number in numbers if isinstance(self._waiting[number - 1], ChunkReady)), len(self._waiting))
        first, self._waiting = self._waiting[:end], self._waiting[end:]
        return first

    def rest(self) -> Sequence[PumpEvent]:
        """All of them."""
        rest, self._waiting = self._waiting, []
        return rest
