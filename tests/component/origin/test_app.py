"""The application on fakes, without sockets."""

from __future__ import annotations

import gzip
import threading

import msgspec
import pytest
import trio

from pypackager._core import Policy
from pypackager.model.errors import PackagerError
from pypackager.model.plan import SmoothFragment, Source, Stored, TsSegment
from pypackager.origin.bodies import Bodies
from pypackager.origin.ports import Endpoint
from tests.component.origin.fakes import PLAYLIST, SEGMENT, Answer, World, presentation
from tests.helpers.presentations import Spec, audio, present, regular, video

MANIFEST = "/show/show.ism/manifest(format=m3u8-cmaf)"


@pytest.mark.parametrize(
    "target",
    [
        MANIFEST,
        "/show/show.ISM/Manifest(format=m3u8-cmaf)",
        "/show/show.ism/manifest%28format=m3u8-cmaf%29",
        "/show/show.isml/manifest%28format%3Dm3u8-cmaf%29",
        "/preview/news.isml/MANIFEST(format=m3u8-cmaf)",
        "/a/b/Gr%C3%B6%C3%9Fe%20(1).ism/manifest(format=m3u8-cmaf)",
        "http://origin.example/show/show.ism/manifest(format=m3u8-cmaf)",
    ],
)
async def test_a_manifest_is_found_in_every_spelling(target: str) -> None:
    world = World()
    answer = await world.ask(target)
    assert (answer.status, answer.body) == (200, PLAYLIST)
    assert world.packager.asked == [(1, "manifest(format=m3u8-cmaf)", "")]


async def test_a_manifest_carries_what_caches_and_players_need() -> None:
    world = World()
    answer = await world.ask(MANIFEST)
    assert answer.headers["cache-control"] == "public, max-age=2, stale-while-revalidate=2"
    assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert {"Date", "ETag", "Content-Length"} <= set(answer.headers["access-control-expose-headers"].split(", "))
    again = await world.ask(MANIFEST, if_none_match=answer.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == answer.headers["etag"]
    assert again.headers["cache-control"] == answer.headers["cache-control"]


async def test_gzip_is_a_representation_of_its_own() -> None:
    world = World()
    plain, zipped = await world.ask(MANIFEST), await world.ask(MANIFEST, accept_encoding="br, gzip")
    assert gzip.decompress(zipped.body) == plain.body
    assert zipped.headers["content-encoding"] == "gzip"
    assert zipped.headers["etag"] != plain.headers["etag"]
    assert (await world.ask(MANIFEST, if_none_match=f"W/{zipped.headers['etag']}, x")).status == 304
    assert "content-encoding" not in (await world.ask(MANIFEST, accept_encoding="gzip;q=0, identity")).headers


async def test_a_version_of_a_manifest_is_rendered_once() -> None:
    world = World()
    for _ in range(3):
        await world.ask(MANIFEST)
    await world.ask(MANIFEST + "?start=1")
    world.catalog.presentation = presentation(2)
    await world.ask(MANIFEST)
    world.catalog.presentation = presentation(2, published_ns=8)
    await world.ask(MANIFEST)
    path = "manifest(format=m3u8-cmaf)"
    assert world.packager.asked == [(1, path, ""), (1, path, "start=1"), (2, path, ""), (2, path, "")]


async def test_of_a_manifest_the_newest_version_is_kept_and_no_other() -> None:
    world = World()
    for number in (1, 2, 1):
        world.catalog.presentation = presentation(number)
        await world.ask(MANIFEST)
    assert [version for version, _, _ in world.packager.asked] == [1, 2, 1]


async def test_segments_are_immutable_and_read_once() -> None:
    world = World()
    first, second = await world.ask("/show/show.ism/v/1.m4s"), await world.ask("/preview/news.isml/v/1.m4s", accept_encoding="gzip")
    assert first.body == SEGMENT + b"0123456789"
    assert first.body is second.body, "viewers share one object"
    assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert "vary" not in first.headers
    assert second.headers["cache-control"].startswith("private"), "who may see a preview depends on the viewer"
    assert "content-encoding" not in second.headers
    assert len(world.core.calls) == 1


async def test_viewers_of_one_segment_cost_one_remux() -> None:
    world = World()
    world.core.gate = threading.Event()
    answers: list[Answer] = []

    async def view() -> None:
        answers.append(await world.ask("/show/show.ism/v/1.ts"))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(view)
        await trio.testing.wait_all_tasks_blocked()
        world.core.gate.set()
    assert [answer.status for answer in answers] == [200] * 50
    assert world.core.calls == [TsSegment(Source(b"init", (world.packager.media,)), None)]


async def test_a_cancelled_viewer_takes_nobody_along() -> None:
    world = World()
    world.core.gate = threading.Event()
    answers: list[Answer] = []

    async def view(scope: trio.CancelScope) -> None:
        with scope:
            answers.append(await world.ask("/show/show.ism/v/1.ts"))

    leader = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(view, leader)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            nursery.start_soon(view, trio.CancelScope())
        await trio.testing.wait_all_tasks_blocked()
        leader.cancel()
        world.core.gate.set()
    assert [answer.status for answer in answers][-3:] == [200] * 3


async def test_smooth_fragments_pass_their_pointer_headers_on() -> None:
    world = World()
    answer = await world.ask("/show/show.ism/QualityLevels(800)/Fragments(video=0)")
    assert (answer.body, answer.headers["pragma"]) == (b"smooth", 'ChildTrack="ad=1"')
    source = Source(b"init", (world.packager.media,))
    assert world.core.calls == [SmoothFragment(source, 1, 1, 0, 20, 0, ((20, 20),), inband=False)]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-9", slice(0, 10)),
        ("bytes=102395-102404", slice(102_395, 102_405)),
        ("bytes=-10", slice(-10, None)),
        ("bytes=5-", slice(5, None)),
    ],
)
async def test_a_range_is_the_slice(asked: str, expected: slice) -> None:
    world = World()
    whole = SEGMENT + b"0123456789"
    answer = await world.ask("/show/show.ism/v/1.m4s", range=asked)
    assert (answer.status, answer.body) == (206, whole[expected])
    start = expected.indices(len(whole))[0]
    assert answer.headers["content-range"] == f"bytes {start}-{start + len(answer.body) - 1}/{len(whole)}"
    (call,) = world.core.calls
    assert isinstance(call, Stored)
    assert sum(size for _, _, size in call.ranges) == len(answer.body), "only the range is read"


