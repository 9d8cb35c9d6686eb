"""Webhooks: what happens is POSTed to those who asked for it.

In: events, webhooks. Out: requests with signed bodies. Never: an event that waits for a receiver; one that is slow is told what it lost.

Each webhook follows the events by itself and has one request under way, so that its receiver gets them in their order. What it does not
take is sent again, for about four minutes, and is given up then; what happens meanwhile waits in the list of the newest events. Ids and
signatures are those of Standard Webhooks 1.0: HMAC-SHA256 over `{id}.{timestamp}.{body}`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
import trio

from pypackager.control.checks import check, conflict, match
from pypackager.control.events import Event, Events, Follower, Lost
from pypackager.control.registry import Registry
from pypackager.control.resources import Webhook
from pypackager.control.settings import WebhookSettings, webhook_faults

SECRET_BYTES = 32
PAUSES_S = (1, 2, 4, 8, 15, 30, 60, 120)
"""Before each further try."""

Post = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]
"""Sends a body and returns the status; raises OSError when there is none."""


class Webhooks:
    """Takes commands on webhooks, and serves them.

    Args:
        registry: has them.
        events: what happens.
        post: sends a request.
        utc: the time of day.
        log: a structured logger.
    """

    def __init__(self, registry: Registry, events: Events, post: Post, utc: Callable[[], datetime], log: Any) -> None:
        self._registry = registry
        self._events = events
        self._post = post
        self._utc = utc
        self._log = log
        self._served: dict[str, tuple[Webhook, trio.CancelScope]] = {}

    async def create(self, name: str, settings: WebhookSettings) -> Webhook:
        """Makes a webhook, which gets what happens from now on.

        Raises:
            PackagerError: INVALID (400), WEBHOOK_EXISTS (409), …
        """
        check(webhook_faults(settings))
        async with self._registry.lock:
            if name in self._registry.resources.webhooks:
                raise conflict("WEBHOOK_EXISTS", f"there is a webhook {name!r}")
            now = self._utc()
            made = Webhook(name=name, settings=settings, secret=secrets.token_bytes(SECRET_BYTES), created=now, modified=now)
            await self._registry.commit([made])
        return made

    async def delete(self, name: str, wanted: str | None = None) -> None:
        """Deletes a webhook: nothing is sent to it any more.

        Raises:
            PackagerError: WEBHOOK_UNKNOWN (404), ETAG_MISMATCH (412).
        """
        async with self._registry.lock:
            gone = self._registry.resources.webhook(name)
            match(gone, wanted)
            await self._registry.commit(drop=[gone])

    async def serve(self) -> None:
        """Serves all of them until it is cancelled."""
        async with trio.open_nursery() as nursery:
            follower = self._events.follow(None)
            self._bring(nursery, None)
            async for event in follower:
                # Whatever was lost may have been about one of them.
                if isinstance(event, Lost) or (isinstance(event, Event) and event.kind == "resource"):
                    self._bring(nursery, event.id)

    def _bring(self, nursery: trio.Nursery, after: str | None) -> None:
        """Ends those that are gone, and begins with those that are new: behind what told of them."""
        wanted = self._registry.resources.webhooks
        for name, (webhook, scope) in list(self._served.items()):
            if wanted.get(name) != webhook:
                scope.cancel()
                del self._served[name]
        for name in wanted.keys() - self._served.keys():
            scope = trio.CancelScope()
            self._served[name] = wanted[name], scope
            nursery.start_soon(self._serve_one, wanted[name], self._events.follow(after), scope)

    async def _serve_one(self, webhook: Webhook, follower: Follower, scope: trio.CancelScope) -> None:
        with scope:
            async for event in follower:
                match event:
                    case Lost(name, count):
                        await self._send(webhook, name, {"type": "lost", "data": {"count": count}})
                    case Event(name, kind, at, subject, data) if not webhook.settings.kinds or kind in webhook.settings.kinds:
                        await self._send(webhook, name, {"type": kind, "timestamp": at, "subject": subject, "data": data})
                    case _:
                        pass

    async def _send(self, webhook: Webhook, name: str, message: dict[str, Any]) -> None:
        body = msgspec.json.encode(message)
        told = ""
        for pause in (0, *PAUSES_S):
            await trio.sleep(pause)
            try:
                status = await self._post(webhook.settings.url, sign(webhook.secret, name, int(self._utc().timestamp()), body), body)
            except OSError as error:
                told = str(error)
            else:
                if 200 <= status < 300:
                    return
                told = f"HTTP {status}"
        tries = 1 + len(PAUSES_S)
        self._log.warning("webhook given up", webhook=webhook.name, event_id=name, code="WEBHOOK_FAILED", detail=told, tries=tries)


def sign(secret: bytes, name: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The header fields of a request (Standard Webhooks 1.0)."""
    digest = hmac.new(secret, f"{name}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def shown(secret: bytes) -> str:
    """A secret as receivers take it."""
    return f"whsec_{base64.b64encode(secret).decode()}"


async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """Sends a request, to where it says and no further; the body of the answer is of no interest."""
    # Loaded when there is a first webhook: 0.2 s, and memory.
    httpx = await trio.to_thread.run_sync(_load)
    request = {"headers": dict(headers), "content": body}
    try:
        async with (
            httpx.AsyncClient(timeout=10.0, trust_env=False, follow_redirects=False) as client,
            client.stream("POST", url, **request) as answer,
        ):
            return int(answer.status_code)
    except Exception as error:
        # Whatever a URL brings about is its webhook's fault alone.
        raise OSError(f"{type(error).__name__}: {error}") from error


def _load() -> Any:
    import httpx  # noqa: PLC0415

    return httpx
