"""The desk where operators' commands are taken: checked against the tables of states, made durable, then carried out.

In: commands, from REST or anywhere else. Out: resources, operations. Never: an answer before what it says is on the disk.

Theory of operation. A command holds the registry's lock while it reads, decides and commits, so that what it saw is so. Then the runner
brings the channel in line: what is at once (settings, creations) before the answer, what takes time as an operation behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import trio
from msgspec.structs import replace

from pypackager.control.checks import check, conflict, match, merged
from pypackager.control.operations import Fault, Operation, Operations
from pypackager.control.ports import Runner
from pypackager.control.resources import Channel, Program, Resources, touched
from pypackager.control.settings import AT_ANY_TIME, MAX_RUNNING, ChannelSettings, ProgramSettings, channel_faults, program_faults
from pypackager.control.states import Command, ProgramCommand, ProgramState, program_way, way
from pypackager.model.duration import parse_duration
from pypackager.model.errors import PackagerError
from pypackager.model.news import Tell


class Desk:
    """Takes commands.

    Args:
        runner: the channels that run.
        nursery: where operations are carried out.
        quota: channels that there may be.
        tell: tells of operations.
    """

    def __init__(self, runner: Runner, nursery: trio.Nursery, quota: int, tell: Tell) -> None:
        self.runner = runner
        self.operations = Operations(tell)
        self._nursery = nursery
        self._quota = quota

    @property
    def resources(self) -> Resources:
        """All resources as they are now."""
        return self.runner.registry.resources

    # --- channels

    async def create_channel(self, name: str, settings: ChannelSettings) -> Channel:
        """Makes a channel, which is Stopped.

        Raises:
            PackagerError: INVALID (400), CHANNEL_EXISTS, INGEST_HOST_TAKEN (409), QUOTA_CHANNELS (403), REGISTRY_NOT_WRITTEN.
        """
        check(channel_faults(settings))
        async with self.runner.registry.lock:
            if name in self.resources.channels:
                raise conflict("CHANNEL_EXISTS", f"there is a channel {name!r}")
            self._hosts_free(name, settings)
            if len(self.resources.channels) >= self._quota:
                detail = f"there are {len(self.resources.channels)} channels; tuning.channels allows {self._quota}"
                raise PackagerError("QUOTA_CHANNELS", detail, status=403, fault="operator")
            now = self.runner.utc()
            made = Channel(name=name, settings=settings, created=now, modified=now)
            await self.runner.registry.commit([made])
        await self.runner.bring(name)
        return made

    async def change_channel(self, name: str, changes: Mapping[str, Any], wanted: str | None = None) -> Channel:
        """Changes settings; null stands for the default.

        Raises:
            PackagerError: INVALID (400), CHANNEL_STATE, OPERATION_PENDING, INGEST_HOST_TAKEN (409), ETAG_MISMATCH (412), …
        """
        async with self.runner.registry.lock:
            channel = self._channel(name, wanted)
            settings = merged(channel.settings, changes)
            check(channel_faults(settings))
            self._hosts_free(name, settings)
            self._way(channel, "describe" if set(changes) <= set(AT_ANY_TIME) else "configure")
            channel = touched(replace(channel, settings=settings), self.runner.utc())
            await self.runner.registry.commit([channel])
        await self.runner.bring(name)
        return channel

    async def command_channel(self, name: str, command: Command, wanted: str | None = None) -> Operation:
        """Starts, stops, resets or deletes a channel.

        Raises:
            PackagerError: CHANNEL_STATE, PROGRAMS_RUNNING, CHANNEL_HAS_PROGRAMS, OPERATION_PENDING (409), ETAG_MISMATCH (412), …
        """
        async with self.runner.registry.lock:
            channel = self._channel(name, wanted)
            self._way(channel, command)
            match command:
                case "start":
                    channel = replace(channel, desired="running")
                case "stop":
                    channel = replace(channel, desired="stopped")
                case "reset":
                    channel = replace(channel, reset=self.runner.utc())
                case _:
                    channel = replace(channel, desired="deleted")
            await self.runner.registry.commit([touched(channel, self.runner.utc())])
            operation = self.operations.begin(command, f"channels/{name}", self.runner.utc())
        to = {"start": "Running", "stop": "Stopped", "reset": "Running"}.get(command)
        done = self._gone(name) if to is None else lambda: self.runner.state(name) == to
        self._nursery.start_soon(self._carry_out, operation, name, None, done)
        return operation

    # --- programs

    async def create_program(self, channel: str, name: str, asset: str, settings: ProgramSettings) -> Program:
        """Makes a program, which is Stopped.

        Raises:
            PackagerError: INVALID (400), PROGRAM_EXISTS, ASSET_IN_USE, CHANNEL_STATE (409), …
        """
        check(program_faults(settings))
        async with self.runner.registry.lock:
            owner = self.resources.channel(channel)
            if (channel, name) in self.resources.programs:
                raise conflict("PROGRAM_EXISTS", f"channel {channel!r} has a program {name!r}")
            program_way(None, "create", self.runner.state(owner.name))
            if (user := self.resources.user(asset)) is not None:
                raise conflict("ASSET_IN_USE", f"program {user.channel}/{user.name} refers to asset {asset!r}; give it another")
            now = self.runner.utc()
            made = Program(channel=channel, name=name, asset=asset, settings=settings, created=now, modified=now)
            await self.runner.registry.commit([made])
        await self.runner.bring(channel)
        return made

    async def change_program(self, channel: str, name: str, changes: Mapping[str, Any], wanted: str | None = None) -> Program:
        """Changes settings; null stands for the default.

        Raises:
            PackagerError: as change_channel, with PROGRAM_STATE.
        """
        async with self.runner.registry.lock:
            program = self._program(channel, name, wanted)
            settings = merged(program.settings, changes)
            check(program_faults(settings))
            self._program_way(program, "describe" if set(changes) <= set(AT_ANY_TIME) else "configure")
            program = touched(replace(program, settings=settings), self.runner.utc())
            await self.runner.registry.commit([program])
        await self.runner.bring(channel)
        return program

    async def command_program(self, channel: str, name: str, command: ProgramCommand, wanted: str | None = None) -> Operation:
        """Starts or stops a program. The operation of a start says what the program will need of the disk.

        Raises:
            PackagerError: PROGRAM_STATE, CHANNEL_STATE, TOO_MANY_PROGRAMS, OPERATION_PENDING (409), ETAG_MISMATCH (412), …
        """
        async with self.runner.registry.lock:
            program = self._program(channel, name, wanted)
            self._program_way(program, command)
            if command == "start":
                # A channel that was told to reset may not have begun with it.
                self.operations.free(f"channels/{channel}")
            going = self.running(channel)
            if command == "start" and len(going) >= MAX_RUNNING:
                raise conflict("TOO_MANY_PROGRAMS", f"{MAX_RUNNING} programs run already: {', '.join(going)}; stop one first")
            program = replace(program, desired="running" if command == "start" else "stopped")
            await self.runner.registry.commit([touched(program, self.runner.utc())])
            space = self.runner.space(channel, parse_duration(program.settings.archive_window)) if command == "start" else None
            result = None if space is None else msgspec.structs.asdict(space)
            operation = self.operations.begin(command, f"channels/{channel}/programs/{name}", self.runner.utc(), result)
        self._nursery.start_soon(
            self._carry_out, operation, channel, name, lambda: (name in self.runner.recording(channel)) == (command == "start")
        )
        return operation

    async def delete_program(self, channel: str, name: str, wanted: str | None = None) -> None:
        """Deletes a program; its asset, and what publishes it, stay.

        Raises:
            PackagerError: PROGRAM_STATE, CHANNEL_STATE, OPERATION_PENDING (409), ETAG_MISMATCH (412), …
        """
        async with self.runner.registry.lock:
            program = self._program(channel, name, wanted)
            self._program_way(program, "delete")
            # Open before its program is gone: viewers see nothing of it.
            await self.runner.shelve(program.asset)
            await self.runner.registry.commit(drop=[program])
        await self.runner.bring(channel)
        # Another command may have put it away while its program was still there.
        await self.runner.shelve(program.asset)

    def program_state(self, program: Program) -> ProgramState:
        """A program's state."""
        recording = program.name in self.runner.recording(program.channel)
        if program.desired == "running":
            return "Running" if recording else "Starting"
        return "Stopping" if recording else "Stopped"

    def running(self, channel: str) -> list[str]:
        """Programs of a channel that run, or are to."""
        return [program.name for program in self.resources.of(channel) if self.program_state(program) != "Stopped"]

    # --- inside

    def _channel(self, name: str, wanted: str | None) -> Channel:
        channel = self.resources.channel(name)
        match(channel, wanted)
        self.operations.free(f"channels/{name}")
        return channel

    def _hosts_free(self, name: str, settings: ChannelSettings) -> None:
        for host in settings.ingest_hosts:
            if (owner := self.resources.host_owner(host)) not in (None, name):
                raise conflict("INGEST_HOST_TAKEN", f"{host} is an ingest host of channel {owner!r}")

    def _way(self, channel: Channel, command: Command) -> None:
        programs = [program.name for program in self.resources.of(channel.name)]
        way(self.runner.state(channel.name), command, self.running(channel.name), programs)

    def _program(self, channel: str, name: str, wanted: str | None) -> Program:
        program = self.resources.program(channel, name)
        match(program, wanted)
        self.operations.free(f"channels/{channel}/programs/{name}")
        return program

    def _program_way(self, program: Program, command: ProgramCommand) -> None:
        program_way(self.program_state(program), command, self.runner.state(program.channel))

    def _gone(self, name: str) -> Callable[[], bool]:
        return lambda: name not in self.resources.channels

    async def _carry_out(self, operation: Operation, channel: str, program: str | None, done: Callable[[], bool]) -> None:
        error: Fault | None = None
        try:
            await self.runner.bring(channel)
            await self.runner.until(channel, lambda: done() or self.runner.trouble(channel, program) is not None)
            if not done() and (trouble := self.runner.trouble(channel, program)) is not None:
                error = Fault("PROGRAM_FAILED" if program else "CHANNEL_FAILED", trouble)
        except PackagerError as fault:
            error = Fault(fault.code, fault.detail)
        self.operations.end(operation, self.runner.utc(), error)
