"""A worker whose front process is the test: it opens what it is told to, takes connections, gives back what is not its own, and ends."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import trio
from msgspec.structs import replace

from pypackager.config.schema import Config, Tuning
from pypackager.control.resources import Channel, Locator, Program, StreamingEndpoint
from pypackager.control.settings import EndpointSettings, ProgramSettings
from pypackager.model.errors import PackagerError
from pypackager.runtime.channel import LiveChannel
from pypackager.runtime.workers.link import Link
from pypackager.runtime.workers.shelf import Asked, Shelved
from pypackager.runtime.workers.words import Alerted, Begin, DrainSide, Is, Taken, Wanted, socket_name
from pypackager.runtime.workers.worker import FLUSH_S, LOOK_S, TELL_S, Worker
from tests.component.test_daemon_life import CAPTURE
from tests.helpers.crew_rig import AT, channel

HEAD, _, BODY = CAPTURE.read_bytes().partition(b"\r\n\r\n")
STAMP: dict[str, Any] = {"created": AT, "modified": AT}
CHANNEL = channel("ch", ingest_allow=["127.0.0.1"], fragments_per_segment=1)
PROGRAM = Program(channel="ch", name="show", asset="show", settings=ProgramSettings(), desired="running", **STAMP)
LOCATOR = Locator(path="tv", asset="show", **STAMP)
ENDPOINT = StreamingEndpoint(name="default", settings=EndpointSettings(), desired="running", **STAMP)
EDGE_NS = 2 * 10**9
"""Where the last of the capture's three fragments begins."""
WANTED = Wanted([CHANNEL], [PROGRAM], [LOCATOR], [ENDPOINT], [], frozenset({"far"}), {})


