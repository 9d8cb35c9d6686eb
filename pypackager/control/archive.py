"""Assets, as operators ask for them and tell them.

In: commands. Out: descriptions, numbers, operations. Never: an answer before what it says is on the disk.

A verification reads all media of an asset: one at a time, at a rate that leaves the disk to those who record and watch.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

import msgspec
import trio

from pypackager.control.checks import conflict
from pypackager.control.opened import Here
from pypackager.control.operations import Fault, Operation, Operations
from pypackager.control.ports import Measured, Opened, Runner
from pypackager.control.resources import Resources
from pypackager.dvr.assets import Asset
from pypackager.dvr.description import Description
from pypackager.dvr.library import Library
from pypackager.dvr.verify import Verification
from pypackager.model.errors import PackagerError
from pypackager.model.news import Tell

RATE = 100_000_000
"""Bytes that a verification reads in a second."""
PIECE = 16 * 2**20
"""Bytes that it reads at once."""
_END_NS = 1 << 62
"""Behind all media time."""
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00Z")


class Archive:
    """Takes commands on assets.

    Args:
        runner: the channels that run.
        operations: those under way.
        nursery: where operations are carried out.
        tell: tells of damage.
    """

    def __init__(self, runner: Runner, operations: Operations, nursery: trio.Nursery, tell: Tell) -> None:
        self._runner = runner
        self._operations = operations
        self._nursery = nursery
        self._tell = tell
        self._library = Library(runner.assets)
        self._reading = trio.Lock()

    @property
    def _resources(self) -> Resources:
        return self._runner.registry.resources

    async def all(self) -> dict[str, Description | None]:
        """All assets by name; None for one whose description can't be read."""
        return await trio.to_thread.run_sync(self._library.descriptions)

    async def describe(self, name: str) -> Description:
        """One asset.

        Raises:
            PackagerError: ASSET_UNKNOWN (404), ASSET_UNREADABLE.
        """
        return await trio.to_thread.run_sync(self._library.describe, name)

    async def measure(self, name: str) -> Measured:
        """An asset in numbers; looks at its files.

        Raises:
            PackagerError: ASSET_UNKNOWN (404), ASSET_UNREADABLE.
        """
        directory = await trio.to_thread.run_sync(self._library.directory, name)
        return await (await self._opened(name, directory)).measure()

    async def clip(self, source: str, name: str, start: str | float | None, end: str | float | None) -> None:
        """Makes an asset of a part of another, without a copy.

        Args:
            source: the asset.
            name: what the clip is called.
            start: an instant (RFC 3339), or seconds of media time; None: where the source starts.
            end: likewise; None: where it ends.

        Raises:
            PackagerError: INVALID (400), ASSET_UNKNOWN (404), ASSET_EXISTS, ASSET_IN_USE, CLIP_EMPTY (409).
        """
        async with self._runner.registry.lock:
            directory = await trio.to_thread.run_sync(self._library.directory, source)
            if (user := self._user(name)) is not None:
                raise conflict("ASSET_IN_USE", f"program {user} is to record to asset {name!r}; choose another name")
            asset = await self._opened(source, directory)
            anchor_ns = await asset.anchor_ns()
            start_ns = 0 if start is None else _media_ns("start", start, anchor_ns)
            end_ns = _END_NS if end is None else _media_ns("end", end, anchor_ns)
            if end_ns <= start_ns:
                raise PackagerError("INVALID", "end: it is not after start", fault="operator")
            await asset.clip(name, start_ns, end_ns, _utc_ns(self._runner.utc()))

    async def verify(self, name: str) -> Operation:
        """Reads all of an asset that has ended; what is damaged is a gap from then on.

        Raises:
            PackagerError: ASSET_UNKNOWN (404), ASSET_RUNNING, OPERATION_PENDING (409).
        """
        async with self._runner.registry.lock:
            if (await self.describe(name)).stop is None:
                raise conflict("ASSET_RUNNING", "its program runs; stop it first, or verify a clip of what it has recorded")
            self._operations.free(_path(name))
            operation = self._operations.begin("verify", _path(name), self._runner.utc())
        self._nursery.start_soon(self._carry_out, operation, name)
        return operation

    async def delete(self, name: str) -> None:
        """Deletes an asset; what publishes it goes with it.

        Raises:
            PackagerError: ASSET_UNKNOWN (404), ASSET_IN_USE, OPERATION_PENDING (409).
            OSError: the files could not be removed as a whole.
        """
        async with self._runner.registry.lock:
            self._operations.free(_path(name))
            await trio.to_thread.run_sync(self._library.delete, name, self._user)
            await self._runner.registry.commit(drop=[each for each in self._resources.locators.values() if each.asset == name])
        self._runner.unshelve(name)

    def pending(self, name: str) -> str | None:
        """Id of the operation that is under way."""
        pending = self._operations.pending(_path(name))
        return None if pending is None else pending.id

    async def _carry_out(self, operation: Operation, name: str) -> None:
        try:
            async with self._reading:
                reading = await self._read(operation, self._runner.assets / name)
                found = reading.findings(_utc_ns(self._runner.utc()))
                asset = await self._opened(name, self._runner.assets / name)
                await asset.conclude(found)
                if (shown := self._runner.asset(name)) not in (None, asset):
                    # Somebody has published it meanwhile: that one is what viewers see.
                    await shown.conclude(found)
        except (PackagerError, OSError) as error:
            code, detail = (error.code, error.detail) if isinstance(error, PackagerError) else ("ASSET_UNREADABLE", str(error))
            self._operations.end(operation, self._runner.utc(), Fault(code, detail))
            return
        self._runner.review()
        if reading.damage:
            self._tell("alert", _path(name), change="raised", code="ASSET_DAMAGED", detail=damage(len(reading.damage)), count=1)
        self._operations.end(operation, self._runner.utc(), result=msgspec.to_builtins(found.verified))

    async def _read(self, operation: Operation, directory: Path) -> Verification:
        reading = await trio.to_thread.run_sync(Asset.verify, directory)
        more = True
        while more:
            before, began = reading.read, trio.current_time()
            more = await trio.to_thread.run_sync(reading.step, PIECE)
            took = trio.current_time() - began
            # The journal is read by the interpreter, which has other things to do as well.
            await trio.sleep(max((reading.read - before) / RATE - took, 0.0) if reading.read > before else took)
            self._operations.advance(operation, reading.read / max(1, reading.bytes))
        return reading

    async def _opened(self, name: str, directory: Path) -> Opened:
        asset = self._runner.asset(name)
        if asset is None:
            opened = await trio.to_thread.run_sync(Asset.open, directory)
            # Somebody may have published it meanwhile: then that one is what viewers see.
            asset = self._runner.asset(name) or Here(opened)
        return asset

    def _user(self, name: str) -> str | None:
        user = self._resources.user(name)
        return None if user is None else f"{user.channel}/{user.name}"


def damage(fragments: int) -> str:
    """What is said of an asset that is not whole."""
    return f"{fragments} fragments are damaged and left out; what is whole is served"


def _media_ns(key: str, moment: str | float, anchor_ns: int) -> int:
    """Media time of an instant, or of seconds of media time."""
    try:
        seconds = Decimal(str(moment))
        found = int(seconds * 1_000_000_000) if seconds.is_finite() else -1
    except InvalidOperation:
        try:
            found = _utc_ns(datetime.fromisoformat(str(moment))) - anchor_ns
        except (ValueError, TypeError):
            found = -1
    if not 0 <= found < _END_NS:
        detail = f"{key}: {str(moment)[:40]!r} is no instant with its offset from UTC (2027-03-01T18:00:00Z), and no seconds of media time"
        raise PackagerError("INVALID", detail, fault="operator")
    return found


def _utc_ns(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000


def _path(name: str) -> str:
    return f"assets/{name}"
