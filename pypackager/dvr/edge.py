"""Records that move the published edge (rows, periods), on their way to the journal: one at a time, and again until they are there.

In: entries in the order of the calls. Out: which one to send now. Never: I/O.

Each stands on those before it: a row whose period or predecessor is missing is a hole that nobody was told of, and a segment without its
first row has another media sequence number than players were told. So the next one is sent when the one before is in the journal, and one
that the disk did not take is not forgotten: it stays first in the line until `again`.

What waits is bounded. A disk that takes nothing for long makes the line `full`; then nothing is listed any more that is not in it already,
and the channel goes on, when the disk takes the first entry, as after an encoder that was gone: what is missing is missing at the end of
the line, never in its middle. Entries that only wait for a slow disk have no bound here: back-pressure is theirs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from pypackager.dvr.entry import Entry
from pypackager.model.records import PeriodOpened, Published

EDGE_RECORDS = (PeriodOpened, Published)
MAX_ROWS = 8192
"""Rows that wait for a disk that takes nothing: 1.6 to 3.5 MB, eighteen minutes of fifteen tracks with fragments of two seconds."""


class EdgeLine:
    """The line of a store's edge records."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._sent = False
        self._failed = False
        self._rows = 0

    def __iter__(self) -> Iterator[Entry]:
        """All that are not in the journal, oldest first."""
        return iter(self._entries)

    @property
    def full(self) -> bool:
        """Whether the disk did not take the first one, and so many wait behind it that no more may come."""
        return self._failed and self._rows >= MAX_ROWS

    def add(self, entry: Entry) -> Entry | None:
        """Puts an entry at the end; returns the one to send now."""
        self._entries.append(entry)
        self._rows += _rows(entry)
        return self._next() if len(self._entries) == 1 else None

    def answered(self, *, fine: bool) -> Entry | None:
        """The writer has answered for the entry that was sent; returns the one to send now."""
        self._sent, self._failed = False, not fine
        if not fine:
            return None
        self._rows -= _rows(self._entries.popleft())
        return self._next()

    def again(self) -> Entry | None:
        """The entry that failed, to be sent again; None when none did."""
        return None if self._sent else self._next()

    def _next(self) -> Entry | None:
        self._sent = bool(self._entries)
        return self._entries[0] if self._entries else None


def _rows(entry: Entry) -> int:
    return len(entry.record.rows) if isinstance(entry.record, Published) else 1
