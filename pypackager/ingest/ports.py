"""What routing needs of those it stands between, declared by the one who needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pypackager._core import Budget, Chunk, Given, SignalReady, SignalsFound, TrackHeader


class Intake(Protocol):
    """A channel, as ingest sees it."""

    @property
    def budget(self) -> Budget:
        """What its open fragments may hold in memory."""
        ...

    @property
    def protocol(self) -> str:
        """Its ingest protocol, `fmp4` or `rtmp`."""
        ...

    @property
    def running(self) -> bool:
        """Whether it takes data."""
        ...

    def admits(self, address: str) -> bool:
        """Whether its ingest allow-list has the address."""
        ...

    def unlocks(self, key: str) -> bool:
        """Whether a stream key is the channel's, or it has none."""
        ...

    @property
    def users(self) -> Mapping[str, str]:
        """Passwords of those who alone may push, by their names; none: who they are is not asked."""
        ...

    def open_feed(self, conn: int, side: str, stream: str) -> None:
        """A connection was admitted to a stream."""
        ...

    def close_feed(self, conn: int) -> None:
        """The connection is gone."""
        ...

    def track_found(self, conn: int, header: TrackHeader) -> None:
        """It announced a track."""
        ...

    def admit(self, conn: int) -> None:
        """Judges all that it announced together.

        Raises:
            PackagerError: the connection is to be refused.
        """
        ...

    def place(self, conn: int, time: int, timescale: int) -> int:
        """Number of the source clock of a frame-wise connection whose first frame is at `time`."""
        ...

    def chunk(self, conn: int, chunk: Chunk) -> None:
        """It sent a chunk."""
        ...

    def signals_found(self, conn: int, found: SignalsFound) -> None:
        """It announced a track of signals."""
        ...

    def signal(self, conn: int, event: SignalReady) -> None:
        """It sent a signal."""
        ...

    def complete(self, conn: int) -> None:
        """The body that it sent is complete: nothing of it is held for what may follow."""
        ...

    def settled(self, conn: int) -> bool:
        """Whether the writer has answered for every fragment of the connection."""
        ...

    def lost(self, conn: int) -> bool:
        """Whether one of them is not in the journal and never will be."""
        ...

    def advance(self) -> None:
        """Moves the published edge."""
        ...

    def alert(self, code: str, detail: str) -> None:
        """Tells the operator."""
        ...


class Answers(Protocol):
    """What the router tells the pump."""

    def accept(self, conn: int, budget: Budget | None) -> None:
        """Lets the request or publish go on; what its open fragments hold counts against the budget."""
        ...

    def give(self, conn: int) -> None:
        """Gives away a connection that waits for a decision: Given follows."""
        ...

    def bind(self, conn: int, clock: int) -> None:
        """Puts a connection on a source clock."""
        ...

    def respond(self, conn: int, status: int, content_type: str, body: bytes, headers: list[tuple[str, str]], close: bool) -> None:
        """Answers an HTTP request."""
        ...

    def close(self, conn: int) -> None:
        """Closes a connection in good order."""
        ...

    def refuse(self, conn: int, code: str, description: str) -> None:
        """Answers an RTMP publish with an error."""
        ...


class Elsewhere(Protocol):
    """Where connections go whose channel another process has."""

    def has(self, channel: str) -> bool:
        """Whether a channel is there.

        Raises:
            PackagerError: it is, and can't be reached now (503).
        """
        ...

    def send(self, given: Given, channel: str, peer: str) -> None:
        """Sends a connection there; `peer` is the address at its other end."""
        ...


class Log(Protocol):
    """A structured logger."""

    def info(self, event: str, **values: object) -> None:
        """Logs what happened."""
        ...

    def warning(self, event: str, **values: object) -> None:
        """Logs what is wrong."""
        ...

    def exception(self, event: str, **values: object) -> None:
        """Logs the exception at hand with its traceback: a fault of ours."""
        ...
