"""The operator's HTTP: /healthz, /readyz and /metrics on the control listener."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from pypackager.model.errors import PackagerError
from pypackager.origin.ports import Health

_Message = MutableMapping[str, Any]


class ControlApp:
    """A small ASGI application; the REST API will stand beside these routes.

    Args:
        health: how the daemon is, asked at every request.
        metrics: the exposition text.
    """

    def __init__(self, health: Callable[[], Health], metrics: Callable[[], bytes]) -> None:
        self._health = health
        self._metrics = metrics

    async def __call__(
        self, scope: _Message, receive: Callable[[], Awaitable[_Message]], send: Callable[[_Message], Awaitable[None]]
    ) -> None:
        """ASGI entry."""
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        if scope["type"] != "http":
            return
        status, content_type, body = self._answer(str(scope["method"]), str(scope["path"]))
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

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
