"""The origin behind its native front door: the front owns the listening sockets, the application answers what the front does not hold.

In: an ASGI application, addresses. Out: served requests, with their log lines and counts. Never: a second opinion on what an answer is.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio

from pypackager._core import FrontAnswer, FrontDoor
from pypackager.model.plan import Published
from pypackager.origin.app import Origin
from pypackager.origin.conditions import quoted
from pypackager.origin.ports import AccessLog
from pypackager.origin.reply import Terms, standing
from pypackager.origin.serve import address_of, open_listeners, serve_sockets


def wrap(published: Published, terms: Terms) -> FrontAnswer:
    """An answer as the front takes it."""
    kind = "segment" if published.lifetime == "immutable" else "manifest"
    etags = quoted(published.etag), quoted(published.etag, "gzip")
    return FrontAnswer(kind, list(standing(published, terms)), *etags, published.body, published.gzip)


async def serve_front(
    app: Origin,
    binds: Sequence[str],
    *,
    log: AccessLog,
    threads: int = 1,
    cache_bytes: int = 16 * 2**20,
    graceful_s: float = 2.0,
    report_s: float = 1.0,
    opened: Callable[[FrontDoor], None] = lambda _: None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
    **options: Any,
) -> None:
    """Serves until cancelled, as serve_origin does.

    Args:
        app: the application behind.
        binds: "host:port", IPv6 addresses in brackets; port 0 lets the kernel choose.
        log: takes what goes wrong outside of requests.
        threads: of the front.
        cache_bytes: media that the front keeps for viewers of the same segment.
        graceful_s: how long answers under way may take at the end.
        report_s: how often the front's log lines and counts are fetched.
        opened: is given the front when it serves.
        task_status: gets the real addresses, in the order of `binds`.
        options: further ones of the front (see _core.FrontDoor).

    Raises:
        PackagerError: BIND_FAILED or BIND_MALFORMED.
    """
    sockets = open_listeners(binds)
    addresses = [address_of(sock) for sock in sockets]
    # The folder is its owner's alone: who reaches the application here is believed about the viewer's address.
    with tempfile.TemporaryDirectory(prefix="pypackager-") as folder:
        path = Path(folder) / "origin"
        upstream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        upstream.bind(str(path))
        upstream.listen(1024)
        upstream.setblocking(False)
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve_sockets, app, [upstream], log=log, graceful_s=graceful_s))
            options |= {"threads": threads, "cache_bytes": cache_bytes, "grace_s": graceful_s, "proxies": app.proxies}
            door = FrontDoor([sock.detach() for sock in sockets], str(path), **options)
            app.stand_behind(door, wrap)
            opened(door)
            task_status.started(addresses)
            try:
                while True:
                    await trio.sleep(report_s)
                    app.take_report(door.report())
                    app.turn()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(door.stop)
                app.take_report(door.report())
