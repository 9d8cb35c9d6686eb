"""What serves the streaming endpoints: one application and its front door each, on the endpoint's own addresses.

In: the registry's endpoints. Out: open addresses that do what these say. Never: a decision about a viewer; the policy that each application
reads from the registry at every request says who is let through, also while the endpoint is stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import trio

from pypackager._core import FrontDoor
from pypackager.config.schema import Tuning
from pypackager.control.registry import Registry
from pypackager.control.resources import StreamingEndpoint
from pypackager.control.settings import DEFAULT
from pypackager.model.errors import PackagerError
from pypackager.origin.app import Origin
from pypackager.origin.front import serve_front
from pypackager.origin.serve import serve_origin
from pypackager.runtime.descriptors import for_viewers
from pypackager.runtime.tls import Identity

GRACE_S = 1.0
"""How long answers under way may take at the end."""
RETRY_S = 5.0
"""How often addresses that could not be opened are tried again."""


class _Front:
    """One endpoint's application on its addresses."""

    def __init__(self, origin: Origin, binds: Sequence[str], tls: bool) -> None:
        self.origin = origin
        self.binds = binds
        self.tls = tls
        self.addresses: Sequence[str] = ()
        self.fault: PackagerError | None = None
        self.door: FrontDoor | None = None
        self.scope = trio.CancelScope()
        self.ended = trio.Event()


class Fronts:
    """Implements control.ports.Fronts.

    Args:
        registry: the endpoints that there are to be.
        make: the application of an endpoint, by name.
        tuning: threads and caches.
        default: addresses of the default endpoint.
        identity: certificates of those that speak TLS.
        log: a structured logger.
        routes: the applications of an endpoint beside its own, by what they serve (FrontDoor.route).
    """

    def __init__(
        self,
        registry: Registry,
        make: Callable[[str], Origin],
        tuning: Tuning,
        default: Sequence[str],
        identity: Identity,
        log: Any,
        routes: Callable[[str], dict[str, str]] = lambda _: {},
    ) -> None:
        self._registry = registry
        self._make = make
        self._tuning = tuning
        self._default = default
        self._identity = identity
        self._log = log
        self._routes = routes
        self._fronts: dict[str, _Front] = {}
        self._said: dict[str, str] = {}
        """What was logged of those that could not be opened, by name."""
        self._nursery: trio.Nursery
        self._turn = trio.Lock()
        """Addresses are opened and closed one after the other."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serves until cancelled; tries again what could not be opened."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            while True:
                await trio.sleep(RETRY_S)
                for name in [name for name, front in self._fronts.items() if front.fault is not None]:
                    await self.bring(name)

    async def bring(self, name: str) -> None:
        """Brings an endpoint in line with the registry: opens its addresses, closes those that are not its any more, tells its front."""
        async with self._turn:
            wanted = self._registry.resources.endpoints.get(name)
            binds, tls = ((), False) if wanted is None else (self._binds(wanted), wanted.settings.tls)
            front = self._fronts.get(name)
            if front is not None and ((front.binds, front.tls) != (binds, tls) or front.fault is not None):
                del self._fronts[name]
                front.scope.cancel()
                await front.ended.wait()
                front = None
            if front is None and binds:
                front = self._fronts[name] = _Front(self._make(name), binds, tls)
                await self._nursery.start(self._serve, name, front)
            if front is not None:
                front.origin.turn()

    async def bring_all(self) -> None:
        """Brings every endpoint in line."""
        for name in sorted({*self._registry.resources.endpoints, *self._fronts}, key=lambda name: name != DEFAULT):
            await self.bring(name)

    def turn(self) -> None:
        """Something may have been published, or is allowed no longer."""
        for front in self._fronts.values():
            front.origin.turn()

    def route(self) -> None:
        """Other applications serve other things than before."""
        for name, front in self._fronts.items():
            if front.door is not None:
                front.door.route(self._routes(name))

    def door(self, name: str) -> FrontDoor | None:
        """The native front of an endpoint, where it has one that serves."""
        front = self._fronts.get(name)
        return None if front is None else front.door

    def serves(self, name: str) -> bool:
        """Whether an endpoint's addresses are open."""
        front = self._fronts.get(name)
        return front is not None and front.fault is None if self._expected(name) else True

    def fault(self, name: str) -> PackagerError | None:
        """Why an endpoint's addresses could not be opened."""
        front = self._fronts.get(name)
        return None if front is None else front.fault

    def trouble(self, name: str) -> str | None:
        """The same in words."""
        fault = self.fault(name)
        return None if fault is None else fault.detail

    def addresses(self, name: str) -> Sequence[str]:
        """Where an endpoint serves."""
        front = self._fronts.get(name)
        return () if front is None else front.addresses

    def roots(self, name: str | None = None) -> Sequence[str]:
        """The same as URLs; without a name: of all endpoints, the default one first."""
        names = sorted(self._fronts, key=lambda name: (name != DEFAULT, name)) if name is None else [name]
        fronts = [front for each in names if (front := self._fronts.get(each)) is not None]
        return [f"{'https' if front.tls else 'http'}://{address}" for front in fronts for address in front.addresses]

    def demand_certificate(self, name: str) -> None:
        """Refuses an endpoint that is to speak TLS without a certificate.

        Raises:
            PackagerError: TLS_UNCONFIGURED.
        """
        self._identity.demand(f"streaming endpoint {name!r}")

    # --- inside

    def _opened(self, name: str, front: _Front, door: FrontDoor) -> None:
        front.door = door
        door.route(self._routes(name))

    def _binds(self, endpoint: StreamingEndpoint) -> tuple[str, ...]:
        return tuple(self._default if endpoint.name == DEFAULT else endpoint.settings.listen)

    def _expected(self, name: str) -> bool:
        wanted = self._registry.resources.endpoints.get(name)
        return wanted is not None and bool(self._binds(wanted))

    async def _serve(self, name: str, front: _Front, *, task_status: trio.TaskStatus[None]) -> None:
        if self._tuning.front_threads:
            certificates = self._identity.native if front.tls else None
            serve = partial(
                serve_front,
                certificates=certificates,
                threads=self._tuning.front_threads,
                cache_bytes=self._tuning.front_cache,
                opened=partial(self._opened, name, front),
            )
        else:
            serve = partial(serve_origin, tls=self._identity.context if front.tls else None)
        limits = {"graceful_s": GRACE_S, "max_connections": for_viewers(self._tuning.front_connections)}
        try:
            with front.scope:
                async with trio.open_nursery() as nursery:
                    try:
                        if front.tls:
                            self.demand_certificate(name)
                        front.addresses = await nursery.start(partial(serve, front.origin, front.binds, log=self._log, **limits))
                    except PackagerError as error:
                        front.fault = error
                        if self._said.get(name) != error.detail:
                            self._log.error("endpoint failed", endpoint=name, code=error.code, detail=error.detail, retry_s=RETRY_S)
                        self._said[name] = error.detail
                    else:
                        self._said.pop(name, None)
                        self._log.info("endpoint", endpoint=name, addresses=self.roots(name))
                    task_status.started()
        finally:
            front.ended.set()
