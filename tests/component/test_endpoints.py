"""Streaming endpoints: states, policies, several of them, over REST, the file and the command line."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from pypackager.config.schema import StreamingEndpoint, Tuning
from tests.component.test_operate import Operator
from tests.component.test_rest import Api, made

ONE = "streaming-endpoints/default"


def api(tmp_path: Path, **changes: Any) -> Api:
    return Api(tmp_path, **{"channel": [], "streaming_endpoint": []} | changes)


async def published(life: Api) -> str:
    """The path of a manifest with media behind it."""
    await made(life)
    await life.carried_out("POST", "channels/ch/start")
    await life.carried_out("POST", "channels/ch/programs/show/start")
    await life.fine("POST", "locators", {"asset": "show", "path": "tv"}, 201)
    assert (await life.push()).startswith(b"HTTP/1.1 200")
    await life.carried_out("POST", "channels/ch/programs/show/stop")
    return "tv/show.ism/manifest"


async def asked(life: Api, path: str, place: str | None = None, **headers: str) -> tuple[int, str | None]:
    """Status and code of what players get."""
    answer = await got(life, path, place, **headers)
    problem = answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"] if problem else None


async def got(life: Api, path: str, place: str | None = None, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await life.client.get(f"http://{place or life.daemon.addresses['origin'][0]}/{path}", headers=named)


async def test_content_streams_from_a_running_one_only(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        path = await published(life)
        here = await life.fine("GET", ONE)
        assert (here["state"], here["urls"]) == ("Stopped", [f"http://{life.daemon.addresses['origin'][0]}"])
        for each in (path, "tv/show.ism/nothing", "tv/show.ism/download.mp4", "play/tv"):
            assert await asked(life, each) == (503, "ENDPOINT_STOPPED")
        for each in ("preview/ch.isml/manifest.mpd", "play/preview/ch", "healthz", "readyz", "crossdomain.xml"):
            assert (await asked(life, each))[0] == 200, each
        await life.carried_out("POST", f"{ONE}/start")
        assert (await life.fine("GET", ONE))["state"] == "Running"
        for _ in range(2):
            assert await asked(life, path) == (200, None)
        await life.carried_out("POST", f"{ONE}/stop")
        assert await asked(life, path) == (503, "ENDPOINT_STOPPED"), "also what the front had"
    life = api(tmp_path)
    async with life.running():
        assert (await life.fine("GET", ONE))["state"] == "Stopped"
        await life.carried_out("POST", f"{ONE}/start")
    life = api(tmp_path)
    async with life.running():
        assert (await life.fine("GET", ONE))["state"] == "Running"
        assert await asked(life, path) == (200, None)


async def test_a_policy_holds_for_the_next_request_of_an_open_connection(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        path = await published(life)
        await life.carried_out("POST", f"{ONE}/start")
        for _ in range(2):
            assert await asked(life, path) == (200, None)
        policies: list[tuple[dict[str, Any], tuple[int, str], dict[str, str]]] = [
            ({"allow": ["192.0.2.0/24"]}, (403, "VIEWER_NOT_ALLOWED"), {}),
            ({"hosts": ["live.example"]}, (421, "HOST_NOT_SERVED"), {"host": "live.example:80"}),
            ({"cdn_secret": "s3cret-s3cret"}, (403, "CDN_SECRET_MISSING"), {"x_cdn_secret": "s3cret-s3cret"}),
        ]
        for changes, refusal, right in policies:
            await life.fine("PATCH", ONE, changes)
            assert await asked(life, path) == refusal
            if right:
                for _ in range(2):
                    assert await asked(life, path, **right) == (200, None)
                assert await asked(life, path) == refusal, "also when the front has it"
            assert (await asked(life, "preview/ch.isml/manifest.mpd"))[0] == 200, "the preview has a list of its own"
            await life.fine("PATCH", ONE, dict.fromkeys(changes))
            assert await asked(life, path) == (200, None)
        await life.fine("PATCH", ONE, {"manifest_age": "7s", "cors": ["https://site.example"]})
        answer = await got(life, path, origin="https://site.example")
        assert answer.headers["cache-control"] == "public, max-age=7"
        assert answer.headers["access-control-allow-origin"] == "https://site.example"
        assert "access-control-allow-origin" not in (await got(life, path, origin="https://other.example")).headers
        assert "access-control-allow-origin" not in (await got(life, "none", origin="https://other.example")).headers


async def test_cross_site_policies_are_the_operators(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        assert 'domain="*"' in (await got(life, "crossdomain.xml")).text
        await life.fine("PATCH", ONE, {"cross_domain_policy": "<cross-domain-policy/>", "client_access_policy": ""})
        assert (await got(life, "crossdomain.xml")).text == "<cross-domain-policy/>"
        assert await asked(life, "clientaccesspolicy.xml") == (404, "NOT_FOUND")


async def test_several_serve_the_same_locators_by_policies_of_their_own(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        path = await published(life)
        here = await life.fine("POST", "streaming-endpoints", {"name": "cdn", "listen": ["127.0.0.1:0"], "hosts": ["cdn.example"]}, 201)
        place = here["urls"][0].removeprefix("http://")
        assert (here["state"], await asked(life, path, place)) == ("Stopped", (503, "ENDPOINT_STOPPED"))
        await life.carried_out("POST", "streaming-endpoints/cdn/start")
        assert await asked(life, path, place, host="cdn.example") == (200, None)
        assert await asked(life, path, place) == (421, "HOST_NOT_SERVED")
        assert await asked(life, path) == (503, "ENDPOINT_STOPPED"), "the other one is stopped"
        urls = (await life.fine("GET", "locators/tv"))["urls"]
        assert f"http://{place}/{path}" in urls
        assert len(urls) == 2
        assert await life.refused("PATCH", "streaming-endpoints/cdn", {"listen": ["127.0.0.1:1"]}) == (409, "ENDPOINT_STATE")
        assert await life.refused("DELETE", "streaming-endpoints/cdn") == (409, "ENDPOINT_STATE")
        await life.carried_out("POST", "streaming-endpoints/cdn/stop")
        await life.fine("DELETE", "streaming-endpoints/cdn", status=204)
        with pytest.raises(httpx.ConnectError):
            await got(life, path, place)
        assert await life.refused("GET", "streaming-endpoints/cdn") == (404, "ENDPOINT_UNKNOWN")


async def test_an_address_that_is_taken_is_said_and_tried_again(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        with socket.create_server(("127.0.0.1", 0)) as taken:
            place = f"127.0.0.1:{taken.getsockname()[1]}"
            here = await life.fine("POST", "streaming-endpoints", {"name": "b", "listen": [place]}, 201)
            assert place in here["trouble"]
            operation = await life.fine("POST", "streaming-endpoints/b/start", status=202)
            found = operation
            while found["status"] == "running":
                found = await life.fine("GET", f"operations/{operation['id']}")
            assert (found["status"], found["error"]["code"]) == ("failed", "ENDPOINT_FAILED")
            assert (await life.fine("GET", "streaming-endpoints/b"))["state"] == "Stopped"
        await life.carried_out("POST", "streaming-endpoints/b/start")
        here = await life.fine("GET", "streaming-endpoints/b")
        assert (here["state"], here["trouble"], here["urls"]) == ("Running", None, [f"http://{place}"])


async def test_what_cannot_be_is_said(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        for name, settings in (("default", {"listen": ["127.0.0.1:0"]}), ("b", {}), ("b", {"listen": ["here"]}), ("b", {"allow": ["x"]})):
            told = await life.refused("POST", "streaming-endpoints", {"name": name, **settings})
            assert told == (400, "INVALID"), settings
        for changes in ({"manifest_age": "soon"}, {"cors": ["site"]}, {"cdn_secret": "short"}, {"state": "running"}):
            assert await life.refused("PATCH", ONE, changes) == (400, "INVALID")
        assert await life.refused("POST", "streaming-endpoints", {"name": "default"}) == (409, "ENDPOINT_EXISTS")
        assert await life.refused("POST", f"{ONE}/stop") == (409, "ENDPOINT_STATE")
        assert await life.refused("DELETE", ONE) == (409, "ENDPOINT_DEFAULT")
        first = await life.call("GET", ONE)
        assert await life.refused("PATCH", ONE, {"description": "x"}, if_match='"x"') == (412, "ETAG_MISMATCH")
        changed = await life.call("PATCH", ONE, {"description": "x", "cdn_secret": "s3cret-s3cret"}, if_match=first.headers["etag"])
        assert (changed.json()["description"], changed.json()["cdn_secret"]) == ("x", "(set)")
        assert [each["name"] for each in (await life.fine("GET", "streaming-endpoints?state=Stopped"))["items"]] == ["default"]
        assert (await life.fine("GET", "streaming-endpoints?state=Running"))["items"] == []


async def test_the_file_makes_endpoints_and_commands_stand(tmp_path: Path) -> None:
    tables = [StreamingEndpoint(state="running"), StreamingEndpoint(name="b", listen=["127.0.0.1:0"], allow=["192.0.2.1"])]
    life = api(tmp_path, streaming_endpoint=tables)
    async with life.running():
        assert [each["state"] for each in (await life.fine("GET", "streaming-endpoints"))["items"]] == ["Stopped", "Running"]
        await life.carried_out("POST", f"{ONE}/stop")
    life = api(tmp_path, streaming_endpoint=tables[:1], prune=True)
    async with life.running():
        found = (await life.fine("GET", "streaming-endpoints"))["items"]
        assert [(each["name"], each["state"]) for each in found] == [("default", "Stopped")], "the command stands; what is gone is pruned"


async def test_an_endpoint_by_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    life = Operator(tmp_path, channel=[], streaming_endpoint=[])
    async with life.running():
        for command in (
            'endpoint create b listen=["127.0.0.1:0"]',
            "endpoint start b --wait",
            'endpoint set b allow=["192.0.2.1"]',
            "endpoint stop b --wait",
            "endpoint start default --wait",
        ):
            assert await life.tell(command) == 0, command
        capsys.readouterr()
        assert await life.tell("endpoint list", "--json") == 0
        assert [(each["name"], each["state"]) for each in json.loads(capsys.readouterr().out)] == [("b", "Stopped"), ("default", "Running")]
        assert await life.tell("endpoint delete b") == 0
        assert await life.tell("endpoint show b") == 1
        assert "ENDPOINT_UNKNOWN" in capsys.readouterr().err


@pytest.mark.parametrize("threads", [1, 0])
async def test_who_comes_beyond_the_connections_of_an_endpoint_waits(tmp_path: Path, threads: int) -> None:
    life = api(tmp_path, tuning=Tuning(front_connections=16, front_threads=threads))
    ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with life.running():
        host, _, port = life.daemon.addresses["origin"][0].rpartition(":")
        # It keeps its connection.
        body = (await got(life, "healthz")).content
        there = [await trio.open_tcp_stream(host, int(port)) for _ in range(15)]
        for stream in there:
            await stream.send_all(ask)
            await _answered(stream, body)
        late = await trio.open_tcp_stream(host, int(port))
        await late.send_all(ask)
        with trio.move_on_after(0.3) as waited:
            await late.receive_some()
        assert waited.cancelled_caught
        await there[0].aclose()
        with trio.fail_after(20):
            await _answered(late, body)
        for stream in [*there, late]:
            await stream.aclose()


async def _answered(stream: trio.SocketStream, body: bytes) -> None:
    answer = b""
    while not answer.endswith(b"\r\n\r\n" + body):
        answer += await stream.receive_some()
    assert answer.startswith(b"HTTP/1.1 200")
