"""The life of the daemon inside the test's own loop: start, an encoder's bytes, what viewers and operators get, reload, end."""

from __future__ import annotations

import fcntl
import json
import os
import signal
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

from pypackager.config.schema import Channel, Config, Listen, Program, StreamingEndpoint
from pypackager.control.resources import Locator
from pypackager.model.errors import PackagerError
from pypackager.runtime import fleet
from pypackager.runtime.daemon import Daemon
from tests.helpers.daemon import WORKERS

CAPTURE = Path(__file__).parents[2] / "rust" / "core" / "tests" / "data" / "ffmpeg-9.0-ismv.http"
LOOPBACK = ["127.0.0.1:0"]
CHANNEL = Channel(name="ch", ingest_allow=["127.0.0.1"], program=[Program(name="show", locator="show"), Program(name="quiet")])


class Life:
    """A daemon that runs, and a client."""

    def __init__(self, tmp_path: Path, **changes: Any) -> None:
        listen = Listen(rtmp=LOOPBACK, ingest=LOOPBACK, control=LOOPBACK, origin=LOOPBACK)
        endpoint = StreamingEndpoint(state="running")
        self.config = Config(data_dir=str(tmp_path / "data"), listen=listen, channel=[CHANNEL], streaming_endpoint=[endpoint])
        self.config = msgspec.structs.replace(self.config, **changes)
        if WORKERS and self.config.tuning.workers == 1:
            self.config = replace(self.config, tuning=replace(self.config.tuning, workers=int(WORKERS)))
        self.fresh: Config | PackagerError = self.config
        """What the file says when it is read again."""
        self.reloads = 0
        self.daemon = Daemon(self.config, reload=self._reload)

    def _reload(self) -> Config:
        self.reloads += 1
        if isinstance(self.fresh, PackagerError):
            raise self.fresh
        return self.fresh

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery, httpx.AsyncClient(trust_env=False, timeout=20) as self.client:
            # Workers load what they are made of, which takes a loaded machine its time.
            with trio.fail_after(60):
                await nursery.start(self.daemon.run)
                yield
                nursery.cancel_scope.cancel()
        assert self.daemon.stopped.is_set()

    async def ask(self, kind: str, path: str, method: str = "GET") -> httpx.Response:
        return await self.client.request(method, f"http://{self.daemon.addresses[kind][0]}/{path}")

    async def push(self) -> bytes:
        """Sends the capture and reads the answer; what is stored by then is listed a moment later, which is waited for."""
        async with await self.connect() as stream:
            await stream.send_all(CAPTURE.read_bytes())
            answer = b"".join([part async for part in stream])
        if answer.startswith(b"HTTP/1.1 200"):
            await (self.until(self.listed) if self.daemon.crew is None else self.listed_there())
        return answer

    async def connect(self) -> trio.SocketStream:
        """A connection to the ingest listener."""
        host, _, port = self.daemon.addresses["ingest"][0].rpartition(":")
        return await trio.open_tcp_stream(host, int(port))

    def listed(self) -> bool:
        """Whether the channel lists all that it got, and the writer has answered for everything."""
        channel = self.daemon.fleet.channels["ch"]
        return channel.store.edge_ns() > 0 and not channel.timeline.behind() and channel.store.settled(channel.store.newest)

    async def listed_there(self) -> None:
        """Waits for the same in a worker, which says when it is asked how its channels are."""
        depths, crew = [0, 1], self.daemon.crew
        assert crew is not None
        while depths[-1] == 0 or depths[-1] != depths[-2]:
            await trio.sleep(1.5)
            await crew.look()
            said = crew.said("ch")
            depths.append(0 if said is None else said.depth_ns)

    async def until(self, fine: Callable[[], bool]) -> None:
        """Asks a hundred times a second: the daemon tells no test what it did."""
        for _ in range(2000):
            if fine():
                return
            await trio.sleep(0.01)
        raise AssertionError("the daemon did not do it in 20 s")


async def test_what_an_encoder_pushed_is_published_and_the_operator_sees_it(tmp_path: Path) -> None:
    life = Life(tmp_path)
    async with life.running():
        assert (await life.ask("origin", "show/show.ism/manifest")).status_code == 404
        assert (await life.push()).startswith(b"HTTP/1.1 200")
        for path in ("show/show.ism/master.m3u8", "show/show.ism/manifest.mpd", "preview/ch.isml/manifest.mpd"):
            answer = await life.ask("origin", path)
            assert (answer.status_code, path) == (200, path)
        early = await life.ask("origin", "show/show.ism/manifest")
        assert (early.status_code, early.json()["code"]) == (404, "NOT_READY"), "too little for a live Smooth client"
        assert "ch" in (await life.ask("origin", "play/preview/ch")).text
        assert (await life.ask("origin", "play/show")).status_code == 200
        # Not another program's asset, not one without a locator, not what is not there.
        for path in ("show/quiet.ism/manifest", "quiet/quiet.ism/manifest", "preview/nobody.isml/manifest", "play/nothing"):
            assert ((await life.ask("origin", path)).status_code, path) == (404, path)
        ready = await life.ask("control", "readyz")
        expected = {"ready": True, "channels": 1, "failed": {}, "states": {"ch": "Streaming"}, "alerts": {}}
        assert ready.json() | {"alerts": {}} == expected
        metrics = (await life.ask("control", "metrics")).text
        assert 'pypackager_ingest_bytes_total{channel="ch"' in metrics
        assert json.loads((tmp_path / "data" / "run.json").read_text()) == life.daemon.addresses


