"""deploy/nginx-edge.conf as it is, between a real nginx and the origin's application on loopback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
import trio

from pypackager.model.errors import PackagerError
from pypackager.origin.app import Receive, Scope, Send
from pypackager.origin.serve import serve_origin
from tests.component.origin.fakes import PLAYLIST, SEGMENT, World, presentation
from tests.helpers.ports import free_port

CONF = Path(__file__).parents[3] / "deploy" / "nginx-edge.conf"
SEGMENT_PATH = "/show/show.ism/v/1.ts"
MANIFEST = "/show/show.ism/manifest(format=m3u8-cmaf)"

MAIN = """
daemon off;
{user}
pid {root}/nginx.pid;
error_log {root}/error.log info;
worker_processes 2;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;
    fastcgi_temp_path {root}/fastcgi; uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
    include {root}/edge.conf;
}}
"""

USER = "user root;" if os.geteuid() == 0 else ""
"""Started by root, workers would change to a user who may not read pytest's folders."""


def configured(origin: str, port: int, cache: Path) -> str:
    """The file with its three lines changed, as its user would."""
    text = CONF.read_text()
    for pattern, value in (
        (r"^    server \S+;(?=.*<-- yours)", f"    server {origin};"),
        (r"^proxy_cache_path \S+(?=.*<-- yours)", f"proxy_cache_path {cache}"),
        (r"^    listen \d+ (?=.*<-- yours)", f"    listen 127.0.0.1:{port} "),
    ):
        text, count = re.subn(pattern, value, text, flags=re.MULTILINE)
        assert count == 1, f"{pattern} is on one line"
    return text


class Edge:
    """An nginx before an origin that notes what it is asked."""

    def __init__(self, world: World, client: httpx.AsyncClient) -> None:
        self.world = world
        self.client = client
        self.asked: Counter[str] = Counter()
        self.delay = 0.0
        self.open = trio.Event()
        """The origin answers nobody before it is set."""
        self.open.set()
        self.origin = trio.CancelScope()

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.asked[scope["raw_path"].decode()] += 1
            await trio.sleep(self.delay)
            await self.open.wait()
        await self.world.app(scope, receive, send)

    async def serve(self, *, task_status: trio.TaskStatus[list[str]]) -> None:
        with self.origin:
            await serve_origin(self.app, ["127.0.0.1:0"], log=self.world.notes, task_status=task_status)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    async def get_many(self, path: str, count: int) -> list[httpx.Response]:
        answers: list[httpx.Response] = []

        async def view() -> None:
            answers.append(await self.get(path))

        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(view)
        return answers


