"""The workers as the control plane sees them.

In: names. Out: states, tracks, alerts, as workers said last; commands to them. Never: a decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pypackager.control.ports import AlertView, Drained, Flow, Meter, Opened, TrackView
from pypackager.control.registry import Registry
from pypackager.control.states import State
from pypackager.ingest.router import Router
from pypackager.model.side import Side
from pypackager.runtime.fronts import Fronts
from pypackager.runtime.running import Running
from pypackager.runtime.workers.assets import There
from pypackager.runtime.workers.crew import Crew
from pypackager.timeline.feeds import Now


class CrewRunning(Running):
    """Implements control.ports.Runner over workers; see Running."""

    def __init__(
        self,
        registry: Registry,
        crew: Crew,
        fronts: Fronts,
        addresses: Mapping[str, Sequence[str]],
        assets: Path,
        meter: Meter,
        router: Router,
        now: Callable[[], Now],
    ) -> None:
        super().__init__(registry, crew, fronts, addresses, assets, meter, router, now)
        self._crew = crew

    def state(self, channel: str) -> State:
        """A channel's state; one whose worker is being started is Starting."""
        said = self._crew.said(channel)
        wanted = self.registry.resources.channels.get(channel)
        return super().state(channel) if said is None or wanted is None or wanted.desired == "deleted" else said.state

    def recording(self, channel: str) -> Sequence[str]:
        """Its programs that have not ended."""
        said = self._crew.said(channel)
        return [] if said is None else said.recording

    def trouble(self, channel: str, program: str | None = None) -> str | None:
        """Why a channel, or a program, is not what it is to be."""
        said = self._crew.said(channel)
        return super().trouble(channel) if said is None or program is None else said.trouble.get(program)

    def tracks(self, channel: str) -> Sequence[TrackView]:
        """What comes in."""
        said = self._crew.said(channel)
        return [] if said is None else said.tracks

    def flow(self, channel: str) -> Flow:
        """How it comes in."""
        said = self._crew.said(channel)
        return Flow() if said is None else said.flow

    def alerts(self, channel: str) -> Sequence[AlertView]:
        """What was raised since its worker started."""
        return [*super().alerts(channel), *self._crew.alerts(channel)]

    def asset(self, name: str) -> Opened | None:
        """An asset that is open: one that has a program is its worker's."""
        program = self.registry.resources.user(name)
        post = None if program is None else self._crew.places.of(program.channel)
        return super().asset(name) if post is None else There(post, name)

    async def drain(self, channel: str, side: Side, wait_ns: int) -> Drained | None:
        """Has its worker disconnect the encoders of a side, and waits until they deliver again."""
        return await self._crew.drain(channel, side, wait_ns)

    async def until(self, channel: str, done: Callable[[], bool]) -> None:
        """Waits until something is so of a channel."""
        await self._crew.until(channel, done)
