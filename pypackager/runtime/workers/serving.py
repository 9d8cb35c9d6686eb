"""What a worker's channels publish, on a Unix socket for each streaming endpoint, which the front process' front asks.

In: the endpoints that there are. Out: their applications on sockets. Never: an address that is listened on.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import trio

from pypackager._core import Audience, Proxies
from pypackager.model.plan import Published
from pypackager.origin.app import Origin
from pypackager.origin.ports import Health
from pypackager.origin.reply import Terms
from pypackager.origin.serve import serve_sockets
from pypackager.runtime.catalog import LiveCatalog
from pypackager.runtime.fleet import Fleet
from pypackager.runtime.fronts import GRACE_S
from pypackager.runtime.instant import MachineClock
from pypackager.runtime.metrics import Metrics
from pypackager.runtime.publishing import make_origin
from pypackager.runtime.workers.shelf import Asked, FarShelf, Shelved


class _Served:
    """An endpoint that is served."""

    def __init__(self, app: Origin, shelf: FarShelf) -> None:
        self.app = app
        self.shelf = shelf
        self.scope = trio.CancelScope()


class Serving:
    """The endpoints of a worker.

    Args:
        socket_of: the path of an endpoint's socket.
        fleet: its channels.
        audience: where viewers are counted.
        clock: the machine's.
        metrics: the instruments.
        proxies: those that are believed about a viewer's address.
        log: a structured logger.
        shelve: tells the front process what its front is to hold.
    """

    def __init__(
        self,
        socket_of: Callable[[str], Path],
        fleet: Fleet,
        audience: Audience,
        clock: MachineClock,
        metrics: Metrics,
        proxies: Proxies,
        log: Any,
        shelve: Callable[[Shelved], None],
    ) -> None:
        self._socket_of = socket_of
        self._fleet = fleet
        self._audience = audience
        self._clock = clock
        self._metrics = metrics
        self._proxies = proxies
        self._log = log
        self._shelve = shelve
        self._served: dict[str, _Served] = {}

    def bring(self, endpoints: Collection[str], nursery: trio.Nursery) -> None:
        """Serves these endpoints and no others."""
        for name in self._served.keys() - set(endpoints):
            self._served.pop(name).scope.cancel()
        for name in endpoints:
            if name not in self._served:
                catalog = LiveCatalog(self._fleet, name, lambda: Health(ready=True), self._audience)
                access = self._log.bind(log="access")
                app = make_origin(catalog, access, self._metrics, lambda: self._clock.now().utc_ns, self._proxies)
                shelf = FarShelf(name, self._shelve, lambda: self._clock.now().mono_ns)
                app.stand_behind(shelf, _with_terms)
                served = self._served[name] = _Served(app, shelf)
                nursery.start_soon(self._serve, name, served)

    def turn(self) -> None:
        """Something may have been published, or is allowed no longer."""
        for served in self._served.values():
            served.app.turn()

    def hear(self, asked: Asked) -> None:
        """Viewers asked the front for something."""
        if (served := self._served.get(asked.endpoint)) is not None:
            served.shelf.hear(asked)

    async def _serve(self, name: str, served: _Served) -> None:
        path = self._socket_of(name)
        # Of a life before, or of an endpoint of this name that is gone.
        path.unlink(missing_ok=True)
        upstream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        upstream.bind(str(path))
        upstream.listen(1024)
        upstream.setblocking(False)
        with served.scope:
            await serve_sockets(served.app, [upstream], log=self._log, graceful_s=GRACE_S)


def _with_terms(published: Published, terms: Terms) -> tuple[Published, Terms]:
    return published, terms
