"""Webhooks: what happens is POSTed to those who asked for it.

In: events, webhooks. Out: requests with signed bodies. Never: an event that waits for a receiver; one that is slow is told what it lost.

Theory of operation. One task follows the events and queues each for the webhooks that want it (outbox.py); what is queued survives the
daemon. Each webhook has a task of its own with one request under way, so that its receiver gets them in their order: the oldest is sent
until it is taken, with pauses that grow up to ten minutes, and given up when it is a day old. A webhook that is changed is tried again at
once. Ids and signatures are those of Standard Webhooks 1.0: HMAC-SHA256 over `{id}.{timestamp}.{body}`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
import trio
from msgspec.structs import replace

from pypackager.control.checks import check, conflict, match, merged
from pypackager.control.events import Event, Events, Lost
from pypackager.control.outbox import Message, Outbox
from pypackager.control.registry import Registry
from pypackager.control.resources import Webhook, touched
from pypackager.control.settings import WebhookSettings, webhook_faults

SECRET_BYTES = 32
LONGEST_PAUSE_S = 600
GIVEN_UP = timedelta(days=1)
"""Behind the event."""
OVERLAP = timedelta(days=1)
"""How long a secret is good behind the one that follows it."""

Post = Callable[[str, Mapping[str, str], bytes], Awaitable[int]]
"""Sends a body and returns the status; raises OSError when there is none."""


class Attempt(msgspec.Struct, frozen=True):
    """The last request that was sent to a webhook since the daemon started."""

    id: str
    """Of the event."""
    at: datetime
    status: int | None
    """Of the answer; null: there was none."""
    detail: str
    """Why it was not taken; empty when it was."""
    tries: int
    """Of this event, since the daemon started."""


class Webhooks:
    """Takes commands on webhooks, and serves them.

    Args:
        registry: has them.
        events: what happens.
        outbox: what is to be sent.
        post: sends a request.
        utc: the time of day.
        log: a structured logger.
    """

    def __init__(self, registry: Registry, events: Events, outbox: Outbox, post: Post, utc: Callable[[], datetime], log: Any) -> None:
        self.last: dict[str, Attempt] = {}
        """By name."""
        self._registry = registry
        self._follower = events.follow(None)
        self._outbox = outbox
        self._post = post
        self._utc = utc
        self._log = log
        self._served: dict[str, tuple[Webhook, trio.CancelScope]] = {}
        self._news: dict[str, trio.Event] = {}

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

    async def change(self, name: str, changes: Mapping[str, Any], wanted: str | None = None) -> Webhook:
        """Changes settings; null stands for the default. What waits is sent to the new URL, at once.

        Raises:
            PackagerError: INVALID (400), WEBHOOK_UNKNOWN (404), ETAG_MISMATCH (412), …
        """
        async with self._registry.lock:
            webhook = self._registry.resources.webhook(name)
            match(webhook, wanted)
            settings = merged(webhook.settings, changes)
            check(webhook_faults(settings))
            webhook = touched(replace(webhook, settings=settings), self._utc())
            await self._registry.commit([webhook])
        return webhook

    async def rotate(self, name: str, wanted: str | None = None) -> Webhook:
        """Makes a new secret; for a day what is sent is signed with the one before as well.

        Raises:
            PackagerError: WEBHOOK_UNKNOWN (404), ETAG_MISMATCH (412), …
        """
        async with self._registry.lock:
            webhook = self._registry.resources.webhook(name)
            match(webhook, wanted)
            now = self._utc()
            fresh = secrets.token_bytes(SECRET_BYTES)
            webhook = touched(replace(webhook, secret=fresh, former=webhook.secret, rotated=now), now)
            await self._registry.commit([webhook])
        return webhook

    async def delete(self, name: str, wanted: str | None = None) -> None:
        """Deletes a webhook: nothing is sent to it any more.

        Raises:
            PackagerError: WEBHOOK_UNKNOWN (404), ETAG_MISMATCH (412).
        """
        async with self._registry.lock:
            gone = self._registry.resources.webhook(name)
            match(gone, wanted)
            await self._registry.commit(drop=[gone])

    async def waiting(self, webhook: Webhook) -> int:
        """Events that are still to be sent to a webhook."""
        return await self._outbox.waiting(_queue(webhook))

    async def serve(self) -> None:
        """Serves all of them until it is cancelled."""
        follower = self._follower
        try:
            async with trio.open_nursery() as nursery:
                await self._bring(nursery)
                async for event in follower:
                    if event is not None:
                        await self._queue([event, *follower.take()], nursery)
        finally:
            with trio.CancelScope(shield=True):
                # Behind what was told just now, from this thread or another.
                told = trio.Event()
                trio.lowlevel.current_trio_token().run_sync_soon(told.set)
                await told.wait()
                await self._put(follower.take())
                self._outbox.close()

    async def _queue(self, events: list[Event | Lost], nursery: trio.Nursery) -> None:
        await self._put(events)
        # Whatever was lost may have been about one of them.
        if any(isinstance(event, Lost) or event.kind == "resource" for event in events):
            await self._bring(nursery)
        for news in self._news.values():
            news.set()

    async def _put(self, events: list[Event | Lost]) -> None:
        webhooks = self._registry.resources.webhooks.values()
        messages = [message for event in events for webhook in webhooks for message in self._messages(webhook, event)]
        try:
            await self._outbox.put(messages)
        except sqlite3.Error as error:
            self._log.warning("webhook events lost", count=len(messages), code="WEBHOOK_FAILED", detail=str(error))

    def _messages(self, webhook: Webhook, event: Event | Lost) -> Iterator[Message]:
        match event:
            case Lost(name, count):
                yield Message(_queue(webhook), name, self._utc(), msgspec.json.encode({"type": "lost", "data": {"count": count}}))
            case Event(name, kind, at, subject, data) if not webhook.settings.kinds or kind in webhook.settings.kinds:
                body = {"type": kind, "timestamp": at, "subject": subject, "data": data}
                yield Message(_queue(webhook), name, at, msgspec.json.encode(body))
            case _:
                pass

    async def _bring(self, nursery: trio.Nursery) -> None:
        """Ends those that are gone or were changed, and begins with those that are new."""
        wanted = self._registry.resources.webhooks
        for name, (webhook, scope) in list(self._served.items()):
            if wanted.get(name) != webhook:
                scope.cancel()
                del self._served[name]
        try:
            await self._outbox.forget_others(_queue(webhook) for webhook in wanted.values())
        except sqlite3.Error as error:
            self._log.warning("webhook events not forgotten", code="WEBHOOK_FAILED", detail=str(error))
        for name in self.last.keys() - wanted.keys():
            del self.last[name]
        for name in wanted.keys() - self._served.keys():
            scope = trio.CancelScope()
            self._served[name] = wanted[name], scope
            nursery.start_soon(self._serve_one, wanted[name], scope)

    async def _serve_one(self, webhook: Webhook, scope: trio.CancelScope) -> None:
        with scope:
            while True:
                news = self._news[webhook.name] = trio.Event()
                try:
                    message = await self._outbox.first(_queue(webhook))
                    if message is None:
                        await news.wait()
                    else:
                        await self._send(webhook, message)
                        await self._outbox.drop(message)
                except sqlite3.Error as error:
                    self._log.warning("webhook queue unusable", webhook=webhook.name, code="WEBHOOK_FAILED", detail=str(error))
                    await trio.sleep(LONGEST_PAUSE_S)

    async def _send(self, webhook: Webhook, message: Message) -> None:
        """Sends it until it is taken, or given up."""
        tries = 0
        while True:
            tries += 1
            status, told = None, ""
            now = self._utc()
            try:
                status = await self._post(webhook.settings.url, signed(webhook, message, now), message.body)
            except OSError as error:
                told = str(error)
            else:
                told = "" if 200 <= status < 300 else f"HTTP {status}"
            self.last[webhook.name] = Attempt(message.id, now, status, told, tries)
            if not told:
                return
            if self._utc() - message.at >= GIVEN_UP:
                self._log.warning(
                    "webhook given up", webhook=webhook.name, event_id=message.id, code="WEBHOOK_FAILED", detail=told, tries=tries
                )
                return
            await trio.sleep(min(2 ** min(tries - 1, 10), LONGEST_PAUSE_S))


def signed(webhook: Webhook, message: Message, now: datetime) -> dict[str, str]:
    """The header fields of a request."""
    fields = sign(webhook.secret, message.id, int(now.timestamp()), message.body)
    if webhook.former is not None and webhook.rotated is not None and now < webhook.rotated + OVERLAP:
        former = sign(webhook.former, message.id, int(now.timestamp()), message.body)
        fields["webhook-signature"] += f" {former['webhook-signature']}"
    return fields


def sign(secret: bytes, name: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The header fields of a request (Standard Webhooks 1.0)."""
    digest = hmac.new(secret, f"{name}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": name,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _queue(webhook: Webhook) -> str:
    """Names its queue: not that of another webhook, which had its name before."""
    return f"{webhook.name} {webhook.created.isoformat()}"


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
