"""Assets: what a program records, and what stays of it for good.

In: a running channel's store, or an asset's own directory. Out: presentations. Never: a copy of media, a change to a channel's journal.

An asset is a directory with `asset.json` and hard links to the channel's journal files and blobs, under the names that they have in the
channel; links are made when a file begins, so an asset costs nothing and needs nothing of its channel: trimming or deleting the channel
leaves it whole. While the program runs for the first time it is a view of the channel's ledger; once stopped it is the ledger as it stood
at one position of the journal, which a later process folds again from the asset's own files. A program that is started again adds a run:
the asset is what its earlier runs recorded, and behind it what the channel publishes (splice.py).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from pypackager.dvr import recorded, retention
from pypackager.dvr.blobs import LocalBlobs
from pypackager.dvr.clip import KEPT_NS, Bounds
from pypackager.dvr.description import (
    DESCRIPTION,
    Description,
    Run,
    Stop,
    read_description,
    sync_directory,
    write_description,
)
from pypackager.dvr.ledger import Ledger
from pypackager.dvr.links import Links
from pypackager.dvr.splice import Splice
from pypackager.dvr.store import ChannelStore
from pypackager.dvr.view import View
from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation


class Asset:
    """One asset. Made by `start` (a program starts), `resume` (the daemon came back) or `open` (the program has ended)."""

    def __init__(self, directory: Path, description: Description, ledger: Ledger) -> None:
        self.directory = directory
        self.description = description
        self._links = Links(directory)
        self._store: ChannelStore | None = None
        self._splice: Splice | None = None
        self._view = View(description.name, ledger, self._links.blobs)

    @classmethod
    def start(cls, directory: Path, store: ChannelStore, *, name: str, channel: str, window_ns: int) -> Asset:
        """A program starts: with the next segment that is published.

        Raises:
            PackagerError: ASSET_EXISTS.
            OSError: the directory can't be written, or is on another file system than the channel; there is no asset then.
        """
        if (directory / DESCRIPTION).exists():
            raise PackagerError("ASSET_EXISTS", f"asset {name!r} exists", status=409, where=str(directory), fault="operator")
        if directory.exists():
            # Without a description: what an interrupted start or deletion left.
            shutil.rmtree(directory)
        directory.mkdir(parents=True)
        run = Run(store.ledger.files[-1].number, _rows(store))
        asset = cls(directory, Description(name, channel, window_ns, (run,)), store.ledger)
        try:
            asset._links.take(store.files_since(run.first_file), store.blobs)
            asset._describe(asset.description)
        except OSError:
            shutil.rmtree(directory)
            raise
        sync_directory(directory.parent)
        asset._follow(store, None)
        return asset

    @classmethod
    def resume(cls, directory: Path, store: ChannelStore) -> Asset:
        """Goes on with a program that ran when the daemon ended: links what began in between. May read a lot: call it in a thread.

        Raises:
            PackagerError: ASSET_UNKNOWN, ASSET_STOPPED.
        """
        description = read_description(directory)
        if description.stop is not None:
            raise PackagerError("ASSET_STOPPED", "the program has ended", status=409, where=str(directory), fault="us")
        *before, run = description.runs
        asset = cls(directory, description, store.ledger)
        linked = [number for number in asset._links.files() if number >= run.first_file]
        names = store.files_since(min(linked, default=store.ledger.files[-1].number))
        history = recorded.taken(recorded.fold(directory, before), run.join.since) if run.join is not None else Ledger()
        asset._links.keep({*names, *recorded.names(history)})
        asset._links.take(names, store.blobs)
        asset._follow(store, Splice(history, run, run.join, store.ledger) if run.join is not None else None)
        return asset

    @classmethod
    def open(cls, directory: Path) -> Asset:
        """A stopped asset, from its own files. Reads a lot: call it in a thread.

        Raises:
            PackagerError: ASSET_UNKNOWN, ASSET_RUNNING.
        """
        description = read_description(directory)
        if description.stop is None:
            raise PackagerError("ASSET_RUNNING", "the program has not ended", status=409, where=str(directory), fault="us")
        return cls(directory, description, recorded.fold(directory, description.runs))

    @property
    def running(self) -> bool:
        """Whether its program runs."""
        return self._store is not None

    @property
    def window_ns(self) -> int:
        """Depth of the archive in media time."""
        return self.description.window_ns

    @property
    def blobs(self) -> LocalBlobs:
        """Its files."""
        return self._links.blobs

    def presentation(self, start_ns: int | None = None, end_ns: int | None = None) -> Presentation:
        """The asset's window, or the part of it from `start_ns` to `end_ns` (media time), at segment borders."""
        with suppress(OSError):
            # Without room for the description the run is not shown yet; trimming tries again, and says so.
            self._advance()
        description = self.description
        first, stop = description.runs[0], description.stop
        bounds = Bounds(description.window_ns, first.start_rows if first.join is None else {}, start_ns, end_ns)
        return self._view.present(bounds, ended=stop is not None, published_ns=stop.utc_ns if stop else None)

    def start_again(self, store: ChannelStore, window_ns: int) -> None:
        """Its program starts again: it is live, with what was recorded, and goes on with the next segment that is published.

        Raises:
            PackagerError: ASSET_RUNNING; CHANNEL_REPLACED (409) when the channel's journal does not go on from what was recorded.
            OSError: a file can't be linked, or the description not be written; the asset is what it was.
        """
        if self._store is not None:
            raise PackagerError("ASSET_RUNNING", "the program has not ended", status=409, where=str(self.directory), fault="us")
        join = recorded.join(self.presentation(), store.ledger)
        history = recorded.taken(self._view.ledger, join.since)
        if not recorded.follows(history, store.ledger):
            detail = "its channel was made anew, with times of its own; record to a new asset"
            raise PackagerError("CHANNEL_REPLACED", detail, status=409, where=self.description.channel, fault="operator")
        run = Run(store.ledger.files[-1].number, _rows(store), join)
        description = msgspec.structs.replace(self.description, window_ns=window_ns, runs=(*self.description.runs, run))
        # What an interrupted start left behind.
        self._links.keep(recorded.names(history))
        try:
            self._links.take(store.files_since(run.first_file), store.blobs)
            self._describe(description)
        except OSError:
            self._links.keep(recorded.names(history))
            raise
        self._follow(store, Splice(history, run, join, store.ledger))

    def stop(self, now_ns: int) -> None:
        """The program ends with the last published row: the asset is video on demand from now on.

        The caller then lets the store roll, which seals the linked files, and sync, before it answers.

        Raises:
            OSError: a file could not be linked, or the description not be written; the program still runs.
        """
        store = self._running()
        self.trim()
        self._links.retry(store.blobs)
        if self._links.missing:
            raise OSError(f"not linked: {', '.join(sorted(self._links.missing))}")
        self._links.sync()
        file, offset = store.position()
        ledger = store.ledger.frozen() if self._splice is None else self._splice.ledger
        version = ledger.version + 1
        self._describe(self._said(Stop(now_ns, file, offset, version)))
        ledger.version = version
        self._view.ledger = ledger
        self._detach()

    def delete(self) -> None:
        """Removes the asset; bytes that the channel or another asset has links to stay."""
        if self._store is not None:
            self._detach()
        self.blobs.unlink(DESCRIPTION)
        # From here on there is no asset, whenever the power fails.
        sync_directory(self.directory)
        shutil.rmtree(self.directory)

    # --- what the channel's files are told

    def trim(self) -> None:
        """Gives up the files that hold nothing of the window any more, nor of what has just left it."""
        store = self._running()
        self._advance()
        if (said := self._said(None)) != self.description:
            self._describe(said)
        ledger = self._view.ledger
        keep = retention.oldest_file(ledger, self.window_ns + KEPT_NS)
        if any(number < keep for number in self._links.files()):
            if self._splice is not None:
                self._splice.forget_before(keep)
            self._links.keep(self._needed(store.files_since(max(keep, self.description.runs[-1].first_file))))

    def give_up_older(self, file: int) -> bool:
        """Disk low: gives up its oldest journal file, of an earlier run, if that is older than this one of the channel."""
        if self._splice is None or len(files := self._splice.ledger.files) < 2 or files[0].number >= file:
            return False
        self._splice.forget_before(files[1].number)
        self._links.keep(self._needed(self._running().files_since(self.description.runs[-1].first_file)))
        return True

    def file_opened(self, name: str) -> None:
        """The channel began a file."""
        self._links.add(name, self._running().blobs)

    def file_dropped(self, name: str) -> None:
        """The channel gave up a file for lack of space."""
        if self._splice is not None:
            self._splice.forget_before(self._running().ledger.files[0].number)
        self._links.drop(name)

    # --- inside

    def _follow(self, store: ChannelStore, spliced: Splice | None) -> None:
        """The asset is live from now on."""
        self._store, self._splice = store, spliced
        store.watchers.append(self)
        self._view = View(self.description.name, spliced.ledger if spliced is not None else store.ledger, self.blobs)

    def _advance(self) -> None:
        """Takes over what the channel has published since, when this is not the first run."""
        if (spliced := self._splice) is None:
            return
        if spliced.begin is None and (begin := spliced.find_begin()) is not None:
            *before, run = self.description.runs
            self._describe(msgspec.structs.replace(self.description, runs=(*before, msgspec.structs.replace(run, begin=begin))))
            spliced.begin = begin
        spliced.advance()

    def _detach(self) -> None:
        self._running().watchers.remove(self)
        self._store = self._splice = None

    def _needed(self, names: Iterable[str]) -> set[str]:
        """These names, and those of what earlier runs recorded."""
        return {*names, *(recorded.names(self._splice.ledger) if self._splice is not None else ())}

    def _running(self) -> ChannelStore:
        if self._store is None:
            raise PackagerError("ASSET_STOPPED", "the program has ended", status=409, where=str(self.directory), fault="us")
        return self._store

    def _said(self, stop: Stop | None) -> Description:
        """The description with what is known of the last run, and without runs of which nothing is left."""
        *before, run = self.description.runs
        if self._splice is not None:
            files, begin = self._splice.ledger.files, self._splice.begin
            before = [earlier for earlier in before if earlier.stop and files and earlier.stop.file >= files[0].number]
            # A copy: tracks that join later are added to the other.
            run = msgspec.structs.replace(run, begin=begin and msgspec.structs.replace(begin, rows={**begin.rows}))
        return msgspec.structs.replace(self.description, runs=(*before, msgspec.structs.replace(run, stop=stop)))

    def _describe(self, description: Description) -> None:
        write_description(self.directory, description)
        self.description = description


def _rows(store: ChannelStore) -> dict[int, int]:
    return {number: track.columns.end for number, track in store.ledger.tracks.items()}
