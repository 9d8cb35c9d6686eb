"""Planned disconnects: one side after the other, each when the one before delivers again; nobody who is well is touched."""

from __future__ import annotations

from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from pypackager.config.schema import Channel, Tuning
from tests.component.test_daemon_life import CAPTURE
from tests.component.test_rest import Api
from tests.helpers.raw import parse_answer

HEAD, _, BODY = CAPTURE.read_bytes().partition(b"\r\n\r\n")
ALL = ["127.0.0.1"]


class Encoders(Api):
    """A daemon with two channels, and what pushes to it."""

    def __init__(self, tmp_path: Path) -> None:
        channels = [Channel(name="ch", ingest_allow=ALL), Channel(name="other", ingest_allow=ALL)]
        super().__init__(tmp_path, channel=channels, tuning=Tuning(ingest_tick="10ms"))

    async def begin(self, path: str, body: bytes = BODY.removesuffix(b"0\r\n\r\n")) -> trio.SocketStream:
        """A POST that goes on; some of it has arrived."""
        stream = await self.connect()
        await stream.send_all(f"POST /{path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + body)
        return stream

    def feeds(self, channel: str = "ch") -> dict[tuple[str, str], bool]:
        """Sides and streams of connections, and whether they delivered."""
        feeds = self.daemon.fleet.channels[channel].feeds.values()
        return {(feed.side, feed.stream): feed.delivered_ns > feed.opened_ns for feed in feeds}

    def tracks(self, side: str) -> set[int]:
        """Numbers of the tracks that a side's connection has brought something of."""
        return {number for feed in self.daemon.fleet.channels["ch"].feeds.values() if feed.side == side for number in feed.ends_ns}

    async def operation(self, name: str) -> Any:
        return await self.fine("GET", f"operations/{name}")


async def answer(stream: trio.SocketStream) -> tuple[int, str]:
    """Status and code of what a connection was told before it was closed."""
    found = parse_answer(b"".join([part async for part in stream]))
    return found.status, msgspec.json.decode(found.body)["code"] if found.body else ""


def path(stream: str, side: str = "", channel: str = "ch") -> str:
    return f"{channel}/{side and side + '/'}ingest.isml/Streams({stream})"


@pytest.mark.parametrize("order", [("primary", "secondary"), ("secondary", "primary")])
async def test_the_other_side_is_drained_when_the_first_delivers_again(order: tuple[str, str], tmp_path: Path) -> None:
    first, second = order
    life = Encoders(tmp_path)
    async with life.running(), AsyncExitStack() as stack:
        one, two, other = [
            await stack.enter_async_context(await life.begin(where))
            for where in (path("v", first), path("v", second), path("v", channel="other"))
        ]
        silent = await stack.enter_async_context(await life.begin(path("cues", first), b""))
        await life.until(lambda: life.feeds() == {(first, "v"): True, (second, "v"): True, (first, "cues"): False})
        # The primary comes first where nobody says otherwise.
        asked = {"channel": "ch"} if first == "primary" else {"channel": "ch", "sides": list(order)}
        told = await life.fine("POST", "drain", asked, 202)
        assert await answer(one) == (503, "DRAINED")
        assert await answer(silent) == (503, "DRAINED"), "who says nothing is closed at once, and not waited for"
        assert (await life.operation(told["id"]))["status"] == "running"
        assert await life.refused("POST", "drain", {"channel": "ch"}) == (409, "OPERATION_PENDING")
        assert await life.refused("POST", "drain", {}) == (409, "OPERATION_PENDING")
        # The other side is left until the first is back, which it is not before it delivers.
        await life.until(lambda: life.feeds() == {(second, "v"): True})
        back = await stack.enter_async_context(await life.begin(path("v", first), b""))
        await life.until(lambda: life.feeds() == {(second, "v"): True, (first, "v"): False})
        await trio.sleep(0.1)
        assert life.feeds() == {(second, "v"): True, (first, "v"): False}
        assert (await life.operation(told["id"]))["status"] == "running"
        await back.send_all(BODY.removesuffix(b"0\r\n\r\n"))
        assert await answer(two) == (503, "DRAINED")
        await stack.enter_async_context(await life.begin(path("v", second)))
        await life.until(lambda: life.feeds() == {(first, "v"): True, (second, "v"): True})
        await wait_for(life, told["id"])
        ended = await life.operation(told["id"])
        sides = [(each["side"], each["closed"], each["missing"]) for each in ended["result"]["sides"]]
        assert sides == [(first, 2, []), (second, 1, [])]
        assert life.feeds("other") == {("primary", "v"): True}, "it was asked for one channel"
        assert "DRAINED" not in life.daemon.fleet.channels["ch"].alarm.alerts
        await back.send_all(b"0\r\n\r\n")
        await other.send_all(b"0\r\n\r\n")


async def test_a_stream_is_back_with_all_of_its_tracks(tmp_path: Path) -> None:
    life = Encoders(tmp_path)
    second = BODY.index(b"moof", BODY.index(b"moof") + 4) - 4
    async with life.running(), AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(await life.begin(where)) for where in (path("v"), path("v", "secondary"))]
        await life.until(lambda: life.tracks("primary") == {1, 2, 3} == life.tracks("secondary"))
        told = await life.fine("POST", "drain", {"channel": "ch"}, 202)
        assert await answer(one) == (503, "DRAINED")
        back = await stack.enter_async_context(await life.begin(path("v"), BODY[:second]))
        await life.until(lambda: len(life.tracks("primary")) == 1)
        assert life.tracks("secondary") == {1, 2, 3}, "the others are still awaited"
        await back.send_all(BODY[second:].removesuffix(b"0\r\n\r\n"))
        assert await answer(two) == (503, "DRAINED")
        await stack.enter_async_context(await life.begin(path("v", "secondary")))
        await wait_for(life, told["id"])