class Front:
    """The front process."""

    def __init__(self, folder: Path, sock: socket.socket, worker: socket.socket) -> None:
        self.folder = folder
        self.link = Link(sock, self._hear, self._answer)
        self.says = Is({}, {})
        self.said = 0
        """How often it has said how its channels are."""
        self.given: list[tuple[Taken, int]] = []
        self.told: list[tuple[str, str, Any]] = []
        self.shelf: list[Shelved] = []
        self.gone: list[str] = []
        self.theirs = Link(worker, self._tell_worker, self._ask_worker)
        config = Config(data_dir=str(folder), tuning=Tuning(workers=2, ingest_tick="10ms"))
        self.worker = Worker(Begin(config, 1, str(folder)), self.theirs)
        self.ended = trio.Event()

    async def work(self) -> None:
        """The worker's life, until it has ended."""
        await self.worker.run()
        self.ended.set()

    def _tell_worker(self, kind: str, body: bytes, fd: int | None) -> None:
        self.worker.hear(kind, body, fd)

    async def _ask_worker(self, kind: str, body: bytes) -> Any:
        return await self.worker.answer(kind, body)

    def _hear(self, kind: str, body: bytes, fd: int | None) -> None:
        if kind == "is":
            self.says, self.said = msgspec.msgpack.decode(body, type=Is), self.said + 1
        elif kind == "take" and fd is not None:
            self.given.append((msgspec.msgpack.decode(body, type=Taken), fd))
        elif kind == "shelf":
            self.shelf.append(msgspec.msgpack.decode(body, type=Shelved))
        elif kind == "told":
            told = msgspec.msgpack.decode(body)
            self.told.append((told["kind"], told["subject"], told["data"]))

    async def _answer(self, kind: str, body: bytes) -> None:
        assert kind == "gone"
        await trio.lowlevel.checkpoint()
        self.gone.append(msgspec.msgpack.decode(body))
        self.link.say("wanted", replace(WANTED, channels=[], programs=[]))

    def take(self, path: str = "ch", stream: str = "x") -> socket.socket:
        """Hands over a connection on which a request was begun; returns its other end."""
        ours, theirs = socket.socketpair()
        head = HEAD.split(b"\r\n", 1)[1]
        opening = f"POST /{path}/ingest.isml/Streams({stream}) HTTP/1.1\r\n".encode() + head + b"\r\n\r\n" + BODY[:1000]
        with theirs:
            self.link.say("take", Taken(path, "127.0.0.1", "http", opening, 0, b""), theirs.fileno())
        return ours

    async def until(self, fine: Callable[[], bool]) -> None:
        """Waits until what the worker says, when it is asked, is so."""
        for _ in range(1500):
            if fine():
                return
            await self.link.ask("look", None, None)
            await trio.sleep(0.01)
        raise AssertionError(f"not in 15 s: {self.says}")

    async def get(self, path: str) -> httpx.Response:
        """A viewer's request, as the front passes it on."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.folder / socket_name(1, "default")))
        async with httpx.AsyncClient(transport=transport, timeout=20) as client:
            return await client.get(f"http://h/{path}", headers={"X-Forwarded-For": "127.0.0.1"})

    async def until_served(self, served: bool) -> None:
        """Waits until somebody answers such requests, or nobody."""
        for _ in range(1500):
            try:
                answers = (await self.get("healthz")).status_code == httpx.codes.OK
            except httpx.TransportError:
                answers = False
            if answers == served:
                return
            await trio.sleep(0.01)
        raise AssertionError(f"not in 15 s: {served}")


@asynccontextmanager
async def worker_of(folder: Path, wanted: Wanted = WANTED) -> AsyncIterator[Front]:
    """A worker that has begun and was told what it is to be; killed at the end if it has not ended."""
    front = Front(folder, *socket.socketpair())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(front.link.run)
        nursery.start_soon(front.theirs.run)
        nursery.start_soon(front.work)
        await front.worker.started.wait()
        front.link.say("wanted", wanted)
        await front.link.ask("bring", "ch", None)
        yield front
        front.link.say("end", None)
        with trio.fail_after(10):
            await front.ended.wait()
        nursery.cancel_scope.cancel()
    for _, fd in front.given:
        os.close(fd)


async def push(sock: socket.socket) -> bytes:
    """Sends the rest of the body and reads the answer."""
    sock.setblocking(False)
    async with trio.SocketStream(trio.socket.from_stdlib_socket(sock)) as stream:
        await stream.send_all(BODY[1000:])
        return bytes(await stream.receive_some(65536))


async def test_what_is_handed_over_is_recorded_published_and_said(tmp_path: Path) -> None:
    async with worker_of(tmp_path) as front:
        assert (front.says.channels["ch"].state, front.says.channels["ch"].recording) == ("Running", ["show"])
        assert (await push(front.take())).startswith(b"HTTP/1.1 200")
        await front.until(lambda: front.says.channels["ch"].depth_ns > EDGE_NS)
        assert len(front.says.channels["ch"].tracks) == 3
        assert ("publish", "channels/ch", "begun") in [(kind, subject, data.get("change")) for kind, subject, data in front.told]
        assert front.shelf == [], "of what nobody watches nothing is put ahead"
        # Its application has what it recorded, and nothing of others.
        playlist = f"tv/show.ism/hls/{front.says.channels['ch'].tracks[0].id}.m3u8"
        # Of the other tracks the last fragment may be listed before.
        for _ in range(1500):
            if (await front.get(playlist)).text.count("#EXTINF") == 3:
                break
            await trio.sleep(0.01)
        answer = await front.get(playlist)
        assert (answer.status_code, answer.text.count("#EXTINF")) == (200, 3)
        assert (await front.get("preview/ch.isml/manifest.mpd")).status_code == 200
        assert (await front.get("other/show.ism/manifest")).status_code == 404
        await front.until(lambda: {told.what for told in front.shelf} >= {"guard", "add"})
        front.link.say("asked", Asked("default", "/tv/show.ism", [f"/{playlist}"]))
        front.link.say("asked", Asked("nobody's", "/tv/show.ism", []))
        families = await front.link.ask("metrics", None, list[Any])
        assert any("pypackager_ingest_bytes" in str(family) for family in families)
        await front.until(lambda: any(used.amount.bytes_in for used in front.says.used) or bool(front.says.viewers))


async def test_it_says_how_channels_are_when_that_changes_or_somebody_asks(tmp_path: Path) -> None:
    async with worker_of(tmp_path) as front:
        # What it told of at its beginning is said.
        await trio.sleep(2 * TELL_S)
        before = front.said
        await trio.sleep(2.5 * LOOK_S)
        assert front.said == before, "nothing has changed, and nobody asked"
        await front.link.ask("look", None, None)
        assert front.said == before + 1
        # Nobody tells of this: a program that could not begin.
        front.worker.works.fleet.channels["ch"].programs.failed["show"] = "as a test says"
        for _ in range(1000):
            if front.said > before + 1:
                break
            await trio.sleep(0.01)
        assert front.says.channels["ch"].trouble == {"show": "as a test says"}
        assert front.said == before + 2


async def test_what_a_channel_sends_while_it_is_opened_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was killed has fragments to publish: its edge would wait for ever for the answer to the first record of it."""
    opened: list[LiveChannel] = []
    usual = LiveChannel.open

    def slowly(*args: Any) -> LiveChannel:
        made = usual(*args)
        made.alert("DISK_LOW", "as it is opened")
        # The disk is quicker.
        trio.from_thread.run(trio.sleep, 0.1)
        opened.append(made)
        return made

    monkeypatch.setattr(LiveChannel, "open", slowly)
    async with worker_of(tmp_path) as front:
        [made] = opened
        await front.until(lambda: made.store.settled(made.store.newest))
        assert made.store.ledger.events


