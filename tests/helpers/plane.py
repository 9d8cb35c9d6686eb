"""A daemon without sockets: its registry, fleet, desk and assets on a directory, with a writer and a moment that are the test's.

It dies as a process does: between any two calls of the system, in the middle of a write, with its database's log torn.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import structlog
import trio

from pypackager._core import Audience
from pypackager.config.schema import Config, Tuning
from pypackager.control.archive import Archive
from pypackager.control.desk import Desk
from pypackager.control.endpoints import Endpoints
from pypackager.control.publications import Publications
from pypackager.control.registry import FILE, Registry
from pypackager.dvr.library import ASSETS
from pypackager.model.news import silent
from pypackager.origin.ports import Health
from pypackager.runtime.catalog import LiveCatalog
from pypackager.runtime.channel import LiveChannel
from pypackager.runtime.fleet import Fleet
from pypackager.runtime.metrics import Metrics
from pypackager.runtime.running import Running
from pypackager.timeline.feeds import Now
from pypackager.timeline.times import SECOND_NS
from tests.helpers.death import dying, locks
from tests.helpers.fake_writer import FakeWriter
from tests.helpers.guest import GuestLoop
from tests.helpers.timeline_rig import UTC0, Header, Stored, audio_header

_T = TypeVar("_T")
WAL = f"{FILE}-wal"
VIDEO, AUDIO = 90_000, 48_000
LENGTH_S = 2
"""Of each fragment."""


class Fronts:
    """Serves every endpoint, without a socket."""

    async def bring(self, name: str) -> None:
        await trio.lowlevel.checkpoint()

    def serves(self, name: str) -> bool:
        return True

    def trouble(self, name: str) -> None:
        return None

    def roots(self, name: str | None = None) -> list[str]:
        return []

    def demand_certificate(self, name: str) -> None:
        pass


class Plane:
    """The daemon."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now = Now(UTC0, 1_000 * SECOND_NS)
        self.conns: dict[str, int] = {}
        """The encoder of each channel that has one."""
        self._zeros: dict[str, int] = {}
        self._conn = 0
        self.open()

    # --- the process

    def open(self) -> None:
        """A process starts on what the disk has."""
        self.writer = FakeWriter()
        self.loop = GuestLoop()
        log = structlog.get_logger()
        self.registry = Registry.open(self.directory)
        data_dir = self.directory
        writer = cast(Any, self.writer)
        self.fleet = Fleet(self.registry, Tuning(), data_dir, writer, lambda: self.now, Metrics(), log, lambda: None, silent)
        fronts = Fronts()
        runner = Running(
            self.registry, self.fleet, cast(Any, fronts), {}, data_dir / ASSETS, cast(Any, None), cast(Any, None), lambda: self.now
        )
        self.desk = Desk(runner, self.loop.nursery, 5, silent)
        self.endpoints = Endpoints(runner, fronts, self.desk.operations, self.loop.nursery)
        self.publications = Publications(runner)
        self.archive = Archive(runner, self.desk.operations, self.loop.nursery, silent)
        self.catalog = LiveCatalog(self.fleet, "default", lambda: Health(ready=True), Audience())
        self.loop.call(self._begin)

    async def _begin(self) -> None:
        await self.fleet.reconcile(Config(data_dir=str(self.directory)))
        await self.fleet.clear_assets()
        await self.fleet.bring_all()

    def restart(self) -> None:
        """An orderly end, and a new process."""
        for name in list(self.conns):
            self.disconnect(name)
        while self._write():
            pass
        for channel in self.fleet.channels.values():
            channel.close()
        self.writer.step()
        self.stop()
        self.open()

    def stop(self) -> None:
        """The process ends where it is; what the writer has before it is not done."""
        with dying(0):
            self.loop.end()
        self.conns.clear()
        self.writer.die(0, 0)
        for fd in locks(self.directory):
            os.close(fd)
        self.registry.close()

    def kill(self, parts: int = 0, torn: int = 0) -> None:
        """kill -9: of what the writer has before it, `parts` writes happen and `torn` bytes of one more; then a new process."""
        self.writer.die(parts, torn)
        kept = {name: (self.directory / name).read_bytes() for name in (FILE, WAL)}
        # The database, when it is closed, writes its log to the file.
        self.stop()
        for name, data in kept.items():
            (self.directory / name).write_bytes(data)
        self.open()

    def tear(self, before: int, torn: int) -> None:
        """Of what the database's log has grown by since it was `before` long, all but the first `torn` bytes is lost."""
        path = self.directory / WAL
        os.truncate(path, min(path.stat().st_size, before + torn))

    def wal_size(self) -> int:
        """How long the database's log is."""
        return (self.directory / WAL).stat().st_size

    def do(self, act: Callable[[], Awaitable[_T]]) -> _T:
        """An operator's command, up to its answer."""
        return self.loop.call(act)

    # --- media

    def utc_s(self) -> int:
        """The time of day."""
        return self.now.utc_ns // SECOND_NS

    def connect(self, name: str, zero_s: int) -> None:
        """The channel's encoder connects: two tracks. It counts from a second of UTC."""
        self._conn += 1
        channel = self.fleet.channels[name]
        channel.open_feed(self._conn, "primary", "ladder")
        for header in (Header(1, "video"), audio_header(2)):
            channel.track_found(self._conn, cast(Any, header))
        channel.admit(self._conn)
        self.conns[name] = self._conn
        self._zeros[name] = zero_s

    def disconnect(self, name: str) -> None:
        """Its encoder is gone."""
        channel = self.fleet.channels[name]
        channel.close_feed(self.conns.pop(name))
        channel.advance()

    def send(self, name: str, number: int) -> None:
        """Its encoder brings the next fragment of each track; `number` is in the bytes of both."""
        channel = self.fleet.channels[name]
        time_s = self.utc_s() - self._zeros[name]
        self._shift(LENGTH_S * SECOND_NS)
        for track, scale in ((1, VIDEO), (2, AUDIO)):
            channel.chunk(self.conns[name], cast(Any, Stored(track, time_s * scale, LENGTH_S * scale, scale, size=number)))
        channel.advance()

    # --- time

    def settle(self) -> None:
        """Tasks, disk and connections do all that they have to do."""
        while True:
            self.loop.rest()
            # As the router does.
            left = [name for name in self.conns if not self.fleet.channels[name].running]
            for name in left:
                self.disconnect(name)
            if not (self._write() or left):
                return

    def wait(self, seconds: int) -> None:
        """Time passes; deadlines are met."""
        target = self.now.mono_ns + seconds * SECOND_NS
        while (wake := self._due()) is not None and wake <= target:
            self._shift(max(0, wake - self.now.mono_ns))
            for channel in self.fleet.channels.values():
                channel.advance()
            self.settle()
        self._shift(target - self.now.mono_ns)

    def keep_house(self) -> None:
        """What the daemon does every two seconds."""
        for channel in self.fleet.channels.values():
            channel.keep_house()

    def _due(self) -> int | None:
        return min(
            (channel.timeline.wake_ns for channel in self.fleet.channels.values() if channel.timeline.wake_ns is not None), default=None
        )

    def _shift(self, ns: int) -> None:
        self.now = Now(self.now.utc_ns + ns, self.now.mono_ns + ns)

    def _write(self) -> bool:
        """The writer does what it has, and channels hear of it; whether there was any."""
        self.writer.step()
        done = self.writer.done()
        touched: list[LiveChannel] = []
        for ticket, errno in done:
            touched += [channel for channel in self.fleet.channels.values() if channel.finished(ticket, errno)]
        for channel in dict.fromkeys(touched):
            channel.advance()
        return bool(done)


async def at_once(act: Callable[..., _T], *args: Any, **_: Any) -> _T:
    """Stands in for trio.to_thread.run_sync: a thread's work, at a moment that the test knows."""
    await trio.lowlevel.checkpoint()
    return act(*args)
