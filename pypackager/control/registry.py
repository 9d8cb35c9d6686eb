"""The registry: what the operator made, in memory for reading, in a file for good.

In: changes. Out: all resources as they are now. Never: a change that readers see before it is on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from pypackager.control.database import Database
from pypackager.control.resources import Resource, key, place
from pypackager.control.usage import Amount, Kind, Used
from pypackager.model.news import Tell, silent

FILE = "control.db"


class Registry:
    """All resources; made by `open`."""

    def __init__(self, database: Database, tell: Tell) -> None:
        self._database = database
        self._tell = tell
        self.resources = database.load()
        self.lock = trio.Lock()
        """Held by who reads, decides and commits: no other change comes in between."""

    @classmethod
    def open(cls, directory: Path, tell: Tell = silent) -> Registry:
        """Opens the file in a data directory, or makes it; blocks. Changes are told.

        Raises:
            PackagerError: REGISTRY_UNUSABLE.
        """
        return cls(Database(directory / FILE), tell)

    async def commit(self, put: Sequence[Resource] = (), drop: Sequence[Resource] = ()) -> None:
        """Puts and drops all of them, or none: what is put stands in the place of what has its key. The lock is held.

        A cancelled one is carried through all the same: what is on the disk is what readers see.

        Raises:
            PackagerError: REGISTRY_NOT_WRITTEN (507).
        """
        if not put and not drop:
            return
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._database.write, put, drop)
        known = {key(resource) for resource in self.resources.all()}
        self.resources = self.resources.changed(list(put), list(drop))
        for resource in drop:
            self._tell("resource", place(resource), change="deleted")
        for resource in put:
            self._tell("resource", place(resource), change="changed" if key(resource) in known else "created")

    async def save_used(self, take: Callable[[], list[Used]], give_back: Callable[[list[Used]], None]) -> None:
        """Adds what was used to what is kept, all in one transaction; what can't be saved is given back.

        Raises:
            PackagerError: REGISTRY_NOT_WRITTEN (507).
        """
        async with self.lock:
            if not (taken := take()):
                return
            try:
                # Between what is on the disk and what is forgotten here nothing may come.
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(self._database.add, taken)
            except BaseException:
                give_back(taken)
                raise

    async def used(self, first: int, behind: int) -> list[Used]:
        """What is kept of the hours from `first` up to but not with `behind`."""
        async with self.lock:
            return await trio.to_thread.run_sync(self._database.used, first, behind)

    def used_in_all(self) -> list[tuple[Kind, str, Amount]]:
        """What is kept under each name, all together; blocks."""
        return self._database.used_in_all()

    def close(self) -> None:
        """Closes the file."""
        self._database.close()
