"""The operator's port: workers are asked how they are before an answer that tells of it, and by nobody who is refused."""

from __future__ import annotations

from typing import Any, cast

import httpx
import pytest
import structlog
import trio

from pypackager.control.authority import Asked
from pypackager.model.errors import PackagerError
from pypackager.origin.app import Receive, Scope, Send
from pypackager.origin.ports import Health
from pypackager.runtime.control_app import ControlApp


@pytest.mark.parametrize(
    ("path", "token", "done"),
    [
        ("metrics", "good", ["look", "metrics"]),
        ("v1/channels", "good", ["look", "rest"]),
        ("metrics", "", []),
        ("v1/channels", "", []),
        ("healthz", "", ["health"]),
        ("readyz", "", ["health"]),
    ],
)
async def test_who_is_let_in_is_told_how_things_are_now(path: str, token: str, done: list[str]) -> None:
    found: list[str] = []

    def health() -> Health:
        found.append("health")
        return Health(ready=True)

    async def metrics() -> bytes:
        found.append("metrics")
        await trio.lowlevel.checkpoint()
        return b""

    async def look() -> None:
        await trio.sleep(0.01)
        found.append("look")

    async def rest(scope: Scope, receive: Receive, send: Send) -> None:
        found.append("rest")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def admit(asked: Asked) -> None:
        if asked.headers.get("authorization") != "Bearer good":
            raise PackagerError("UNAUTHORIZED", "who is it?", status=401)

    app = ControlApp(health, metrics, admit, lambda: rest, structlog.get_logger(), look)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=cast(Any, app))) as client:
        answer = await client.get(f"http://h/{path}", headers={"Authorization": f"Bearer {token}"} if token else {})
    assert (found, answer.status_code) == (done, 200 if done else 401)
