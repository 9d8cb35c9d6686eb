"""Drains: planned disconnects of encoders, one side of each channel after the other.

In: commands. Out: operations. Never: a second drain of a channel before the first has ended.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import trio

from pypackager.control.operations import Fault, Operation, Operations
from pypackager.control.ports import Drained, Runner
from pypackager.model.duration import parse_duration
from pypackager.model.errors import PackagerError
from pypackager.model.side import Side

ALL = "drain"


class Drains:
    """Takes the command.

    Args:
        runner: the channels that run.
        operations: those under way.
        nursery: where operations are carried out.
        wait: how long streams are waited for, where the command does not say.
    """

    def __init__(self, runner: Runner, operations: Operations, nursery: trio.Nursery, wait: str) -> None:
        self._runner = runner
        self._operations = operations
        self._nursery = nursery
        self._wait = wait

    def begin(self, channel: str | None, sides: Sequence[Side], wait: str | None) -> Operation:
        """Disconnects sides in this order, each when the one before has come back or was waited for long enough.

        Args:
            channel: of which; None: of each, all at the same time.
            sides: which.
            wait: for how long, as `30s`.

        Raises:
            PackagerError: INVALID (400), CHANNEL_UNKNOWN (404), OPERATION_PENDING (409).
        """
        if not sides or len(set(sides)) < len(sides):
            raise PackagerError("INVALID", "sides: primary, secondary, or both in the order that is wanted", fault="operator")
        try:
            wait_ns = parse_duration(wait or self._wait)
        except PackagerError as error:
            raise PackagerError("INVALID", f"wait: {error.detail}", fault="operator") from None
        resources = self._runner.registry.resources
        names = list(resources.channels) if channel is None else [resources.channel(channel).name]
        target = ALL if channel is None else _target(channel)
        for each in (ALL, *map(_target, names)):
            self._operations.free(each)
        operation = self._operations.begin("drain", target, self._runner.utc())
        self._nursery.start_soon(self._carry_out, operation, names, tuple(sides), wait_ns)
        return operation

    async def _carry_out(self, operation: Operation, names: Sequence[str], sides: Sequence[Side], wait_ns: int) -> None:
        done: list[Drained] = []

        async def drain(name: str) -> None:
            for side in sides:
                if (drained := await self._runner.drain(name, side, wait_ns)) is not None:
                    done.append(drained)
                self._operations.advance(operation, len(done) / (len(names) * len(sides)))

        error: Fault | None = None
        try:
            async with trio.open_nursery() as nursery:
                for name in names:
                    nursery.start_soon(drain, name)
        except* PackagerError as faults:
            error = Fault("INTERNAL", str(faults))
        result = {"sides": [msgspec.structs.asdict(each) for each in done]}
        self._operations.end(operation, self._runner.utc(), error, result)


def _target(channel: str) -> str:
    return f"channels/{channel}/drain"
