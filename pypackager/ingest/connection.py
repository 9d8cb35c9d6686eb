"""A connection of an encoder, as routing knows it."""

from __future__ import annotations

import msgspec

from pypackager.ingest.ports import Intake
from pypackager.ingest.urls import Target


class Connection(msgspec.Struct):
    """A connection that the pump serves, or a further publish of one."""

    conn: int
    peer: str
    """Address of who pushes: the socket's, and in a request behind proxies that are believed what they say."""
    protocol: str
    target: Target | None = None
    channel: Intake | None = None
    socket: str = ""
    """Address at the other end."""
    seal: bytes = b""
    """Of the user who it said to be."""
    ending: bool = False
    """The body is complete and waits for its last fragment to be written."""
    drained: bool = False
    """It was told to come back on another connection."""
    parent: int | None = None
    """Of a further publish: the connection whose socket it shares."""
    leaving: str = ""
    """The channel for which it goes to another process."""

    @property
    def where(self) -> dict[str, str]:
        """Channel and stream for a log line, once they are known."""
        return {"channel": self.target.channel, "stream": self.target.stream} if self.target else {}
