"""The daemon: listeners, pump, writer, channels and HTTP in one nursery.

Order of the start: control and origin listen at once (/healthz answers), journals are replayed in threads, then ingest is accepted and
/readyz says so. Order of the end: no new connection, the pump closes its sockets, chunks under way are published, the writer drains, the
journals close.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import cast

import msgspec
import structlog
import trio

from pypackager._core import Audience, Proxies, Pump, Writer
from pypackager.config.schema import Config
from pypackager.control.archive import Archive
from pypackager.control.authority import Asked, authorize
from pypackager.control.desk import Desk
from pypackager.control.drains import Drains
from pypackager.control.endpoints import Endpoints
from pypackager.control.events import Events
from pypackager.control.outbox import Outbox
from pypackager.control.registry import FILE, Registry
from pypackager.control.settings import DEFAULT
from pypackager.control.webhooks import Webhooks, post
from pypackager.dvr.library import ASSETS
from pypackager.ingest.credentials import Gate
from pypackager.ingest.listeners import IngestProtocol, open_listener, serve_listener
from pypackager.ingest.router import Router
from pypackager.model.address import parse_address
from pypackager.model.duration import parse_duration
from pypackager.model.errors import PackagerError
from pypackager.origin.app import App, Origin
from pypackager.origin.ports import Health
from pypackager.origin.serve import serve_origin
from pypackager.runtime.catalog import LiveCatalog
from pypackager.runtime.channel import LiveChannel
from pypackager.runtime.control_app import ControlApp
from pypackager.runtime.disk import watch_disk
from pypackager.runtime.fleet import Fleet
from pypackager.runtime.fronts import GRACE_S, Fronts
from pypackager.runtime.instant import MachineClock
from pypackager.runtime.metering import Metering
from pypackager.runtime.metrics import Metrics
from pypackager.runtime.pressure import Pressure
from pypackager.runtime.publishing import make_origin
from pypackager.runtime.running import Running
from pypackager.runtime.tls import Identity, Pair

SYNC_S = 2.0
DRAIN_S = 1.0
"""How long the end waits for the disk, so that complete bodies get their answer: half of it before the pump stops, half after."""


class Daemon:
    """One daemon.

    Args:
        config: what to run.
        reload: reads the configuration again, for SIGHUP.
        clock: the machine's, or a test's.
    """

    def __init__(self, config: Config, reload: Callable[[], Config] | None = None, clock: MachineClock | None = None) -> None:
        self.config = config
        self.clock = clock or MachineClock()
        kinds = ("rtmp", "rtmps", "ingest", "ingest_tls", "control", "control_tls", "origin")
        self.addresses: dict[str, list[str]] = {kind: [] for kind in kinds}
        self.metrics = Metrics()
        self.audience = Audience()
        self._proxies = Proxies(config.access.trusted_proxies, config.access.proxy_header)
        self.stopped = trio.Event()
        self._reload = reload
        self._log = structlog.get_logger()
        self.identity = Identity(self.metrics.certificates, self._log, lambda: self.clock.now().utc_ns / 1e9)
        self._data_dir = Path(config.data_dir)
        self._ready = False
        self._admissions: dict[str, int] = {}
        self._wake = trio.Event()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serves until SIGINT, SIGTERM or cancelled.

        Raises:
            PackagerError: an address or the data directory can't be used.
        """
        self._make_data_dir()
        tuning = self.config.tuning
        events = Events(lambda: datetime.fromtimestamp(self.clock.now().utc_ns / 1e9, UTC))
        registry = Registry.open(self._data_dir, events.tell)
        self.meter = Metering(registry, self.metrics.usage, self.audience, self.clock.now, self._log)
        writer = Writer()
        self.fleet = Fleet(registry, tuning, self._data_dir, writer, self.clock.now, self.metrics, self._log, self._changed, events.tell)
        self.identity.take([Pair(table) for table in self.config.tls], self.identity.for_encoders(self.config.listen.ingest_client_ca))
        self.fronts = Fronts(registry, self._make_origin, tuning, self.config.listen.origin, self.identity, self._log)
        pump = Pump(
            tick_ms=parse_duration(tuning.ingest_tick) // 1_000_000,
            idle_timeout_ms=parse_duration(tuning.ingest_idle) // 1_000_000,
            max_unparsed=tuning.max_unparsed,
            max_fragment=tuning.max_fragment,
            spill_directory=self._data_dir,
            ask_connect=True,
        )
        gate = Gate(lambda: self.clock.now().mono_ns)
        fleet = self.fleet
        router = Router(pump, fleet.channels, self._log, self._refused, fleet.failed, gate, fleet.owner, events.tell, self._proxies)
        try:
            async with trio.open_nursery() as nursery:
                await self.fleet.reconcile(self.config)
                nursery.start_soon(self._watch_signals, nursery)
                await self._serve_http(nursery, events, router)
                await self.fleet.clear_assets()
                await self.fleet.bring_all()
                self._ready = True
                pressure = Pressure(pump)
                nursery.start_soon(self._take_events, pump, writer, router, pressure)
                nursery.start_soon(self._take_completions, writer, router, pressure)
                nursery.start_soon(self._move_edges, router)
                nursery.start_soon(self._sync_and_trim)
                nursery.start_soon(self.meter.run)
                nursery.start_soon(self.fleet.open_failed)
                nursery.start_soon(watch_disk, self._data_dir, tuning.disk_reserve, self.fleet.channels)
                self._listen(nursery, pump, router)
                self._announce()
                task_status.started()
                await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await self._drain(pump, writer, router)
            self.stopped.set()

    # --- start

    def _make_data_dir(self) -> None:
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PackagerError("DATA_DIR_UNUSABLE", f"cannot use {self._data_dir}: {error}", fault="operator") from error

    async def _serve_http(self, nursery: trio.Nursery, events: Events, router: Router) -> None:
        await nursery.start(self.fronts.run)
        await self.fronts.bring(DEFAULT)
        if (fault := self.fronts.fault(DEFAULT)) is not None:
            raise fault
        self.addresses["origin"] = list(self.fronts.addresses(DEFAULT))
        await self.fronts.bring_all()
        listen = self.config.listen
        if listen.control or listen.control_tls:
            assets = self._data_dir / ASSETS
            runner = Running(self.fleet, self.fronts, self.addresses, assets, self.meter, router, self.clock.now)
            webhooks = Webhooks(self.fleet.registry, events, Outbox(self._data_dir / FILE), post, self.fleet.utc, self._log)
            nursery.start_soon(webhooks.serve)
            desk = Desk(runner, nursery, self.config.tuning.channels, events.tell)
            endpoints = Endpoints(runner, self.fronts, desk.operations, nursery)
            archive = Archive(runner, desk.operations, nursery, events.tell)
            drains = Drains(runner, desk.operations, nursery, self.config.tuning.drain_wait)

            def rest() -> App:
                # A framework, which who never asks need not carry: 8 MiB and half a second.
                from pypackager.control.rest.app import make_rest  # noqa: PLC0415

                return cast("App", make_rest(desk, endpoints, archive, drains, events, webhooks, self._log))

            control = ControlApp(self.health, self._render_metrics, self._admit, rest, self._log)
            for kind, binds, tls in (("control", listen.control, None), ("control_tls", listen.control_tls, self.identity.context)):
                serve = partial(serve_origin, control, binds, log=self._log, graceful_s=GRACE_S, tls=tls)
                self.addresses[kind] = await nursery.start(serve) if binds else []

    def _admit(self, asked: Asked) -> None:
        authorize(asked, self.fleet.registry.resources.tokens.values(), self.fleet.utc())

    def _make_origin(self, endpoint: str) -> Origin:
        catalog = LiveCatalog(self.fleet, endpoint, self.health, self.audience)
        log = structlog.get_logger().bind(log="access")
        return make_origin(catalog, log, self.metrics, lambda: self.clock.now().utc_ns, self._proxies)

    def _listen(self, nursery: trio.Nursery, pump: Pump, router: Router) -> None:
        kinds: list[tuple[str, IngestProtocol]] = [("rtmp", "rtmp"), ("rtmps", "rtmp"), ("ingest", "http"), ("ingest_tls", "http")]
        for kind, protocol in kinds:
            tls = (lambda: self.identity.ingest) if kind in ("rtmps", "ingest_tls") else None
            for text in getattr(self.config.listen, kind):
                if tls is not None:
                    self.identity.demand(f"listen.{kind}")
                address = parse_address(text)
                try:
                    listener = open_listener(address.host, address.port)
                except OSError as error:
                    raise PackagerError("BIND_FAILED", f"listen.{kind} {text}: {error.strerror}", fault="operator") from error
                name = listener.getsockname()
                self.addresses[kind].append(str(msgspec.structs.replace(address, host=name[0], port=name[1])))
                nursery.start_soon(serve_listener, listener, protocol, pump, self._in_some_list, router.admitted, tls)

    def _in_some_list(self, peer: str) -> bool:
        return any(channel.protocol == "rtmp" and channel.admits(peer) for channel in self.fleet.channels.values())

    def _announce(self) -> None:
        """Real addresses for people and programs: port 0 in the file is a free one here."""
        path = self._data_dir / "run.json"
        temporary = path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(self.addresses))
        temporary.replace(path)
        self._log.info("ready", **self.addresses)

    # --- work

    async def _take_events(self, pump: Pump, writer: Writer, router: Router, pressure: Pressure) -> None:
        fd = pump.fileno()
        while True:
            await trio.lowlevel.wait_readable(fd)
            router.handle(pump.events())
            self.metrics.connections.set(len(router.connections))
            pressure.check(writer.queued_bytes(), router.connections, self.fleet.channels.values())
            self._rearm()

    async def _take_completions(self, writer: Writer, router: Router, pressure: Pressure) -> None:
        fd = writer.fileno()
        while True:
            await trio.lowlevel.wait_readable(fd)
            self._complete(writer)
            pressure.check(writer.queued_bytes(), router.connections, self.fleet.channels.values())
            router.settle()
            self._rearm()

    def _complete(self, writer: Writer) -> None:
        touched: list[LiveChannel] = []
        for ticket, errno in writer.done():
            # The answers for a channel's fragments follow each other.
            asked = chain(touched, self.fleet.channels.values())
            owner = next((channel for channel in asked if channel.finished(ticket, errno)), None)
            if owner is not None and owner not in touched:
                touched.insert(0, owner)
        for channel in touched:
            channel.advance()
        if touched:
            self.fronts.turn()

    def _changed(self) -> None:
        """What there is, or who may have it, has changed: players and encoders are told at once."""
        self.fronts.turn()
        self._rearm()

    def _refused(self, code: str) -> None:
        self.metrics.refusals.labels(code).inc()

    def _rearm(self) -> None:
        self._wake.set()

    def _review(self, router: Router) -> None:
        """Ends connections after a channel's state or list has changed."""
        admissions = {name: channel.admission for name, channel in self.fleet.channels.items()}
        if admissions != self._admissions:
            self._admissions = admissions
            router.review()

    async def _move_edges(self, router: Router) -> None:
        """Publishes at deadlines, when a track stays behind and nothing else wakes us."""
        while True:
            self._wake = trio.Event()
            due = [channel.timeline.wake_ns for channel in self.fleet.channels.values() if channel.timeline.wake_ns is not None]
            timeout = (min(due) - self.clock.now().mono_ns) / 1e9 if due else float("inf")
            with trio.move_on_after(max(0.0, timeout)) as waited:
                await self._wake.wait()
            if waited.cancelled_caught:
                for channel in self.fleet.channels.values():
                    channel.advance()
            self._review(router)

    async def _sync_and_trim(self) -> None:
        while True:
            await trio.sleep(SYNC_S)
            for channel in self.fleet.channels.values():
                channel.keep_house()

    def _render_metrics(self) -> bytes:
        now = self.clock.now()
        for channel in self.fleet.channels.values():
            channel.gauge(now)
        self.metrics.used.show(self.meter.shown())
        return self.metrics.render()

    def health(self) -> Health:
        """Whether journals are replayed, and each channel's alerts."""
        channels = self.fleet.channels
        alerts = {name: sorted(channel.alerts) for name, channel in channels.items() if channel.alerts}
        states = {name: channel.life.status for name, channel in channels.items()}
        return Health(self._ready, {"channels": len(channels), "failed": dict(self.fleet.failed), "states": states, "alerts": alerts})

    # --- signals and end

    async def _watch_signals(self, nursery: trio.Nursery) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async for number in signals:
                if number != signal.SIGHUP:
                    self._log.info("stopping", signal=signal.Signals(number).name)
                    nursery.cancel_scope.cancel()
                    return
                # Apart from this: an end need not wait for a journal that is read.
                nursery.start_soon(self._load_again)

    async def _load_again(self) -> None:
        """SIGHUP: what the file says is brought about as far as states allow."""
        if self._reload is None:
            return
        try:
            fresh = self._reload()
            pairs, ingest = [Pair(table) for table in fresh.tls], self.identity.for_encoders(fresh.listen.ingest_client_ca)
            await self.fleet.reconcile(fresh)
        except PackagerError as error:
            self._log.error("configuration not loaded", code=error.code, detail=error.detail, where=error.where)
            return
        self.config = fresh
        self.identity.take(pairs, ingest)
        self._log.info("configuration loaded")
        await self.fleet.bring_all()
        await self.fronts.bring_all()

    async def _drain(self, pump: Pump, writer: Writer, router: Router) -> None:
        router.handle(pump.events())
        await self._settle(writer, router)
        pump.stop()
        # What the connections held, and their ends.
        router.handle(pump.events())
        await self._settle(writer, router)
        for channel in self.fleet.channels.values():
            channel.close()
        await trio.to_thread.run_sync(writer.stop)
        await self.meter.save()
        self.fleet.registry.close()
        self._log.info("stopped")

    async def _settle(self, writer: Writer, router: Router) -> None:
        """Lets the disk catch up: bodies that are complete get their answer, rows that are due are listed."""
        with trio.move_on_after(DRAIN_S / 2):
            while writer.queued_bytes() or router.ending:
                await trio.lowlevel.wait_readable(writer.fileno())
                self._complete(writer)
                router.settle()
        self._complete(writer)
        router.settle()