async def test_ranges_of_remuxed_segments() -> None:
    answer = await World().ask("/show/show.ism/v/1.ts", range="bytes=188-375")
    assert (answer.status, answer.body, answer.headers["content-range"]) == (206, b"G" * 188, "bytes 188-375/1880")


async def test_ranges_that_do_not_hold() -> None:
    world = World()
    outside = await world.ask("/show/show.ism/v/1.ts", range="bytes=1880-")
    assert (outside.status, outside.headers["content-range"], outside.json()["code"]) == (416, "bytes */1880", "RANGE_NOT_SATISFIABLE")
    assert (await world.ask("/show/show.ism/v/1.ts", range="bytes=0-1", if_range='"old"')).status == 200
    assert (await world.ask("/show/show.ism/v/1.ts", range="bytes=0-1", if_range='"ts1"')).status == 206
    assert (await world.ask("/show/show.ism/v/1.ts", range="bytes=0-1,4-5")).status == 200
    assert (await world.ask("/show/show.ism/v/1.ts", range="bytes=0-1", method="HEAD")).status == 200


async def test_head_says_the_size_without_reading() -> None:
    world = World()
    answer = await world.ask("/show/show.ism/v/1.m4s", method="HEAD")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", str(len(SEGMENT) + 10))
    assert world.core.calls == []
    answer = await world.ask("/show/show.ism/v/1.ts", method="HEAD")
    assert answer.headers["content-length"] == "1880"


