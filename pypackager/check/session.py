"""One check of one presentation: asks the origin, notes every exchange, and hands answers to walkers.

In: URLs, and what each is for. Out: answers, and the list of exchanges that the rules on HTTP and liveness judge at the end.
Never: bodies in the notes; what a body was is its size and hash.
"""

from __future__ import annotations

import zlib
from typing import Literal

import msgspec
import trio

from pypackager.check.finding import Report, Scope
from pypackager.check.origin import Answer, Origin
from pypackager.check.rules import rule

Role = Literal["manifest", "playlist", "bootstrap", "init", "segment", "clock", "other"]
"""manifest: what the user gave. playlist, bootstrap: manifests below it. The first three change while a presentation is live."""

STATUS = rule(
    "HTTP-STATUS",
    "error",
    "RFC 9110 15.3.1",
    "everything that a manifest lists is answered with 200 (206 for a range)",
    example="a listed segment is answered with 404",
)

_PARALLEL = 4


class Settings(msgspec.Struct, frozen=True):
    """What the user wants."""

    seconds: float = 0.0
    """How long a live presentation is watched; 0 is one look."""
    depth: Literal["quick", "full"] = "full"
    """quick: of each track the first and the last few segments; full: all."""
    most_segments: int = 2000
    """Of each track, so that the memory for their samples is bounded; the newest are taken."""


class Exchange(msgspec.Struct, frozen=True):
    """A request and its answer, without the body."""

    role: Role
    track: str
    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    size: int
    crc: int
    """CRC-32 of the body."""
    wire: int
    asked: float
    answered: float
    byte_range: tuple[int, int] | None
    """First byte and length that were asked for."""

    def header(self, name: str) -> str | None:
        """A header's value, as `Answer.header`."""
        return Answer(self.url, self.status, self.headers).header(name)


class Session:
    """What a walker needs."""

    def __init__(self, origin: Origin, report: Report, settings: Settings, label: str) -> None:
        self.origin = origin
        self.settings = settings
        self.label = label
        self.scope: Scope = report.scope(presentation=label)
        self.exchanges: list[Exchange] = []
        self.progress = Progress()
        self._turns = trio.CapacityLimiter(_PARALLEL)

    async def get(
        self, url: str, role: Role, *, track: str = "", segment: str = "", byte_range: tuple[int, int] | None = None
    ) -> Answer | None:
        """Asks for what is listed; None, and a finding, when it is not there."""
        headers: tuple[tuple[str, str], ...] = ()
        if byte_range is not None:
            first, length = byte_range
            headers = (("range", f"bytes={first}-{first + length - 1}"),)
        async with self._turns:
            answer = await self.origin.ask(url, headers=headers)
        self.note(answer, role, track=track, byte_range=byte_range)
        wanted = 200 if byte_range is None else 206
        if answer.status != wanted:
            found = str(answer.status) if answer.status else answer.fault
            self.scope.at(track=track, url=url, segment=segment).breach(STATUS, found, wanted)
            return None
        return answer

    def note(self, answer: Answer, role: Role, *, track: str = "", byte_range: tuple[int, int] | None = None) -> None:
        """Keeps an exchange for the rules on HTTP."""
        self.progress.requests += 1
        self.progress.bytes += len(answer.body)
        self.exchanges.append(
            Exchange(
                role, track, answer.url, answer.status, answer.headers, len(answer.body), zlib.crc32(answer.body), answer.wire,
                answer.asked, answer.answered, byte_range,
            )
        )  # fmt: skip


class Progress:
    """What the person who waits is shown."""

    def __init__(self) -> None:
        self.requests = 0
        self.bytes = 0
        self.segments = 0
        self.doing = ""
