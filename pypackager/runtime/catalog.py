"""What the origin can find: previews by channel, published assets by locator."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping

from pypackager.config.schema import Config, Program
from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation
from pypackager.origin.ports import Health
from pypackager.runtime.channel import LiveChannel

_LOCATORS = uuid.UUID("6f0a1f3c-6d7e-5d0e-9c1b-3b7a51d3b0f4")


def locator_of(program: Program) -> str | None:
    """The URL path of a program's locator; a GUID is derived from the asset's name, so that it is the same after every restart."""
    if program.locator is True:
        return str(uuid.uuid5(_LOCATORS, program.asset or program.name))
    return program.locator or None


class LiveCatalog:
    """The origin's catalog over the channels of this daemon.

    Args:
        channels: by name; filled as journals are replayed.
        config: the current configuration, asked at every request.
        health: how the daemon is.
    """

    def __init__(self, channels: Mapping[str, LiveChannel], config: Callable[[], Config], health: Callable[[], Health]) -> None:
        self._channels = channels
        self._config = config
        self._health = health

    def preview(self, channel: str, client: str) -> Presentation | None:
        """The preview of a channel."""
        found = self._channels.get(channel)
        return found.preview(client) if found is not None else None

    def located(self, locator: str, asset: str) -> Presentation | None:
        """What a locator publishes.

        Raises:
            PackagerError: ENDPOINT_STOPPED (503), NO_MEDIA (404).
        """
        found = self._program(locator)
        if found is None or (found[1].asset or found[1].name) != asset:
            return None
        if not any(endpoint.state == "running" for endpoint in self._config().streaming_endpoint):
            raise PackagerError("ENDPOINT_STOPPED", "the streaming endpoint is stopped", status=503, fault="operator")
        channel, program = found
        return channel.program(program.name)

    def asset(self, locator: str) -> str | None:
        """Name of the asset that a locator publishes."""
        found = self._program(locator)
        return None if found is None else found[1].asset or found[1].name

    def health(self) -> Health:
        """How the daemon is."""
        return self._health()

    def _program(self, locator: str) -> tuple[LiveChannel, Program] | None:
        for channel in self._channels.values():
            for program in channel.config.program:
                if locator_of(program) == locator:
                    return channel, program
        return None
