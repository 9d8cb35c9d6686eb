"""The daemon: listeners, HTTP and commands around what runs the channels, in one nursery.

Order of the start: control and origin listen at once (/healthz answers), journals are replayed in threads, then ingest is accepted and
/readyz says so. Order of the end: no new connection, then what came is published and written (works.py), then the registry closes.
"""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import structlog
import trio

from pypackager._core import Audience, Proxies, Writer
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
from pypackager.ingest.listeners import IngestProtocol, open_listener, serve_listener
from pypackager.model.address import parse_address
from pypackager.model.errors import PackagerError
from pypackager.model.news import NewsKind, Tell
from pypackager.origin.app import App, Origin
from pypackager.origin.ports import Health, Publication
from pypackager.origin.serve import serve_origin
from pypackager.runtime.catalog import LiveCatalog
from pypackager.runtime.control_app import ControlApp
from pypackager.runtime.fleet import Fleet
from pypackager.runtime.fronts import GRACE_S, Fronts
from pypackager.runtime.instant import MachineClock
from pypackager.runtime.metering import Metering
from pypackager.runtime.metrics import Metrics
from pypackager.runtime.publishing import make_origin
from pypackager.runtime.running import Running
from pypackager.runtime.tls import Identity, Pair
from pypackager.runtime.works import Works

if TYPE_CHECKING:
    from pypackager.runtime.workers.crew import Crew


