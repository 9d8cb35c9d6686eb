"""Every command that an operator can give, with what the table of states says of it now and what it changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import msgspec

from pypackager.control.settings import DEFAULT, MAX_RUNNING, ChannelSettings, EndpointSettings, LocatorSettings, ProgramSettings, Switch
from pypackager.control.states import Command, EndpointCommand, ProgramCommand, endpoint_way, program_way, way
from pypackager.model.errors import PackagerError
from tests.helpers.plane import Plane
from tests.helpers.plane_model import Told

CHANNELS = ("a", "b")
PROGRAMS = ("p", "q", "r", "s")
PATHS = ("x", "y")
ENDPOINTS = (DEFAULT, "e")
OPEN = ChannelSettings(ingest_allow=["192.0.2.0/24"])
SWITCHED = {"start": "running", "stop": "stopped", "delete": "deleted"}


class Asked(msgspec.Struct, frozen=True):
    """A command, not given yet."""

    kind: str
    """What is told what."""
    name: str
    wanted: str | None
    """The code with which it has to be refused; None: it has to be accepted."""
    act: Callable[[], Awaitable[Any]]
    change: Callable[[Told], None]
    """What it changes."""
    stops: str | None = None
    """The asset whose program it stops."""
    deletes: str | None = None
    """The asset that it deletes."""


def refusal(table: Callable[[], object]) -> str | None:
    """What a table of states says."""
    try:
        table()
    except PackagerError as error:
        return error.code
    return None


class Commands:
    """All of them at one moment.

    Args:
        plane: the daemon.
        told: what it was told.
        assets: those that there are.
        asset_of: the asset of a program, by channel and name.
        text: for descriptions.
    """

    def __init__(self, plane: Plane, told: Told, assets: set[str], asset_of: Callable[[str, str], str], text: str) -> None:
        self._desk, self._endpoints, self._publications, self._archive = plane.desk, plane.endpoints, plane.publications, plane.archive
        self._told = told
        self._assets = assets
        self._asset_of = asset_of
        self._text = text

    def all(self) -> Iterator[Asked]:
        """Each once."""
        for channel in CHANNELS:
            yield from self._channel(channel)
            for program in PROGRAMS:
                yield from self._program(channel, program)
                yield from self._asset(self._asset_of(channel, program))
        for path in PATHS:
            wanted = None if path in self._told.locators else "LOCATOR_UNKNOWN"
            act = _bound(self._publications.delete_locator, path)
            yield Asked("locator delete", path, wanted, act, lambda told, path=path: told.locators.pop(path))  # type: ignore[misc]
        for endpoint in ENDPOINTS:
            yield from self._endpoint(endpoint)

    # --- channels

    def _channel(self, name: str) -> Iterator[Asked]:
        told, desk = self._told, self._desk

        def create(after: Told) -> None:
            after.channels[name] = ["stopped", ""]

        def describe(after: Told) -> None:
            after.channels[name][1] = self._text

        there = "CHANNEL_EXISTS" if name in told.channels else None
        yield Asked("channel create", name, there, _bound(desk.create_channel, name, OPEN), create)
        act = _bound(desk.change_channel, name, {"description": self._text})
        yield Asked("channel describe", name, self._of_channel(name, "describe"), act, describe)
        for command in ("start", "stop", "reset", "delete"):

            def switch(after: Told, command: str = command) -> None:
                after.channels[name][0] = SWITCHED.get(command, after.channels[name][0])

            wanted = self._of_channel(name, command)
            yield Asked(f"channel {command}", name, wanted, _bound(desk.command_channel, name, command), switch)

    def _of_channel(self, name: str, command: Command) -> str | None:
        desk = self._desk
        if name not in self._told.channels:
            return "CHANNEL_UNKNOWN"
        if desk.operations.pending(f"channels/{name}"):
            return "OPERATION_PENDING"
        return refusal(lambda: way(desk.runner.state(name), command, desk.running(name), self._told.programs_of(name)))

    # --- programs

    def _program(self, channel: str, name: str) -> Iterator[Asked]:
        desk, key, asset, full = self._desk, (channel, name), self._asset_of(channel, name), f"{channel}/{name}"

        def create(after: Told) -> None:
            after.programs[key] = ["stopped", "", "5m", asset]

        def configure(after: Told) -> None:
            after.programs[key][1:3] = [self._text, window]

        def delete(after: Told) -> None:
            del after.programs[key]

        if channel not in self._told.channels:
            wanted: str | None = "CHANNEL_UNKNOWN"
        elif key in self._told.programs:
            wanted = "PROGRAM_EXISTS"
        else:
            wanted = refusal(lambda: program_way(None, "create", desk.runner.state(channel)))
        act = _bound(desk.create_program, channel, name, asset, ProgramSettings(archive_window="5m"))
        yield Asked("program create", full, wanted, act, create)
        window = {"": "5m", "one": "6m"}.get(self._text, "1h")
        act = _bound(desk.change_program, channel, name, {"description": self._text, "archive_window": window})
        yield Asked("program configure", full, self._of_program(channel, name, "configure"), act, configure)
        act = _bound(desk.delete_program, channel, name)
        yield Asked("program delete", full, self._of_program(channel, name, "delete"), act, delete)
        for command in ("start", "stop"):

            def switch(after: Told, command: str = command) -> None:
                after.programs[key][0] = SWITCHED[command]

            wanted = self._of_program(channel, name, command)
            stops = asset if command == "stop" else None
            yield Asked(f"program {command}", full, wanted, _bound(desk.command_program, channel, name, command), switch, stops)

    def _of_program(self, channel: str, name: str, command: ProgramCommand) -> str | None:
        desk = self._desk
        if (channel, name) not in self._told.programs:
            return "CHANNEL_UNKNOWN" if channel not in self._told.channels else "PROGRAM_UNKNOWN"
        if desk.operations.pending(f"channels/{channel}/programs/{name}"):
            return "OPERATION_PENDING"
        state = desk.program_state(desk.resources.program(channel, name))
        wanted = refusal(lambda: program_way(state, command, desk.runner.state(channel)))
        if wanted is None and command == "start":
            if desk.operations.pending(f"channels/{channel}"):
                return "OPERATION_PENDING"
            if len(desk.running(channel)) >= MAX_RUNNING:
                return "TOO_MANY_PROGRAMS"
        return wanted

    # --- assets, locators, endpoints

    def _asset(self, asset: str) -> Iterator[Asked]:
        publications = self._publications
        used = self._told.user(asset) is not None

        def delete(after: Told) -> None:
            after.locators = {path: each for path, each in after.locators.items() if each != asset}

        wanted = "ASSET_UNKNOWN" if asset not in self._assets else "ASSET_IN_USE" if used else None
        yield Asked("asset delete", asset, wanted, _bound(self._archive.delete, asset), delete, deletes=asset)
        for path in PATHS:

            def create(after: Told, path: str = path) -> None:
                after.locators[path] = asset

            unknown = None if used or asset in self._assets else "ASSET_UNKNOWN"
            wanted = "LOCATOR_EXISTS" if path in self._told.locators else unknown
            yield Asked("locator create", path, wanted, _bound(publications.create_locator, path, asset, LocatorSettings()), create)

    def _endpoint(self, name: str) -> Iterator[Asked]:
        endpoints, pending = self._endpoints, self._endpoints.pending(name)

        def create(after: Told) -> None:
            after.endpoints[name] = ["stopped", ""]

        def delete(after: Told) -> None:
            del after.endpoints[name]

        def describe(after: Told) -> None:
            after.endpoints[name][1] = self._text

        def of(command: EndpointCommand) -> str | None:
            if name not in self._told.endpoints:
                return "ENDPOINT_UNKNOWN"
            if pending:
                return "OPERATION_PENDING"
            wanted = refusal(lambda: endpoint_way(endpoints.state(endpoints.resources.endpoint(name)), command))
            return "ENDPOINT_DEFAULT" if (wanted, command, name) == (None, "delete", DEFAULT) else wanted

        there = "ENDPOINT_EXISTS" if name in self._told.endpoints else None
        new = EndpointSettings(listen=[] if name == DEFAULT else ["127.0.0.1:8"])
        yield Asked("endpoint create", name, there, _bound(endpoints.create, name, new), create)
        yield Asked("endpoint delete", name, of("delete"), _bound(endpoints.delete, name), delete)
        yield Asked("endpoint describe", name, of("describe"), _bound(endpoints.change, name, {"description": self._text}), describe)
        for command, switch in (("start", "running"), ("stop", "stopped")):

            def change(after: Told, switch: str = switch) -> None:
                after.endpoints[name][0] = switch

            act = _bound(endpoints.command, name, cast(Switch, switch))
            yield Asked(f"endpoint {command}", name, of(cast(EndpointCommand, command)), act, change)


def _bound(act: Callable[..., Awaitable[Any]], *args: Any) -> Callable[[], Awaitable[Any]]:
    return lambda: act(*args)
