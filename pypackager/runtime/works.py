"""What runs channels in one process: pump, writer, router and fleet, and the loops between them.

In: accepted sockets, what the registry says. Out: recorded channels, and the news that something was published. Never: an address that is
listened on, a command.

Order of the end: the pump closes its sockets, chunks under way are published, the writer drains, the journals close.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import trio

from pypackager._core import Proxies, Pump, Writer
from pypackager.config.schema import Tuning
from pypackager.ingest.credentials import Gate
from pypackager.ingest.ports import Elsewhere
from pypackager.ingest.router import Router
from pypackager.ingest.turns import Turns
from pypackager.model.duration import parse_duration
from pypackager.model.news import Tell
from pypackager.runtime.channel import LiveChannel
from pypackager.runtime.fleet import Fleet
from pypackager.runtime.instant import MachineClock
from pypackager.runtime.metrics import Metrics
from pypackager.runtime.overload import Overload
from pypackager.runtime.pressure import Pressure
from pypackager.timeline.times import SECOND_NS

SYNC_S = 2.0
DRAIN_S = 1.0
"""How long the end waits for the disk, so that complete bodies get their answer: half of it before the pump stops, half after."""


class Works:
    """One process' channels and what feeds them.

    Args:
        make_fleet: the fleet, of the writer of the data directory and what is called when something was brought in line.
        tuning: limits and rhythms.
        data_dir: where channels and assets are.
        clock: the machine's, or a test's.
        metrics: the instruments.
        log: a structured logger.
        turn: called when something was published, or may be had by others than before.
        tell: tells of states, encoders and alerts.
        proxies: those that are believed about an encoder's address.
        elsewhere: other processes and their channels; None: as the fleet says.
        owner: the channel that has a host name; None: as the registry says.
    """

    def __init__(
        self,
        make_fleet: Callable[[Writer, Callable[[], None]], Fleet],
        tuning: Tuning,
        data_dir: Path,
        clock: MachineClock,
        metrics: Metrics,
        log: Any,
        turn: Callable[[], None],
        tell: Tell,
        proxies: Proxies,
        elsewhere: Elsewhere | None = None,
        owner: Callable[[str], str | None] | None = None,
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._turn = turn
        self._admissions: dict[str, int] = {}
        self._wake = trio.Event()
        self._turns = Turns()
        self._early: list[tuple[int, int]] = []
        """Answers to what a channel has sent while it is being opened: it is not there to take them yet."""
        self._writer = Writer()
        self.fleet = make_fleet(self._writer, self._changed)
        elsewhere = elsewhere or self.fleet.elsewhere
        self.pump = Pump(
            tick_ms=parse_duration(tuning.ingest_tick) // 1_000_000,
            idle_timeout_ms=parse_duration(tuning.ingest_idle) // 1_000_000,
            max_unparsed=tuning.max_unparsed,
            max_fragment=tuning.max_fragment,
            spill_directory=data_dir,
            ask_connect=True,
            keep_openings=elsewhere is not None,
        )
        fleet = self.fleet
        gate = Gate(lambda: clock.now().mono_ns)
        owned = owner or fleet.owner
        self.router = Router(self.pump, fleet.channels, log, self._refused, fleet.failed, gate, owned, tell, proxies, elsewhere)

    def start(self, nursery: trio.Nursery) -> None:
        """Starts what goes on until the nursery is cancelled; journals have been replayed."""
        pressure = Pressure(self.pump)
        nursery.start_soon(self._take_events, pressure)
        nursery.start_soon(self._take_completions, pressure)
        nursery.start_soon(self._move_edges)
        nursery.start_soon(self._sync_and_trim)
        nursery.start_soon(self.fleet.open_failed)
        nursery.start_soon(self.fleet.watch_disk)

    def gauge(self) -> None:
        """Brings the channels' instruments up to date."""
        now = self._clock.now()
        for channel in self.fleet.channels.values():
            channel.showing.gauge(now, channel.budget)

    async def drain(self) -> None:
        """Ends: what came is published and written, as far as the disk takes it in time."""
        self.router.handle([*self._turns.rest(), *self.pump.events()])
        await self._settle()
        self.pump.stop()
        # What the connections held, and their ends.
        self.router.handle(self.pump.events())
        await self._settle()
        for channel in self.fleet.channels.values():
            channel.close()
        await trio.to_thread.run_sync(self._writer.stop)

    # --- work

    async def _take_events(self, pressure: Pressure) -> None:
        fd = self.pump.fileno()
        while True:
            await trio.lowlevel.wait_readable(fd)
            self._turns.add(self.pump.events())
            while self._turns:
                self.router.handle(self._turns.next())
                self._metrics.connections.set(len(self.router.connections))
                self._relieve(pressure)
                self._rearm()
                await trio.lowlevel.checkpoint()

    async def _take_completions(self, pressure: Pressure) -> None:
        fd = self._writer.fileno()
        while True:
            await trio.lowlevel.wait_readable(fd)
            self._complete()
            self._relieve(pressure)
            self.router.settle()
            self._rearm()

    def _relieve(self, pressure: Pressure) -> None:
        pressure.check(self._writer.queued_bytes(), self.router.connections, self.fleet.channels.values())

    def _complete(self) -> None:
        touched: list[LiveChannel] = []
        answers, self._early = [*self._early, *self._writer.done()], []
        for ticket, errno in answers:
            # The answers for a channel's fragments follow each other.
            asked = chain(touched, self.fleet.channels.values())
            owner = next((channel for channel in asked if channel.finished(ticket, errno)), None)
            if owner is None and self.fleet.opening:
                self._early.append((ticket, errno))
            elif owner is not None and owner not in touched:
                touched.insert(0, owner)
        for channel in touched:
            channel.advance()
        if touched:
            self._turn()

    def _changed(self) -> None:
        """What there is, or who may have it, has changed: players and encoders are told at once."""
        self._turn()
        self._rearm()

    def _refused(self, code: str) -> None:
        self._metrics.refusals.labels(code).inc()

    def _rearm(self) -> None:
        self._wake.set()

    def _review(self) -> None:
        """Ends connections after a channel's state or list has changed."""
        admissions = {name: channel.admission for name, channel in self.fleet.channels.items()}
        if admissions != self._admissions:
            self._admissions = admissions
            self.router.review()

    async def _move_edges(self) -> None:
        """Publishes at deadlines, when a track stays behind and nothing else wakes us."""
        while True:
            self._wake = trio.Event()
            due = [channel.timeline.wake_ns for channel in self.fleet.channels.values() if channel.timeline.wake_ns is not None]
            timeout = (min(due) - self._clock.now().mono_ns) / 1e9 if due else float("inf")
            with trio.move_on_after(max(0.0, timeout)) as waited:
                await self._wake.wait()
            if waited.cancelled_caught:
                for channel in self.fleet.channels.values():
                    channel.advance()
            if self._early:
                self._complete()
            self._review()

    async def _sync_and_trim(self) -> None:
        overload = Overload()
        while True:
            began_ns = self._clock.now().mono_ns
            await trio.sleep(SYNC_S)
            overload.turn(self._clock.now().mono_ns - began_ns - round(SYNC_S * SECOND_NS), self.fleet.channels.values())
            for channel in self.fleet.channels.values():
                channel.keep_house()

    async def _settle(self) -> None:
        """Lets the disk catch up: bodies that are complete get their answer, rows that are due are listed."""
        with trio.move_on_after(DRAIN_S / 2):
            while self._writer.queued_bytes() or self.router.ending:
                await trio.lowlevel.wait_readable(self._writer.fileno())
                self._complete()
                self.router.settle()
        self._complete()
        self.router.settle()
