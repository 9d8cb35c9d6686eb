"""A worker: a process that runs some of the daemon's channels, and serves what they publish on Unix sockets.

In: a link to the front process, connections of encoders. Out: recorded channels, answers, how they are. Never: an address that is listened
on, a resource of its own making. It ends with its link.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog
import trio

from pypackager._core import Audience, Given, Proxies, Writer
from pypackager.control.resources import Resource, Resources
from pypackager.dvr.library import ASSETS
from pypackager.model.errors import PackagerError
from pypackager.model.news import NewsKind
from pypackager.runtime.channel import LiveChannel
from pypackager.runtime.drain import drain_side
from pypackager.runtime.fleet import Fleet
from pypackager.runtime.instant import MachineClock
from pypackager.runtime.metering import count_given
from pypackager.runtime.metrics import Metrics
from pypackager.runtime.running import tracks_of, view_of
from pypackager.runtime.workers.assets import answer_asset
from pypackager.runtime.workers.link import Link
from pypackager.runtime.workers.serving import Serving
from pypackager.runtime.workers.shelf import Asked
from pypackager.runtime.workers.words import Alerted, AssetCall, Begin, DrainSide, Is, Status, Taken, Told, Wanted, parcel, socket_name
from pypackager.runtime.works import Works

TELL_S = 0.25
"""How often the front process is told unasked how the channels are, at most. Rates and ages, which move by themselves, it asks for."""
LOOK_S = 1.0
"""How often it is looked for changes that nobody tells of."""
FLUSH_S = 1.0
"""How long its last words may take: a front process that reads nothing must not keep the locks of channels."""


class Replica:
    """What a worker knows of the registry: what it was told last."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self.resources = Resources()
        self.lock = trio.Lock()

    async def commit(self, put: Sequence[Resource] = (), drop: Sequence[Resource] = ()) -> None:
        """Has the front process drop a channel that was deleted; nothing else is a worker's to change."""
        del put
        for resource in drop:
            await self._link.ask("gone", getattr(resource, "name", ""), None)


class _Brood(Fleet):
    """Its channels; for the disk, which all share, the front process looks."""

    async def watch_disk(self) -> None:
        """Gives up what the front process says (`trim`)."""
        await trio.sleep_forever()


