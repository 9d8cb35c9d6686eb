"""`/v1/events`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import HeaderParameter
from litestar.response import Stream

from pypackager.control.events import Event, Events, Follower, Lost

TheEvents = NamedDependency[Events]
LastEventId = Annotated[str | None, HeaderParameter(name="Last-Event-ID", description="Of the last event that was seen")]
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class _Lines:
    """Events as they go over the wire (HTML, "Server-sent events"). A generator would have to be closed when its client has gone."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._begun = False

    def __aiter__(self) -> _Lines:
        return self

    async def __anext__(self) -> bytes:
        if not self._begun:
            # Proxies and clients see that it has begun.
            self._begun = True
            return b": following\n\n"
        return _encode(await self._follower.__anext__())


@get("/v1/events", summary="What happens, as it happens", tags=["Events"])
async def follow_events(events: TheEvents, last_event_id: LastEventId = None) -> Stream:
    """Server-sent events: state, alert, publish, operation, resource; `lost` tells a client that is too slow how many it missed."""
    return Stream(_Lines(events.follow(last_event_id)), media_type="text/event-stream", headers=_HEADERS)


def _encode(event: Event | Lost | None) -> bytes:
    match event:
        case None:
            return b": nothing happens\n\n"
        case Lost(name, count):
            return _fields(name, "lost", {"count": count})
        case Event(name, kind, at, subject, data):
            return _fields(name, kind, {"at": at, "subject": subject, **data})


def _fields(name: str, kind: str, data: object) -> bytes:
    # JSON has no line break.
    return f"id: {name}\nevent: {kind}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"
