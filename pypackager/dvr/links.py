"""The directory of an asset: its description, and hard links to its channel's, under the names that they have there.

In: names. Out: links made and removed. Never: a choice of what an asset needs, a look into a file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from pypackager.dvr import journal
from pypackager.dvr.blobs import BlobStore, LocalBlobs
from pypackager.dvr.description import DESCRIPTION, Description, sync_directory, write_description
from pypackager.dvr.lock import held
from pypackager.dvr.recovery import BLOBS, JOURNALS
from pypackager.model.errors import PackagerError


class Links:
    """Links below an asset's directory. One that fails (no space for the directory entry) is made later: it is `missing` until then."""

    def __init__(self, directory: Path) -> None:
        self.blobs = LocalBlobs(directory)
        self.missing: set[str] = set()
        self._directory = directory

    def files(self) -> list[int]:
        """Numbers of the journal files, rising."""
        return journal.file_numbers(self._directory / JOURNALS)

    def take(self, names: Iterable[str], source: BlobStore) -> None:
        """Links files that are in the source; fine for those that are here already.

        Raises:
            OSError: a link could not be made.
        """
        for place in (JOURNALS, BLOBS):
            (self._directory / place).mkdir(exist_ok=True)
        for name in sorted(names):
            if source.size(name) >= 0:
                self.blobs.link(name, source)

    def add(self, name: str, source: BlobStore) -> None:
        """Links a file that has just begun, and those that are missing, as far as it goes."""
        self.missing.add(name)
        self.retry(source)

    def retry(self, source: BlobStore) -> None:
        """Makes the missing links, as far as it goes: the source keeps the files for the window."""
        for name in sorted(self.missing):
            try:
                self.blobs.link(name, source)
            except OSError:
                continue
            self.missing.discard(name)

    def drop(self, name: str) -> None:
        """Removes one link."""
        self.missing.discard(name)
        self.blobs.unlink(name)

    def keep(self, names: Collection[str]) -> None:
        """Removes all links but these; journal files first, so that none ever points to a blob that is gone."""
        self.missing.intersection_update(names)
        for place in (JOURNALS, *(f"{BLOBS}/{folder.name}" for folder in (self._directory / BLOBS).iterdir())):
            # There may be thousands, and each is looked at: no path is made of those that stay.
            with os.scandir(self._directory / place) as entries:
                gone = [name for entry in entries if (name := f"{place}/{entry.name}") not in names]
            for name in gone:
                self.blobs.unlink(name)

    def sync(self) -> None:
        """Brings the names to the disk; the bytes are synced by who wrote them."""
        for directory in (self._directory / JOURNALS, *(self._directory / BLOBS).iterdir(), self._directory / BLOBS):
            sync_directory(directory)


def make(directory: Path, description: Description, names: Iterable[str], source: BlobStore) -> Links:
    """Makes an asset's directory, with links to these files.

    Raises:
        PackagerError: ASSET_EXISTS.
        OSError: it could not be made; there is none.
    """
    if (directory / DESCRIPTION).exists():
        detail = f"asset {description.name!r} exists"
        raise PackagerError("ASSET_EXISTS", detail, status=409, where=str(directory), fault="operator")
    above = directory.parent
    synced = (above,) if above.exists() else (above, above.parent)
    above.mkdir(parents=True, exist_ok=True)
    # Another process that shares the data directory may be clearing up: until it is described, this looks like what a crash left.
    with held(above, alone=False):
        if directory.exists():
            # Without a description: what an interrupted start or deletion left.
            shutil.rmtree(directory)
        directory.mkdir()
        links = Links(directory)
        try:
            links.take(names, source)
            write_description(directory, description)
            for place in synced:
                sync_directory(place)
        except OSError:
            shutil.rmtree(directory)
            raise
    return links


def remove(directory: Path) -> None:
    """Removes an asset's directory. Once its description is gone there is no asset, whenever the power fails."""
    with held(directory.parent, alone=False):
        (directory / DESCRIPTION).unlink(missing_ok=True)
        sync_directory(directory)
        shutil.rmtree(directory)


def clear(root: Path) -> list[str]:
    """Removes the directories below `root` that have no description; returns their names.

    Raises:
        OSError: one of them can't be removed as a whole.
    """
    if not root.is_dir():
        return []
    with held(root, alone=True):
        left = sorted(path for path in root.iterdir() if path.is_dir() and not (path / DESCRIPTION).exists())
        for path in left:
            shutil.rmtree(path)
    return [path.name for path in left]
