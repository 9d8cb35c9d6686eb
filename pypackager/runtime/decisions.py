"""Decisions that the disk did not take: without them what follows could not be shown, so they are recorded again.

In: what became of each decision. Out: those to record again. Never: two of the same thing, so that a disk which stays full costs nothing.
"""

from __future__ import annotations

from collections.abc import Hashable

from pypackager.dvr.ledger import KEPT_CLOCKS
from pypackager.model.records import ClockPlaced, Peak, Reset, TrackPlaced
from pypackager.timeline.ports import Decision

Kept = Decision | Reset


class Unwritten:
    """The newest decision on each thing, as long as the journal does not have it."""

    def __init__(self) -> None:
        self._decisions: dict[Hashable, Kept] = {}

    def __len__(self) -> int:
        return len(self._decisions)

    def answered(self, decision: Kept, *, written: bool) -> None:
        """The writer has answered for a decision: one that is written stands above those on the same thing that were not."""
        thing = _thing(decision)
        self._decisions.pop(thing, None)
        if written:
            return
        self._decisions[thing] = decision
        clocks = [other for other, kept in self._decisions.items() if isinstance(kept, ClockPlaced)]
        # The journal keeps no more either.
        for oldest in clocks[:-KEPT_CLOCKS]:
            del self._decisions[oldest]

    def take(self) -> list[Kept]:
        """All of them, to be recorded again in this order; what fails comes back."""
        taken, self._decisions = [*self._decisions.values()], {}
        return taken


def _thing(decision: Kept) -> Hashable:
    """What it decides."""
    match decision:
        case ClockPlaced():
            return ClockPlaced, decision.clock
        case TrackPlaced():
            return TrackPlaced, decision.stream, decision.number, decision.kind, decision.name
        case Peak():
            return Peak, decision.track
        case _:
            return type(decision)