class Daemon:
    """One daemon.

    Args:
        config: what to run.
        reload: reads the configuration again, for SIGHUP.
        clock: the machine's, or a test's.
        verbose: whether workers log more.
    """

    def __init__(
        self, config: Config, reload: Callable[[], Config] | None = None, clock: MachineClock | None = None, *, verbose: bool = False
    ) -> None:
        self.config = config
        self._verbose = verbose
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
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._catalogs: dict[str, LiveCatalog] = {}
        self.crew: Crew | None = None
        """The workers, where there are some."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serves until SIGINT, SIGTERM or cancelled.

        Raises:
            PackagerError: an address or the data directory can't be used.
        """
        self._make_data_dir()
        tuning = self.config.tuning
        events = Events(lambda: datetime.fromtimestamp(self.clock.now().utc_ns / 1e9, UTC))

        def committed(kind: NewsKind, subject: str, /, **data: Any) -> None:
            events.tell(kind, subject, **data)
            if self.crew is not None:
                self.crew.review()

        registry = Registry.open(self._data_dir, committed)
        self.meter = Metering(registry, self.metrics.usage, self.audience, self.clock.now, self._log, self._viewers, self._look)
        self.fronts = Fronts(registry, self._make_origin, tuning, self.config.listen.origin, self.identity, self._log, self._routes)
        about = (tuning, self._data_dir, self.clock, self.metrics, self._log)
        works = Works(partial(self._make_fleet, registry, events.tell), *about, self.fronts.turn, events.tell, self._proxies)
        self.works, self.fleet = works, works.fleet
        self.identity.take([Pair(table) for table in self.config.tls], self.identity.for_encoders(self.config.listen.ingest_client_ca))
        try:
            async with trio.open_nursery() as nursery:
                await self.fleet.reconcile(self.config)
                nursery.start_soon(self._watch_signals, nursery)
                await self._serve_http(nursery, events, registry)
                await self.fleet.clear_assets()
                if self.crew is not None:
                    await nursery.start(self.crew.run)
                await self.fleet.bring_all()
                self._ready = True
                works.start(nursery)
                nursery.start_soon(self.meter.run)
                self._listen(nursery)
                self._announce()
                task_status.started()
                await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await self._drain()
            self.stopped.set()

    # --- start

    def _make_data_dir(self) -> None:
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PackagerError("DATA_DIR_UNUSABLE", f"cannot use {self._data_dir}: {error}", fault="operator") from error

    async def _serve_http(self, nursery: trio.Nursery, events: Events, registry: Registry) -> None:
        await nursery.start(self.fronts.run)
        await self.fronts.bring(DEFAULT)
        if (fault := self.fronts.fault(DEFAULT)) is not None:
            raise fault
        self.addresses["origin"] = list(self.fronts.addresses(DEFAULT))
        await self.fronts.bring_all()
        listen = self.config.listen
        if listen.control or listen.control_tls:
            assets = self._data_dir / ASSETS
            about = (self.fronts, self.addresses, assets, self.meter, self.works.router, self.clock.now)
            runner = self._make_runner(registry, *about)
            webhooks = Webhooks(registry, events, Outbox(self._data_dir / FILE), post, self.fleet.utc, self._log)
            nursery.start_soon(webhooks.serve)
            desk = Desk(runner, nursery, self.config.tuning.channels, events.tell)
            endpoints = Endpoints(runner, self.fronts, desk.operations, nursery)
            archive = Archive(runner, desk.operations, nursery, events.tell)
            drains = Drains(runner, desk.operations, nursery, self.config.tuning.drain_wait)

            def rest() -> App:
                # A framework, which who never asks need not carry: 8 MiB and half a second.
                from pypackager.control.rest.app import make_rest  # noqa: PLC0415

                return cast("App", make_rest(desk, endpoints, archive, drains, events, webhooks, self._log))

            control = ControlApp(self.health, self._render_metrics, self._admit, rest, self._log, self._look)
            for kind, binds, tls in (("control", listen.control, None), ("control_tls", listen.control_tls, self.identity.context)):
                serve = partial(serve_origin, control, binds, log=self._log, graceful_s=GRACE_S, tls=tls)
                self.addresses[kind] = await nursery.start(serve) if binds else []

    def _make_fleet(self, registry: Registry, tell: Tell, writer: Writer, changed: Callable[[], None]) -> Fleet:
        self._registry = registry
        about = (registry, self.config.tuning, self._data_dir, writer, self.clock.now, self.metrics, self._log, changed, tell)
        if self.config.tuning.workers == 1:
            return Fleet(*about)
        # Whose channels are all in this process does not carry what others need for several.
        from pypackager.runtime.workers.crew import Crew  # noqa: PLC0415

        self._folder = tempfile.TemporaryDirectory(prefix="pypackager-")
        make = partial(Crew, *about, config=self.config, folder=Path(self._folder.name), verbose=self._verbose)
        self.crew = make(routed=self.fronts.route, door=self.fronts.door, publication=self._publication)
        return self.crew

    def _make_runner(self, registry: Registry, *about: Any) -> Running:
        if self.crew is None:
            return Running(registry, self.fleet, *about)
        from pypackager.runtime.workers.running import CrewRunning  # noqa: PLC0415

        return CrewRunning(registry, self.crew, *about)

    def _publication(self, endpoint: str, locator: str) -> Publication | None:
        catalog = self._catalogs.get(endpoint)
        return None if catalog is None else catalog.publication(locator)

    def _routes(self, endpoint: str) -> dict[str, str]:
        return {} if self.crew is None else self.crew.routes(endpoint)

    def _viewers(self) -> Iterable[tuple[str, str, str, int]]:
        return () if self.crew is None else self.crew.viewers()

    async def _look(self) -> None:
        if self.crew is not None:
            await self.crew.look()

    def _admit(self, asked: Asked) -> None:
        authorize(asked, self._registry.resources.tokens.values(), self.fleet.utc())

    def _make_origin(self, endpoint: str) -> Origin:
        catalog = self._catalogs[endpoint] = LiveCatalog(self.fleet, endpoint, self.health, self.audience)
        log = structlog.get_logger().bind(log="access")
        return make_origin(catalog, log, self.metrics, lambda: self.clock.now().utc_ns, self._proxies)

    def _listen(self, nursery: trio.Nursery) -> None:
        kinds: list[tuple[str, IngestProtocol]] = [("rtmp", "rtmp"), ("rtmps", "rtmp"), ("ingest", "http"), ("ingest_tls", "http")]
        works = self.works
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
                nursery.start_soon(serve_listener, listener, protocol, works.pump, self.fleet.pushes, works.router.admitted, tls)

    def _announce(self) -> None:
        """Real addresses for people and programs: port 0 in the file is a free one here."""
        path = self._data_dir / "run.json"
        temporary = path.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(self.addresses))
        temporary.replace(path)
        self._log.info("ready", **self.addresses)

    # --- what is shown

    async def _render_metrics(self) -> bytes:
        self.works.gauge()
        self.metrics.used.show(self.meter.shown())
        return self.metrics.render([] if self.crew is None else await self.crew.families())

    def health(self) -> Health:
        """Whether journals are replayed, and each channel's alerts."""
        return Health(self._ready, self.fleet.health())

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

    async def _drain(self) -> None:
        await self.works.drain()
        await self.meter.save()
        self._registry.close()
        if self._folder is not None:
            self._folder.cleanup()
        self._log.info("stopped")
