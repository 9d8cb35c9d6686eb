"""The workers of a daemon, as its front process sees them: where each channel is, how it is, and the way there.

In: what the registry says, connections that were given away, what workers tell. Out: commands to them. Never: a channel's journal.

Theory of operation. A worker is a child process at the other end of a link (post.py). What it is to be is said to it whole after each
commit; what its channels are it says by itself. One that dies is started again, told the same, and brings its channels in line with it, as
a daemon does that was killed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import trio

from pypackager._core import FrontDoor, Networks, Writer
from pypackager.config import schema
from pypackager.control.ports import AlertView, Drained
from pypackager.control.resources import Channel
from pypackager.control.states import State, status
from pypackager.ingest.ports import Elsewhere
from pypackager.model.errors import PackagerError
from pypackager.model.news import Tell
from pypackager.model.side import Side
from pypackager.origin.ports import Publication
from pypackager.runtime.disk import CHECK_S, free_bytes, low_detail
from pypackager.runtime.fleet import Fleet, Wishes
from pypackager.runtime.metrics import Family, Metrics
from pypackager.runtime.running import view_of
from pypackager.runtime.workers.link import Link
from pypackager.runtime.workers.places import Places
from pypackager.runtime.workers.post import OPEN_S, Post, Start, start_process
from pypackager.runtime.workers.reports import Reports
from pypackager.runtime.workers.shelf import Shelves
from pypackager.runtime.workers.words import Alerted, Begin, DrainSide, Status
from pypackager.timeline.feeds import Now

END_S = 2.5
"""How long workers have to end."""
ASKED_S = 1.0
"""How often workers are told what viewers asked for."""
TRIM_S = 10.0
"""How long a channel may take to give up its oldest files."""


class Crew(Fleet):
    """A fleet whose channels are with workers; ended assets that are published stay here.

    Args:
        config: what the daemon runs.
        folder: where the Unix sockets of workers' applications are; nobody else can enter it.
        verbose: whether they log more.
        routed: told when other applications serve other things than before.
        door: the native front of an endpoint; None: it has none now.
        publication: what a locator publishes at an endpoint.
        start: how a worker is started.
    """

    def __init__(
        self,
        registry: Wishes,
        tuning: schema.Tuning,
        data_dir: Path,
        writer: Writer,
        now: Callable[[], Now],
        metrics: Metrics,
        log: Any,
        changed: Callable[[], None],
        tell: Tell,
        *,
        config: schema.Config,
        folder: Path,
        verbose: bool,
        routed: Callable[[], None],
        door: Callable[[str], FrontDoor | None],
        publication: Callable[[str, str], Publication | None],
        start: Start = start_process,
    ) -> None:
        super().__init__(registry, tuning, data_dir, writer, now, metrics, log, changed, tell)
        self._routed = routed
        self._shelves = Shelves(door, publication)
        self._moved = trio.lowlevel.ParkingLot()
        self._told: object = None
        """The resources that the workers know."""
        self._allow: dict[str, Networks] = {}
        self.places = Places(folder, log)
        self._reports = Reports(registry, self.places, self._shelves, metrics, now, log, tell, self._look, routed)
        begins = [Begin(config, number, str(folder), verbose) for number in range(tuning.workers)]
        self.places.posts = [Post(begin, self._reports, start, log) for begin in begins]

    # --- life

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keeps the workers alive until cancelled, then has them end; started when each has answered."""
        stop = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._hold, stop)
            try:
                for post in self.places.posts:
                    await post.begun.wait()
                task_status.started()
                await trio.sleep_forever()
            finally:
                stop.set()

    async def _hold(self, stop: trio.Event) -> None:
        """The workers' lives, which last until they have drained, all at once; those that take too long are killed."""
        posts = self.places.posts
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pass_on_what_was_asked)
                async with trio.open_nursery() as lives:
                    for post in posts:
                        lives.start_soon(post.keep)
                    await stop.wait()
                    for post in posts:
                        post.end()
                    lives.cancel_scope.deadline = trio.current_time() + END_S
                for post in posts:
                    post.kill()
                nursery.cancel_scope.cancel()

    async def _pass_on_what_was_asked(self) -> None:
        while True:
            await self._shelves.filled()
            await trio.sleep(ASKED_S)
            for (worker, life), asked in self._shelves.asked():
                post = self.places.posts[worker]
                if post.life == life and post.link is not None:
                    post.link.say("asked", asked)

    # --- what the daemon asks of a fleet

    def states(self) -> tuple[dict[str, State], set[tuple[str, str]]]:
        """As workers said last."""
        said = self.places.said()
        return {name: each.state for name, each in said.items()}, {(name, each) for name, one in said.items() for each in one.recording}

    def health(self) -> dict[str, Any]:
        """As workers said last, and how they are."""
        said, alerts = self.places.said(), dict[str, Sequence[str]]()
        for name in self.registry.resources.channels:
            if codes := sorted({alert.code for alert in self.alerts(name)}):
                alerts[name] = codes
        states = {name: status(each.state, each.recording) for name, each in said.items()}
        failed = self.places.failed()
        return {"channels": len(said), "failed": failed, "states": states, "alerts": alerts, "workers": self.places.health()}

    async def bring(self, name: str) -> None:
        """Has its worker bring a channel in line; one that has none gets the worker with the fewest.

        A worker that is being started, or dies of it, brings all that it has when it begins.
        """
        if self.places.of(name) is None and self.registry.resources.channels.get(name) is None:
            return
        self._place(name)
        self._tell_all()
        post = self.places.of(name)
        if post is not None and post.link is not None:
            try:
                await post.link.ask("bring", name, None, OPEN_S)
            except PackagerError as error:
                if error.code != "WORKER_DOWN":
                    raise
        for asset in [asset for asset in self.shelf if self.registry.resources.user(asset) is not None]:
            del self.shelf[asset]
        self._routed()
        self._changed()

    async def bring_all(self) -> None:
        """All at once: their journals are read by several processes."""
        for name in sorted(self.registry.resources.channels):
            self._place(name)
        async with trio.open_nursery() as nursery:
            for name in self.registry.resources.channels:
                nursery.start_soon(self._bring_or_say, name)
        for locator in list(self.registry.resources.locators.values()):
            await self.shelve(locator.asset)

    async def shelve(self, asset: str) -> None:
        """Opens an ended asset that is published; one that has a program is the worker's to serve."""
        self.review()
        if self.registry.resources.user(asset) is None:
            await super().shelve(asset)

    async def open_failed(self) -> None:
        """Workers try theirs again."""
        await trio.sleep_forever()

    async def watch_disk(self) -> None:
        """Has one channel of all give up its oldest when space is low: the one that keeps most."""
        while True:
            await trio.sleep(CHECK_S)
            free, reserve = free_bytes(self._data_dir), self._tuning.disk_reserve
            if free < reserve:
                await self._make_room(free, reserve)

    def review(self) -> None:
        """Workers have their viewers and encoders get what the registry says now."""
        self._tell_all()
        self._routed()
        self._changed()

    def pushes(self, peer: str) -> bool:
        """Whether an address may push to some channel over RTMP."""
        channels = self.registry.resources.channels.values()
        return any(each.settings.protocol == "rtmp" and self._list(each).allows(peer) for each in channels)

    @property
    def elsewhere(self) -> Elsewhere:
        """Connections go to its workers."""
        return self.places

    # --- what the control plane and the front ask

    async def look(self) -> None:
        """Has workers say how their channels are, for somebody who asks next."""
        async with trio.open_nursery() as nursery:
            for post in self.places.posts:
                nursery.start_soon(post.look)

    def said(self, channel: str) -> Status | None:
        """How a channel is; None: it is not open."""
        post = self.places.of(channel)
        return None if post is None else post.says.channels.get(channel)

    def alerts(self, channel: str) -> Sequence[AlertView]:
        """What was raised since its worker started, and what the front process has found."""
        said = self.said(channel)
        ours = [view_of(code, alert) for code, alert in self._reports.alerts(channel).items()]
        return [*ours, *([] if said is None else said.alerts)]

    async def until(self, channel: str, done: Callable[[], bool]) -> None:
        """Waits until something is so; of a channel that is not open nothing is waited for."""
        while not done() and self.places.of(channel) is not None:
            await self._moved.park()

    async def drain(self, channel: str, side: Side, wait_ns: int) -> Drained | None:
        """Has its worker drain a side of a channel."""
        post = self.places.of(channel)
        if post is None or post.link is None:
            return None
        drained: Drained | None = await post.link.ask("drain", DrainSide(channel, side, wait_ns), Drained | None, wait_ns / 1e9 + 10.0)
        return drained

    def viewers(self) -> list[tuple[str, str, str, int]]:
        """Whom workers gave something in the last 30 s; see Audience.viewers."""
        return [each for post in self.places.posts for each in post.says.viewers]

    async def families(self) -> list[list[Family]]:
        """What workers count; one that does not answer is left out."""
        found: list[list[Family]] = []

        async def fetch(link: Link) -> None:
            with contextlib.suppress(PackagerError):
                found.append(await link.ask("metrics", None, list[Family]))

        async with trio.open_nursery() as nursery:
            for post in self.places.posts:
                if post.link is not None:
                    nursery.start_soon(fetch, post.link)
        return found

    def routes(self, endpoint: str) -> dict[str, str]:
        """The applications of an endpoint by what they serve."""
        return self.places.routes(endpoint, self.registry.resources)

    # --- inside

    def _coming(self, channel: str) -> tuple[int, int]:
        """As its worker said last."""
        said = self.said(channel)
        if said is None:
            return 0, 0
        return sum(track.bitrate_bps for track in said.tracks if not track.announced), max(said.windows_ns, default=0)

    def _alert(self, channel: str, code: str, detail: str) -> None:
        """Its worker raises it."""
        post = self.places.of(channel)
        if post is not None and post.link is not None:
            post.link.say("alert", Alerted(channel, code, detail))

    async def _bring_or_say(self, name: str) -> None:
        try:
            await self.bring(name)
        except PackagerError as error:
            self._log.error("channel not brought", channel=name, code=error.code, detail=error.detail)

    async def _make_room(self, free: int, reserve: int) -> None:
        detail = low_detail(free, reserve)
        await self.look()
        said = self.places.said()
        for name in sorted(said, key=lambda name: -said[name].depth_ns):
            post = self.places.of(name)
            if post is None or post.link is None:
                continue
            with contextlib.suppress(PackagerError):
                if await post.link.ask("trim", Alerted(name, "DISK_LOW", detail), bool, TRIM_S):
                    return

    def _place(self, name: str) -> None:
        if self.places.place(name):
            # What a worker has to know has changed.
            self._told = None

    def _look(self) -> None:
        self.failed.clear()
        self.failed.update(self.places.failed())
        self._moved.unpark_all()

    def _tell_all(self) -> None:
        if self._told is not self.registry.resources:
            self._told = self.registry.resources
            self._shelves.review()
            self._allow.clear()
            for post in self.places.posts:
                if post.link is not None:
                    post.link.say("wanted", self.places.wanted(post, self.registry.resources))

    def _list(self, channel: Channel) -> Networks:
        if channel.name not in self._allow:
            self._allow[channel.name] = Networks(channel.settings.ingest_allow)
        return self._allow[channel.name]
