"""What webhooks are still to be sent: a queue for each in the registry's file, so that it outlives the daemon.

In: messages. Out: the oldest of each webhook, until it is dropped. Never: more than so many of one; what is too old makes room, and is
counted.

It is written without a sync to the disk: what was queued survives the end of the process, however it ends; a loss of power may take the
newest messages, or bring back one that was sent. Each has an id, by which a receiver knows what it has.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import trio

KEPT = 1024
"""Messages of a webhook."""


class Message(msgspec.Struct, frozen=True):
    """Something that a webhook is to be sent."""

    webhook: str
    id: str
    at: datetime
    body: bytes
    number: int = 0
    """Its place in the queue."""


class Outbox:
    """The queues of all webhooks.

    Args:
        path: of the registry's file, which is there.
        hop: calls a function in a thread.
        kept: messages of a webhook that are.
    """

    def __init__(self, path: Path, hop: Callable[..., Awaitable[Any]] = trio.to_thread.run_sync, kept: int = KEPT) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._hop = hop
        self._kept = kept
        self._lock = trio.Lock()

    async def put(self, messages: Collection[Message]) -> None:
        """Queues messages, all or none; raises sqlite3.Error."""
        if messages:
            async with self._lock:
                await self._hop(self._put, messages)

    async def first(self, webhook: str) -> Message | None:
        """The oldest message of a webhook; raises sqlite3.Error."""
        async with self._lock:
            rows = await self._hop(
                self._rows, "SELECT id, at, body, number FROM delivery WHERE webhook = ? ORDER BY number LIMIT 1", webhook
            )
        return next((Message(webhook, name, datetime.fromisoformat(at), body, number) for name, at, body, number in rows), None)

    async def drop(self, message: Message) -> None:
        """It was taken, or is given up; raises sqlite3.Error."""
        async with self._lock:
            await self._hop(self._rows, "DELETE FROM delivery WHERE number = ?", message.number)

    async def waiting(self, webhook: str) -> int:
        """Messages of a webhook."""
        async with self._lock:
            ((count,),) = await self._hop(self._rows, "SELECT count(*) FROM delivery WHERE webhook = ?", webhook)
        return int(count)

    async def forget_others(self, webhooks: Iterable[str]) -> None:
        """Drops what is for any other webhook; raises sqlite3.Error."""
        names = list(webhooks)
        marks = ", ".join("?" * len(names))
        async with self._lock:
            await self._hop(self._rows, f"DELETE FROM delivery WHERE webhook NOT IN ({marks})", *names)  # noqa: S608 (marks alone)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def _rows(self, sql: str, *values: object) -> list[Any]:
        return self._connection.execute(sql, values).fetchall()

    def _put(self, messages: Collection[Message]) -> None:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            rows = [(each.webhook, each.id, each.at.isoformat(), each.body) for each in messages]
            connection.executemany("INSERT INTO delivery (webhook, id, at, body, lost) VALUES (?, ?, ?, ?, 0)", rows)
            for webhook in {each.webhook for each in messages}:
                self._make_room(webhook)
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _make_room(self, webhook: str) -> None:
        """Puts one message that says how many were lost in the place of the oldest behind the first, which is under way."""
        ((count,),) = self._rows("SELECT count(*) FROM delivery WHERE webhook = ?", webhook)
        if count <= self._kept:
            return
        oldest = "SELECT number, id, at, lost FROM delivery WHERE webhook = ? ORDER BY number LIMIT ? OFFSET 1"
        gone = self._rows(oldest, webhook, count - self._kept + 1)
        number, name, at, _ = gone[-1]
        lost = sum(each or 1 for *_, each in gone)
        self._rows("DELETE FROM delivery WHERE webhook = ? AND number BETWEEN ? AND ?", webhook, gone[0][0], number)
        body = msgspec.json.encode({"type": "lost", "data": {"count": lost}})
        place = "INSERT INTO delivery (number, webhook, id, at, body, lost) VALUES (?, ?, ?, ?, ?, ?)"
        self._rows(place, number, webhook, f"{name}-lost", at, body, lost)
