"""Listeners: who is not in any list gets no byte in; a failing accept does not end the listening."""

from __future__ import annotations

import socket
from typing import Any, Self, cast

import trio
import trio.testing
from trio.testing import MockClock

from pypackager._core import IngestTls
from pypackager.ingest.listeners import IngestProtocol, open_listener, serve_listener


class Taker:
    """Keeps the sockets that it is given."""

    def __init__(self) -> None:
        self.taken: list[socket.socket] = []
        self.given = trio.Event()

    def add(self, fd: int, protocol: IngestProtocol, tls: IngestTls | None = None) -> int:
        self.taken.append(socket.socket(fileno=fd))
        self.given.set()
        return len(self.taken)


async def serve(protocol: IngestProtocol, *, allow: bool) -> tuple[list[tuple[int, str, str]], bytes | None]:
    """What one connection led to: who was admitted, and what the peer read if the socket was closed."""
    taker, admitted = Taker(), []
    listener = open_listener("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_listener, listener, protocol, taker, lambda _: allow, lambda *what: admitted.append(what))
        stream = await trio.open_tcp_stream("127.0.0.1", listener.getsockname()[1])
        read: bytes | None = None

        async def receive(scope: trio.CancelScope) -> None:
            nonlocal read
            read = bytes(await stream.receive_some(1))
            scope.cancel()

        # Until one of the two has come; who was handed over is neither told anything nor closed by the listener.
        with trio.fail_after(20), trio.CancelScope() as scope:
            async with trio.open_nursery() as either:
                either.start_soon(receive, scope)
                await taker.given.wait()
                await trio.testing.wait_all_tasks_blocked(0.01)
                scope.cancel()
        await stream.aclose()
        nursery.cancel_scope.cancel()
    for taken in taker.taken:
        taken.close()
    return admitted, read


def test_an_rtmp_peer_in_no_list_is_dropped_before_it_speaks() -> None:
    assert trio.run(lambda: serve("rtmp", allow=False)) == ([], b"")


def test_a_listed_rtmp_peer_is_handed_over() -> None:
    assert trio.run(lambda: serve("rtmp", allow=True)) == ([(1, "127.0.0.1", "rtmp")], None)


def test_an_http_peer_is_handed_over_to_be_told_why_not() -> None:
    assert trio.run(lambda: serve("http", allow=False)) == ([(1, "127.0.0.1", "http")], None)


def test_a_failing_accept_is_not_the_end() -> None:
    class Failing:
        calls = 0

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            """Nothing to close."""

        async def accept(self) -> Any:
            self.calls += 1
            await trio.lowlevel.checkpoint()
            raise OSError(24, "too many open files")

    async def run() -> int:
        failing = Failing()
        with trio.move_on_after(0.35):
            await serve_listener(cast(Any, failing), "rtmp", Taker(), lambda _: True, lambda *_: None)
        return failing.calls

    # At once, and after each pause of 0.1 s.
    assert trio.run(run, clock=MockClock(autojump_threshold=0)) == 4
