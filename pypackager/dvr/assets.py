"""Assets: what a program records, and what stays of it for good.

In: a running channel's store, or an asset's own directory. Out: presentations. Never: a copy of media, a change to a channel's journal.

An asset is a directory with `asset.json` and hard links to the channel's journal files and blobs, under the names that they have in the
channel; links are made when a file begins, so an asset costs nothing and needs nothing of its channel: trimming or deleting the channel
leaves it whole. While the program runs for the first time it is a view of the channel's ledger; once stopped it is the ledger as it stood
at one position of the journal, which a later process folds again from the asset's own files. A program that is started again adds a run:
the asset is what its earlier runs recorded, and behind it what the channel publishes (splice.py).
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from pypackager.dvr import recorded
from pypackager.dvr.blobs import LocalBlobs
from pypackager.dvr.clip import Bounds
from pypackager.dvr.description import Description, Run, Verified, read_description, write_description
from pypackager.dvr.excerpt import Excerpt, describe
from pypackager.dvr.ledger import Ledger
from pypackager.dvr.links import Links, make, remove
from pypackager.dvr.recorded import Rehearsal
from pypackager.dvr.recording import Recording
from pypackager.dvr.store import ChannelStore
from pypackager.dvr.verify import Findings, Verification, missing
from pypackager.dvr.view import View
from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation


class Asset:
    """One asset. Made by `start` (a program starts), `resume` (the daemon came back) or `open` (the program has ended)."""

    def __init__(self, directory: Path, description: Description, ledger: Ledger, recording: Recording | None = None) -> None:
        self.directory = directory
        self._description = description
        self._recording = recording
        self._links = Links(directory)
        self._view = View(description.name, ledger, self._links.blobs)

    @classmethod
    def start(cls, directory: Path, store: ChannelStore, *, name: str, channel: str, window_ns: int) -> Asset:
        """A program starts: with the next segment that is published.

        Raises:
            PackagerError: ASSET_EXISTS.
            OSError: the directory can't be written, or is on another file system than the channel; there is no asset then.
        """
        run = Run(store.ledger.files[-1].number, _rows(store))
        description = Description(name, channel, window_ns, (run,), earlier=store.past.count)
        links = make(directory, description, store.files_since(run.first_file), store.blobs)
        return cls(directory, description, store.ledger, Recording(directory, description, links, store, Ledger()))

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
        links, history = Links(directory), Ledger()
        if run.join is not None:
            history = recorded.taken(recorded.fold(directory, before, description.damaged), run.join.since)
        linked = [number for number in links.files() if number >= run.first_file]
        names = store.files_since(min(linked, default=store.ledger.files[-1].number))
        links.keep({*names, *recorded.names(history)})
        links.take(names, store.blobs)
        recording = Recording(directory, description, links, store, history)
        return cls(directory, description, recording.ledger, recording)

    @classmethod
    def open(cls, directory: Path) -> Asset:
        """A stopped asset, from its own files. Reads a lot: call it in a thread.

        Raises:
            PackagerError: ASSET_UNKNOWN, ASSET_RUNNING.
        """
        description = read_description(directory)
        if description.stop is None:
            raise PackagerError("ASSET_RUNNING", "the program has not ended", status=409, where=str(directory), fault="us")
        asset = cls(directory, description, recorded.fold(directory, description.runs, description.damaged))
        if gone := missing(asset.presentation()):
            asset.mark({*description.damaged, *gone})
        return asset

    @classmethod
    def verify(cls, directory: Path) -> Verification:
        """What reads every fragment of a stopped asset. Reads its journal: call it in a thread.

        Raises:
            PackagerError: ASSET_UNKNOWN, ASSET_RUNNING.
        """
        description = read_description(directory)
        if description.stop is None:
            raise PackagerError("ASSET_RUNNING", "the program has not ended", status=409, where=str(directory), fault="operator")
        whole = cls(directory, description, recorded.fold(directory, description.runs))
        return Verification(whole.presentation(), directory, description)

    def mark(self, damaged: Collection[tuple[int, int]]) -> None:
        """These fragments (track, time) of a stopped asset are damaged, and no others: they are gaps from now on. Reads a lot.

        Raises:
            PackagerError: ASSET_RUNNING.
            OSError: the description could not be written; the asset is what it was.
        """
        self._leave_out(damaged, recorded.fold(self.directory, self.description.runs, damaged), self.description.verified)

    def conclude(self, found: Findings, ledger: Ledger) -> None:
        """What a verification found, and the ledger that it leaves, are so from now on.

        Raises:
            PackagerError: ASSET_RUNNING, ASSET_CHANGED (409): its program has been started meanwhile.
            OSError: the description could not be written; the asset is what it was.
        """
        if self.description.stop is not None and self.description.runs != found.runs:
            raise PackagerError("ASSET_CHANGED", "its program ran meanwhile", status=409, where=str(self.directory), fault="operator")
        self._leave_out(found.damaged, ledger, found.verified)

    @property
    def running(self) -> bool:
        """Whether its program runs."""
        return self._recording is not None

    @property
    def description(self) -> Description:
        """What asset.json says."""
        return self._recording.description if self._recording is not None else self._description

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
        if self._recording is not None:
            # Without room for the description the run is not shown yet; trimming tries again, and says so.
            with suppress(OSError):
                self._recording.advance()
        description = self.description
        first, stop = description.runs[0], description.stop
        start_rows = first.start_rows if first.join is None else {}
        bounds = Bounds(description.window_ns, start_rows, description.part, start_ns, end_ns)
        return self._view.present(bounds, ended=stop is not None, published_ns=stop.utc_ns if stop else None)

    def rehearsal(self) -> Rehearsal:
        """What takes the time of a start again, to be done in a thread before it.

        Raises:
            PackagerError: ASSET_RUNNING.
        """
        if self._recording is not None:
            raise PackagerError("ASSET_RUNNING", "the program has not ended", status=409, where=str(self.directory), fault="operator")
        return Rehearsal(self._view.ledger, recorded.begins(self.presentation()))

    def start_again(self, store: ChannelStore, window_ns: int, rehearsal: Rehearsal | None = None) -> None:
        """Its program starts again: it is live, with what was recorded, and goes on with the next segment that is published.

        Args:
            store: of its channel.
            window_ns: its program's window from now on.
            rehearsal: what was done of it ahead; of no use when the asset has changed since.

        Raises:
            PackagerError: ASSET_RUNNING; ASSET_IS_CLIP (409); CHANNEL_REPLACED (409) when the channel's journal does not go on from it.
            OSError: a file can't be linked, or the description not be written; the asset is what it was.
        """
        if self._recording is not None:
            raise PackagerError("ASSET_RUNNING", "the program has not ended", status=409, where=str(self.directory), fault="operator")
        if self.description.part is not None:
            raise PackagerError("ASSET_IS_CLIP", "a clip has no program", status=409, where=str(self.directory), fault="operator")
        join = recorded.join(self.presentation(), store.ledger)
        if rehearsal is None or rehearsal.of != (self._view.ledger, join.since):
            rehearsal = self.rehearsal()
        history = rehearsal.copy()
        if store.past.count != self.description.earlier or not recorded.follows(history, store.ledger):
            detail = "its channel was made anew, with times of its own; record to a new asset"
            raise PackagerError("CHANNEL_REPLACED", detail, status=409, where=self.description.channel, fault="operator")
        run = Run(store.ledger.files[-1].number, _rows(store), join)
        description = replace(self.description, window_ns=window_ns, runs=(*self.description.runs, run), verified=None)
        # What an interrupted start left behind.
        self._links.keep(recorded.names(history))
        try:
            self._links.take(store.files_since(run.first_file), store.blobs)
            write_description(self.directory, description)
        except OSError:
            self._links.keep(recorded.names(history))
            raise
        self._recording = Recording(self.directory, description, self._links, store, history)
        self._view = View(description.name, self._recording.ledger, self.blobs)

    def stop(self, now_ns: int) -> None:
        """The program ends with the last published row: the asset is video on demand from now on.

        The caller then lets the store roll, which seals the linked files, and sync, before it answers.

        Raises:
            OSError: a file could not be linked, or the description not be written; the program still runs.
        """
        recording = self._running()
        self._view.ledger = recording.end(now_ns)
        self._description, self._recording = recording.description, None

    def excerpt(self, name: str, start_ns: int, end_ns: int, now_ns: int) -> Excerpt:
        """What is recorded from `start_ns` to `end_ns` (media time), at segment borders outside of these, as what an asset can be made of.

        Of an asset whose program runs it takes what is published by now.

        Raises:
            PackagerError: CLIP_EMPTY (409).
        """
        shown = self.presentation(start_ns, end_ns)
        source = self._recording.ended(now_ns) if self._recording is not None else self._description
        return describe(name, source, shown, self._view.ledger, self.blobs, start_ns)

    def trim(self) -> None:
        """Gives up the files that hold nothing of the window any more, nor of what has just left it; the program runs."""
        self._running().trim()

    def delete(self) -> None:
        """Removes the asset; bytes that the channel or another asset has links to stay."""
        if self._recording is not None:
            self._recording.leave()
            self._description, self._recording = self._recording.description, None
        remove(self.directory)

    def _running(self) -> Recording:
        if self._recording is None:
            raise PackagerError("ASSET_STOPPED", "the program has ended", status=409, where=str(self.directory), fault="us")
        return self._recording

    def _leave_out(self, damaged: Collection[tuple[int, int]], ledger: Ledger, verified: Verified | None) -> None:
        *before, run = self.description.runs
        if (stop := run.stop) is None:
            raise PackagerError("ASSET_RUNNING", "the program has not ended", status=409, where=str(self.directory), fault="operator")
        if set(damaged) == set(self.description.damaged):
            if verified != self.description.verified:
                self._describe(replace(self.description, verified=verified))
            return
        # Other content needs another version.
        run = replace(run, stop=replace(stop, version=stop.version + 1))
        self._describe(replace(self.description, damaged=tuple(sorted(damaged)), runs=(*before, run), verified=verified))
        ledger.version = stop.version + 1
        self._view = View(self.description.name, ledger, self.blobs)

    def _describe(self, description: Description) -> None:
        write_description(self.directory, description)
        self._description = description


def _rows(store: ChannelStore) -> dict[int, int]:
    return {number: track.columns.end for number, track in store.ledger.tracks.items()}
