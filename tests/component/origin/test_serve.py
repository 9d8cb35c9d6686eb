"""The origin on real sockets: what Hypercorn does with one shared body, with viewers that stop reading, and at the end."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio

from pypackager.model.errors import PackagerError
from pypackager.origin.app import App
from pypackager.origin.serve import open_listeners, serve_origin
from tests.component.origin.fakes import SEGMENT, World

GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
BIG = bytes(64 * 2**20)
"""More than the kernel buffers on both sides of a loopback connection."""


async def big(scope: Any, receive: Any, send: Any) -> None:
    """An application that sends more than a viewer who does not read can be given."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(BIG)).encode())]})
    await send({"type": "http.response.body", "body": BIG})


class Server:
    """A served application, and the connections to it."""

    def __init__(self, port: int, opened: list[trio.SocketStream]) -> None:
        self.port = port
        self._opened = opened

    async def connect(self) -> trio.SocketStream:
        """A new connection, closed after the test."""
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        self._opened.append(stream)
        return stream


@asynccontextmanager
async def connections() -> AsyncIterator[list[trio.SocketStream]]:
    opened: list[trio.SocketStream] = []
    try:
        yield opened
    finally:
        for stream in opened:
            await trio.aclose_forcefully(stream)


@asynccontextmanager
async def served(app: App, world: World, **options: Any) -> AsyncIterator[Server]:
    """The application on a port of its own; the connections stay open while it ends."""
    async with connections() as opened, trio.open_nursery() as nursery:
        (address,) = await nursery.start(partial(serve_origin, app, ["127.0.0.1:0"], log=world.notes, **options))
        yield Server(int(address.rpartition(":")[2]), opened)
        nursery.cancel_scope.cancel()


async def read_reply(stream: trio.SocketStream) -> tuple[int, dict[str, str], bytes]:
    received = b""
    while b"\r\n\r\n" not in received:
        more = await stream.receive_some()
        assert more, "closed inside the head"
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        more = await stream.receive_some()
        assert more, "closed inside the body"
        body += more
    return int(status.split()[1]), headers, body


async def test_keep_alive_and_headers() -> None:
    world = World()
    async with served(world.app, world) as server:
        stream = await server.connect()
        for _ in range(3):
            await stream.send_all(GET % b"/show/show.ism/v/1.m4s")
            status, headers, body = await read_reply(stream)
            assert (status, body[: len(SEGMENT)]) == (200, SEGMENT)
            assert headers["server"] == "pypackager"
            assert headers["date"].endswith("GMT")
        await stream.send_all(b"HEAD /time HTTP/1.1\r\nHost: x\r\n\r\n" + GET % b"/show/show.ism/time")
        head = b""
        while head.count(b"\r\n\r\n") < 1:
            head += await stream.receive_some()
        assert b"date: " in head.lower()
        assert f"content-length: {len('2023-11-14T22:13:20.123Z')}".encode() in head


async def test_garbage_ends_its_own_connection_only() -> None:
    world = World()
    async with served(world.app, world) as server:
        for garbage in (
            b"\x16\x03\x01\x02\x00",
            b"GET\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxx",
        ):
            stream = await server.connect()
            await stream.send_all(garbage)
            await stream.send_eof()
            with trio.fail_after(5):
                try:
                    while await stream.receive_some():
                        pass
                except trio.BrokenResourceError:
                    pass
        stream = await server.connect()
        await stream.send_all(GET % b"/healthz")
        assert (await read_reply(stream))[0] == 200


async def test_a_viewer_that_stops_reading_does_not_hold_up_the_end() -> None:
    world = World()
    async with served(big, world, graceful_s=0.2) as server:
        stream = await server.connect()
        await stream.send_all(GET % b"/")
        await stream.receive_some(1)
        await trio.sleep(0.1)
        begun = trio.current_time()
    assert trio.current_time() - begun < 2


async def test_answers_under_way_are_finished_and_idle_connections_end_at_once() -> None:
    world = World()
    received: list[int] = []
    async with connections() as mine, trio.open_nursery() as viewers:
        async with served(big, world, graceful_s=10) as server:
            idle, busy = [await trio.open_tcp_stream("127.0.0.1", server.port) for _ in range(2)]
            mine += [idle, busy]
            await busy.send_all(GET % b"/")
            await busy.receive_some(1)

            async def read_slowly() -> None:
                await trio.sleep(0.2)
                received.append(await _drain(busy))

            viewers.start_soon(read_slowly)
            begun = trio.current_time()
        assert trio.current_time() - begun < 5
        with trio.fail_after(5):
            assert await idle.receive_some() == b""
    assert received[0] > len(BIG)


async def _drain(stream: trio.SocketStream) -> int:
    total = 1
    while data := await stream.receive_some(2**20):
        total += len(data)
    return total


async def test_a_viewer_that_takes_nothing_is_cut_off() -> None:
    world = World()
    async with served(big, world, stall_s=0.2, max_connections=1) as server:
        stuck = await server.connect()
        await stuck.send_all(GET % b"/")
        await stuck.receive_some(1)
        # The only place is free again once the first viewer is gone.
        second = await server.connect()
        await second.send_all(GET % b"/")
        with trio.fail_after(5):
            assert await second.receive_some(1) == b"H"
        with trio.fail_after(5):
            total = 0
            try:
                while data := await stuck.receive_some(2**20):
                    total += len(data)
            except trio.BrokenResourceError:
                pass
        assert total < len(BIG)


async def test_connections_that_never_ask_are_closed() -> None:
    world = World()
    async with served(world.app, world, keep_alive_s=0.2) as server:
        silent = await server.connect()
        halfway = await server.connect()
        await halfway.send_all(b"GET /healthz HTT")
        with trio.fail_after(5):
            assert await silent.receive_some() == b""
            assert await halfway.receive_some() == b""


async def test_a_websocket_is_refused() -> None:
    world = World()
    async with served(world.app, world) as server:
        stream = await server.connect()
        await stream.send_all(
            b"GET /time HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        with trio.fail_after(5):
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 403")


def test_addresses() -> None:
    first, second = open_listeners(["127.0.0.1:0", "[::1]:0"])
    with first, second:
        assert first.getsockname()[1] > 0
        assert second.family == socket.AF_INET6
        with pytest.raises(PackagerError) as taken:
            open_listeners(["127.0.0.1:0", f"127.0.0.1:{first.getsockname()[1]}"])
    assert (taken.value.code, taken.value.fault) == ("BIND_FAILED", "operator")


@pytest.mark.parametrize("bind", ["", "8080", "localhost", "127.0.0.1:x", "127.0.0.1:70000", "127.0.0.1:-1"])
def test_addresses_that_are_none(bind: str) -> None:
    with pytest.raises(PackagerError) as error:
        open_listeners([bind])
    assert error.value.code == "BIND_MALFORMED"
