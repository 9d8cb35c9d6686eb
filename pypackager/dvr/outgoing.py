"""Records on their way to the journal, each under a ticket.

In: records in the order of the calls, the writer's answers. Out: calls of the writer. Never: a look at what a record says, but whether it
moves the published edge (edge.py).

While the files turn over, records are held: they belong to the new journal file, which opens with the fold of all before them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pypackager.dvr.edge import EDGE_RECORDS, EdgeLine
from pypackager.dvr.entry import Entry
from pypackager.dvr.files import Files
from pypackager.dvr.records import JournalRecord
from pypackager.dvr.writing import Muxed, Writing
from pypackager.model.records import FragmentWritten

ENTRY_BYTES = 1024
"""What an entry costs beside its bytes: its objects, and what its callers remember of it until it is answered."""


class Outgoing:
    """What a store has submitted and the journal does not have."""

    def __init__(self, writer: Writing, files: Files) -> None:
        self.newest = 0
        """The newest ticket."""
        self._writer = writer
        self._files = files
        self._in_flight: dict[int, Sequence[Entry]] = {}
        """What was sent together, by the writer's ticket."""
        self._held: list[Entry] = []
        self._held_bytes = 0
        self._holding = False
        self._edge = EdgeLine()

    def __iter__(self) -> Iterator[Entry]:
        """All of them, those that move the edge behind those in flight."""
        for sent in self._in_flight.values():
            yield from sent
        yield from self._edge
        yield from self._held

    @property
    def idle(self) -> bool:
        """Whether the writer has answered for everything that was sent."""
        return not self._in_flight

    @property
    def memory(self) -> int:
        """Bytes that all of it takes, but for those that the writer has and counts itself."""
        return ENTRY_BYTES * (len(self._in_flight) + len(self._held)) + self._held_bytes + self._edge.memory

    @property
    def stuck(self) -> bool:
        """Whether the disk has not taken the published edge for so long that no fragment may be listed behind it."""
        return self._edge.full

    def ticket(self) -> int:
        """A new ticket."""
        self.newest += 1
        return self.newest

    def settled(self, ticket: int) -> bool:
        """Whether nothing up to a ticket is on its way."""
        return all(entry.ticket > ticket for entry in self)

    def submit(self, record: JournalRecord, fragment: Muxed | None = None, blob: int = -1) -> int:
        """Sends a record, behind its fragment when it has one, or lets it wait for its turn; returns its ticket."""
        entry = Entry(self.ticket(), record, fragment, blob)
        if self._holding:
            self._held.append(entry)
            self._held_bytes += entry.size
        else:
            self._issue(entry)
        return entry.ticket

    def answered(self, ticket: int) -> Sequence[Entry]:
        """What the writer has answered for, which was written together or not at all; empty when it was nothing of ours."""
        return self._in_flight.pop(ticket, ())

    def follow(self, *, fine: bool) -> None:
        """The records that move the edge have been folded, or have failed: the next ones go, or the first again with `retry`."""
        self._send(self._edge.answered(fine=fine))

    def retry(self) -> None:
        """Sends the record of the published edge again that the disk did not take; those behind it follow."""
        if not self._holding:
            self._send(self._edge.again())

    def hold(self) -> None:
        """Keeps what is submitted from here on until `release`."""
        self._holding = True

    def release(self) -> None:
        """Sends what was held, to the journal file of this moment."""
        self._holding = False
        held, self._held, self._held_bytes = self._held, [], 0
        for entry in held:
            self._issue(entry)

    def _issue(self, entry: Entry) -> None:
        self._send(self._edge.add(entry) if isinstance(entry.record, EDGE_RECORDS) else [entry])

    def _send(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        first, journal = entries[0], self._files.journal
        if isinstance(first.record, FragmentWritten):
            ticket = self._writer.write_fragment(first.blob, first.record.offset, first.fragment, journal, first.frame)
        else:
            ticket = self._writer.append(journal, b"".join(entry.frame for entry in entries))
        self._in_flight[ticket] = entries
