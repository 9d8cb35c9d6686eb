"""The operator's HTTP on the control listener: /healthz, /readyz and /metrics, and the REST API.

In: requests. Out: answers. Never: the API for who is not on this machine, or for a page of another site that a browser here shows.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
import trio

from pypackager.model.errors import PackagerError
from pypackager.origin.app import App, Receive, Scope, Send
from pypackager.origin.ports import AccessLog, Health

_REST = ("/v1/", "/schema")


class ControlApp:
    """A small ASGI application before the API, which is loaded when it is first asked for.

    Args:
        health: how the daemon is, asked at every request.
        metrics: the exposition text.
        rest: makes the API; blocks, since it loads a framework.
        log: takes what goes wrong on our side.
    """

    def __init__(self, health: Callable[[], Health], metrics: Callable[[], bytes], rest: Callable[[], App], log: AccessLog) -> None:
        self._log = log
        self._health = health
        self._metrics = metrics
        self._make_rest = rest
        self._rest: App | None = None
        self._loading = trio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["type"] != "http":
            return
        path = str(scope["path"])
        if path.startswith(_REST):
            try:
                _check_stranger(scope)
                rest = await self._load()
            except PackagerError as error:
                status, content_type, body = _problem(error)
            else:
                await rest(scope, receive, send)
                return
        else:
            status, content_type, body = self._answer(str(scope["method"]), path)
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def _load(self) -> App:
        async with self._loading:
            if self._rest is None:
                try:
                    self._rest = await trio.to_thread.run_sync(self._make_rest)
                except Exception as error:
                    self._log.exception("API not loaded", code="INTERNAL", detail=repr(error))
                    raise PackagerError("INTERNAL", "the API could not be loaded", status=500, fault="us") from error
        return self._rest

    def _answer(self, method: str, path: str) -> tuple[int, str, bytes]:
        if method not in ("GET", "HEAD"):
            return _problem(PackagerError("METHOD_NOT_ALLOWED", f"{method} is not served here", status=405))
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4; charset=utf-8", self._metrics()
        if path in ("/healthz", "/readyz"):
            health = self._health()
            status = 200 if health.ready or path == "/healthz" else 503
            return status, "application/json", msgspec.json.encode({"ready": health.ready, **health.detail})
        return _problem(PackagerError("NOT_FOUND", f"there is nothing at {path}", status=404))


def _problem(error: PackagerError) -> tuple[int, str, bytes]:
    body = {"type": "about:blank", "title": error.code, "status": error.status, "code": error.code, "detail": error.detail}
    return error.status, "application/problem+json", msgspec.json.encode(body)


def _check_stranger(scope: Scope) -> None:
    """Refuses what is no request of an operator on this machine: by its address, the name that it calls us by, the page it comes from."""
    headers: dict[str, str] = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    peer = str(scope["client"][0]) if scope.get("client") else ""
    if not _is_loopback(peer):
        detail = f"the API answers on this machine only, and {peer} is another; use a tunnel"
        raise PackagerError("CONTROL_LOOPBACK_ONLY", detail, status=403, fault="operator")
    host = headers.get("host", "")
    # A name that somebody else's DNS points here would make a page of theirs one of ours.
    if not _is_loopback(urlsplit(f"//{host}").hostname or "") or urlsplit(headers.get("origin", f"http://{host}")).netloc != host:
        raise PackagerError("CONTROL_CROSS_SITE", "the request comes from a page of another site", status=403, fault="operator")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.removeprefix("::ffff:")).is_loopback
    except ValueError:
        return False