async def test_who_does_not_come_back_is_named_and_holds_up_nobody(tmp_path: Path) -> None:
    life = Encoders(tmp_path)
    async with life.running(), AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(await life.begin(where)) for where in (path("v"), path("a", "secondary"))]
        await life.until(lambda: life.feeds() == {("primary", "v"): True, ("secondary", "a"): True})
        told = await life.fine("POST", "drain", {"sides": ["secondary", "primary"], "wait": "50ms"}, 202)
        assert await answer(two) == (503, "DRAINED")
        assert await answer(one) == (503, "DRAINED")
        await wait_for(life, told["id"])
        sides = (await life.operation(told["id"]))["result"]["sides"]
        found = [(each["channel"], each["side"], each["closed"], each["missing"]) for each in sides if each["channel"] == "ch"]
        assert found == [("ch", "secondary", 1, ["a"]), ("ch", "primary", 1, ["v"])]
        assert life.daemon.fleet.channels["ch"].alarm.alerts["DRAIN_NOT_BACK"].count == 2


async def test_a_side_alone_and_a_connection_between_two_requests(tmp_path: Path) -> None:
    life = Encoders(tmp_path)
    async with life.running(), AsyncExitStack() as stack:
        idle = await stack.enter_async_context(await life.begin(path("v", "secondary"), BODY))
        one = await stack.enter_async_context(await life.begin(path("v")))
        await life.until(lambda: life.feeds() == {("primary", "v"): True})
        told = await life.fine("POST", "drain", {"sides": ["secondary"]}, 202)
        assert (await answer(idle))[0] == 200, "it had its answer, and is closed"
        await wait_for(life, told["id"])
        assert life.feeds() == {("primary", "v"): True}
        await one.send_all(b"0\r\n\r\n")
        wrong: list[dict[str, Any]] = [{"sides": []}, {"sides": ["primary", "primary"]}, {"sides": ["left"]}, {"wait": "soon"}]
        for body in wrong:
            assert await life.refused("POST", "drain", body) == (400, "INVALID"), body
        assert await life.refused("POST", "drain", {"channel": "none"}) == (404, "CHANNEL_UNKNOWN")


async def test_an_end_of_the_daemon_waits_for_no_post(tmp_path: Path) -> None:
    life = Encoders(tmp_path)
    async with AsyncExitStack() as stack:
        async with life.running():
            idle = await stack.enter_async_context(await life.begin(path("cues"), b""))
            sending = await stack.enter_async_context(await life.begin(path("v")))
            await life.until(lambda: life.feeds() == {("primary", "v"): True, ("primary", "cues"): False})
        with trio.fail_after(20):
            for stream in (idle, sending):
                # What it did not read any more is a reset.
                with suppress(trio.BrokenResourceError):
                    assert [part async for part in stream] == []


async def wait_for(life: Encoders, operation: str) -> None:
    """Until an operation has ended."""
    for _ in range(1000):
        found = await life.operation(operation)
        if found["status"] != "running":
            assert found["status"] == "done", found
            return
        await trio.sleep(0.01)
    raise AssertionError("the drain does not end")
