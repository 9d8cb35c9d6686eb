"""Brings what the operator made in line with the configuration file: a plan, with a reason for each of its lines.

In: the file's tables, the resources, the states of what runs. Out: what to put and to drop, and why. Never: a clock, an effect.

The file says what there is to be; it never deletes unless it says `prune = true`, and then only what came from it. `state` is different:
it applies when the resource is new, and when its value in the file is another than when the file was last applied. Between two such
changes the operator's commands stand.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Literal, TypeVar

import msgspec
from msgspec.structs import replace

from pypackager.config import schema
from pypackager.control.resources import Channel, Locator, Program, Resource, Resources, StreamingEndpoint, key, touched
from pypackager.control.settings import (
    AT_ANY_TIME,
    DEFAULT,
    ENDPOINT_AT_ANY_TIME,
    MAX_RUNNING,
    ChannelSettings,
    EndpointSettings,
    LocatorSettings,
    ProgramSettings,
    Switch,
)
from pypackager.control.states import State

_Settings = TypeVar("_Settings", ChannelSettings, ProgramSettings, LocatorSettings, EndpointSettings)
Action = Literal["create", "change", "start", "stop", "delete", "defer", "keep"]
_LOCATORS = uuid.UUID("6f0a1f3c-6d7e-5d0e-9c1b-3b7a51d3b0f4")


class Line(msgspec.Struct, frozen=True):
    """One thing that is done, or is not done although the file asks for it (`defer`, `keep`)."""

    action: Action
    what: str
    reason: str


class Plan(msgspec.Struct, frozen=True):
    """What brings the resources in line."""

    lines: tuple[Line, ...]
    put: tuple[Resource, ...]
    drop: tuple[Resource, ...]
    """Programs, locators, streaming endpoints. A channel is put as one that is to be deleted."""


def locator_of(program: schema.Program) -> str | None:
    """The URL path of a program's locator; a GUID is derived from the asset's name, so that it is the same after every restart."""
    locator = program.locator
    if isinstance(locator, schema.Locator):
        locator = locator.path or True
    if locator is True:
        return str(uuid.uuid5(_LOCATORS, program.asset or program.name))
    return locator or None


def plan(
    config: schema.Config,
    stored: Resources,
    now: datetime,
    states: Mapping[str, State] | None = None,
    recording: Collection[tuple[str, str]] = (),
) -> Plan:
    """What would be done.

    Args:
        config: the file.
        stored: all resources.
        now: stamped on what is made and changed.
        states: of the channels that are there; one that is not named is not open yet, so that all of it may change.
        recording: programs (channel, name) that have not ended.
    """
    making = _Making(stored, now, states or {}, recording)
    if config.prune:
        # First: an asset whose program is deleted is free for another.
        making.prune(config)
    for table in config.channel:
        making.channel(table, {each.name for each in config.channel})
    for door in config.streaming_endpoint:
        making.endpoint(door)
    making.default()
    return Plan(tuple(making.lines), tuple(making.put.values()), tuple(making.drop))


class _Making:
    """A plan while it is made."""

    def __init__(self, stored: Resources, now: datetime, states: Mapping[str, State], recording: Collection[tuple[str, str]]) -> None:
        self.lines: list[Line] = []
        self.put: dict[tuple[str, ...], Resource] = {}
        self.drop: list[Resource] = []
        self._old = stored
        self._now = now
        self._states = states
        self._recording = recording

    def channel(self, table: schema.Channel, filed: Collection[str]) -> None:
        """A channel's table; `filed` are the channels of the file, among which its hosts are its own."""
        what = f"channel {table.name}"
        settings = _part(table, ChannelSettings)
        taken = [host for host in settings.ingest_hosts if self._old.host_owner(host) not in (None, table.name, *filed)]
        if taken:
            self._say("defer", what, f"ingest_hosts: {', '.join(taken)} of a channel that is not in the file; take it out there first")
            settings = replace(settings, ingest_hosts=[host for host in settings.ingest_hosts if host not in taken])
        old = self._old.channels.get(table.name)
        if old is None:
            self._say("create", what, f"it is new in the file, which says {table.state}")
            made = Channel(
                name=table.name, settings=settings, desired=table.state, filed=table.state, created=self._now, modified=self._now
            )
            self._put(made)
        elif old.desired == "deleted":
            self._say("defer", what, "it is being deleted; load the file again when it is gone")
            return
        else:
            state = self._states.get(table.name, "Stopped")
            new = self._set(what, old.settings, settings, free=state == "Stopped", hint=f"the channel is {state}")
            desired = self._switch(what, table.state, old.filed, "running" if old.desired == "running" else "stopped")
            self._change(old, replace(old, settings=new, desired=desired, filed=table.state))
        # Who stops makes room for who starts.
        for program in sorted(table.program, key=lambda program: program.state == "running"):
            self._program(table.name, program)

    def endpoint(self, table: schema.StreamingEndpoint) -> None:
        """A streaming endpoint's table."""
        what = f"streaming-endpoint {table.name}"
        settings = _part(table, EndpointSettings)
        old = self._old.endpoints.get(table.name)
        if old is None:
            self._say("create", what, f"it is new in the file, which says {table.state}")
            made = StreamingEndpoint(name=table.name, settings=settings, desired=table.state, created=self._now, modified=self._now)
            self._put(replace(made, filed=table.state))
            return
        stopped = old.desired == "stopped"
        new = self._set(what, old.settings, settings, free=stopped, hint="the streaming endpoint runs", always=ENDPOINT_AT_ANY_TIME)
        desired = self._switch(what, table.state, old.filed, old.desired)
        self._change(old, replace(old, settings=new, desired=desired, filed=table.state))

    def default(self) -> None:
        """The streaming endpoint that every daemon has, whatever the file says."""
        if DEFAULT not in self._new().endpoints:
            self._say("create", f"streaming-endpoint {DEFAULT}", "every daemon has it; it is stopped until it is told to start")
            self._put(StreamingEndpoint(name=DEFAULT, settings=EndpointSettings(), created=self._now, modified=self._now))

    def _program(self, channel: str, table: schema.Program) -> None:
        what = f"program {channel}/{table.name}"
        settings = _part(table, ProgramSettings)
        asset = table.asset or table.name
        old = self._old.programs.get((channel, table.name))
        user = self._new().user(asset)
        if user is not None and (user.channel, user.name) != (channel, table.name):
            self._say("defer", what, f"its asset {asset!r} is that of program {user.channel}/{user.name}")
            return
        if old is None:
            self._say("create", what, f"it is new in the file, which says {table.state}")
            desired = self._room(what, channel, table, table.state)
            made = Program(
                channel=channel,
                name=table.name,
                asset=asset,
                settings=settings,
                desired=desired,
                filed=table.state,
                created=self._now,
                modified=self._now,
            )
            self._put(made)
        else:
            if asset != old.asset:
                self._say("keep", what, f"it has asset {old.asset!r} for good; give a program of another name the asset {asset!r}")
            ended = (channel, table.name) not in self._recording
            new = self._set(what, old.settings, settings, free=ended, hint="the program runs")
            desired = self._switch(what, table.state, old.filed, old.desired)
            if desired != old.desired:
                desired = self._room(what, channel, table, desired)
            self._change(old, replace(old, settings=new, desired=desired, filed=table.state))
        if (path := locator_of(table)) is not None:
            terms = _part(table.locator, LocatorSettings) if isinstance(table.locator, schema.Locator) else LocatorSettings()
            self._locator(path, asset if old is None else old.asset, terms)

    def _locator(self, path: str, asset: str, settings: LocatorSettings) -> None:
        what = f"locator {path}"
        old = self._old.locators.get(path)
        if old is None:
            self._say("create", what, f"it publishes asset {asset!r}")
            self._put(Locator(path=path, asset=asset, settings=settings, filed=True, created=self._now, modified=self._now))
            return
        if old.asset != asset:
            self._say("change", what, f"it published asset {old.asset!r}, now {asset!r}")
        settings = self._set(what, old.settings, settings, free=True, hint="")
        self._change(old, replace(old, asset=asset, settings=settings, filed=True))

    def prune(self, config: schema.Config) -> None:
        """What came from the file and is gone from it."""
        there = {("channel", channel.name) for channel in config.channel}
        programs = {("program", channel.name, program.name) for channel in config.channel for program in channel.program}
        locators = {("locator", locator_of(program)) for channel in config.channel for program in channel.program}
        endpoints = {("streaming-endpoint", endpoint.name) for endpoint in config.streaming_endpoint}
        gone = [each for each in self._old.all() if key(each) not in there | programs | locators | endpoints]
        for locator in [each for each in gone if isinstance(each, Locator) and each.filed]:
            self._drop(locator)
        for program in [each for each in gone if isinstance(each, Program) and each.filed]:
            if program.desired == "running" or (program.channel, program.name) in self._recording:
                self._say("defer", _what(program), "it is gone from the file, but runs: stop it first")
            else:
                self._drop(program)
        for endpoint in [each for each in gone if isinstance(each, StreamingEndpoint) and each.filed and each.name != DEFAULT]:
            if endpoint.desired == "running":
                self._say("defer", _what(endpoint), "it is gone from the file, but runs: stop it first")
            else:
                self._drop(endpoint)
        for channel in [each for each in gone if isinstance(each, Channel) and each.filed and each.desired != "deleted"]:
            left = [program.name for program in self._old.of(channel.name) if program not in self.drop]
            if channel.desired == "running" or self._states.get(channel.name, "Stopped") != "Stopped":
                self._say("defer", _what(channel), "it is gone from the file, but runs: stop it first")
            elif left:
                self._say("defer", _what(channel), f"it is gone from the file, but has programs: {', '.join(left)}")
            else:
                self._say("delete", _what(channel), "it is gone from the file")
                self._change(channel, replace(channel, desired="deleted"))

    def _set(
        self, what: str, old: _Settings, wanted: _Settings, *, free: bool, hint: str, always: Collection[str] = AT_ANY_TIME
    ) -> _Settings:
        """The settings as far as they may change now."""
        differ = [name for name in old.__struct_fields__ if getattr(old, name) != getattr(wanted, name)]
        now = [name for name in differ if free or name in always]
        if now:
            self._say("change", what, ", ".join(now))
        if late := [name for name in differ if name not in now]:
            self._say("defer", what, f"{', '.join(late)}: {hint}; load the file again when it has stopped")
        return replace(old, **{name: getattr(wanted, name) for name in now})

    def _switch(self, what: str, wanted: Switch, filed: Switch | None, desired: Switch) -> Switch:
        if wanted == desired:
            return wanted
        if wanted == filed:
            self._say("keep", what, f"the file says {wanted} as before; the operator's {desired} stands")
            return desired
        self._say("start" if wanted == "running" else "stop", what, f"the file says {wanted}")
        return wanted

    def _room(self, what: str, channel: str, table: schema.Program, desired: Switch) -> Switch:
        """Stopped instead of running when as many as may run do so already."""
        others = [program for program in self._new().of(channel) if program.name != table.name and program.desired == "running"]
        if desired == "running" and len(others) >= MAX_RUNNING:
            self._say("defer", what, f"{MAX_RUNNING} programs of the channel run already; start it when one has stopped")
            return "stopped"
        return desired

    def _new(self) -> Resources:
        return self._old.changed(list(self.put.values()), self.drop)

    def _change(self, old: Resource, new: Resource) -> None:
        if new != old:
            self._put(touched(new, self._now))

    def _put(self, resource: Resource) -> None:
        self.put[key(resource)] = resource

    def _drop(self, resource: Resource) -> None:
        self._say("delete", _what(resource), "it is gone from the file")
        self.drop.append(resource)

    def _say(self, action: Action, what: str, reason: str) -> None:
        self.lines.append(Line(action, what, reason))


def lines(made: Plan) -> Iterable[str]:
    """For people."""
    for line in made.lines:
        yield f"{line.action:6}  {line.what}: {line.reason}"


def _part(table: schema.Channel | schema.Program | schema.Locator | schema.StreamingEndpoint, kind: type[_Settings]) -> _Settings:
    """What a table says of the settings."""
    return kind(**{name: getattr(table, name) for name in kind.__struct_fields__})


def _what(resource: Resource) -> str:
    kind, *names = key(resource)
    return f"{kind} {'/'.join(names)}"