async def test_a_request_for_a_channel_of_another_worker_goes_back_with_its_socket(tmp_path: Path) -> None:
    async with worker_of(tmp_path) as front:
        sock = front.take("far")
        await front.until(lambda: bool(front.given))
        [(taken, fd)] = front.given
        assert (taken.channel, taken.peer, taken.protocol) == ("far", "127.0.0.1", "http")
        assert taken.opening.startswith(b"POST /far/ingest.isml/Streams(x) HTTP/1.1\r\n")
        os.write(fd, b"it is this one")
        assert sock.recv(100) == b"it is this one"
        sock.close()
        refused = await push(front.take("nobody"))
        assert b"CHANNEL_NOT_FOUND" in refused


async def test_a_deleted_channel_is_removed_and_then_its_resource(tmp_path: Path) -> None:
    async with worker_of(tmp_path) as front:
        stopped = replace(WANTED, channels=[replace(CHANNEL, desired="stopped")], programs=[replace(PROGRAM, desired="stopped")])
        front.link.say("wanted", stopped)
        await front.link.ask("bring", "ch", None)
        await front.until(lambda: front.says.channels["ch"].state == "Stopped")
        gone: Channel = replace(CHANNEL, desired="deleted")
        front.link.say("wanted", replace(WANTED, channels=[gone], programs=[]))
        await front.link.ask("bring", "ch", None)
        assert (front.gone, front.says.channels) == (["ch"], {})
        assert not list((tmp_path / "channels" / "ch").glob("blobs/*"))


async def test_endpoints_are_served_as_long_as_they_are_there(tmp_path: Path) -> None:
    async with worker_of(tmp_path) as front:
        assert (await front.get("healthz")).status_code == 200
        front.link.say("wanted", replace(WANTED, endpoints=[]))
        await front.until_served(False)
        with pytest.raises(httpx.ConnectError):
            await front.get("healthz")
        front.link.say("wanted", WANTED)
        await front.until_served(True)


async def test_what_the_front_process_finds_is_done_by_who_has_the_channel(tmp_path: Path) -> None:
    async with worker_of(tmp_path) as front:
        assert await front.link.ask("trim", Alerted("ch", "DISK_LOW", "as a test says"), bool) is False, "there is nothing to give"
        assert await front.link.ask("trim", Alerted("nobody", "DISK_LOW", ""), bool) is False
        front.link.say("alert", Alerted("ch", "DISK_LOW", "more"))
        await front.until(lambda: [(alert.code, alert.count) for alert in front.says.channels["ch"].alerts] == [("DISK_LOW", 2)])
        assert await front.link.ask("drain", DrainSide("nobody", "primary", 10**9), Any) is None
        with pytest.raises(PackagerError, match="INTERNAL"):
            await front.link.ask("dance", None)


async def test_at_the_end_what_is_under_way_is_answered_and_what_comes_is_closed(tmp_path: Path) -> None:
    async with worker_of(tmp_path) as front:
        sock = front.take()
        assert (await push(sock)).startswith(b"HTTP/1.1 200")
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (a count)
        front.link.say("end", None)
        late = front.take()
        front.link.say("wanted", replace(WANTED, channels=[]))
        with trio.fail_after(5):
            await front.ended.wait()
        late.settimeout(2)
        assert late.recv(10) == b"", "closed"
        late.close()
        assert len(os.listdir("/proc/self/fd")) < before  # noqa: PTH208 (a count)
        # A lock that is given back can be taken.
        async with worker_of(tmp_path) as again:
            assert (again.says.failed, again.says.channels["ch"].depth_ns >= EDGE_NS) == ({}, True)


async def test_a_front_process_that_reads_nothing_does_not_keep_it_from_ending(tmp_path: Path) -> None:
    front = Front(tmp_path, *socket.socketpair())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(front.theirs.run)
        nursery.start_soon(front.work)
        await front.worker.started.wait()
        for _ in range(40):
            front.theirs.say("told", "x" * 100_000)
        front.worker.hear("end", msgspec.msgpack.encode(None), None)
        began = trio.current_time()
        with trio.fail_after(FLUSH_S + 5):
            await front.ended.wait()
        assert trio.current_time() - began >= FLUSH_S
        nursery.cancel_scope.cancel()
    front.link._sock.close()
