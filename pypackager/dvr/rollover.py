"""Rolling over: the open blobs end, and a segment later the journal file, and new ones begin.

In: when, and the writer's answers having come. Out: a new journal file that opens with the ledger's snapshot. Never: a clock, a record.

From `begin` on, records are held until the writer has answered for all earlier ones. At that instant the ledger is exactly the fold of the
old journal file, and its snapshot opens the new one; the held records follow. Without room for the new file the old one goes on, and the
roll-over is due again at once.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence

from pypackager.dvr.clip import NS
from pypackager.dvr.files import Files
from pypackager.dvr.ledger import Ledger
from pypackager.dvr.outgoing import Outgoing
from pypackager.dvr.records import JournalRecord
from pypackager.dvr.writing import FileWatcher

ROLL_NS = 300 * NS
"""Blobs and journal files roll over at multiples of this in UTC."""


class RollOver:
    """The turns of one channel's files."""

    def __init__(self, ledger: Ledger, files: Files, outgoing: Outgoing, watchers: Sequence[FileWatcher]) -> None:
        self.errno = 0
        """Why the last one did not happen; 0 when it did."""
        self._ledger = ledger
        self._files = files
        self._outgoing = outgoing
        self._watchers = watchers
        self._begun_ns: int | None = None
        self._slot = self._ended = -1

    def start(self, number: int, lost: Sequence[JournalRecord], now_ns: int) -> None:
        """A process begins: so does a journal file, with what recovery found lost behind the snapshot.

        Raises:
            OSError: the file could not be made.
        """
        self._begin_file(number, lost)
        self._slot = now_ns // ROLL_NS

    def due(self, now_ns: int) -> bool:
        """Whether the files end at the segment start that is about to be published: the second behind a multiple of the time in UTC.

        At the first one the blobs end, which what waits to be published is in: else the new journal file would point into them, and
        they would be kept as long as that is.
        """
        slot = now_ns // ROLL_NS
        if self._begun_ns is not None or slot == self._slot:
            return False
        if self._ended != slot and any(track.pending for track in self._ledger.tracks.values()):
            self._ended = slot
            self._files.end_blobs()
            return False
        return True

    def begin(self, now_ns: int) -> None:
        """Ends the open blobs and the journal file, unless that is under way already."""
        if self._begun_ns is None:
            self._begun_ns = now_ns
            self._outgoing.hold()
            self._files.seal()
            self.go_on()

    def go_on(self) -> None:
        """The writer has answered for something: perhaps for the last record of the old file."""
        if self._begun_ns is not None and self._outgoing.idle and self._files.idle:
            now_ns, self._begun_ns = self._begun_ns, None
            self._turn(now_ns)

    def _turn(self, now_ns: int) -> None:
        before = [self._files.journal]
        try:
            self._begin_file(self._files.number + 1, ())
        except OSError as error:
            before = []
            self.errno = error.errno or errno.EIO
        else:
            self.errno = 0
            self._slot = now_ns // ROLL_NS
        self._files.retire_sealed(before)
        self._outgoing.release()
        self._files.retire_late()

    def _begin_file(self, number: int, extra: Sequence[JournalRecord]) -> None:
        name = self._files.begin_journal(number, (self._ledger.snapshot(), *extra))
        self._ledger.begin_file(number)
        for watcher in self._watchers:
            watcher.file_opened(name)
