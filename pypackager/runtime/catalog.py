"""What the origin can find: previews by channel, published assets by locator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pypackager._core import Gate
from pypackager.control.resources import Locator, Resources
from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation
from pypackager.origin.ports import Health, Publication
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
        self._seen = Resources()
        self._publications: dict[str, Publication] = {}
        """What was made of the resources that were seen last."""

    def preview(self, channel: str, client: str) -> Presentation | None:
        """The preview of a channel."""
        found = self._fleet.channels.get(channel)
        return found.preview(client) if found is not None else None

    def located(self, locator: str, asset: str) -> Presentation | None:
        """What a locator publishes.

        Raises:
            PackagerError: ENDPOINT_STOPPED (503), NO_MEDIA (404).
        """
        found = self._fleet.registry.resources.locators.get(locator)
        if found is None or found.asset != asset:
            return None
        if not self._streams():
            raise PackagerError("ENDPOINT_STOPPED", "the streaming endpoint is stopped", status=503, fault="operator")
        program = self._fleet.registry.resources.user(asset)
        if program is not None and (channel := self._fleet.channels.get(program.channel)) is not None:
            return channel.program(program.name)
        shelved = self._fleet.shelf.get(asset)
        return None if shelved is None else shelved.presentation()

    def publication(self, locator: str) -> Publication | None:
        """What a locator publishes."""
        resources = self._fleet.registry.resources
        if resources is not self._seen:
            self._seen = resources
            self._publications.clear()
        if locator not in self._publications and (found := resources.locators.get(locator)) is not None:
            self._publications[locator] = _publication(found, resources)
        return self._publications.get(locator)

    def health(self) -> Health:
        """How the daemon is."""
        return self._health()


def _publication(locator: Locator, resources: Resources) -> Publication:
    settings = locator.settings
    starts, expires = (None if at is None else _microseconds(at) for at in (settings.starts, settings.expires))
    keys = [(key.id, key.secret) for key in resources.signing_keys.values()]
    gate = Gate(locator.root, keys, starts=starts, expires=expires, signed=settings.signed)
    return Publication(locator.asset, gate, None if expires is None else expires // 1_000_000, settings.signed)


def _microseconds(at: datetime) -> int:
    """Since 1970; exact, which a float is not."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
