"""What a store needs of its surroundings, and what it answers.

In: nothing. Out: the Protocols of the writer, of a fragment ready to be written and of who covers a channel's files; completions.
Never: an implementation.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from pypackager.dvr.records import JournalRecord


class Muxed(Protocol):
    """A fragment ready to be written (`MuxedFragment` of the native core)."""

    time: int
    duration: int
    size: int
    crc: int
    samples: int


class Writing(Protocol):
    """The writer (`Writer` of the native core): does what it is told in order, and answers by ticket."""

    def open(self, path: str) -> int:
        """Opens or creates a file at once; returns its handle."""
        ...

    def append(self, handle: int, data: bytes) -> int:
        """Appends to a file, all or nothing."""
        ...

    def write_fragment(self, blob: int, offset: int, fragment: Any, journal: int, record: bytes) -> int:
        """Writes a fragment into its blob and then its record; a failed first write skips the second."""
        ...

    def sync(self, handles: list[int]) -> int:
        """fdatasync of each file in order; writes do not wait for it."""
        ...

    def close_file(self, handle: int) -> int:
        """Closes a file; what was not synced is then on its way to the disk."""
        ...


class FileWatcher(Protocol):
    """Someone who covers this channel's files (an asset that runs)."""

    @property
    def window_ns(self) -> int:
        """How much media time it covers."""
        ...

    def trim(self) -> None:
        """The channel is about to give up files that are behind everyone's window: give up those behind yours."""
        ...

    def give_up_older(self, file: int) -> bool:
        """Disk low: give up your oldest journal file, if it is older than this one; False when you have none."""
        ...

    def file_opened(self, name: str) -> None:
        """A journal file or blob begins."""
        ...

    def file_dropped(self, name: str) -> None:
        """The channel gives up a file for lack of space: everyone has to."""
        ...


class Completion(msgspec.Struct, frozen=True):
    """What became of a ticket."""

    ticket: int
    record: JournalRecord | None
    """None for a sync."""
    errno: int = 0
    reason: str = ""
    """Why the ledger refused a record that was written; empty when it took it."""

    @property
    def fine(self) -> bool:
        """It is in the journal and in the ledger (a sync: on the disk)."""
        return not self.errno and not self.reason
