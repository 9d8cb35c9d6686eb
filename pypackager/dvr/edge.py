"""Records that move the published edge (rows, periods), on their way to the journal: one write at a time, and again until they are there.

In: entries in the order of the calls. Out: which to send now. Never: I/O.

Each stands on those before it: a row whose period or predecessor is missing is a hole that nobody was told of, and a segment without its
first row has another media sequence number than players were told. So the next ones are sent when those before are in the journal, and one
that the disk did not take is not forgotten: it stays first in the line until `again`.

All that came meanwhile is sent together: the writer gathers for 10 ms, so one record an answer would be a hundred a second at most, and
media that comes faster than it plays needs more. A write is whole or undone, so together they fail as one does; what failed together is
tried again with the first alone, for which there may be room.

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
ROW_BYTES = 420
"""What a row takes while it waits, at most."""


class EdgeLine:
    """The line of a store's edge records."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()
        self._sent = 0
        """So many of them are on their way, from the first on."""
        self._failed = False
        self._rows = 0

    def __iter__(self) -> Iterator[Entry]:
        """All that are not in the journal, oldest first."""
        return iter(self._entries)

    @property
    def memory(self) -> int:
        """Bytes that all of them take."""
        return self._rows * ROW_BYTES

    @property
    def full(self) -> bool:
        """Whether the disk did not take the first one, and so many wait behind it that no more may come."""
        return self._failed and self._rows >= MAX_ROWS

    def add(self, entry: Entry) -> list[Entry]:
        """Puts an entry at the end; returns those to send now."""
        self._entries.append(entry)
        self._rows += _rows(entry)
        return [] if self._sent or self._failed else self._all()

    def answered(self, *, fine: bool) -> list[Entry]:
        """The writer has answered for those that were sent; returns those to send now."""
        sent, self._sent, self._failed = self._sent, 0, not fine
        if not fine:
            return []
        for _ in range(sent):
            self._rows -= _rows(self._entries.popleft())
        return self._all()

    def again(self) -> list[Entry]:
        """The first one when it failed, to be sent again; nothing when none did."""
        if self._sent or not self._failed:
            return []
        self._sent = 1
        return [self._entries[0]]

    def _all(self) -> list[Entry]:
        self._sent = len(self._entries)
        return list(self._entries)


def _rows(entry: Entry) -> int:
    return len(entry.record.rows) if isinstance(entry.record, Published) else 1
