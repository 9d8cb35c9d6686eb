"""The files that a channel writes: one journal file, and one open blob a track.

In: what a file begins with, sizes, the writer's answers. Out: handles, and what a sync covered. Never: a fold, a choice of when they turn.

Files that get no more bytes are *retired*: synced, then closed. Those that end with the old journal file are *sealed* at the turn: retired
when the writer has answered for everything before it, unless the new journal file could not be made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from pypackager.dvr import journal
from pypackager.dvr.blobs import BlobStore
from pypackager.dvr.records import JournalRecord
from pypackager.dvr.recovery import BLOBS, JOURNALS
from pypackager.dvr.writing import Writing
from pypackager.model.records import FragmentWritten
from pypackager.model.track import TrackConfig, TrackInfo


class OpenBlob:
    """An open blob; `size` includes what is reserved."""

    __slots__ = ("config", "dirty", "handle", "name", "number", "size")

    def __init__(self, number: int, name: str, handle: int, config: int, size: int) -> None:
        self.number = number
        self.name = name
        self.handle = handle
        self.config = config
        self.size = size
        self.dirty = True

    def reserve(self, size: int) -> int:
        """Where the next bytes go."""
        offset = self.size
        self.size += size
        self.dirty = True
        return offset


class Sync(msgspec.Struct, frozen=True):
    """What a sync covers."""

    ticket: int
    """The store's; 0 for one that nobody asked for."""
    file: int
    """The journal file, and how much of it."""
    size: int


class Files:
    """What is open for writing."""

    def __init__(self, writer: Writing, blobs: BlobStore) -> None:
        self.journal = -1
        """Handle of the journal file."""
        self.number = 0
        self.size = 0
        """Bytes of the journal file that are folded."""
        self.trusted = True
        """Whether no sync has failed. After one that has, the kernel may have dropped pages and call the next one fine."""
        self.open: dict[int, OpenBlob] = {}
        """Blobs by track."""
        self._writer = writer
        self._blobs = blobs
        self._dirty = False
        self._heads: dict[int, tuple[int, int]] = {}
        self._syncs: dict[int, Sync] = {}
        self._sealed: list[int] = []
        self._late: list[int] = []
        self._turning = False

    @property
    def idle(self) -> bool:
        """Whether the writer has answered for the header of each blob."""
        return not self._heads

    # --- the journal file

    def begin_journal(self, number: int, records: Iterable[JournalRecord]) -> str:
        """Makes a journal file that opens with these records; returns its name. The one before stays open.

        Raises:
            OSError: it could not be made; nothing has changed.
        """
        name = journal_name(number)
        path = self._blobs.path(name)
        data = journal.write_header(number) + b"".join(journal.write_frame(record) for record in records)
        # Complete or not there: a file without its snapshot could not be the oldest one day.
        new = Path(path + ".new")
        try:
            new.write_bytes(data)
            new.rename(path)
            self.journal = self._writer.open(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        self.number, self.size, self._dirty = number, len(data), True
        return name

    def grown(self, size: int, *, dirty: bool) -> None:
        """A record is in the journal file; `dirty`: it is worth a sync."""
        self.size += size
        self._dirty = self._dirty or dirty

    # --- blobs

    def open_blob(self, number: int, info: TrackInfo, config: int, value: TrackConfig) -> OpenBlob:
        """Begins a blob of a track, with its header; the one before gets no more bytes.

        Raises:
            OSError: it can't be opened.
        """
        name = f"{BLOBS}/{info.id}/{number:06d}.cmf{info.kind[0]}"
        path = self._blobs.path(name)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        blob = OpenBlob(number, name, self._writer.open(path), config, len(value.init))
        self._heads[self._writer.append(blob.handle, value.init)] = (info.number, number)
        if (before := self.open.get(info.number)) is not None:
            self.retire([before.handle])
        self.open[info.number] = blob
        return blob

    def head_written(self, ticket: int, error: int) -> bool:
        """The writer has answered; returns whether it was for the header of a blob."""
        head = self._heads.pop(ticket, None)
        # Without its header the file is no CMAF track file: the next fragment opens another.
        if head is not None and error:
            self.abandon(*head)
        return head is not None

    def shrink(self, record: FragmentWritten) -> None:
        """A fragment was not written: the next one takes its place, when it was the last."""
        blob = self.open.get(record.track)
        if blob is not None and blob.number == record.blob and blob.size == record.offset + record.size:
            blob.size = record.offset

    def end_blobs(self) -> None:
        """The open blobs get no more bytes: the next fragment of each track opens another."""
        self.retire([blob.handle for blob in self.open.values()])
        self.open.clear()

    def abandon(self, track: int, number: int) -> None:
        """Nothing more goes into a blob."""
        blob = self.open.get(track)
        if blob is not None and blob.number == number:
            del self.open[track]
            self.retire([blob.handle])

    # --- to the disk, and closed

    @property
    def dirty(self) -> bool:
        """Whether something was written since the last sync."""
        return self._dirty or any(blob.dirty for blob in self.open.values())

    @property
    def syncing(self) -> bool:
        """Whether the disk has not answered to a sync."""
        return bool(self._syncs)

    def sync(self, ticket: int) -> None:
        """Brings what was written to the disk, blobs first, then the journal."""
        dirty = [blob for blob in self.open.values() if blob.dirty]
        for blob in dirty:
            blob.dirty = False
        self._dirty = False
        done = self._writer.sync([*(blob.handle for blob in dirty), *self._sealed, self.journal])
        self._syncs[done] = Sync(ticket, self.number, self.size)

    def synced(self, ticket: int, error: int) -> Sync | None:
        """The writer has answered; returns the sync that it was."""
        sync = self._syncs.pop(ticket, None)
        if sync is not None and error:
            self.trusted = False
        return sync

    def retire(self, handles: Sequence[int]) -> None:
        """Syncs and closes files that get no more bytes."""
        if self._turning:
            # Held records may still go to them.
            self._late += handles
        elif handles:
            self._syncs[self._writer.sync([*handles])] = Sync(0, 0, 0)
            for handle in handles:
                self._writer.close_file(handle)

    def seal(self) -> None:
        """The open blobs end; what is retired from here on waits for `retire_late`."""
        self._turning = True
        self._sealed += [blob.handle for blob in self.open.values()]
        self.open.clear()

    def retire_sealed(self, before: Sequence[int]) -> None:
        """Retires what was sealed, and with it the journal file before."""
        self._turning = False
        sealed, self._sealed = self._sealed, []
        self.retire([*sealed, *before])

    def retire_late(self) -> None:
        """Retires what was given up while the files turned."""
        late, self._late = self._late, []
        self.retire(late)

    def close(self) -> None:
        """Closes everything. What was not synced is on its way to the disk, which the end does not wait for."""
        for handle in [*(blob.handle for blob in self.open.values()), *self._sealed, *self._late, self.journal]:
            self._writer.close_file(handle)
        self.open.clear()


def journal_name(number: int) -> str:
    """Name of a journal file in its channel and in assets."""
    return f"{JOURNALS}/{journal.file_name(number)}"
