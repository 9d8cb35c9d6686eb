"""The origin on its sockets: Hypercorn's connection handling, our listeners and our end.

In: an ASGI application and addresses. Out: served requests. Never: a viewer that holds up the shutdown.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from functools import partial

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState

from pypackager.model.errors import PackagerError
from pypackager.origin.app import App
from pypackager.origin.ports import AccessLog
from pypackager.origin.viewer import ViewerListener, Viewers, ViewerStream

HANDSHAKE_S = 10.0
"""How long the handshake of TLS may take."""


async def serve_origin(
    app: App,
    binds: Sequence[str],
    *,
    log: AccessLog,
    keep_alive_s: float = 65.0,
    stall_s: float = 30.0,
    graceful_s: float = 2.0,
    max_connections: int = 4096,
    tls: ssl.SSLContext | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until cancelled; then answers under way may end within `graceful_s`, and what is left is cut off.

    Args:
        app: the application.
        binds: "host:port", IPv6 addresses in brackets; port 0 lets the kernel choose.
        log: takes what goes wrong outside of requests.
        keep_alive_s: how long a connection may be idle, or take to send a request's head. Longer than what proxies keep connections
            (nginx: 60 s), so that it is they who close them and no request is lost to a race.
        stall_s: how long a viewer may take no byte of its answer.
        graceful_s: see above.
        max_connections: more wait in the backlog.
        tls: what TLS is spoken with; none: HTTP in the clear.
        task_status: gets the real addresses, in the order of `binds`.

    Raises:
        PackagerError: BIND_FAILED or BIND_MALFORMED.
    """
    sockets = open_listeners(binds)
    addresses = [address_of(sock) for sock in sockets]
    async with trio.open_nursery() as nursery:
        serve = partial(serve_sockets, keep_alive_s=keep_alive_s, stall_s=stall_s, graceful_s=graceful_s)
        await nursery.start(partial(serve, app, sockets, log=log, max_connections=max_connections, tls=tls))
        task_status.started(addresses)


async def serve_sockets(
    app: App,
    sockets: Sequence[socket.socket],
    *,
    log: AccessLog,
    keep_alive_s: float = 65.0,
    stall_s: float = 30.0,
    graceful_s: float = 2.0,
    max_connections: int = 4096,
    tls: ssl.SSLContext | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """The same over sockets that listen, whatever their family; they are closed at the end."""
    viewers = Viewers(limit=max_connections, stall_s=stall_s)
    context = WorkerContext(None)
    config = _config(keep_alive_s)
    listeners = [ViewerListener(trio.SocketListener(trio.socket.from_stdlib_socket(sock)), viewers) for sock in sockets]
    handler = partial(_serve_viewer, ASGIWrapper(app), config, context, log, tls)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        stop = trio.Event()
        handlers: trio.Nursery = await nursery.start(_hold_handlers, viewers, context, stop, graceful_s)
        try:
            serving = partial(trio.serve_listeners, handler, listeners, handler_nursery=handlers)
            await nursery.start(serving)
            task_status.started()
            await trio.sleep_forever()
        finally:
            stop.set()


def open_listeners(binds: Sequence[str]) -> list[socket.socket]:
    """Listening sockets, in the order of `binds`.

    Raises:
        PackagerError: BIND_MALFORMED or BIND_FAILED; no socket stays open then.
    """
    sockets: list[socket.socket] = []
    try:
        for bind in binds:
            sockets.append(_open_listener(bind))  # noqa: PERF401 - what was opened before a failure is closed below
    except PackagerError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _open_listener(bind: str) -> socket.socket:
    host, colon, port = bind.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise PackagerError("BIND_MALFORMED", f"{bind!r} is not host:port", fault="operator")
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            # "[::]" and "0.0.0.0" can then be listened on side by side.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, int(port)))
        sock.listen(1024)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise PackagerError("BIND_FAILED", f"can't listen on {bind}: {error.strerror or error}", fault="operator") from error
    return sock


def address_of(sock: socket.socket) -> str:
    """The "host:port" that a socket is bound to."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if sock.family == socket.AF_INET6 else f"{host}:{port}"


def _config(keep_alive_s: float) -> Config:
    config = Config()
    config.accesslog = None
    config.errorlog = None
    config.include_server_header = False
    config.keep_alive_timeout = keep_alive_s
    config.keep_alive_max_requests = 1_000_000
    # 4 KiB of target (the application answers 414 above that) and 12 KiB of headers.
    config.h11_max_incomplete_size = 16 * 1024
    config.h2_max_header_list_size = 16 * 1024
    config.ssl_handshake_timeout = HANDSHAKE_S
    return config


async def _hold_handlers(
    viewers: Viewers, context: WorkerContext, stop: trio.Event, graceful_s: float, *, task_status: trio.TaskStatus[trio.Nursery]
) -> None:
    """A nursery for connections that outlives the cancellation of the server by the time of grace."""
    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as handlers:
            task_status.started(handlers)
            await stop.wait()
            # Idle connections end at once, busy ones after their answer.
            await context.terminated.set()
            with trio.move_on_after(graceful_s):
                await viewers.drained()
            viewers.abort()
            handlers.cancel_scope.cancel()


class _Connection(TCPServer):
    """Ends when its viewer has gone: Hypercorn's own waits for the end of its idle time, and would hold a place for so long."""

    async def _read_data(self) -> None:
        await super()._read_data()
        await self.idle_task.stop()


async def _serve_viewer(
    app: ASGIWrapper, config: Config, context: WorkerContext, log: AccessLog, tls: ssl.SSLContext | None, viewer: ViewerStream
) -> None:
    stream = viewer if tls is None else trio.SSLStream(viewer, tls, server_side=True, https_compatible=True)
    try:
        await _Connection(app, config, context, ConnectionState({}), stream)  # type: ignore[arg-type]
    except Exception as error:
        # The border of one connection: an error of the protocol library ends that connection, not the server.
        log.exception("connection_failed", detail=repr(error))