class Worker:
    """One worker, from its first question on.

    Args:
        begin: what it is to be.
        link: to the front process.
    """

    def __init__(self, begin: Begin, link: Link) -> None:
        config = begin.config
        self._link = link
        self._log = structlog.get_logger().bind(worker=begin.number)
        self._clock = MachineClock()
        self._metrics = Metrics()
        self._audience = Audience()
        self._wanted = Wanted([], [], [], [], [], frozenset(), {})
        self._replica = Replica(link)
        self._loop = trio.lowlevel.current_trio_token()
        self._news = trio.Event()
        self._said: object = None
        """How channels stood when the front process was told."""
        self._ending = False
        self.started = trio.Event()
        data_dir, now = Path(config.data_dir), self._clock.now
        self._assets = data_dir / ASSETS

        def fleet(writer: Writer, changed: Callable[[], None]) -> Fleet:
            return _Brood(self._replica, config.tuning, data_dir, writer, now, self._metrics, self._log, changed, self._tell)

        about = (config.tuning, data_dir, self._clock, self._metrics, self._log)
        proxies, owner = Proxies(config.access.trusted_proxies, config.access.proxy_header), self._owner
        self.works = Works(fleet, *about, self._turn, self._tell, proxies, elsewhere=self, owner=owner)
        folder, shelve = Path(begin.folder), partial(link.say, "shelf")
        counts = (self._audience, self._clock, self._metrics)
        self._serving = Serving(
            lambda name: folder / socket_name(begin.number, name), self.works.fleet, *counts, proxies, self._log, shelve
        )

    async def run(self) -> None:
        """Works until cancelled, then drains."""
        try:
            async with trio.open_nursery() as self._nursery:
                self.works.start(self._nursery)
                self.started.set()
                while True:
                    self._news = trio.Event()
                    with trio.move_on_after(LOOK_S):
                        await self._news.wait()
                    # An instant that has come changes what is published.
                    self._serving.turn()
                    if self._news.is_set() or self._standing() != self._said:
                        self._say_how_it_is()
                        await trio.sleep(TELL_S)
        finally:
            self._ending = True
            with trio.CancelScope(shield=True):
                await self.works.drain()
                self._say_how_it_is()
                with trio.move_on_after(FLUSH_S):
                    await self._link.flush()
            self._log.info("worker stopped")

    # --- what the front process says

    def hear(self, kind: str, body: bytes, fd: int | None) -> None:
        """Takes what is said; when it ends, nothing."""
        if self._ending:
            if fd is not None:
                os.close(fd)
        elif kind == "wanted":
            self._wanted = msgspec.msgpack.decode(body, type=Wanted)
            self._replica.resources = self._wanted.resources()
            self.works.fleet.review()
            self._serving.bring([endpoint.name for endpoint in self._wanted.endpoints], self._nursery)
        elif kind == "take" and fd is not None:
            taken = msgspec.msgpack.decode(body, type=Taken)
            conn = self.works.pump.adopt(fd, taken.protocol, taken.opening, taken.decided, taken.unsent)
            self.works.router.admitted(conn, taken.peer, taken.protocol)
        elif kind == "asked":
            self._serving.hear(msgspec.msgpack.decode(body, type=Asked))
        elif kind == "end":
            self._ending = True
            self._nursery.cancel_scope.cancel()
        elif kind == "alert":
            alerted = msgspec.msgpack.decode(body, type=Alerted)
            if (channel := self.works.fleet.channels.get(alerted.channel)) is not None:
                channel.alert(alerted.code, alerted.detail)

    async def answer(self, kind: str, body: bytes) -> Any:
        """Answers what is asked.

        Raises:
            PackagerError: as what is asked for does.
        """
        if kind == "ping":
            return None
        if kind in ("bring", "look"):
            if kind == "bring":
                await self.works.fleet.bring(msgspec.msgpack.decode(body, type=str))
            # Who waits for this reads how it is then.
            self._say_how_it_is()
            return None
        if kind == "drain":
            asked = msgspec.msgpack.decode(body, type=DrainSide)
            live = self.works.fleet.channels.get(asked.channel)
            return None if live is None else await drain_side(self.works.router, live, asked.side, asked.wait_ns, self._clock.now)
        if kind == "trim":
            alerted = msgspec.msgpack.decode(body, type=Alerted)
            if (channel := self.works.fleet.channels.get(alerted.channel)) is None:
                return False
            channel.alert(alerted.code, alerted.detail)
            return channel.trim_oldest()
        if kind == "asset":
            return await answer_asset(self.works.fleet, self._assets, msgspec.msgpack.decode(body, type=AssetCall))
        if kind == "metrics":
            self.works.gauge()
            return self._metrics.families()
        raise PackagerError("INTERNAL", f"nobody answers {kind!r}", status=500, fault="us")

    # --- ingest.ports.Elsewhere

    def has(self, channel: str) -> bool:
        """Whether another worker has a channel."""
        return channel in self._wanted.others

    def send(self, given: Given, channel: str, peer: str) -> None:
        """Gives a connection back to the front process, which knows whose it is."""
        try:
            self._link.say("take", parcel(given, channel, peer), given.fileno())
        except OSError as error:
            self._log.error("connection not handed over", channel=channel, peer=peer, detail=str(error))

    # --- inside

    def _turn(self) -> None:
        self._serving.turn()

    def _owner(self, host: str) -> str | None:
        return self._wanted.hosts.get(host)

    def _tell(self, kind: NewsKind, subject: str, /, **data: Any) -> None:
        # Channels are opened in threads, and tell from there.
        self._loop.run_sync_soon(self._say, Told(kind, subject, data))

    def _say(self, told: Told) -> None:
        self._link.say("told", told)
        self._news.set()

    def _say_how_it_is(self) -> None:
        fleet, usage, now = self.works.fleet, self._metrics.usage, self._clock.now()
        count_given(self._audience, usage, now)
        usage.look(now)
        channels = {name: _status(channel) for name, channel in fleet.channels.items()}
        self._said = self._standing()
        self._link.say("is", Is(channels, dict(fleet.failed), usage.take(), self._audience.viewers()))

    def _standing(self) -> object:
        """What commands and encoders wait for."""
        channels = self.works.fleet.channels.items()
        stand = {name: (each.life.state, [*each.programs.running], {**each.programs.failed}) for name, each in channels}
        return stand, dict(self.works.fleet.failed)


def _status(channel: LiveChannel) -> Status:
    return Status(
        channel.life.state,
        list(channel.programs.running),
        dict(channel.programs.failed),
        list(tracks_of(channel)),
        channel.showing.flow(),
        [view_of(code, alert) for code, alert in sorted(channel.alarm.alerts.items())],
        list(channel.programs.windows_ns()),
        channel.depth_ns(),
    )
