"""A front process' crew whose workers are the test's: each is the other end of a link, which says and answers what the test has it do.

Time is trio's MockClock's. What goes over the sockets in between takes none.
"""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
import structlog
import trio

from pypackager.config.schema import Config, Tuning
from pypackager.control.ports import Flow
from pypackager.control.resources import Channel, Resource, Resources
from pypackager.control.settings import ChannelSettings
from pypackager.model.errors import PackagerError
from pypackager.runtime.metrics import Metrics
from pypackager.runtime.workers.crew import Crew
from pypackager.runtime.workers.link import Link
from pypackager.runtime.workers.words import Is, Status, Wanted
from pypackager.timeline.feeds import Now

AT = datetime(2027, 3, 1, tzinfo=UTC)
SECOND_NS = 10**9


def channel(name: str, **settings: Any) -> Channel:
    """A channel that is to run."""
    return Channel(name=name, settings=ChannelSettings(**settings), desired="running", created=AT, modified=AT)


def status(**said: Any) -> Status:
    """How a channel is that runs and has nothing."""
    return msgspec.structs.replace(Status("Running", [], {}, [], Flow(), [], []), **said)


class FakeRegistry:
    """What there is to be, in memory."""

    def __init__(self, *put: Resource) -> None:
        self.resources = Resources().changed(list(put), [])
        self.lock = trio.Lock()
        self.committed: Callable[[], None] = lambda: None

    async def commit(self, put: Sequence[Resource] = (), drop: Sequence[Resource] = ()) -> None:
        """Puts and drops."""
        await trio.lowlevel.checkpoint()
        self.resources = self.resources.changed(list(put), list(drop))
        self.committed()


class FakeWorker:
    """One life of a worker: opens what it is told to, until it is killed.

    Args:
        sock: its end.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.link = Link(sock, self._hear, self._answer)
        self.pid = os.getpid()
        self.number = -1
        self.heard: list[tuple[str, Any]] = []
        self.asked: list[tuple[str, Any]] = []
        self.channels: dict[str, Status] = {}
        self.fds: list[int] = []
        self.answers: dict[str, Callable[[Any], Awaitable[Any]]] = {}
        """Instead of the usual ones."""
        self.died = False
        self.stuck = False
        """Whether it ignores that it is to end, and that its link is gone."""
        self._gone = trio.Event()
        self._status: int | None = None

    # --- its process

    async def live(self) -> None:
        """What it does by itself."""
        await self.link.run()
        if not self.stuck:
            self._exit(0)

    def kill(self) -> None:
        """SIGKILL."""
        if self._status is None:
            self.died = True
            self._exit(-9)

    def _exit(self, status: int) -> None:
        if self._status is None:
            self._status = status
            self.link.end()
            self._gone.set()

    def poll(self) -> int | None:
        """Its status."""
        return self._status

    async def wait(self) -> int:
        """Its status, when it has ended."""
        await self._gone.wait()
        return self._status or 0

    # --- what it says

    def say_is(self, **said: Any) -> None:
        """How its channels are."""
        self.link.say("is", Is(self.channels, **{"failed": {}, **said}))

    def _hear(self, kind: str, body: bytes, fd: int | None) -> None:
        self.heard.append((kind, msgspec.msgpack.decode(body)))
        if fd is not None:
            self.fds.append(fd)
        if kind == "wanted":
            wanted = msgspec.msgpack.decode(body, type=Wanted)
            self.wanted = [each.name for each in wanted.channels]
            self.others = set(wanted.others)
        elif kind == "end" and not self.stuck:
            self._exit(0)

    async def _answer(self, kind: str, body: bytes) -> Any:
        told = msgspec.msgpack.decode(body)
        self.asked.append((kind, told))
        if (answer := self.answers.get(kind)) is not None:
            return await answer(told)
        if kind == "begin":
            self.number = told["number"]
            return self.pid
        if kind == "bring":
            assert told in self.wanted, "what it is to be is said before"
            self.channels[told] = self.channels.get(told, status())
            self.say_is()
        elif kind not in ("ping", "look"):
            raise PackagerError("INTERNAL", f"nobody answers {kind!r}", status=500, fault="us")
        return None


class CrewRig:
    """A crew and its workers, in the order in which they were started."""

    def __init__(self, folder: Path, registry: FakeRegistry, workers: int) -> None:
        self.registry = registry
        self.nursery: trio.Nursery
        self.started: list[FakeWorker] = []
        self.starts: list[float] = []
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.prepare: Callable[[FakeWorker], None] = lambda _: None
        """Is given each before it lives."""
        self.fails = 0
        """So many starts do not succeed."""
        self.metrics = Metrics()
        self.door: Any = None
        self.publications: dict[str, Any] = {}
        self.routed = 0
        self.crew = Crew(
            registry, Tuning(workers=workers), folder, cast(Any, None), self.now, self.metrics, structlog.get_logger(), lambda: None,
            self._tell, config=Config(data_dir=str(folder)), folder=folder, verbose=False, routed=self._route,
            door=lambda _: self.door, publication=lambda _, locator: self.publications.get(locator), start=self._start,
        )  # fmt: skip
        registry.committed = self.crew.review

    def now(self) -> Now:
        """The clock that the workers' lives go by, too."""
        elapsed = int(trio.current_time() * SECOND_NS)
        return Now(1_800_000_000 * SECOND_NS + elapsed, elapsed)

    def lives(self, number: int) -> list[FakeWorker]:
        """Those that were at a post."""
        return [each for each in self.started if each.number == number]

    def alerts(self) -> list[tuple[str, str, str]]:
        """Those that were told: subject, change, code."""
        return [(subject, data["change"], data["code"]) for kind, subject, data in self.told if kind == "alert"]

    def _tell(self, kind: str, subject: str, /, **data: Any) -> None:
        self.told.append((kind, subject, data))

    def _route(self) -> None:
        self.routed += 1

    async def _start(self, theirs: socket.socket) -> FakeWorker:
        self.starts.append(trio.current_time())
        await trio.lowlevel.checkpoint()
        if self.fails:
            self.fails -= 1
            raise OSError(11, "no more processes")
        worker = FakeWorker(theirs.dup())
        self.prepare(worker)
        self.started.append(worker)
        self.nursery.start_soon(worker.live)
        return worker


@asynccontextmanager
async def crew_of(
    folder: Path, *channels: Channel, workers: int = 2, prepare: Callable[[CrewRig], None] = lambda _: None
) -> AsyncIterator[CrewRig]:
    """A crew that has begun, with its channels open; it ends with the block."""
    rig = CrewRig(folder, FakeRegistry(*channels), workers)
    prepare(rig)
    async with trio.open_nursery() as rig.nursery:
        scope = trio.CancelScope()

        async def run(task_status: trio.TaskStatus[None]) -> None:
            with scope:
                await rig.crew.run(task_status=task_status)

        await rig.nursery.start(run)
        await rig.crew.bring_all()
        try:
            yield rig
        finally:
            scope.cancel()
            for worker in rig.started:
                for fd in worker.fds:
                    os.close(fd)
