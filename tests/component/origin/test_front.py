"""The application behind its native front: what the front gives is what the application gave, at every version."""

from __future__ import annotations

import gzip
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import httpx
import pytest
import trio

from pypackager import _core
from pypackager._core import Policy, Proxies, sign_token
from pypackager.model.errors import PackagerError
from pypackager.model.plan import Published, Stored, Text
from pypackager.model.presentation import Presentation
from pypackager.origin.app import create_app
from pypackager.origin.front import serve_front
from pypackager.origin.ports import Endpoint
from tests.component.origin.fakes import KEYS, FakePackager, FakePages, World, presentation

ROOT = "/show/show.ism"
MANIFEST = f"{ROOT}/manifest(format=m3u8-cmaf)"
FROM_CDN = "of-the-cdn"
TEXT = b"#EXTM3U\n" + b"#EXTINF:2,\n1.m4s\n" * 200


class FilePackager(FakePackager):
    """Segments of real files: the front reads them by itself."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.missing: set[str] = set()
        self.manifest: Published | None = None

    def answer(self, presentation: Presentation, path: str, query: str) -> Published:
        self.asked.append((presentation.version, path, query))
        found = self.stream(path)
        if found is not None:
            _, place = found
            if place >= presentation.version * 20 or path in self.missing:
                raise PackagerError("NOT_FOUND", "not yet", status=404)
            return Published("video/mp4", Stored(((self.path, place, 20),)), "immutable", f"v{place}")
        if path.startswith("manifest"):
            text = TEXT + bytes([64 + presentation.version])
            return self.manifest or Published("application/vnd.apple.mpegurl", text, "manifest", f"m{presentation.version}")
        raise PackagerError("NOT_FOUND", "no such resource", status=404)


class Fronted:
    """A served world."""

    def __init__(self, world: World, packager: FilePackager, base: str) -> None:
        self.world = world
        self.packager = packager
        self.client = httpx.AsyncClient(base_url=base, trust_env=False, timeout=20)

    async def get(self, target: str, **headers: str) -> httpx.Response:
        return await self.client.get(target, headers=headers)

    async def asked_by(self, target: str, **headers: str) -> tuple[httpx.Response, list[tuple[int, str, str]]]:
        """The answer, and what the packager was asked for it."""
        before = len(self.packager.asked)
        return await self.get(target, **headers), self.packager.asked[before:]


@pytest.fixture
def blob(tmp_path: Path) -> str:
    """The path of a file with segments."""
    path = tmp_path / "blob"
    path.write_bytes(bytes(range(256)))
    return str(path)


@pytest.fixture
async def fronted(blob: str) -> AsyncIterator[Fronted]:
    async with serving(blob) as served:
        yield served


@asynccontextmanager
async def serving(blob: str, header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for") -> AsyncIterator[Fronted]:
    world, packager = World(), FilePackager(blob)
    proxies = Proxies(["127.0.0.1"], header)
    app = create_app(world.catalog, packager, _core, FakePages(), log=world.notes, recorder=world.notes, proxies=proxies)
    world.app = app
    async with trio.open_nursery() as nursery:
        serve = partial(serve_front, app, ["127.0.0.1:0"], log=world.notes, report_s=0.05)
        (address,) = await nursery.start(serve)
        served = Fronted(world, packager, f"http://{address}")
        yield served
        await served.client.aclose()
        nursery.cancel_scope.cancel()


async def test_the_second_viewer_is_answered_by_the_front(fronted: Fronted) -> None:
    first, asked = await fronted.asked_by(MANIFEST)
    assert asked == [(1, "manifest(format=m3u8-cmaf)", "")]
    for encoding in ("identity", "gzip"):
        second, asked = await fronted.asked_by(MANIFEST, **{"accept-encoding": encoding})
        assert not asked
        assert second.content == first.content
    same = {name: value for name, value in first.headers.items() if name != "date"}
    assert {name: value for name, value in second.headers.items() if name != "date"} == same, "whoever answers"
    unchanged, asked = await fronted.asked_by(MANIFEST, **{"if-none-match": first.headers["etag"]})
    assert (unchanged.status_code, asked) == (304, [])


async def test_a_manifest_in_parts_is_the_same_whole(fronted: Fronted) -> None:
    text = b"#EXTM3U\n" + b"segment.m4s\n" * 20_000
    zipped = gzip.compress(text)
    plain, coded = (Text((whole[:50], whole[50:-50], whole[-50:])) for whole in (text, zipped))
    fronted.packager.manifest = Published("application/vnd.apple.mpegurl", plain, "manifest", "long", gzip=coded)
    await fronted.get(MANIFEST)
    for target, of_application in ((f"{MANIFEST}?start=1", True), (MANIFEST, False)):
        for encoding, size in (("identity", len(text)), ("gzip", len(zipped))):
            answer, asked = await fronted.asked_by(target, **{"accept-encoding": encoding})
            assert (answer.content, len(asked)) == (text, of_application)
            assert answer.headers["content-length"] == str(size)
            assert answer.headers.get("content-encoding", "identity") == encoding


async def test_a_new_version_is_there_before_it_is_asked_for(fronted: Fronted) -> None:
    assert (await fronted.get(MANIFEST)).content[-1:] == b"A"
    fronted.world.catalog.presentation = presentation(2)
    fronted.world.app.turn()
    second, asked = await fronted.asked_by(MANIFEST)
    assert (second.content[-1:], asked) == (b"B", [])


async def test_what_follows_a_watched_segment_is_there_before_it_is_asked_for(fronted: Fronted) -> None:
    media = await fronted.get(f"{ROOT}/v/0.m4s")
    assert media.content == bytes(range(20))
    for version in (2, 3):
        fronted.world.catalog.presentation = presentation(version)
        fronted.world.app.turn()
    for place in (20, 40):
        later, asked = await fronted.asked_by(f"{ROOT}/v/{place}.m4s", range="bytes=1-3")
        assert (later.content, asked) == (bytes(range(place + 1, place + 4)), [])
    early, asked = await fronted.asked_by(f"{ROOT}/v/60.m4s")
    assert (early.status_code, len(asked)) == (404, 1)


async def test_a_hole_does_not_end_what_is_put_there(fronted: Fronted) -> None:
    fronted.packager.missing.add("v/20.m4s")
    await fronted.get(f"{ROOT}/v/0.m4s")
    fronted.world.catalog.presentation = presentation(3)
    fronted.world.app.turn()
    later, asked = await fronted.asked_by(f"{ROOT}/v/40.m4s")
    assert (later.status_code, asked) == (200, [])


async def test_what_depends_on_the_viewer_is_asked_every_time(fronted: Fronted) -> None:
    for target in (f"{MANIFEST}?start=1", "/preview/news.isml/manifest"):
        for _ in range(2):
            fronted.packager.asked.clear()
            fronted.world.catalog.presentation = presentation(fronted.world.catalog.presentation.version + 1)
            answer, asked = await fronted.asked_by(target)
            assert (answer.status_code, len(asked)) == (200, 1)
    assert set(fronted.world.catalog.preview_clients) == {"127.0.0.1"}
    await fronted.get("/preview/news.isml/manifest", **{"x-forwarded-for": "198.51.100.1, 192.0.2.9"})
    assert fronted.world.catalog.preview_clients[-1] == "192.0.2.9", "the hop before the proxy that we trust"


async def test_a_stopped_endpoint_stops_at_once(fronted: Fronted) -> None:
    await fronted.get(MANIFEST)
    await fronted.get(f"{ROOT}/v/0.m4s")
    fronted.world.catalog.served = Endpoint(Policy(running=False))
    fronted.world.app.turn()
    assert (await fronted.get(MANIFEST)).status_code == 503
    assert (await fronted.get(f"{ROOT}/v/0.m4s")).status_code == 503
    fronted.world.catalog.served = Endpoint(Policy(running=True))
    assert (await fronted.get(MANIFEST)).status_code == 200


async def test_a_policy_holds_for_what_the_front_has(fronted: Fronted) -> None:
    await fronted.get(MANIFEST)
    policy = Policy(running=True, secret=FROM_CDN, origins=["https://site.example"])
    fronted.world.catalog.served = Endpoint(policy, ages=(7, 77))
    fronted.world.app.turn()
    refused = await fronted.get(MANIFEST)
    assert (refused.status_code, refused.json()["code"]) == (403, "CDN_SECRET_MISSING")
    cdn = {"x-cdn-secret": FROM_CDN, "origin": "https://site.example"}
    for path, control in ((MANIFEST, "public, max-age=7"), (f"{ROOT}/v/0.m4s", "public, max-age=77, immutable")):
        first, again = [await fronted.get(path, **cdn) for _ in range(2)]
        for answer in (first, again):
            assert (answer.status_code, answer.headers["cache-control"]) == (200, control)
            assert answer.headers["access-control-allow-origin"] == "https://site.example"
            assert "Origin" in answer.headers["vary"]
        assert "access-control-allow-origin" not in (await fronted.get(path, **cdn | {"origin": "https://x.example"})).headers
        assert (await fronted.get(path)).status_code == 403, "also when the front has it"


async def test_who_has_a_token_is_answered_by_the_front(fronted: Fronted) -> None:
    catalog = fronted.world.catalog
    catalog.terms, catalog.kept = {"signed": True}, {"signed": True}
    until = time.time_ns() // 1_000_000_000 + 60
    first, second, bad = (f"/show/~{sign_token(key, ROOT, until)}/show.ism" for key in (KEYS[0], KEYS[0], ("k1", b"guess")))
    for path in ("manifest(format=m3u8-cmaf)", "v/0.m4s"):
        told, asked = await fronted.asked_by(f"{first}/{path}")
        assert (told.status_code, len(asked)) == (200, 1)
        again, asked = await fronted.asked_by(f"{second}/{path}")
        assert (again.content, asked) == (told.content, [])
        assert again.headers["cache-control"] == told.headers["cache-control"]
        assert told.headers["cache-control"].startswith("private, ")
        for target, code in ((f"{bad}/{path}", "TOKEN_INVALID"), (f"{ROOT}/{path}", "TOKEN_MISSING")):
            refused, asked = await fronted.asked_by(target)
            assert (refused.status_code, refused.json()["code"], asked) == (403, code, [])
    with trio.fail_after(5):
        await fronted.world.notes.wait_for_lines(8)
    paths = [line["path"] for line in fronted.world.notes.lines]
    assert all(paths.count(path) == 3 for path in ("/show/~/show.ism/v/0.m4s", "/show/~/show.ism/manifest(format=m3u8-cmaf)")), paths
    catalog.terms = {"signed": True, "starts": 2**62}
    fronted.world.app.turn()
    assert (await fronted.get(f"{second}/v/0.m4s")).json()["code"] == "LOCATOR_EARLY", "at once, whatever the front had"


async def test_what_is_over_leaves_the_front_at_its_instant(fronted: Fronted) -> None:
    # Far enough away for two requests on a busy machine.
    over = time.time_ns() // 1000 + 3_000_000
    fronted.world.catalog.terms = {"expires": over}
    assert (await fronted.get(MANIFEST)).status_code == 200
    assert (await fronted.asked_by(MANIFEST))[1] == []
    await trio.sleep(max(0.0, over / 1e6 - time.time()) + 0.01)
    refused, asked = await fronted.asked_by(MANIFEST)
    assert (refused.status_code, refused.json()["code"], asked) == (404, "LOCATOR_EXPIRED", [])


async def test_every_answer_is_logged_and_counted(fronted: Fronted) -> None:
    for _ in range(3):
        await fronted.get(MANIFEST, **{"x-forwarded-for": "192.0.2.1", "user-agent": "player"})
    with trio.fail_after(5):
        await fronted.world.notes.wait_for_lines(3)
    lines = fronted.world.notes.lines
    assert {(line["client"], line["path"], line["status"], line["agent"]) for line in lines} == {("192.0.2.1", MANIFEST, 200, "player")}
    assert [(kind, status) for kind, status, _ in fronted.world.notes.counted] == [("manifest", 200)] * 3


async def test_whoever_answers_the_log_has_the_viewer_of_the_header_that_is_believed(blob: str) -> None:
    told = {"forwarded": "for=192.0.2.1", "x-forwarded-for": "6.6.6.6"}
    async with serving(blob, "forwarded") as fronted:
        for _ in range(2):
            await fronted.get(MANIFEST, **told)
        with trio.fail_after(5):
            await fronted.world.notes.wait_for_lines(2)
        assert [line["client"] for line in fronted.world.notes.lines] == ["192.0.2.1"] * 2


async def test_viewers_and_bytes_are_counted_once_whoever_answers(fronted: Fronted) -> None:
    told = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "192.0.2.2"), ("cmcd-session", 'sid="one"')]
    sent = 0
    for target in (MANIFEST, f"{ROOT}/v/0.m4s"):
        for name, value in told:
            for query in ("", "?CMCD=bl%3D100", "?start=1"):
                sent += len((await fronted.get(target + query, **{name: value, "accept-encoding": "identity"})).content)
    assert len([path for _, path, query in fronted.packager.asked if not query]) == 2, "the rest came from the front"
    await fronted.get(f"{ROOT}/v/1000.m4s", **{"x-forwarded-for": "192.0.2.9"})
    audience = fronted.world.catalog.audience
    assert audience.viewers() == [("default", "news", "show", 3)]
    assert audience.take() == [("default", "news", "show", sent)]
    assert audience.take() == []


async def test_what_is_gone_is_said_by_the_application(fronted: Fronted) -> None:
    await fronted.get(f"{ROOT}/v/0.m4s")
    fronted.world.catalog.presentation = presentation(2)
    fronted.packager.path += "-gone"
    fronted.world.app.turn()
    answer = await fronted.get(f"{ROOT}/v/20.m4s")
    assert (answer.status_code, answer.json()["code"]) == (404, "FRAGMENT_GONE")
