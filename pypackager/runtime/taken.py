"""What a channel had taken at one moment: who ends something waits until all of that is published and in the ledger.

In: the channel's timeline and store. Out: whether it is so by now. Never: a word about what came later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pypackager.dvr.store import ChannelStore


class Edge(Protocol):
    """The channel's timeline, as what waits for it sees it."""

    def behind(self) -> dict[str, int]:
        """Where the newest fragment that waits behind the published edge starts, by track id."""
        ...

    def passed(self, marks: Mapping[str, int]) -> bool:
        """Whether the published edge has passed all that `behind` named."""
        ...


class Taken:
    """All that the channel had taken when this was made."""

    def __init__(self, edge: Edge, store: ChannelStore) -> None:
        self._edge = edge
        self._store = store
        self._marks = edge.behind()
        self._ticket: int | None = None
        """The store's newest one when the edge had passed the marks."""

    def settled(self) -> bool:
        """Whether it is published and in the ledger; asked again and again until it is."""
        if self._ticket is None and self._edge.passed(self._marks):
            self._ticket = self._store.newest
        return self._ticket is not None and self._store.settled(self._ticket)
