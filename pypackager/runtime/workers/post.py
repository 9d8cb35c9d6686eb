"""One worker's place in the front process: who is there is started, briefed and watched, and another one started when it is lost.

In: how a worker is started, what it is to be told. Out: a link while it takes connections and commands. Never: a decision about a channel.

Theory of operation. A worker lives from its start to the end of its link. One whose link ends, which does not answer, or which can't be
understood, is killed: it may hang, and hold the locks of its channels. Nobody takes its place before it has ended. Of each life it is told
everything anew, so nothing has to be carried over from one to the next.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol

import trio

from pypackager.model.errors import PackagerError
from pypackager.runtime.workers.link import Link
from pypackager.runtime.workers.words import Begin, Is, Wanted

BEGIN_S = 30.0
"""How long a worker may take to load what it is made of."""
PING_S = 5.0
"""How often it is asked whether it is there."""
SILENT_S = 15.0
"""One that has not answered for so long hangs."""
FRESH_S = 0.25
"""What it said so long ago is how its channels are."""
PATIENCE_S = 1.0
"""How long somebody who wants to know how they are waits for its answer."""
OPEN_S = 600.0
"""How long the opening of a channel may take: its journal may be long."""
STALE_S = 10.0
"""How long viewers are shown the manifests of a worker that is gone: a player that finds nothing new for longer stalls anyway."""
LONG_S = 60.0
"""What a worker that lived for so long died of was no fault of its start."""
PAUSES_S = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Before it is started again, by how often it has died soon."""

Health = Literal["Starting", "Running", "Lost"]


class Process(Protocol):
    """A process that was started."""

    @property
    def pid(self) -> int:
        """Its number."""
        ...

    def kill(self) -> None:
        """Ends it at once; nothing when it has ended."""
        ...

    def poll(self) -> int | None:
        """Its status; None while it runs."""
        ...

    async def wait(self) -> int:
        """Its status, when it has ended."""
        ...


Start = Callable[[socket.socket], Awaitable[Process]]
"""Starts a worker at the other end of a link; OSError: it could not."""


class Duties(Protocol):
    """What a post is there for, declared by it."""

    def wanted(self, post: Post) -> Wanted:
        """What a worker is to be."""
        ...

    def placed(self, post: Post) -> Sequence[str]:
        """Its channels."""
        ...

    def hear(self, post: Post, kind: str, body: bytes, fd: int | None) -> None:
        """Takes what it says."""
        ...

    async def answer(self, post: Post, kind: str, body: bytes) -> Any:
        """Answers what it asks."""
        ...

    def lost(self, post: Post, detail: str) -> None:
        """It is gone."""
        ...

    def faded(self, post: Post, life: int) -> None:
        """It has been gone for so long that what it had ready is old."""
        ...

    def back(self, post: Post) -> None:
        """All its channels were opened by the one who is there now."""
        ...


