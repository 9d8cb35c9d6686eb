"""Connections that come to one router and go on with another: each has a pump of its own, as two processes have."""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pypackager import _core
from pypackager.ingest.credentials import Gate
from pypackager.ingest.ports import Elsewhere
from pypackager.ingest.router import Router
from pypackager.model.errors import PackagerError

CAPTURES = Path(__file__).parents[2] / "rust" / "core" / "tests" / "data"
QUIET = cast(Any, SimpleNamespace(**dict.fromkeys(("info", "warning", "exception"), lambda *_, **__: None)))


class Channel:
    """A channel that takes everything, and remembers it."""

    running = True
    budget = _core.Budget(1 << 24)

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        self.users: dict[str, str] = {}
        self.heard: list[str] = []
        self.admitted: list[str] = []

    def admits(self, address: str) -> bool:
        self.admitted.append(address)
        return True

    def place(self, conn: int, time: int, timescale: int) -> int:
        return 1

    def settled(self, conn: int) -> bool:
        return True

    def lost(self, conn: int) -> bool:
        return False

    def unlocks(self, key: str) -> bool:
        return True

    def chunk(self, conn: int, chunk: _core.Chunk) -> None:
        self.heard.append(f"{chunk.track} {chunk.time}")

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: self.heard.append(name)


class Side:
    """A process: its pump, its router, the channels that it has, and the way to another."""

    def __init__(self, channels: dict[str, Channel]) -> None:
        self.pump = _core.Pump(tick_ms=5, ask_connect=True, keep_openings=True)
        self.channels = channels
        self.other: Side | None = None
        self.down = False
        self.refused: list[str] = []
        self.clients: list[socket.socket] = []
        way = cast(Elsewhere, self)
        gate = Gate(lambda: 0)
        channels_seen = cast(Any, channels)
        self.router = Router(self.pump, channels_seen, QUIET, self.refused.append, {}, gate, lambda host: None, elsewhere=way)

    def has(self, channel: str) -> bool:
        there = self.other is not None and channel in self.other.channels
        if there and self.down:
            raise PackagerError("WORKER_DOWN", "it comes back", status=503)
        return there

    def send(self, given: _core.Given, channel: str, peer: str) -> None:
        assert self.other is not None
        assert channel in self.other.channels
        conn = self.other.pump.adopt(os.dup(given.fileno()), given.protocol, given.opening, given.decided, given.unsent)
        self.other.router.admitted(conn, peer, given.protocol)

    def accept(self, protocol: str) -> socket.socket:
        client, server = socket.socketpair()
        client.settimeout(10)
        self.clients.append(client)
        self.router.admitted(self.pump.add(server.detach(), "rtmp" if protocol == "rtmp" else "http"), "192.0.2.7", protocol)
        return client


@pytest.fixture
def sides() -> Iterator[tuple[Side, Side]]:
    """A front without channels, and a worker with two."""
    front, worker = Side({}), Side({"news": Channel("rtmp"), "live": Channel("fmp4")})
    front.other, worker.other = worker, front
    yield front, worker
    for side in (front, worker):
        side.pump.stop()
        for client in side.clients:
            client.close()


def run(sides: tuple[Side, Side], until: Callable[[], bool]) -> None:
    """Both routers at work."""
    deadline = time.monotonic() + 20
    while not until():
        assert time.monotonic() < deadline
        ready, _, _ = select.select([side.pump.fileno() for side in sides], [], [], 0.2)
        for side in sides:
            if side.pump.fileno() in ready:
                side.router.handle(side.pump.events())


def post(channel: str) -> bytes:
    capture = (CAPTURES / "ffmpeg-9.0-ismv.http").read_bytes()
    head, _, body = capture.partition(b"\r\n\r\n")
    fields = head.partition(b"\r\n")[2].replace(b"Connection: close", b"Connection: keep-alive")
    return b"POST /%s/ingest.isml/Streams(v) HTTP/1.1\r\n%s\r\n\r\n%s" % (channel.encode(), fields, body)


def test_a_publish_is_taken_by_the_process_that_has_its_channel(sides: tuple[Side, Side]) -> None:
    front, worker = sides
    client = front.accept("rtmp")
    client.sendall((CAPTURES / "rtmp_gstreamer.bin").read_bytes())
    client.shutdown(socket.SHUT_WR)
    news = worker.channels["news"]
    run(sides, lambda: "close_feed" in news.heard and not worker.router.connections)
    assert not front.router.connections
    assert news.admitted == ["192.0.2.7"] * len(news.admitted) != []
    chunks = [each for each in news.heard if each[0].isdigit()]
    assert {each.split()[0] for each in chunks} == {"1", "2"}
    answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.count(b"NetConnection.Connect.Success") == answer.count(b"Publishing.") == 1


def test_a_body_is_taken_there_and_answered_once(sides: tuple[Side, Side]) -> None:
    front, worker = sides
    client = front.accept("http")
    client.sendall(post("live"))
    live = worker.channels["live"]
    run(sides, lambda: "complete" in live.heard and not any(each.ending for each in worker.router.connections.values()))
    assert sum(each[0].isdigit() for each in live.heard) >= 9
    # The next request on the same connection is of no channel: it is the worker that says so.
    client.sendall(post("nobody"))
    run(sides, lambda: worker.refused == ["CHANNEL_NOT_FOUND"])
    assert front.refused == []
    answer = client.recv(65536)
    while b"CHANNEL_NOT_FOUND" not in answer:
        answer += client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.count(b"HTTP/1.1 ") == 2


def test_a_connection_goes_on_to_a_third_process_with_its_next_request(sides: tuple[Side, Side]) -> None:
    front, worker = sides
    front.channels["other"] = Channel("fmp4")
    client = front.accept("http")
    client.sendall(post("live"))
    run(sides, lambda: "complete" in worker.channels["live"].heard)
    client.sendall(post("other"))
    run(sides, lambda: "complete" in front.channels["other"].heard)
    assert len(front.router.connections) == 1
    assert not worker.router.connections


def test_a_process_that_is_away_is_come_back_to(sides: tuple[Side, Side]) -> None:
    front, _ = sides
    front.down = True
    encoder, publisher = front.accept("http"), front.accept("rtmp")
    encoder.sendall(post("live"))
    publisher.sendall((CAPTURES / "rtmp_gstreamer.bin").read_bytes())
    run(sides, lambda: front.refused == ["WORKER_DOWN"] * 2 and not front.router.connections)
    answer = encoder.recv(65536)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 2" in answer
    assert b"WORKER_DOWN" in b"".join(iter(lambda: publisher.recv(65536), b""))