async def test_the_operators_port_answers_nothing_else(tmp_path: Path) -> None:
    life = Life(tmp_path)
    async with life.running():
        head = await life.ask("control", "healthz", "HEAD")
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) > 0
        for method, path, status, code in (("POST", "healthz", 405, "METHOD_NOT_ALLOWED"), ("GET", "v2", 404, "NOT_FOUND")):
            answer = await life.ask("control", path, method)
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert answer.headers["content-type"] == "application/problem+json"


async def test_sighup_takes_states_over_and_keeps_what_runs_when_the_file_is_wrong(tmp_path: Path) -> None:
    life = Life(tmp_path)
    async with life.running():
        await life.push()
        stopped = msgspec.structs.replace(
            CHANNEL, ingest_allow=["192.0.2.1"], program=[Program(name="show", locator="show", state="stopped")]
        )
        stranger = Channel(name="new")
        life.fresh = msgspec.structs.replace(life.config, channel=[stopped, stranger], streaming_endpoint=[StreamingEndpoint()])
        os.kill(os.getpid(), signal.SIGHUP)
        await life.until(lambda: life.daemon.config is life.fresh)
        assert (await life.push()).startswith(b"HTTP/1.1 403")
        refused = await life.ask("origin", "show/show.ism/manifest")
        assert (refused.status_code, refused.json()["code"]) == (503, "ENDPOINT_STOPPED")
        # The preview answers whatever the endpoint's state; a new channel has nothing to show yet.
        assert (await life.ask("origin", "preview/ch.isml/manifest.mpd")).status_code == 200
        await life.until(lambda: "new" in life.daemon.fleet.channels)
        assert (await life.ask("origin", "preview/new.isml/manifest")).json()["code"] == "NO_MEDIA"

        running = life.daemon.config
        life.fresh = PackagerError("CONFIG_INVALID", "line 3", fault="operator")
        os.kill(os.getpid(), signal.SIGHUP)
        await life.until(lambda: life.reloads == 2)
        assert life.daemon.config is running

        life.fresh = life.config
        os.kill(os.getpid(), signal.SIGHUP)
        await life.until(lambda: life.daemon.config is life.fresh)
        assert (await life.ask("origin", "show/show.ism/manifest.mpd")).status_code == 200


