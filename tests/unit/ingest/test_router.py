"""The router: a fault of one connection is that connection's alone."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import pytest

from pypackager import _core
from pypackager.ingest import router as routing
from pypackager.ingest.credentials import Gate
from pypackager.ingest.router import Router
from pypackager.model.errors import PackagerError


class FakeRequest:
    """What the pump gives for a request head."""

    def __init__(self, conn: int, target: str) -> None:
        self.conn, self.method, self.target = conn, "POST", target
        self.headers: list[tuple[str, str]] = []


class FakeReady:
    """What the pump gives for a chunk."""

    def __init__(self, conn: int, chunk: object) -> None:
        self.conn, self.chunk = conn, chunk


class FakePump:
    """Keeps the answers."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, int, bytes]] = []

    def accept(self, conn: int, budget: object) -> None:
        """Nothing to keep."""

    def respond(self, conn: int, status: int, content_type: str, body: bytes, headers: list[tuple[str, str]], close: bool) -> None:
        self.answers.append((conn, status, body))


class FakeChannel:
    """Takes every chunk, and raises those that are exceptions."""

    protocol, running, budget = "fmp4", True, None
    users: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self.chunks: list[tuple[int, object]] = []
        self.alerts: list[str] = []

    def admits(self, address: str) -> bool:
        return True

    def unlocks(self, key: str) -> bool:
        return True

    def open_feed(self, conn: int, side: str, stream: str) -> None:
        """Nothing to keep."""

    def close_feed(self, conn: int) -> None:
        """Nothing to keep."""

    def chunk(self, conn: int, chunk: object) -> None:
        if isinstance(chunk, Exception):
            raise chunk
        self.chunks.append((conn, chunk))

    def advance(self) -> None:
        """Nothing to keep."""

    def alert(self, code: str, detail: str) -> None:
        self.alerts.append(code)


class Log:
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **values: object) -> None:
        self.lines.append((event, values))

    warning = info
    exception = info


def core_error(code: str) -> Exception:
    """An error as the native core raises it."""
    error = _core.CoreError(f"{code}: x")
    error.code, error.status, error.detail = code, 400, "x"
    return error


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (PackagerError("HEADER_MISMATCH", "x"), 400, "HEADER_MISMATCH"),
        (core_error("TIME_NEGATIVE"), 400, "TIME_NEGATIVE"),
        (OverflowError("int too big"), 500, "INTERNAL"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_chunk_that_cannot_be_taken_ends_its_connection_only(
    fault: Exception, status: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routing, "Request", FakeRequest)
    monkeypatch.setattr(routing, "ChunkReady", FakeReady)
    pump, channel, log = FakePump(), FakeChannel(), Log()
    router = Router(cast(Any, pump), cast(Any, {"news": channel}), log, lambda _: None, {}, Gate(lambda: 0), lambda _: None)
    for conn in (1, 2):
        router.admitted(conn, "127.0.0.1", "http")
        router.handle(cast(Any, [FakeRequest(conn, "/news/ingest.isml/Streams(v)")]))
    router.handle(cast(Any, [FakeReady(1, fault), FakeReady(1, "after"), FakeReady(2, "fine")]))
    assert channel.chunks == [(2, "fine")]
    assert [(conn, answered) for conn, answered, _ in pump.answers] == [(1, status)]
    assert code.encode() in pump.answers[0][2]
    assert channel.alerts == [code]
    refused = next(values for event, values in log.lines if event == "refused")
    assert (refused["conn"], refused["code"], refused["channel"], refused["stream"]) == (1, code, "news", "v")
