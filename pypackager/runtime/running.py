"""The fleet as the control plane sees it.

In: names. Out: states, tracks, alerts, addresses of what runs. Never: a decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pypackager.control.opened import Here
from pypackager.control.ports import AlertView, Drained, Flow, Meter, Opened, TrackView
from pypackager.control.registry import Registry
from pypackager.control.states import State
from pypackager.ingest.router import Router
from pypackager.model.side import Side
from pypackager.runtime.alerts import Alert
from pypackager.runtime.channel import LiveChannel
from pypackager.runtime.drain import drain_side
from pypackager.runtime.fleet import Fleet
from pypackager.runtime.fronts import Fronts
from pypackager.timeline.feeds import Now


class Running:
    """Implements control.ports.Runner.

    Args:
        registry: what there is to be.
        fleet: the channels.
        fronts: what serves the streaming endpoints.
        addresses: where the daemon listens, by kind.
        assets: directory of all assets.
        meter: what is used, and who watches.
        router: has the encoders' connections.
        now: the clock.
    """

    def __init__(
        self,
        registry: Registry,
        fleet: Fleet,
        fronts: Fronts,
        addresses: Mapping[str, Sequence[str]],
        assets: Path,
        meter: Meter,
        router: Router,
        now: Callable[[], Now],
    ) -> None:
        self.assets = assets
        self.meter = meter
        self.registry = registry
        self._fleet = fleet
        self._fronts = fronts
        self._router = router
        self._now = now
        self._addresses = addresses
        self.bring = fleet.bring
        self.shelve = fleet.shelve
        self.space = fleet.space
        self.unshelve = fleet.unshelve
        self.review = fleet.review
        self.utc = fleet.utc

    def state(self, channel: str) -> State:
        """A channel's state; one that could not be opened is Stopped, one whose journal is being read is Starting."""
        wanted = self.registry.resources.channels.get(channel)
        if wanted is None or wanted.desired == "deleted":
            return "Deleting"
        if (live := self._fleet.channels.get(channel)) is not None:
            return live.life.state
        return "Stopped" if channel in self._fleet.failed else "Starting"

    def recording(self, channel: str) -> Sequence[str]:
        """Its programs that have not ended."""
        live = self._fleet.channels.get(channel)
        return [] if live is None else live.programs.running

    def trouble(self, channel: str, program: str | None = None) -> str | None:
        """Why a channel, or a program, is not what it is to be."""
        live = self._fleet.channels.get(channel)
        if program is not None and live is not None:
            return live.programs.failed.get(program)
        return self._fleet.failed.get(channel)

    def tracks(self, channel: str) -> Sequence[TrackView]:
        """What comes in."""
        live = self._fleet.channels.get(channel)
        if live is None:
            return []
        return tracks_of(live)

    def flow(self, channel: str) -> Flow:
        """How it comes in."""
        live = self._fleet.channels.get(channel)
        return Flow() if live is None else live.showing.flow()

    def alerts(self, channel: str) -> Sequence[AlertView]:
        """What was raised since the daemon started."""
        live = self._fleet.channels.get(channel)
        raised = [] if live is None else [view_of(code, alert) for code, alert in sorted(live.alarm.alerts.items())]
        reason = self._fleet.failed.get(channel)
        return raised if reason is None else [AlertView("CHANNEL_FAILED", reason), *raised]

    def addresses(self, kind: str) -> Sequence[str]:
        """Where it listens."""
        return self._addresses.get(kind, ())

    def roots(self) -> Sequence[str]:
        """URLs of all streaming endpoints."""
        return self._fronts.roots()

    def asset(self, name: str) -> Opened | None:
        """An asset that is open."""
        found = self._fleet.asset(name)
        return None if found is None else Here(found)

    async def drain(self, channel: str, side: Side, wait_ns: int) -> Drained | None:
        """Disconnects the encoders of a side and waits until they deliver again."""
        live = self._fleet.channels.get(channel)
        return None if live is None else await drain_side(self._router, live, side, wait_ns, self._now)

    async def until(self, channel: str, done: Callable[[], bool]) -> None:
        """Waits until something is so of a channel."""
        if (live := self._fleet.channels.get(channel)) is not None:
            await live.until(done)


def tracks_of(live: LiveChannel) -> Sequence[TrackView]:
    """What comes into a channel."""
    found: dict[str, TrackView] = {}
    for each in live.showing.incoming.tracks:
        info, config = each.info, each.configs[int(each.config[-1])]
        found[info.id] = TrackView(info.id, info.kind, config.codec, each.average_bps, info.language)
    coming = {
        name: TrackView(name, header.kind, header.codec, 0, header.language or "und", announced=True)
        for name, header in live.timeline.announced().items()
    }
    return list((coming | found).values())


def view_of(code: str, alert: Alert) -> AlertView:
    """An alert as the control plane shows it."""
    until = None if alert.until_ns is None else _utc(alert.until_ns)
    return AlertView(code, alert.detail, alert.count, _utc(alert.since_ns), until, sorted(alert.tracks))


def _utc(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns // 1_000_000 / 1000, UTC)
