"""What an origin answers, and the narrow interface by which the judge asks.

In: requests. Out: answers with all that rules may look at. Never: a verdict; and no sockets here, so that everything behind this
interface is proved on recorded and on mutated answers.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class Answer(msgspec.Struct, frozen=True):
    """An answer to one request, or the fault that came instead."""

    url: str
    """The one that was asked for."""
    status: int
    """0: no answer came."""
    headers: tuple[tuple[str, str], ...] = ()
    """Names in lower case, in order."""
    body: bytes = b""
    """Without transfer and content coding."""
    wire: int = 0
    """Bytes of the body as it came, in its content coding."""
    asked: float = 0.0
    """Seconds UTC when the request was sent."""
    answered: float = 0.0
    """Seconds UTC when the last byte was there."""
    final: str = ""
    """The URL behind redirects; empty when there was none."""
    fault: str = ""
    """Why no answer came."""

    def header(self, name: str) -> str | None:
        """A header's value; several of one name are joined by commas (RFC 9110 5.2)."""
        values = [value for key, value in self.headers if key == name.lower()]
        return ", ".join(values) if values else None

    @property
    def base(self) -> str:
        """What relative references in the body are relative to (RFC 3986 5.1.3)."""
        return self.final or self.url


class Origin(Protocol):
    """Who is asked. Time passes by `trio.sleep`; a test runs it on a mock clock."""

    async def ask(self, url: str, *, method: str = "GET", headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        """Asks once. Faults of transport are answers of status 0, never exceptions."""
        ...

    def utc(self) -> float:
        """Seconds since 1970, by the clock that the answers are stamped with."""
        ...