@asynccontextmanager
async def edged(tmp_path: Path) -> AsyncIterator[Edge]:
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/bin")
    assert nginx, "nginx is missing: apt-get install nginx-light"
    port = free_port()
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", limits=limits, trust_env=False, timeout=15) as client:
        edge = Edge(World(), client)
        async with trio.open_nursery() as nursery:
            (origin,) = await nursery.start(edge.serve)
            (tmp_path / "edge.conf").write_text(configured(origin, port, tmp_path / "cache"))
            (tmp_path / "nginx.conf").write_text(MAIN.format(root=tmp_path, user=USER))
            command = [nginx, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "error.log")]
            process = await nursery.start(
                partial(trio.run_process, command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
            )
            try:
                await listening(port, process, tmp_path)
                yield edge
            finally:
                process.terminate()
                with trio.move_on_after(5, shield=True):
                    await process.wait()
                nursery.cancel_scope.cancel()


async def listening(port: int, process: trio.Process, tmp_path: Path) -> None:
    for _ in range(100):
        assert process.poll() is None, (tmp_path / "error.log").read_text()
        try:
            await trio.aclose_forcefully(await trio.open_tcp_stream("127.0.0.1", port))
        except OSError:
            await trio.sleep(0.05)
        else:
            return
    pytest.fail("nginx does not listen")


async def test_fifty_viewers_of_a_segment_are_one_question_to_the_origin(tmp_path: Path) -> None:
    async with edged(tmp_path) as edge:
        edge.delay = 0.3
        answers = await edge.get_many(SEGMENT_PATH, 50)
        assert {(answer.status_code, answer.content) for answer in answers} == {(200, b"G" * 1880)}
        assert edge.asked == {SEGMENT_PATH: 1}
        assert len(edge.world.core.calls) == 1
        later = await edge.get(SEGMENT_PATH)
        assert (later.headers["x-cache"], later.headers["server"]) == ("HIT", "pypackager")
        assert later.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert later.headers["access-control-allow-origin"] == "*"


async def test_ranges_and_conditions_are_answered_at_the_edge(tmp_path: Path) -> None:
    path = "/show/show.ism/v/1.m4s"
    async with edged(tmp_path) as edge:
        part = await edge.get(path, Range="bytes=256-511")
        assert (part.status_code, part.content) == (206, SEGMENT[256:512])
        again = await edge.get(path, **{"If-None-Match": part.headers["etag"]})
        assert again.status_code == 304
        head = await edge.client.head(path)
        assert head.headers["content-length"] == str(len(SEGMENT) + 10)
        assert edge.asked == {path: 1}


async def test_manifests_stay_fresh(tmp_path: Path) -> None:
    async with edged(tmp_path) as edge:
        edge.world.catalog.presentation = presentation(1, interval_ns=6_000_000_000)
        first = await edge.get(MANIFEST)
        assert first.headers["cache-control"] == "public, max-age=3, stale-while-revalidate=3"
        assert (await edge.get(MANIFEST)).headers["x-cache"] == "HIT"
        edge.world.catalog.presentation = presentation(2, interval_ns=6_000_000_000)
        # After its age and its grace nobody gets the old one, not even the first who asks after a quiet time.
        await trio.sleep(7.1)
        fresh = await edge.get(MANIFEST)
        assert fresh.headers["etag"] != first.headers["etag"]
        assert edge.asked == {MANIFEST: 2}


async def test_while_a_manifest_is_fetched_anew_viewers_do_not_wait(tmp_path: Path) -> None:
    async with edged(tmp_path) as edge:
        edge.world.catalog.presentation = presentation(1, interval_ns=8_000_000_000)
        await edge.get(MANIFEST)
        edge.world.catalog.presentation = presentation(2, interval_ns=8_000_000_000)
        await trio.sleep(5.1)
        edge.open = trio.Event()
        stale = await edge.get_many(MANIFEST, 10)
        assert {answer.headers["x-cache"] for answer in stale} <= {"STALE", "UPDATING"}
        edge.open.set()
        (old,) = {answer.headers["etag"] for answer in stale}
        for _ in range(100):
            if (await edge.get(MANIFEST)).headers["etag"] != old:
                break
            await trio.sleep(0.05)
        else:
            pytest.fail("the new one does not come")
        assert edge.asked == {MANIFEST: 2}


async def test_one_form_of_a_manifest_serves_every_encoding(tmp_path: Path) -> None:
    async with edged(tmp_path) as edge:
        zipped = await edge.get(MANIFEST, **{"Accept-Encoding": "gzip, deflate, br"})
        plain = await edge.get(MANIFEST, **{"Accept-Encoding": "identity"})
        assert zipped.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert zipped.content == plain.content == PLAYLIST
        assert edge.asked == {MANIFEST: 1}


async def test_what_is_missing_is_asked_for_again(tmp_path: Path) -> None:
    missing, early = "/show/show.ism/gone.m4s", "/show/show.ism/early"
    async with edged(tmp_path) as edge:
        assert (await edge.get(missing)).json()["code"] == "NOT_FOUND"
        for _ in range(2):
            answer = await edge.get(early)
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (412, "*")
        assert edge.asked[early] == 2, "what is too early is never kept"
        await trio.sleep(2.1)
        await edge.get(missing)
        assert edge.asked[missing] == 2, "what is missing is kept for a second"


async def test_an_encoded_question_mark_takes_nothings_place(tmp_path: Path) -> None:
    async with edged(tmp_path) as edge:
        assert (await edge.get("/show/show.ism/manifest%3Fstart=1")).status_code == 404
        assert (await edge.get("/show/show.ism/manifest?start=1")).status_code == 200


async def test_an_origin_that_is_stopped_and_one_that_is_gone(tmp_path: Path) -> None:
    other = "/show/show.ism/master.m3u8"
    async with edged(tmp_path) as edge:
        edge.world.catalog.presentation = presentation(1, interval_ns=2_000_000_000)
        await edge.get(MANIFEST)
        await edge.get(other)
        await trio.sleep(3.1)
        edge.world.catalog.fault = PackagerError("ENDPOINT_STOPPED", "the streaming endpoint is stopped", status=503)
        assert (await edge.get(MANIFEST)).status_code == 503, "a stopped endpoint is not papered over"
        edge.origin.cancel()
        await trio.sleep(0.1)
        assert (await edge.get(other)).headers["x-cache"] == "STALE", "what is here is better than nothing"


async def test_clocks_health_and_previews(tmp_path: Path) -> None:
    async with edged(tmp_path) as edge:
        for path in ("/time", "/show/show.ism/time", "/healthz", "/readyz"):
            for _ in range(2):
                answer = await edge.get(path)
                assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
            assert edge.asked[path] == 2
        for path in ("/preview/news.isml/manifest", "/Preview/news.isml/manifest", "/play/preview/news"):
            assert (await edge.get(path)).status_code == 404
            assert edge.asked[path] == 0
        options = await edge.client.options(SEGMENT_PATH)
        assert (options.status_code, options.headers["access-control-allow-origin"]) == (204, "*")
