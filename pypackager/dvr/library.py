"""All assets of a data directory.

In: names. Out: which there are, what they cost. Never: a choice of who may delete: the caller says which program refers to an asset.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pypackager.dvr.description import DESCRIPTION, Description, read_description
from pypackager.dvr.links import clear, remove
from pypackager.dvr.measure import disk_bytes
from pypackager.model.errors import PackagerError

ASSETS = "assets"
"""Name of the directory of assets in a data directory."""


class Library:
    """The directory of assets; it need not be there before the first."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def names(self) -> list[str]:
        """Names of all assets, sorted."""
        return sorted(path.name for path in self._directories() if (path / DESCRIPTION).exists())

    def directory(self, name: str) -> Path:
        """Where an asset is.

        Raises:
            PackagerError: ASSET_UNKNOWN (404).
        """
        # Asked of the list, so that no name leads out of the directory.
        if name not in self.names():
            raise PackagerError("ASSET_UNKNOWN", f"there is no asset {name!r}", status=404, where=str(self._root), fault="operator")
        return self._root / name

    def describe(self, name: str) -> Description:
        """What an asset's file says.

        Raises:
            PackagerError: ASSET_UNKNOWN, ASSET_UNREADABLE.
        """
        return read_description(self.directory(name))

    def descriptions(self) -> dict[str, Description | None]:
        """What all assets' files say, by name; None where it can't be read."""
        found: dict[str, Description | None] = {}
        for name in self.names():
            try:
                found[name] = read_description(self._root / name)
            except PackagerError as error:
                # One that is deleted meanwhile is no asset.
                if error.code != "ASSET_UNKNOWN":
                    found[name] = None
        return found

    def delete(self, name: str, user: Callable[[str], str | None]) -> None:
        """Removes an asset; what other assets or the channel have links to stays.

        Args:
            name: the asset's.
            user: which program refers to an asset, running or not.

        Raises:
            PackagerError: ASSET_UNKNOWN (404), ASSET_IN_USE (409).
            OSError: it could not be removed as a whole; when its description is gone, so is the asset, and `clear` removes the rest.
        """
        directory = self.directory(name)
        if (program := user(name)) is not None:
            detail = f"program {program!r} refers to the asset; delete the program first"
            raise PackagerError("ASSET_IN_USE", detail, status=409, where=name, fault="operator")
        remove(directory)

    def clear(self) -> list[str]:
        """Removes what interrupted starts and deletions have left, and nothing that is being made; returns the names. May take a while.

        Raises:
            OSError: something can't be removed.
        """
        return clear(self._root)

    def disk_bytes(self) -> int:
        """Bytes of all assets, each file counted once however many have a link to it."""
        return disk_bytes([self._root])

    def _directories(self) -> list[Path]:
        return [path for path in self._root.iterdir() if path.is_dir()] if self._root.is_dir() else []
