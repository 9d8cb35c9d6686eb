"""Records on their way to the journal, each under a ticket.

In: records in the order of the calls, the writer's answers. Out: calls of the writer. Never: a look at what a record says, but whether it
moves the published edge (edge.py).

While the files turn over, records are held: they belong to the new journal file, which opens with the fold of all before them.
"""

from __future__ import annotations

from collections.abc import Iterator

from pypackager.dvr.edge import EDGE_RECORDS, EdgeLine
from pypackager.dvr.entry import Entry
from pypackager.dvr.files import Files
from pypackager.dvr.records import JournalRecord
from pypackager.dvr.writing import Muxed, Writing
from pypackager.model.records import FragmentWritten


class Outgoing:
    """What a store has submitted and the journal does not have."""

    def __init__(self, writer: Writing, files: Files) -> None:
        self.newest = 0
        """The newest ticket."""
        self._writer = writer
        self._files = files
        self._in_flight: dict[int, Entry] = {}
        self._held: list[Entry] = []
        self._holding = False
        self._edge = EdgeLine()

    def __iter__(self) -> Iterator[Entry]:
        """All of them, those that move the edge behind those in flight."""
        yield from self._in_flight.values()
        yield from self._edge
        yield from self._held

    @property
    def idle(self) -> bool:
        """Whether the writer has answered for everything that was sent."""
        return not self._in_flight

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
        else:
            self._issue(entry)
        return entry.ticket

    def answered(self, ticket: int) -> Entry | None:
        """What the writer has answered for; None when it was nothing of ours."""
        return self._in_flight.pop(ticket, None)

    def follow(self, *, fine: bool) -> None:
        """The record that moves the edge has been folded, or has failed: the next one goes, or this one again with `retry`."""
        if (following := self._edge.answered(fine=fine)) is not None:
            self._send(following)

    def retry(self) -> None:
        """Sends the record of the published edge again that the disk did not take; those behind it follow."""
        if not self._holding and (entry := self._edge.again()) is not None:
            self._send(entry)

    def hold(self) -> None:
        """Keeps what is submitted from here on until `release`."""
        self._holding = True

    def release(self) -> None:
        """Sends what was held, to the journal file of this moment."""
        self._holding = False
        held, self._held = self._held, []
        for entry in held:
            self._issue(entry)

    def _issue(self, entry: Entry) -> None:
        if not isinstance(entry.record, EDGE_RECORDS):
            self._send(entry)
        elif (first := self._edge.add(entry)) is not None:
            self._send(first)

    def _send(self, entry: Entry) -> None:
        record, journal = entry.record, self._files.journal
        if isinstance(record, FragmentWritten):
            ticket = self._writer.write_fragment(entry.blob, record.offset, entry.fragment, journal, entry.frame)
        else:
            ticket = self._writer.append(journal, entry.frame)
        self._in_flight[ticket] = entry
