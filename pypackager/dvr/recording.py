"""The last run of an asset while its program runs: follows the channel, and covers its files.

In: a running channel's store, what earlier runs recorded. Out: the ledger that the asset shows, how the run ended. Never: a presentation.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from pypackager.dvr import recorded, retention
from pypackager.dvr.clip import KEPT_NS
from pypackager.dvr.description import Description, Stop, write_description
from pypackager.dvr.ledger import Ledger
from pypackager.dvr.links import Links
from pypackager.dvr.splice import Splice
from pypackager.dvr.store import ChannelStore


class Recording:
    """A run that goes on. It watches the store's files from its making on, until `end` or `leave`.

    Args:
        directory: the asset's.
        description: what asset.json says; the last run has no stop.
        links: the asset's files; what the store has open is among them.
        store: the channel's.
        history: what earlier runs recorded, in the asset's numbers.
    """

    def __init__(self, directory: Path, description: Description, links: Links, store: ChannelStore, history: Ledger) -> None:
        self.description = description
        self._directory = directory
        self._links = links
        self._store = store
        run = description.runs[-1]
        self._splice = Splice(history, run, run.join, store.ledger) if run.join is not None else None
        store.watchers.append(self)

    @property
    def window_ns(self) -> int:
        """How much media time it covers."""
        return self.description.window_ns

    @property
    def ledger(self) -> Ledger:
        """What the asset shows; current after `advance`. Of a first run it is the channel's."""
        return self._splice.ledger if self._splice is not None else self._store.ledger

    def advance(self) -> None:
        """Takes over what the channel has published since.

        Raises:
            OSError: where a later run begins could not be written down; nothing of it is shown yet.
        """
        if (spliced := self._splice) is None:
            return
        if spliced.begin is None and (begin := spliced.find_begin()) is not None:
            *before, run = self.description.runs
            self._describe(replace(self.description, runs=(*before, replace(run, begin=begin))))
            spliced.begin = begin
        spliced.advance()

    def end(self, now_ns: int) -> Ledger:
        """The run ends with the last published row; returns the ledger that the asset is from now on.

        Raises:
            OSError: a file could not be linked, or the description not be written; the run goes on.
        """
        self.trim()
        self._links.retry(self._store.blobs)
        if self._links.missing:
            raise OSError(f"not linked: {', '.join(sorted(self._links.missing))}")
        self._links.sync()
        ledger = self._store.ledger.frozen() if self._splice is None else self._splice.ledger
        self._describe(self.ended(now_ns))
        ledger.version += 1
        self.leave()
        return ledger

    def ended(self, now_ns: int) -> Description:
        """What asset.json would say if the run ended now."""
        file, offset = self._store.position()
        return self._known(Stop(now_ns, file, offset, self.ledger.version + 1))

    def leave(self) -> None:
        """Follows the channel no more."""
        self._store.watchers.remove(self)

    # --- the channel's files

    def trim(self) -> None:
        """Gives up the files that hold nothing of the window any more, nor of what has just left it."""
        self.advance()
        if (known := self._known()) != self.description:
            self._describe(known)
        keep = retention.oldest_file(self.ledger, self.window_ns + KEPT_NS)
        if any(number < keep for number in self._links.files()):
            if self._splice is not None:
                self._splice.forget_before(keep)
            self._links.keep(self._needed(self._store.files_since(max(keep, self.description.runs[-1].first_file))))

    def give_up_older(self, file: int) -> bool:
        """Disk low: gives up its oldest journal file, of an earlier run, if that is older than this one of the channel."""
        if self._splice is None or len(files := self._splice.ledger.files) < 2 or files[0].number >= file:
            return False
        self._splice.forget_before(files[1].number)
        self._links.keep(self._needed(self._store.files_since(self.description.runs[-1].first_file)))
        return True

    def file_opened(self, name: str) -> None:
        """The channel began a file."""
        self._links.add(name, self._store.blobs)

    def file_dropped(self, name: str) -> None:
        """The channel gave up a file for lack of space."""
        if self._splice is not None:
            self._splice.forget_before(self._store.ledger.files[0].number)
        self._links.drop(name)

    # --- inside

    def _needed(self, names: Iterable[str]) -> set[str]:
        """These names, and those of what earlier runs recorded."""
        return {*names, *(recorded.names(self._splice.ledger) if self._splice is not None else ())}

    def _known(self, stop: Stop | None = None) -> Description:
        """The description with what is known of the run, and without runs of which nothing is left."""
        *before, run = self.description.runs
        if self._splice is not None:
            files, begin = self._splice.ledger.files, self._splice.begin
            before = [earlier for earlier in before if earlier.stop and files and earlier.stop.file >= files[0].number]
            # A copy: tracks that join later are added to the other.
            run = replace(run, begin=begin and replace(begin, rows={**begin.rows}))
        return replace(self.description, runs=(*before, replace(run, stop=stop)))

    def _describe(self, description: Description) -> None:
        write_description(self._directory, description)
        self.description = description
