"""What the origin can find: previews by channel, published assets by locator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pypackager._core import Audience, Gate, Policy, Room
from pypackager.control.resources import Locator, Resources, StreamingEndpoint
from pypackager.model.duration import parse_duration
from pypackager.model.presentation import Presentation
from pypackager.model.track import Kind
from pypackager.origin.ports import Endpoint, Health, Publication
from pypackager.runtime.fleet import Fleet


class LiveCatalog:
    """The origin's catalog over the channels of this daemon.

    Args:
        fleet: what runs; filled as journals are replayed.
        name: of the streaming endpoint that it is for.
        health: how the daemon is.
        audience: where viewers are counted.
    """

    def __init__(self, fleet: Fleet, name: str, health: Callable[[], Health], audience: Audience) -> None:
        self._fleet = fleet
        self._audience = audience
        self._name = name
        self._health = health
        self._seen: Resources = Resources()
        self._endpoint = _STOPPED
        self._publications: dict[str, Publication] = {}
        """What was made of the resources that were seen last."""

    def preview(self, channel: str, client: str) -> Presentation | None:
        """The preview of a channel."""
        found = self._fleet.channels.get(channel)
        return found.showing.preview(client) if found is not None else None

    def preview_policies(self, channel: str) -> tuple[str | None, str | None] | None:
        """Cross-site policies of a channel's preview."""
        found = self._fleet.channels.get(channel)
        return None if found is None else (found.config.client_access_policy, found.config.cross_domain_policy)

    def located(self, locator: str, asset: str) -> Presentation | None:
        """What a locator publishes.

        Raises:
            PackagerError: NO_MEDIA (404).
        """
        found = self._fleet.registry.resources.locators.get(locator)
        if found is None or found.asset != asset:
            return None
        program = self._fleet.registry.resources.user(asset)
        if program is not None and (channel := self._fleet.channels.get(program.channel)) is not None:
            return channel.programs.present(program.name)
        shelved = self._fleet.shelf.get(asset)
        return None if shelved is None else shelved.presentation()

    def silent_s(self, locator: str) -> Mapping[Kind, float]:
        """How long nothing new has come; nothing of what no channel records."""
        found = self._fleet.registry.resources.locators.get(locator)
        program = None if found is None else self._fleet.registry.resources.user(found.asset)
        channel = None if program is None else self._fleet.channels.get(program.channel)
        return {} if channel is None else channel.showing.silent_s()

    def condition(self, channel: str, client: str) -> dict[str, Any] | None:
        """How a channel is."""
        found = self._fleet.channels.get(channel)
        return found.showing.condition(client) if found is not None else None

    def room(self, channel: str) -> Room:
        """Where a preview's viewers are counted."""
        return self._audience.room(self._name, channel, "")

    def endpoint(self) -> Endpoint:
        """The endpoint; one that is gone is stopped."""
        self._look()
        return self._endpoint

    def publication(self, locator: str) -> Publication | None:
        """What a locator publishes."""
        resources = self._look()
        if locator not in self._publications and (found := resources.locators.get(locator)) is not None:
            self._publications[locator] = self._publication(found, resources)
        return self._publications.get(locator)

    def health(self) -> Health:
        """How the daemon is."""
        return self._health()

    def _look(self) -> Resources:
        """The resources as they are; what was made of others is forgotten."""
        resources = self._fleet.registry.resources
        if resources is not self._seen:
            self._seen = resources
            self._publications.clear()
            found = resources.endpoints.get(self._name)
            self._endpoint = _STOPPED if found is None else _endpoint(found)
        return resources

    def _publication(self, locator: Locator, resources: Resources) -> Publication:
        settings = locator.settings
        starts, expires = (None if at is None else _microseconds(at) for at in (settings.starts, settings.expires))
        keys = [(key.id, key.secret) for key in resources.signing_keys.values()]
        gate = Gate(locator.root, keys, starts=starts, expires=expires, signed=settings.signed)
        program = resources.user(locator.asset)
        room = self._audience.room(self._name, "" if program is None else program.channel, locator.path)
        return Publication(locator.asset, gate, room, None if expires is None else expires // 1_000_000, settings.signed)


_STOPPED = Endpoint(Policy(running=False))


def _endpoint(endpoint: StreamingEndpoint) -> Endpoint:
    settings = endpoint.settings
    ages = _seconds(settings.manifest_age), _seconds(settings.segment_age)
    policy = Policy(
        running=endpoint.desired == "running",
        allow=settings.allow,
        hosts=settings.hosts,
        secret=settings.cdn_secret,
        origins=None if "*" in settings.cors else settings.cors,
    )
    return Endpoint(policy, ages, settings.client_access_policy, settings.cross_domain_policy)


def _seconds(duration: str | None) -> int | None:
    return None if duration is None else parse_duration(duration) // 1_000_000_000


def _microseconds(at: datetime) -> int:
    """Since 1970; exact, which a float is not."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
