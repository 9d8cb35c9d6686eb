"""What publishes assets, as operators tell it.

In: commands. Out: locators. Never: an answer before what it says is on the disk.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import trio
from msgspec.structs import replace

from pypackager.control.checks import check, conflict, match, merged
from pypackager.control.ports import Runner
from pypackager.control.resources import Locator, Resources, touched
from pypackager.control.settings import RESERVED, LocatorSettings, locator_faults
from pypackager.dvr.library import Library
from pypackager.model.errors import PackagerError


class Publications:
    """Takes commands on locators.

    Args:
        runner: the channels that run.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._library = Library(runner.assets)

    @property
    def _resources(self) -> Resources:
        return self._runner.registry.resources

    async def create_locator(self, path: str | None, asset: str, settings: LocatorSettings) -> Locator:
        """Publishes an asset under a path, or under a new GUID.

        Raises:
            PackagerError: INVALID (400), ASSET_UNKNOWN (404), LOCATOR_EXISTS (409), …
        """
        check(locator_faults(settings))
        path = path or str(uuid.uuid4())
        if path in RESERVED:
            raise PackagerError("INVALID", f"path: {path!r} is a path of the daemon's own", fault="operator")
        async with self._runner.registry.lock:
            if path in self._resources.locators:
                raise conflict("LOCATOR_EXISTS", f"there is a locator {path!r}")
            if self._resources.user(asset) is None:
                await trio.to_thread.run_sync(self._library.directory, asset)
            now = self._runner.utc()
            made = Locator(path=path, asset=asset, settings=settings, created=now, modified=now)
            await self._runner.registry.commit([made])
        if self._resources.user(asset) is None:
            await self._runner.shelve(asset)
        return made

    async def change_locator(self, path: str, changes: Mapping[str, Any], wanted: str | None = None) -> Locator:
        """Changes settings, which hold at once; null stands for the default.

        Raises:
            PackagerError: INVALID (400), LOCATOR_UNKNOWN (404), ETAG_MISMATCH (412).
        """
        async with self._runner.registry.lock:
            locator = self._resources.locator(path)
            match(locator, wanted)
            settings = merged(locator.settings, changes)
            check(locator_faults(settings))
            locator = touched(replace(locator, settings=settings), self._runner.utc())
            await self._runner.registry.commit([locator])
        self._runner.review()
        return locator

    async def delete_locator(self, path: str, wanted: str | None = None) -> None:
        """Ends a publication; the asset stays.

        Raises:
            PackagerError: LOCATOR_UNKNOWN (404), ETAG_MISMATCH (412).
        """
        async with self._runner.registry.lock:
            locator = self._resources.locator(path)
            match(locator, wanted)
            await self._runner.registry.commit(drop=[locator])
        self._runner.unshelve(locator.asset)
