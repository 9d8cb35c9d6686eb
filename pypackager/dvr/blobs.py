"""Where the files of a channel or an asset are.

In: names relative to the channel's directory. Out: paths, sizes, links. Never: a look into a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class BlobStore(Protocol):
    """A place for blobs and journal files; a file has the same name in its channel and in every asset that covers it."""

    def path(self, name: str) -> str:
        """Absolute path of a file, for response plans."""
        ...

    def size(self, name: str) -> int:
        """Bytes in a file; -1 when it is not there."""
        ...

    def link(self, name: str, source: BlobStore) -> None:
        """Takes over a file of another store without a copy; fine when it is here already."""
        ...

    def unlink(self, name: str) -> None:
        """Gives up a file; fine when it is gone."""
        ...


class LocalBlobs:
    """Files below one directory. Links are hard links: a file's bytes live as long as one store has it."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._prefix = f"{self._root}/"

    def path(self, name: str) -> str:
        """Absolute path of a file."""
        return self._prefix + name

    def size(self, name: str) -> int:
        """Bytes in a file; -1 when it is not there."""
        try:
            return (self._root / name).stat().st_size
        except FileNotFoundError:
            return -1

    def link(self, name: str, source: BlobStore) -> None:
        """Hard-links a file of a store on the same file system."""
        target, origin = self._root / name, Path(source.path(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(origin)
        except FileExistsError:
            # A file of that name that was never recorded (the process was killed in between) makes room for the one that is.
            if not origin.samefile(target):
                target.unlink()
                target.hardlink_to(origin)

    def unlink(self, name: str) -> None:
        """Removes this store's link."""
        (self._root / name).unlink(missing_ok=True)
