"""The operator's HTTP on the control listener: /healthz, /readyz and /metrics, and the REST API.

In: requests. Out: answers. Never: an answer to who may not ask (pypackager.control.authority), but for /healthz and /readyz.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

import msgspec
import trio

from pypackager.control.authority import Asked
from pypackager.model.errors import PackagerError
from pypackager.origin.app import App, Receive, Scope, Send
from pypackager.origin.ports import AccessLog, Health

_REST = ("/v1/", "/schema")
_OPEN = ("/healthz", "/readyz")
"""For who balances load."""


class ControlApp:
    """A small ASGI application before the API, which is loaded when it is first asked for.

    Args:
        health: how the daemon is, asked at every request.
        metrics: the exposition text.
        admit: raises PackagerError for who may not ask.
        rest: makes the API; blocks, since it loads a framework.
        log: takes what goes wrong on our side.
        look: has others say how they are before an answer that tells of it; nothing where there are none.
    """

    def __init__(
        self,
        health: Callable[[], Health],
        metrics: Callable[[], Awaitable[bytes]],
        admit: Callable[[Asked], None],
        rest: Callable[[], App],
        log: AccessLog,
        look: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._log = log
        self._look = look
        self._health = health
        self._metrics = metrics
        self._admit = admit
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
        try:
            if path not in _OPEN:
                self._admit(_asked(scope))
                if self._look is not None:
                    await self._look()
            if path.startswith(_REST):
                rest = await self._load()
                await rest(scope, receive, send)
                return
            status, content_type, body = await self._answer(str(scope["method"]), path)
        except PackagerError as error:
            status, content_type, body = _problem(error)
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            # RFC 6750 3: says by which means one is let in.
            *([(b"www-authenticate", b'Bearer realm="pypackager"')] if status == HTTPStatus.UNAUTHORIZED else []),
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

    async def _answer(self, method: str, path: str) -> tuple[int, str, bytes]:
        if method not in ("GET", "HEAD"):
            raise PackagerError("METHOD_NOT_ALLOWED", f"{method} is not served here", status=405)
        if path == "/metrics":
            return 200, "text/plain; version=0.0.4; charset=utf-8", await self._metrics()
        if path in ("/healthz", "/readyz"):
            health = self._health()
            status = 200 if health.ready or path == "/healthz" else 503
            return status, "application/json", msgspec.json.encode({"ready": health.ready, **health.detail})
        raise PackagerError("NOT_FOUND", f"there is nothing at {path}", status=404)


def _problem(error: PackagerError) -> tuple[int, str, bytes]:
    body = {"type": "about:blank", "title": error.code, "status": error.status, "code": error.code, "detail": error.detail}
    return error.status, "application/problem+json", msgspec.json.encode(body)


def _asked(scope: Scope) -> Asked:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    peer = str(scope["client"][0]) if scope.get("client") else ""
    return Asked(str(scope["method"]), str(scope["path"]), headers, peer)