async def test_a_channel_stops_with_its_encoders_and_starts_again(tmp_path: Path) -> None:
    life = Life(tmp_path)
    idle = [msgspec.structs.replace(program, state="stopped") for program in CHANNEL.program]
    body = CAPTURE.read_bytes()

    async def reload(**changes: Any) -> None:
        life.fresh = msgspec.structs.replace(life.config, channel=[msgspec.structs.replace(CHANNEL, **changes)])
        os.kill(os.getpid(), signal.SIGHUP)
        await life.until(lambda: life.daemon.config is life.fresh)

    async def state() -> str:
        states: dict[str, str] = (await life.ask("control", "healthz")).json()["states"]
        return states["ch"]

    async with life.running():
        await life.push()
        assert await state() == "Streaming"
        async with await life.connect() as encoder:
            await encoder.send_all(body[: len(body) // 2])
            await life.until(lambda: len(life.daemon.fleet.channels["ch"].timeline.feeds) == 1)
            await reload(state="stopped", program=idle)
            answer = b"".join([part async for part in encoder])
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"CHANNEL_NOT_RUNNING" in answer
        await life.until(lambda: life.daemon.fleet.channels["ch"].life.settled)
        assert await state() == "Stopped"
        assert (await life.push()).startswith(b"HTTP/1.1 503")
        assert (await life.ask("origin", "preview/ch.isml/manifest")).json()["code"] == "CHANNEL_NOT_RUNNING"
        assert (await life.ask("origin", "show/show.ism/manifest.mpd")).status_code == 200
        await reload(program=idle)
        assert await state() == "Ready"
        assert (await life.push()).startswith(b"HTTP/1.1 200")
        assert (await life.ask("origin", "preview/ch.isml/manifest.mpd")).status_code == 200


async def test_an_encoder_that_leaves_the_list_is_out_within_a_second(tmp_path: Path) -> None:
    life = Life(tmp_path)
    async with life.running():
        async with await life.connect() as encoder:
            await encoder.send_all(CAPTURE.read_bytes()[:5000])
            await life.until(lambda: len(life.daemon.fleet.channels["ch"].timeline.feeds) == 1)
            life.fresh = msgspec.structs.replace(life.config, channel=[msgspec.structs.replace(CHANNEL, ingest_allow=["192.0.2.1"])])
            os.kill(os.getpid(), signal.SIGHUP)
            with trio.fail_after(5):
                answer = b"".join([part async for part in encoder])
        assert answer.startswith(b"HTTP/1.1 403")
        assert not life.daemon.fleet.channels["ch"].alarm.alerts


async def test_sigterm_ends_it_and_a_restart_serves_the_same_bytes(tmp_path: Path) -> None:
    life = Life(tmp_path)
    playlists: list[bytes] = []
    for _ in range(2):
        async with life.running():
            if not playlists:
                await life.push()
            playlists.append((await life.ask("origin", "preview/ch.isml/manifest.mpd")).content)
            os.kill(os.getpid(), signal.SIGTERM)
            await life.daemon.stopped.wait()
        life = Life(tmp_path)
    assert playlists[0] == playlists[1]


async def test_a_start_removes_what_a_crash_left_of_assets_and_no_asset(tmp_path: Path) -> None:
    first = Life(tmp_path)
    async with first.running():
        await first.push()
        served = await first.ask("origin", "show/show.ism/manifest.mpd")
    assets = tmp_path / "data" / "assets"
    (assets / "half" / "journal").mkdir(parents=True)
    (assets / "half" / "journal" / "00000001.journal").write_bytes(b"PPKJ")
    again = Life(tmp_path)
    async with again.running():
        assert sorted(path.name for path in assets.iterdir()) == ["quiet", "show"]
        assert (await again.ask("origin", "show/show.ism/manifest.mpd")).content == served.content


async def test_a_locked_channel_is_tried_again_and_the_other_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "RETRY_S", 0.05)
    directory = tmp_path / "data" / "channels" / "held"
    directory.mkdir(parents=True)
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    life = Life(tmp_path, channel=[Channel(name="held"), CHANNEL])
    async with life.running():
        health = (await life.ask("control", "healthz")).json()
        assert (health["channels"], list(health["failed"])) == (1, ["held"])
        assert (await life.push()).startswith(b"HTTP/1.1 200")
        os.close(lock)
        await life.until(lambda: not life.daemon.fleet.failed)
        assert set(life.daemon.fleet.channels) == {"held", "ch"}


async def test_what_cannot_be_used_is_said_by_its_code(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"")
    with pytest.raises(PackagerError, match="DATA_DIR_UNUSABLE"):
        await Life(tmp_path).daemon.run()
    (tmp_path / "data").unlink()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = Listen(rtmp=[f"127.0.0.1:{taken.getsockname()[1]}"], ingest=[], control=[], origin=[])
        with pytest.RaisesGroup(pytest.RaisesExc(PackagerError, match="BIND_FAILED"), flatten_subgroups=True):
            await Life(tmp_path, listen=listen).daemon.run()


async def test_what_the_operator_made_outlives_the_daemon_and_the_file(tmp_path: Path) -> None:
    life = Life(tmp_path)
    async with life.running():
        await life.push()
        registry = life.daemon.fleet.registry
        known = registry.resources
        await registry.commit([replace(each, desired="stopped") for each in known.channels.values()])
        await registry.commit([replace(each, desired="stopped") for each in known.programs.values()])
        await life.daemon.fleet.bring("ch")
        await life.until(lambda: life.daemon.fleet.channels["ch"].life.state == "Stopped")
    life = Life(tmp_path)
    async with life.running():
        assert (await life.ask("control", "healthz")).json()["states"] == {"ch": "Stopped"}
        assert 'type="static"' in (await life.ask("origin", "show/show.ism/manifest.mpd")).text
    life = Life(tmp_path, channel=[])
    async with life.running():
        assert (await life.ask("control", "healthz")).json()["states"] == {"ch": "Stopped"}
        assert (await life.ask("origin", "show/show.ism/manifest.mpd")).status_code == 200


async def test_what_is_pruned_is_gone_and_its_asset_stays_published_by_the_operators_locator(tmp_path: Path) -> None:
    idle = [replace(program, state="stopped") for program in CHANNEL.program]
    life = Life(tmp_path)
    async with life.running():
        await life.push()
        life.fresh = replace(life.config, channel=[replace(CHANNEL, state="stopped", program=idle)])
        os.kill(os.getpid(), signal.SIGHUP)
        fleet = life.daemon.fleet
        await life.until(lambda: fleet.channels["ch"].life.state == "Stopped")
        now = fleet.utc()
        await fleet.registry.commit([Locator(path="mine", asset="show", created=now, modified=now)])
        life.fresh = replace(life.config, channel=[], prune=True)
        os.kill(os.getpid(), signal.SIGHUP)
        await life.until(lambda: not fleet.registry.resources.channels)
        assert [path.name for path in (tmp_path / "data" / "channels" / "ch").iterdir()] == ["past.json"]
        assert (await life.ask("origin", "preview/ch.isml/manifest")).status_code == 404
        assert (await life.ask("origin", "show/show.ism/manifest.mpd")).status_code == 404
        vod = await life.ask("origin", "mine/show.ism/manifest.mpd")
        assert (vod.status_code, 'type="static"' in vod.text) == (200, True)
    life = Life(tmp_path, channel=[])
    async with life.running():
        assert (await life.ask("origin", "mine/show.ism/manifest.mpd")).content == vod.content