async def test_options_and_other_methods() -> None:
    world = World()
    answer = await world.ask("/anything", method="OPTIONS")
    assert (answer.status, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "content-length" not in answer.headers
    answer = await world.ask(MANIFEST, method="POST")
    assert (answer.status, answer.headers["allow"], answer.json()["code"]) == (405, "GET, HEAD, OPTIONS", "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("target", "status", "code", "cache"),
    [
        ("/show/show.ism/gone.m4s", 404, "NOT_FOUND", "max-age=1"),
        ("/show/show.ism/early", 412, "TOO_EARLY", "no-store"),
        ("/show/show.ism/broken", 500, "INTERNAL", "no-store"),
        ("/show/other.ism/manifest", 404, "NOT_FOUND", "max-age=1"),
        ("/preview/nobody.isml/manifest", 404, "NOT_FOUND", "no-store"),
        ("/show/show.ism/../../etc/passwd", 400, "URI_MALFORMED", "max-age=1"),
        ("/show/show.ism/%2e%2e/x", 400, "URI_MALFORMED", "max-age=1"),
        ("/show/show.ism/%2e%2e%2fx", 400, "URI_MALFORMED", "max-age=1"),
        ("/show/show.ism/%zz", 400, "URI_MALFORMED", "max-age=1"),
        ("/show/show.ism/%00", 400, "URI_MALFORMED", "max-age=1"),
        ("/show/show.ism/%ff", 400, "URI_MALFORMED", "max-age=1"),
        ("/" + "a" * 5000, 414, "URI_TOO_LONG", "max-age=1"),
        ("/show/show.ism/manifest?" + "a" * 5000, 414, "URI_TOO_LONG", "max-age=1"),
        ("/nowhere", 404, "NOT_FOUND", "max-age=1"),
        ("/", 404, "NOT_FOUND", "max-age=1"),
        ("/static/../app.py", 400, "URI_MALFORMED", "max-age=1"),
        ("/static/nothing.js", 404, "NOT_FOUND", "max-age=1"),
        ("/play/nobody", 404, "NOT_FOUND", "max-age=1"),
    ],
)
async def test_errors_are_problem_details(target: str, status: int, code: str, cache: str) -> None:
    world = World()
    answer = await world.ask(target)
    assert (answer.status, answer.json()["code"], answer.headers["cache-control"]) == (status, code, cache)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json()["status"] == status
    assert world.notes.lines[-1]["code"] == code
    assert bool(world.notes.errors) == (status == 500)


@pytest.mark.parametrize("code_status", [("ENDPOINT_STOPPED", 503), ("PREVIEW_FORBIDDEN", 403)])
async def test_the_catalog_says_why_not(code_status: tuple[str, int]) -> None:
    world = World()
    world.catalog.fault = PackagerError(code_status[0], "no", status=code_status[1])
    answer = await world.ask("/preview/news.isml/manifest")
    assert (answer.json()["code"], answer.status) == code_status
    assert answer.headers["cache-control"] == "no-store"


async def test_a_fragment_that_left_the_window_in_between() -> None:
    world = World()
    world.core.fault = FileNotFoundError(2, "gone")
    assert (await world.ask("/show/show.ism/v/1.m4s")).json()["code"] == "FRAGMENT_GONE"
    world.core.fault = ValueError("trun: 3 bytes are missing")
    broken = await world.ask("/show/show.ism/v/1.ts")
    assert (broken.status, broken.json()["code"]) == (500, "FRAGMENT_UNREADABLE")
    assert world.notes.errors
    world.core.fault = None
    assert (await world.ask("/show/show.ism/v/1.ts")).status == 200, "a failure is not kept"


@pytest.mark.parametrize("target", ["/time", "/show/show.ism/time", "/preview/news.isml/time?x=1"])
async def test_the_time(target: str) -> None:
    answer = await World().ask(target)
    assert (answer.body, answer.headers["cache-control"]) == (b"2023-11-14T22:13:20.123Z", "no-store")


async def test_health_before_and_after_replay() -> None:
    world = World()
    world.catalog.ready = False
    assert (await world.ask("/healthz")).status == 200
    starting = await world.ask("/readyz")
    assert (starting.status, starting.json()) == (503, {"status": "starting", "channels": 1})
    world.catalog.ready = True
    assert (await world.ask("/readyz")).json()["status"] == "ready"


@pytest.mark.parametrize(
    ("pictures_s", "sound_s", "code"),
    [(2, 2, ""), (16, 2, ""), (16.5, 2, "PRESENTATION_STALE"), (2, 16.5, "PRESENTATION_STALE"), (2, None, "")],
)
async def test_the_health_of_a_locator(pictures_s: float, sound_s: float | None, code: str) -> None:
    """Four intervals of 4 s; sound that it does not have is not missed."""
    world = World()
    world.catalog.silent = {"video": pictures_s, "audio": 1_000 if sound_s is None else sound_s}
    gaps = audio(2, regular(4, 2 * 48_000, gap=True))
    sound = gaps if sound_s is None else audio(2, regular(4, 2 * 48_000))
    world.catalog.presentation = present(Spec([video(1, regular(4)), sound], interval_ns=4 * 10**9))
    found = await world.ask("/healthz/show")
    assert (found.status, found.json().get("code", "")) == ((503 if code else 200), code)
    assert found.headers["cache-control"] == "no-store"
    if not code:
        known = {"video": pictures_s} | ({} if sound_s is None else {"audio": sound_s})
        assert found.json() == {"status": "live", "silent_s": known}
    world.catalog.presentation = msgspec.structs.replace(world.catalog.presentation, ended=True)
    assert (await world.ask("/healthz/show")).json() == {"status": "ended"}


async def test_the_health_of_what_is_not_served() -> None:
    world = World()
    assert (await world.ask("/healthz/a/b")).status == 200, "a locator may have slashes"
    assert (await world.ask("/healthz/other")).status == 404
    world.catalog.terms = {"signed": True}
    world.catalog.served = Endpoint(Policy(running=True, allow=["192.0.2.1"], hosts=["h"], secret="s" * 12))
    assert (await world.ask("/healthz/show")).status == 200, "who balances load is no viewer"
    world.catalog.served = Endpoint(Policy(running=False))
    stopped = await world.ask("/healthz/show")
    assert (stopped.status, stopped.json()["code"]) == (503, "ENDPOINT_STOPPED")
    world.catalog.served = Endpoint(Policy(running=True))
    world.catalog.terms = {"expires": 1}
    assert (await world.ask("/healthz/show")).json()["code"] == "LOCATOR_EXPIRED"


async def test_pages() -> None:
    world = World()
    assert (await world.ask("/play/show")).body == b"<title>show</title>../show/show.ism"
    assert (await world.ask("/play/preview/news")).body == b"<title>news (preview)</title>../../preview/news.isml"
    script = await world.ask("/static/player.js", accept_encoding="gzip")
    assert (script.body, script.headers["content-encoding"]) == (b"zipped", "gzip")
    assert (await world.ask("/favicon.ico")).status == 200
    assert b"allow-access-from" in (await world.ask("/crossdomain.xml")).body
    assert b"grant-to" in (await world.ask("/clientaccesspolicy.xml")).body
    assert b"grant-to" in (await world.ask("/preview/news.isml/clientaccesspolicy.xml")).body
    assert (await world.ask("/preview/news.isml/crossdomain.xml")).body == b"<cross-domain-policy/>"
    assert (await world.ask("/preview/other.isml/crossdomain.xml")).status == 404


async def test_each_request_is_logged_and_counted() -> None:
    world = World()
    await world.ask("/show/show.ism/v/1.ts", user_agent="player/1")
    await world.ask("/show/show.ism/v/1.ts", method="HEAD")
    await world.ask("/show/show.ism/early")
    assert world.notes.counted == [("segment", 200, 1880), ("segment", 200, 0), ("presentation", 412, world.notes.lines[-1]["bytes"])]
    line = world.notes.lines[0]
    assert (line["path"], line["status"], line["bytes"], line["client"], line["agent"]) == (
        "/show/show.ism/v/1.ts",
        200,
        1880,
        "192.0.2.7",
        "player/1",
    )


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [("", "10.0.0.1"), ("203.0.113.9", "203.0.113.9"), ("1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"), ("10.0.0.3", "10.0.0.3")],
)
async def test_only_trusted_proxies_are_believed(forwarded: str, expected: str) -> None:
    world = World(trusted_proxies=["10.0.0.0/8"])
    await world.ask("/preview/news.isml/manifest", client="10.0.0.1", x_forwarded_for=forwarded)
    await world.ask("/preview/news.isml/manifest", client="192.0.2.1", x_forwarded_for=forwarded)
    assert world.catalog.preview_clients == [expected, "192.0.2.1"]


async def test_what_is_kept_is_bounded() -> None:
    world = World()
    bodies = Bodies(world.core, capacity=4 * len(SEGMENT))
    for offset in range(10):
        await bodies.fetch(Stored((("/blob", offset, len(SEGMENT)),)))
    assert bodies.kept_bytes == 4 * len(SEGMENT)
    await bodies.fetch(Stored((("/blob", 0, len(SEGMENT) + 1),)))
    assert bodies.kept_bytes == 4 * len(SEGMENT), "what is too large is not kept"


async def test_behind_a_front_no_body_is_kept_twice() -> None:
    world = World()
    bodies = Bodies(world.core, capacity=4 * len(SEGMENT))
    body = Stored((("/blob", 0, len(SEGMENT)),))
    await bodies.fetch(body)
    bodies.only_share()
    assert bodies.kept_bytes == 0
    await bodies.fetch(body)
    assert bodies.kept_bytes == 0
