"""Back-pressure: when the disk takes less than the feeds bring, encoders are read more slowly instead of memory filling up."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

HIGH_BYTES = 64 * 2**20
"""Queued for the disk: from here on nothing more is read. Two seconds of ten full channels."""
LOW_BYTES = 16 * 2**20
"""Reading goes on below this."""


class Holding(Protocol):
    """The pump, as back-pressure sees it."""

    def hold(self, conn: int, held: bool) -> None:
        """Stops or resumes reading a connection."""
        ...


class Waiting(Protocol):
    """A channel, as back-pressure sees it."""

    @property
    def unwritten_bytes(self) -> int:
        """What it keeps from the writer: this grows, and the writer's queue does not, as long as its files turn over."""
        ...

    def alert(self, code: str, detail: str) -> None:
        """Tells the operator."""
        ...

    def clear(self, code: str) -> None:
        """Tells that it is over."""
        ...


class Pressure:
    """Holds the connections while the writer is behind."""

    def __init__(self, pump: Holding) -> None:
        self._pump = pump
        self._held: set[int] = set()
        self.engaged = False

    def check(self, written: int, connections: Iterable[int], channels: Collection[Waiting]) -> None:
        """Engages or releases by the bytes that wait for the disk, at the writer or before it; new connections are held as well."""
        queued = written + sum(channel.unwritten_bytes for channel in channels)
        if not self.engaged and queued > HIGH_BYTES:
            self.engaged = True
            for channel in channels:
                channel.alert("DISK_SLOW", f"{queued} bytes wait for the disk; encoders are read more slowly")
        elif self.engaged and queued < LOW_BYTES:
            self.engaged = False
            for channel in channels:
                channel.clear("DISK_SLOW")
            for conn in self._held:
                self._pump.hold(conn, False)
            self._held.clear()
        if self.engaged:
            current = set(connections)
            for conn in current - self._held:
                self._pump.hold(conn, True)
            self._held = current
