"""What a store knows ahead of its ledger: numbers given out, and records that the writer has not answered for.

In: calls of the store. Out: plain state. Never: I/O, a decision.
"""

from __future__ import annotations

from pypackager.dvr import journal
from pypackager.dvr.records import JournalRecord
from pypackager.dvr.writing import Muxed
from pypackager.model.track import TrackConfig, TrackInfo


class OpenBlob:
    """An open blob; `size` includes what is reserved."""

    __slots__ = ("config", "dirty", "handle", "number", "size")

    def __init__(self, number: int, handle: int, config: int, size: int) -> None:
        self.number = number
        self.handle = handle
        self.config = config
        self.size = size
        self.dirty = True


class Reserved:
    """What calls have reserved for a track ahead of the ledger."""

    __slots__ = ("configs", "halves", "info", "last_time", "next_config", "segment", "times")

    def __init__(self, info: TrackInfo) -> None:
        self.info = info
        self.configs: dict[int, TrackConfig] = {}
        self.next_config = 1
        self.last_time = -1
        self.segment = -1
        self.times: set[int] = set()
        """Times of whole fragments on their way."""
        self.halves: set[int] = set()
        """Times of those on their way that their source left unfinished."""

    def may_put(self, time: int, *, partial: bool) -> bool:
        """Whether a fragment at this time adds to what is on its way: a whole one replaces an unfinished one, since records go in order."""
        return time not in self.times and not (partial and time in self.halves)

    def on_its_way(self, time: int) -> bool:
        """Whether a fragment at this time has been put and not answered for."""
        return time in self.times or time in self.halves

    def put(self, time: int, *, partial: bool) -> None:
        """A fragment at this time is on its way."""
        (self.halves if partial else self.times).add(time)

    def answered(self, time: int, *, partial: bool) -> None:
        """The writer has answered for it."""
        (self.halves if partial else self.times).discard(time)


class Entry:
    """A record on its way."""

    __slots__ = ("blob", "fragment", "frame", "record", "ticket")

    def __init__(self, ticket: int, record: JournalRecord, fragment: Muxed | None, blob: int) -> None:
        self.ticket = ticket
        self.record = record
        self.fragment = fragment
        self.blob = blob
        self.frame = journal.write_frame(record)