class Post:
    """One worker's place.

    Args:
        begin: what the worker is to be, with its number.
        duties: see Duties.
        start: see Start.
        log: a structured logger.
    """

    def __init__(self, begin: Begin, duties: Duties, start: Start, log: Any) -> None:
        self.number = begin.number
        self.link: Link | None = None
        """There while the worker takes connections and commands."""
        self.says = Is({}, {})
        self._said = -FRESH_S
        """When it did."""
        self._slow = False
        """It has kept somebody waiting in vain, and has not answered since."""
        self.begun = trio.Event()
        """It has answered once."""
        self.life = 0
        """Counts workers that were here."""
        self.lost = 0
        """How many of them were lost."""
        self.state: Health = "Starting"
        self._begin = begin
        self._duties = duties
        self._start = start
        self._log = log.bind(worker=begin.number)
        self._process: Process | None = None
        self._over = trio.Event()
        """It is told to end, and nobody comes after it."""

    async def keep(self) -> None:
        """Keeps a worker there until it is told to end."""
        soon = 0
        async with trio.open_nursery() as nursery:
            while True:
                began = trio.current_time()
                self.life += 1
                detail = await self._live(nursery)
                if self._over.is_set():
                    nursery.cancel_scope.cancel()
                    return
                soon = 0 if trio.current_time() - began > LONG_S else soon
                pause, soon = PAUSES_S[soon], min(soon + 1, len(PAUSES_S) - 1)
                self._log.error("worker lost", code="WORKER_LOST", detail=detail, retry_s=pause)
                with trio.move_on_after(pause):
                    await self._over.wait()

    def take(self, says: Is) -> None:
        """It has said how its channels are."""
        self.says, self._said = says, trio.current_time()

    async def look(self) -> None:
        """Has it say how its channels are, if it has not just done so; who does not answer in time is as it said last."""
        if self.link is None or self._slow or trio.current_time() - self._said < FRESH_S:
            return
        try:
            await self.link.ask("look", None, None, PATIENCE_S)
        except PackagerError as error:
            self._slow = error.code == "WORKER_SILENT"

    def end(self) -> None:
        """Has the worker drain and end; no other is started. One that has not begun has nothing to drain."""
        self._over.set()
        if self.link is not None:
            self.link.say("end", None)
        elif self._process is not None:
            self._process.kill()

    def kill(self) -> None:
        """Ends it if it has not ended."""
        if self._process is not None and self._process.poll() is None:
            self._log.error("worker killed", pid=self._process.pid)
            self._process.kill()

    # --- inside

    async def _live(self, fading: trio.Nursery) -> str:
        """One worker from its start to its end; says what it ended of."""
        if self._over.is_set():
            return ""
        ours, theirs = socket.socketpair()
        try:
            process = self._process = await self._start(theirs)
        except OSError as error:
            ours.close()
            return f"it could not be started: {error}"
        finally:
            theirs.close()
        if self._over.is_set():
            process.kill()
        link = Link(ours, lambda kind, body, fd: self._duties.hear(self, kind, body, fd), self._answer)
        reason: list[str] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._attend, link, reason)
            await link.run()
            nursery.cancel_scope.cancel()
        self.link, self.says, self.state = None, Is({}, {}), "Lost"
        process.kill()
        if not self._over.is_set():
            self.lost += 1
            self._duties.lost(self, reason[0] if reason else "its link ended")
            fading.start_soon(self._fade, self.life)
        status = await process.wait()
        return ", ".join([*reason, f"it ended with status {status}"])

    async def _fade(self, life: int) -> None:
        await trio.sleep(STALE_S)
        self._duties.faded(self, life)

    async def _answer(self, kind: str, body: bytes) -> Any:
        return await self._duties.answer(self, kind, body)

    async def _attend(self, link: Link, reason: list[str]) -> None:
        """Briefs the worker and watches it; ends the link of one that does not answer."""
        try:
            pid = await link.ask("begin", self._begin, int, BEGIN_S)
            self._log.info("worker begun", pid=pid)
            self.state = "Starting"
            link.say("wanted", self._duties.wanted(self))
            self.link, self._slow = link, False
            self.begun.set()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._bring, link)
                while True:
                    await trio.sleep(PING_S)
                    await link.ask("ping", None, None, SILENT_S)
                    self._slow = False
        except* PackagerError as errors:
            reason.extend(each.detail for each in errors.exceptions if isinstance(each, PackagerError) and each.code != "WORKER_DOWN")
            link.end()

    async def _bring(self, link: Link) -> None:
        """Has the worker open the channels that the one before it had, or that were placed while it began."""
        for name in self._duties.placed(self):
            try:
                await link.ask("bring", name, None, OPEN_S)
            except PackagerError as error:
                if error.code == "WORKER_DOWN":
                    return
                self._log.error("channel not brought", channel=name, code=error.code, detail=error.detail)
        self.state = "Running"
        self._duties.back(self)


async def start_process(theirs: socket.socket) -> Process:
    """Starts a worker as a child process.

    Raises:
        OSError: there is no room for one.
    """
    command = [sys.executable, "-m", "pypackager.runtime.workers.process", str(theirs.fileno())]
    return await trio.lowlevel.open_process(command, stdin=subprocess.DEVNULL, pass_fds=(theirs.fileno(),))
