"""A record on its way to the journal.

In: the record, its fragment. Out: the frame that the journal gets. Never: a change once it is made.
"""

from __future__ import annotations

from pypackager.dvr import journal
from pypackager.dvr.records import JournalRecord
from pypackager.dvr.writing import Muxed


class Entry:
    """A record under its ticket; that of a fragment has its payload and the handle of the blob that gets it."""

    __slots__ = ("blob", "fragment", "frame", "record", "ticket")

    def __init__(self, ticket: int, record: JournalRecord, fragment: Muxed | None, blob: int) -> None:
        self.ticket = ticket
        self.record = record
        self.fragment = fragment
        self.blob = blob
        self.frame = journal.write_frame(record)

    @property
    def size(self) -> int:
        """Bytes that the writer gets."""
        return len(self.frame) + (self.fragment.size if self.fragment is not None else 0)
