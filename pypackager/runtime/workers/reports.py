"""What workers say and ask, and what becomes of a channel's alerts, shelf and resource when its worker is lost or back.

In: messages of posts. Out: the same to who is concerned in the front process. Never: a wait of who says something.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from pypackager.model.errors import PackagerError
from pypackager.model.news import Tell
from pypackager.runtime.alerts import Alert, Alerts
from pypackager.runtime.fleet import Wishes
from pypackager.runtime.metrics import Metrics
from pypackager.runtime.workers.places import Places
from pypackager.runtime.workers.post import Post
from pypackager.runtime.workers.shelf import Shelved, Shelves
from pypackager.runtime.workers.words import Is, Taken, Told, Wanted
from pypackager.timeline.feeds import Now

LOST = "WORKER_LOST"


class Reports:
    """Implements post.Duties.

    Args:
        registry: what there is to be.
        places: where channels are.
        shelves: where workers put what they have ready.
        metrics: the daemon's instruments.
        now: the clock.
        log: a structured logger.
        tell: tells of states, encoders and alerts.
        moved: called when channels are otherwise than before.
        routed: called when other applications serve other things than before.
    """

    def __init__(
        self,
        registry: Wishes,
        places: Places,
        shelves: Shelves,
        metrics: Metrics,
        now: Callable[[], Now],
        log: Any,
        tell: Tell,
        moved: Callable[[], None],
        routed: Callable[[], None],
    ) -> None:
        self._registry = registry
        self._places = places
        self._shelves = shelves
        self._metrics = metrics
        self._now = now
        self._log = log
        self._tell = tell
        self._moved = moved
        self._routed = routed
        self._alerts: dict[str, Alerts] = {}

    def alerts(self, channel: str) -> Mapping[str, Alert]:
        """What the front process has to say of a channel, by code."""
        found = self._alerts.get(channel)
        return {} if found is None else found.by_code

    # --- post.Duties

    def wanted(self, post: Post) -> Wanted:
        """What a worker is to be."""
        return self._places.wanted(post, self._registry.resources)

    def placed(self, post: Post) -> Sequence[str]:
        """Its channels."""
        return self._places.at(post)

    def hear(self, post: Post, kind: str, body: bytes, fd: int | None) -> None:
        """Takes what a worker says."""
        if kind == "is":
            post.take(msgspec.msgpack.decode(body, type=Is))
            self._metrics.usage.receive(post.says.used)
            self._moved()
        elif kind == "shelf":
            self._shelves.take((post.number, post.life), msgspec.msgpack.decode(body, type=Shelved))
        elif kind == "told":
            told = msgspec.msgpack.decode(body, type=Told)
            self._tell(told.kind, told.subject, **told.data)
        elif kind == "take" and fd is not None:
            self._places.forward(msgspec.msgpack.decode(body, type=Taken), fd)
        elif fd is not None:
            os.close(fd)

    async def answer(self, post: Post, kind: str, body: bytes) -> None:
        """Answers what a worker asks: to drop the resource of a channel that it has deleted.

        Raises:
            PackagerError: REGISTRY_NOT_WRITTEN (507).
        """
        if kind != "gone":
            raise PackagerError("INTERNAL", f"nobody answers {kind!r}", status=500, fault="us")
        name = msgspec.msgpack.decode(body, type=str)
        async with self._registry.lock:
            if (gone := self._registry.resources.channels.get(name)) is not None:
                await self._registry.commit(drop=[gone])
        self._places.forget(name, post)
        self._alerts.pop(name, None)
        self._moved()
        self._routed()

    def lost(self, post: Post, detail: str) -> None:
        """It is gone, and with it the encoders of its channels."""
        now = self._now()
        for name in self._places.at(post):
            alert = self._alerts.setdefault(name, Alerts()).notice(LOST, f"worker {post.number}: {detail}", "", now)
            self._metrics.alerts.labels(name, LOST).inc()
            self._metrics.active.labels(name, LOST).set(1)
            if alert is not None:
                self._tell_alert(name, "raised", alert)
        self._moved()

    def faded(self, post: Post, life: int) -> None:
        """What it had ready is old."""
        self._shelves.fade((post.number, life))

    def back(self, post: Post) -> None:
        """Its channels are served again; what the one before it had ready is not wanted any more."""
        self._shelves.lose((post.number, post.life))
        for name in self._places.at(post):
            if name in self._alerts and (alert := self._alerts[name].clear(LOST, self._now())) is not None:
                self._metrics.active.labels(name, LOST).set(0)
                self._tell_alert(name, "cleared", alert)
        self._moved()
        self._routed()

    # --- inside

    def _tell_alert(self, channel: str, change: str, alert: Alert) -> None:
        self._tell("alert", f"channels/{channel}", change=change, code=LOST, detail=alert.detail, count=alert.count)
