"""An origin without sockets: recorded answers, mutated or not, on trio's clock (run it on a mock clock).

In: answers of URLs at instants. Out: an `Origin` for the judge. `Recorder` makes the recording from a real origin.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
import trio

from pypackager.check.origin import Answer, Origin
from tests.helpers.good_server import Quirk, answer_well

EPOCH = 1_700_000_000.0
"""What the clock of a recording says when it begins."""


@dataclass
class Recording:
    """What an origin answers: for each URL its answers in order, each from an instant on (seconds after the beginning)."""

    answers: dict[str, list[tuple[float, Answer]]] = field(default_factory=dict)
    epoch: float = EPOCH
    quirks: list[Quirk] = field(default_factory=list)
    """What is wrong with its server, one after the other."""

    def add(self, url: str, body: bytes | str, content_type: str = "", *, at: float = 0.0, status: int = 200) -> None:
        """From `at` on, the URL is answered with this."""
        data = body.encode() if isinstance(body, str) else body
        headers = (("content-length", str(len(data))), *((("content-type", content_type),) if content_type else ()))
        self.answers.setdefault(url, []).append((at, Answer(url, status, headers, data, len(data))))
        self.answers[url].sort(key=lambda entry: entry[0])

    def replace(self, url: str, body: bytes | str) -> None:
        """Every answer of a URL has this body."""
        data = body.encode() if isinstance(body, str) else body
        self.answers[url] = [(at, with_body(answer, data)) for at, answer in self.answers[url]]

    def urls(self, end: str) -> list[str]:
        """The URLs that end so, in the order in which they were recorded."""
        return [url for url in self.answers if url.endswith(end)]


class RecordedOrigin:
    """Plays a recording."""

    def __init__(self, recording: Recording) -> None:
        """The recording begins now."""
        self._recording = recording
        self._began = trio.current_time()
        self.asked: list[tuple[str, str]] = []
        """Method and URL of every request."""

    def utc(self) -> float:
        """The recording's clock."""
        return self._recording.epoch + trio.current_time() - self._began

    async def ask(self, url: str, *, method: str = "GET", headers: Iterable[tuple[str, str]] = ()) -> Answer:
        """The newest answer of this instant; 404 for what was not recorded."""
        await trio.lowlevel.checkpoint()
        self.asked.append((method, url))
        now = self.utc()
        known = [answer for at, answer in self._recording.answers.get(url, []) if at <= now - self._recording.epoch]
        answer = known[-1] if known else Answer(url, 404)
        asked = {name.lower(): value for name, value in headers}
        answer = answer_well(answer, method, asked)
        for quirk in self._recording.quirks:
            answer = quirk(method, asked, answer)
        return msgspec.structs.replace(answer, asked=now, answered=now)


class Recorder:
    """Hands requests on to a real origin and keeps what it answers; put it in its place, then take `recording`."""

    def __init__(self, origin: Origin) -> None:
        """The recording begins now."""
        self._origin = origin
        self.recording = Recording(epoch=origin.utc())

    def utc(self) -> float:
        """The real clock."""
        return self._origin.utc()

    async def ask(self, url: str, *, method: str = "GET", headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        """Asks and keeps."""
        answer = await self._origin.ask(url, method=method, headers=headers)
        if method == "GET" and not headers:
            kept = self.recording.answers.setdefault(url, [])
            if not kept or (kept[-1][1].body, kept[-1][1].status) != (answer.body, answer.status):
                kept.append((answer.asked - self.recording.epoch if kept else 0.0, answer))
        return answer


def with_body(answer: Answer, data: bytes) -> Answer:
    """The answer with another body, and its length."""
    headers = tuple((name, str(len(data)) if name == "content-length" else value) for name, value in answer.headers)
    return msgspec.structs.replace(answer, body=data, wire=len(data), headers=headers)
