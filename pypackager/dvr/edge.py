"""Records that move the published edge (rows, periods), on their way to the journal: one at a time, and again until they are there.

In: entries in the order of the calls. Out: which one to send now. Never: I/O.

Each stands on those before it: a row whose period or predecessor is missing is a hole that nobody was told of, and a segment without its
first row has another media sequence number than players were told. So the next one is sent when the one before is in the journal, and one
that the disk did not take is not forgotten: it stays first in the line until `again`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from pypackager.dvr.entry import Entry
from pypackager.model.records import PeriodOpened, Published

EDGE_RECORDS = (PeriodOpened, Published)


class EdgeLine:
    """The line of a store's edge records."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._sent = False

    def __iter__(self) -> Iterator[Entry]:
        """All that are not in the journal, oldest first."""
        return iter(self._entries)

    def add(self, entry: Entry) -> Entry | None:
        """Puts an entry at the end; returns the one to send now."""
        self._entries.append(entry)
        return self._next() if len(self._entries) == 1 else None

    def answered(self, *, fine: bool) -> Entry | None:
        """The writer has answered for the entry that was sent; returns the one to send now."""
        self._sent = False
        if not fine:
            return None
        self._entries.popleft()
        return self._next()

    def again(self) -> Entry | None:
        """The entry that failed, to be sent again; None when none did."""
        return None if self._sent else self._next()

    def _next(self) -> Entry | None:
        self._sent = bool(self._entries)
        return self._entries[0] if self._entries else None
