"""What the origin can find: previews by channel, published assets by locator."""

from __future__ import annotations

from collections.abc import Callable

from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation
from pypackager.origin.ports import Health
from pypackager.runtime.fleet import Fleet


class LiveCatalog:
    """The origin's catalog over the channels of this daemon.

    Args:
        fleet: what runs; filled as journals are replayed.
        streams: whether the streaming endpoint runs, asked at every request.
        health: how the daemon is.
    """

    def __init__(self, fleet: Fleet, streams: Callable[[], bool], health: Callable[[], Health]) -> None:
        self._fleet = fleet
        self._streams = streams
        self._health = health

    def preview(self, channel: str, client: str) -> Presentation | None:
        """The preview of a channel."""
        found = self._fleet.channels.get(channel)
        return found.preview(client) if found is not None else None

    def located(self, locator: str, asset: str) -> Presentation | None:
        """What a locator publishes.

        Raises:
            PackagerError: ENDPOINT_STOPPED (503), NO_MEDIA (404).
        """
        if self.asset(locator) != asset:
            return None
        if not self._streams():
            raise PackagerError("ENDPOINT_STOPPED", "the streaming endpoint is stopped", status=503, fault="operator")
        program = self._fleet.registry.resources.user(asset)
        if program is not None and (channel := self._fleet.channels.get(program.channel)) is not None:
            return channel.program(program.name)
        shelved = self._fleet.shelf.get(asset)
        return None if shelved is None else shelved.presentation()

    def asset(self, locator: str) -> str | None:
        """Name of the asset that a locator publishes."""
        found = self._fleet.registry.resources.locators.get(locator)
        return None if found is None else found.asset

    def health(self) -> Health:
        """How the daemon is."""
        return self._health()
