"""What happens, for those who watch.

In: news, from any thread. Out: a stream of events for each who follows. Never: a wait for who is slow.

Theory of operation. The newest events are kept once for all; who follows has nothing but its place among them. One that is slower than the
events come finds that those at its place have left, and is told how many. An event's id is the daemon's life and its number, so that who
comes back with the last id that it saw goes on behind it.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
import trio

from pypackager.model.news import NewsKind

KEPT = 1024
"""Events."""
HEARTBEAT_S = 15.0
"""How long nothing is said; proxies cut off what is silent for a minute."""


class Event(msgspec.Struct, frozen=True):
    """Something that happened."""

    id: str
    kind: NewsKind
    at: datetime
    subject: str
    """A path of the API, below /v1."""
    data: dict[str, Any]


class Lost(msgspec.Struct, frozen=True):
    """Events that are gone; None: nobody knows how many, since the daemon was started anew."""

    id: str
    """Of the last of them."""
    count: int | None


class Follower:
    """Somebody's place among the events: an asynchronous iterator that holds nothing and needs no end."""

    def __init__(self, events: Events, place: int | None) -> None:
        self._events = events
        self._place = place

    def __aiter__(self) -> Follower:
        """Itself."""
        return self

    def take(self) -> list[Event | Lost]:
        """What is there already, without a wait."""
        self._place, found = self._events.since(self._place)
        return found

    async def __anext__(self) -> Event | Lost | None:
        """The next event, what was lost before it, or None: nothing happens."""
        self._place, found = await self._events.next(self._place)
        return found


class Events:
    """All that happened since the start, as far as it is kept.

    Args:
        utc: the time of day.
        kept: how many events are.
        heartbeat_s: how often somebody is told that there is nothing to tell.
    """

    def __init__(self, utc: Callable[[], datetime], *, kept: int = KEPT, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._utc = utc
        self._kept: deque[Event] = deque(maxlen=kept)
        self._count = 0
        self._life = secrets.token_hex(4)
        self._heartbeat_s = heartbeat_s
        self._news = trio.Event()
        self._loop = trio.lowlevel.current_trio_token()

    def tell(self, kind: NewsKind, subject: str, /, **data: Any) -> None:
        """Something happened."""
        # Channels are opened in threads, and some of what they tell happens there.
        self._loop.run_sync_soon(self._add, kind, self._utc(), subject, data)

    def follow(self, after: str | None) -> Follower:
        """Events as they come.

        Args:
            after: id of the last event that was seen; None: from now on.
        """
        place: int | None = self._count
        if after is not None:
            life, _, text = after.partition("-")
            number = int(text) if life == self._life and text.isdecimal() else self._count
            place = number + 1 if number < self._count else None
        return Follower(self, place)

    async def next(self, place: int | None) -> tuple[int | None, Event | Lost | None]:
        """What is at a place, and the place behind it; without a place: all that is gone. None is a heartbeat."""
        if place == self._count:
            with trio.move_on_after(self._heartbeat_s) as waited:
                await self._news.wait()
            if waited.cancelled_caught:
                return place, None
        else:
            await trio.lowlevel.checkpoint()
        first = self._count - len(self._kept)
        if place is None or place < first:
            return first, Lost(self._id(first - 1), None if place is None else first - place)
        return place + 1, self._kept[place - first]

    def since(self, place: int | None) -> tuple[int, list[Event | Lost]]:
        """All that is there behind a place, and the place behind it."""
        first = self._count - len(self._kept)
        found: list[Event | Lost] = []
        if place is None or place < first:
            found.append(Lost(self._id(first - 1), None if place is None else first - place))
            place = first
        return self._count, [*found, *list(self._kept)[place - first :]]

    def _add(self, kind: NewsKind, at: datetime, subject: str, data: dict[str, Any]) -> None:
        self._kept.append(Event(self._id(self._count), kind, at, subject, data))
        self._count += 1
        self._news.set()
        self._news = trio.Event()

    def _id(self, number: int) -> str:
        return f"{self._life}-{number}"
