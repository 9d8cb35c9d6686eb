"""Commands that are under way, and those that have ended lately.

In: commands, what became of them. Out: operations, by id. Never: a second command on something before the first has ended.
"""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from pypackager.model.errors import PackagerError
from pypackager.model.news import Tell, silent

KEPT = 256
"""Operations that have ended and can still be asked for."""


class Fault(msgspec.Struct, frozen=True):
    """Why an operation failed."""

    code: str
    detail: str


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was accepted: it is durable, and goes on over a restart. The list of operations is not, and starts empty."""

    id: str
    command: str
    target: str
    """Path of what was told, below /v1."""
    status: Literal["running", "done", "failed"] = "running"
    created: datetime
    ended: datetime | None = None
    error: Fault | None = None
    progress: float = 0.0
    """Of those that take long: the part that is done, 0 to 1."""
    result: dict[str, Any] | None = None
    """What it found, of those that look for something; what a program that starts will need."""


class Operations:
    """All of them since the start, as far as they are kept; beginnings and ends are told."""

    def __init__(self, tell: Tell = silent) -> None:
        self._tell = tell
        self._by_id: dict[str, Operation] = {}

    def get(self, name: str) -> Operation:
        """An operation.

        Raises:
            PackagerError: OPERATION_UNKNOWN (404).
        """
        found = self._by_id.get(name)
        if found is None:
            raise PackagerError("OPERATION_UNKNOWN", f"there is no operation {name[:64]!r}", status=404, fault="operator")
        return found

    def pending(self, target: str) -> Operation | None:
        """The one that is under way on a target."""
        return next((each for each in self._by_id.values() if each.target == target and each.status == "running"), None)

    def free(self, target: str) -> None:
        """Makes sure that none is under way on a target.

        Raises:
            PackagerError: OPERATION_PENDING (409).
        """
        if (pending := self.pending(target)) is not None:
            detail = f"{pending.command} of {target} is under way; wait for /v1/operations/{pending.id}"
            raise PackagerError("OPERATION_PENDING", detail, status=409, fault="operator")

    def begin(self, command: str, target: str, now: datetime, result: dict[str, Any] | None = None) -> Operation:
        """A command was accepted."""
        made = Operation(id=secrets.token_hex(8), command=command, target=target, created=now, result=result)
        self._by_id[made.id] = made
        self._tell("operation", made.target, id=made.id, command=command, status=made.status)
        return made

    def advance(self, operation: Operation, progress: float) -> None:
        """A part of it is done; nobody is told, who wants to know asks."""
        self._by_id[operation.id] = replace(operation, progress=progress)

    def end(self, operation: Operation, now: datetime, error: Fault | None = None, result: dict[str, Any] | None = None) -> None:
        """It was carried out, or could not be."""
        status: Literal["failed", "done"] = "failed" if error else "done"
        progress = self._by_id[operation.id].progress if error else 1.0
        ended = replace(operation, status=status, ended=now, error=error, progress=progress, result=result or operation.result)
        # The newest of those that have ended stands last.
        self._by_id.pop(operation.id)
        self._by_id[operation.id] = ended
        self._tell("operation", ended.target, id=ended.id, command=ended.command, status=ended.status, error=error)
        old = [name for name, each in self._by_id.items() if each.status != "running"]
        for name in old[:-KEPT]:
            del self._by_id[name]
