"""Assets: what a program records, and what stays of it for good.

In: a running channel's store, or an asset's own directory. Out: presentations. Never: a copy of media, a change to a channel's journal.

An asset is a directory with `asset.json` and hard links to the channel's journal files and blobs, under the names that they have in the
channel; links are made when a file begins, so an asset costs nothing and needs nothing of its channel: trimming or deleting the channel
leaves it whole. While the program runs it is a view of the channel's ledger; once stopped it is the ledger as it stood at one position of
the journal, which a later process folds again from the asset's own files.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from pypackager.dvr import journal, retention
from pypackager.dvr.blobs import LocalBlobs
from pypackager.dvr.clip import KEPT_NS, Bounds
from pypackager.dvr.ledger import Ledger
from pypackager.dvr.recovery import BLOBS, JOURNALS, Replay
from pypackager.dvr.store import ChannelStore
from pypackager.dvr.view import View
from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation

DESCRIPTION = "asset.json"


class Stop(msgspec.Struct, frozen=True):
    """How a program ended."""

    utc_ns: int
    file: int
    offset: int
    """The asset is the fold of the journal up to this byte of this file."""
    version: int


class Description(msgspec.Struct, frozen=True):
    """asset.json."""

    name: str
    channel: str
    window_ns: int
    """Depth of the archive in media time; what falls out of it while the program runs is gone for good."""
    start_rows: dict[int, int]
    """By track number: rows published before the program started. A track that is not named joined later."""
    stop: Stop | None = None
    """None while the program runs."""


class Asset:
    """One asset. Made by `start` (a program starts), `resume` (the daemon came back) or `open` (the program has ended)."""

    def __init__(self, directory: Path, description: Description, ledger: Ledger, store: ChannelStore | None) -> None:
        self.directory = directory
        self.description = description
        self.blobs = LocalBlobs(directory)
        self._store = store
        self._view = View(description.name, ledger, self.blobs)
        self._unlinked: set[str] = set()

    @classmethod
    def start(cls, directory: Path, store: ChannelStore, *, name: str, channel: str, window_ns: int) -> Asset:
        """A program starts: with the next segment that is published.

        Raises:
            PackagerError: ASSET_EXISTS.
            OSError: the directory can't be written, or is on another file system than the channel.
        """
        if (directory / DESCRIPTION).exists():
            raise PackagerError("ASSET_EXISTS", f"asset {name!r} exists", status=409, where=str(directory), fault="operator")
        if directory.exists():
            # Without a description: what an interrupted start or deletion left.
            shutil.rmtree(directory)
        directory.mkdir(parents=True)
        rows = {number: track.columns.end for number, track in store.ledger.tracks.items()}
        asset = cls(directory, Description(name, channel, window_ns, rows), store.ledger, store)
        asset._attach(store, store.ledger.files[-1].number)
        asset._describe(asset.description)
        return asset

    @classmethod
    def resume(cls, directory: Path, store: ChannelStore) -> Asset:
        """Goes on with a program that ran when the daemon ended: links what began in between.

        Raises:
            PackagerError: ASSET_UNKNOWN, ASSET_STOPPED.
        """
        description = read_description(directory)
        if description.stop is not None:
            raise PackagerError("ASSET_STOPPED", "the program has ended", status=409, where=str(directory), fault="us")
        asset = cls(directory, description, store.ledger, store)
        asset._attach(store, min(asset._files(), default=store.ledger.files[-1].number))
        return asset

    @classmethod
    def open(cls, directory: Path) -> Asset:
        """A stopped asset, from its own files. Reads a lot: call it in a thread.

        Raises:
            PackagerError: ASSET_UNKNOWN, ASSET_RUNNING.
        """
        description = read_description(directory)
        stop = description.stop
        if stop is None:
            raise PackagerError("ASSET_RUNNING", "the program has not ended", status=409, where=str(directory), fault="us")
        ledger = Replay(directory, (stop.file, stop.offset)).ledger
        ledger.version = stop.version
        return cls(directory, description, ledger, None)

    @property
    def running(self) -> bool:
        """Whether its program runs."""
        return self._store is not None

    @property
    def window_ns(self) -> int:
        """Depth of the archive in media time."""
        return self.description.window_ns

    def presentation(self, start_ns: int | None = None, end_ns: int | None = None) -> Presentation:
        """The asset's window, or the part of it from `start_ns` to `end_ns` (media time), at segment borders."""
        description = self.description
        bounds = Bounds(description.window_ns, description.start_rows, start_ns, end_ns)
        stop = description.stop
        return self._view.present(bounds, ended=stop is not None, published_ns=stop.utc_ns if stop else None)

    def stop(self, now_ns: int) -> None:
        """The program ends with the last published row: the asset is video on demand from now on.

        The caller then lets the store roll, which seals the linked files, and sync, before it answers.

        Raises:
            OSError: a file could not be linked, or the description not be written; the program still runs.
        """
        store = self._running()
        self.trim()
        self._link()
        if self._unlinked:
            raise OSError(f"not linked: {', '.join(sorted(self._unlinked))}")
        file, offset = store.position()
        version = store.ledger.version + 1
        self._describe(msgspec.structs.replace(self.description, stop=Stop(now_ns, file, offset, version)))
        self._view.ledger = store.ledger.frozen()
        self._view.ledger.version = version
        self._detach()

    def delete(self) -> None:
        """Removes the asset; bytes that the channel or another asset has links to stay."""
        if self._store is not None:
            self._detach()
        self.blobs.unlink(DESCRIPTION)
        shutil.rmtree(self.directory)

    def trim(self) -> None:
        """Gives up the files that hold nothing of the window any more, nor of what has just left it."""
        store = self._running()
        keep = retention.oldest_file(store.ledger, self.window_ns + KEPT_NS)
        if any(number < keep for number in self._files()):
            self._sweep({*store.files_since(keep)})

    def file_opened(self, name: str) -> None:
        """The channel began a file."""
        self._unlinked.add(name)
        self._link()

    def file_dropped(self, name: str) -> None:
        """The channel gave up a file for lack of space."""
        self._unlinked.discard(name)
        self.blobs.unlink(name)

    def _attach(self, store: ChannelStore, first: int) -> None:
        for place in (JOURNALS, BLOBS):
            (self.directory / place).mkdir(exist_ok=True)
        names = {name for name in store.files_since(first) if store.blobs.size(name) >= 0}
        self._sweep(names)
        for name in sorted(names):
            self.blobs.link(name, store.blobs)
        store.watchers.append(self)

    def _detach(self) -> None:
        self._running().watchers.remove(self)
        self._store = None

    def _link(self) -> None:
        # A link that fails (no space for the directory entry) is tried again: the channel keeps the file for the window.
        blobs = self._running().blobs
        for name in sorted(self._unlinked):
            try:
                self.blobs.link(name, blobs)
            except OSError:
                continue
            self._unlinked.discard(name)

    def _sweep(self, names: set[str]) -> None:
        """Removes links to other files than these; journal files first, so that none ever points to a blob that is gone."""
        for pattern in (f"{JOURNALS}/*", f"{BLOBS}/*/*"):
            for path in self.directory.glob(pattern):
                if str(path.relative_to(self.directory)) not in names:
                    path.unlink()

    def _files(self) -> list[int]:
        return journal.file_numbers(self.directory / JOURNALS)

    def _running(self) -> ChannelStore:
        if self._store is None:
            raise PackagerError("ASSET_STOPPED", "the program has ended", status=409, where=str(self.directory), fault="us")
        return self._store

    def _describe(self, description: Description) -> None:
        """Writes asset.json, whole and durable."""
        new = self.directory / (DESCRIPTION + ".new")
        with new.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(description)))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.directory / DESCRIPTION)
        directory = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        self.description = description


def read_description(directory: Path) -> Description:
    """Reads asset.json.

    Raises:
        PackagerError: ASSET_UNKNOWN when there is none, ASSET_UNREADABLE.
    """
    path = directory / DESCRIPTION
    try:
        return msgspec.json.decode(path.read_bytes(), type=Description)
    except FileNotFoundError:
        raise PackagerError("ASSET_UNKNOWN", "there is no such asset", status=404, where=str(directory), fault="operator") from None
    except msgspec.MsgspecError as error:
        raise PackagerError("ASSET_UNREADABLE", str(error), status=500, where=str(path), fault="operator") from error
