"""The REST API in memory, over a daemon's own channels: an event from its creation to its deletion, and every refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from pypackager.runtime import fleet
from tests.component.test_daemon_life import Life

RECORDED = {"name": "show", "archive_window": "10m", "description": "evening"}


class Api(Life):
    """A daemon without a file, told by its API."""

    async def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        url = f"http://{self.daemon.addresses['control'][0]}/v1/{path}"
        return await self.client.request(method, url, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    async def fine(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = await self.call(method, path, body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def carried_out(self, method: str, path: str) -> None:
        operation = await self.fine(method, path, status=202)
        name = f"operations/{operation['id']}"
        for _ in range(2000):
            if (found := await self.fine("GET", name))["status"] != "running":
                assert (found["status"], found["error"]) == ("done", None)
                return
        raise AssertionError(f"{path} does not end")

    async def refused(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        answer = await self.call(method, path, body, **headers)
        assert answer.headers["content-type"] == "application/problem+json"
        said = answer.json()
        assert said["status"] == answer.status_code
        return answer.status_code, said["code"]


def api(tmp_path: Path) -> Api:
    return Api(tmp_path, channel=[])


async def made(life: Api) -> None:
    await life.fine("POST", "channels", {"name": "ch", "ingest_allow": ["127.0.0.1"]}, 201)
    await life.fine("POST", "channels/ch/programs", RECORDED, 201)


async def test_an_event_from_its_creation_to_its_deletion(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        await made(life)
        here = await life.fine("GET", "channels/ch")
        assert (here["state"], here["status"], here["programs"]) == ("Stopped", "Stopped", ["show"])
        ingest = life.daemon.addresses["ingest"][0]
        assert here["ingest"]["primary"] == [f"http://{ingest}/ch/ingest.isml/Streams({{stream}})"]
        assert here["ingest"]["secondary"] == [f"http://{ingest}/ch/secondary/ingest.isml/Streams({{stream}})"]
        assert (await life.push()).startswith(b"HTTP/1.1 503"), "URLs are known in every state, data is taken in Running only"
        await life.carried_out("POST", "channels/ch/start")
        assert (await life.fine("GET", "channels/ch"))["status"] == "Ready"
        await life.carried_out("POST", "channels/ch/programs/show/start")
        assert (await life.fine("GET", "channels/ch"))["status"] == "Streaming"
        locator = await life.fine("POST", "locators", {"asset": "show", "path": "tv"}, 201)
        assert (await life.push()).startswith(b"HTTP/1.1 200")
        here = await life.fine("GET", "channels/ch")
        assert {track["kind"] for track in here["tracks"]} == {"video", "audio"}
        assert all(track["bitrate_bps"] > 0 for track in here["tracks"])
        assert (await life.client.get(here["preview"][0] + ".mpd")).status_code == 200
        assert (await life.client.get(locator["urls"][0])).json()["code"] == "NOT_READY", "too little for a live Smooth client"
        assert 'type="dynamic"' in (await life.client.get(locator["urls"][0] + ".mpd")).text
        await life.carried_out("POST", "channels/ch/programs/show/stop")
        vod = (await life.client.get(locator["urls"][0])).text
        assert "<SmoothStreamingMedia" in vod
        assert "IsLive" not in vod
        await life.fine("DELETE", "channels/ch/programs/show", status=204)
        await life.carried_out("POST", "channels/ch/stop")
        await life.carried_out("DELETE", "channels/ch")
        assert await life.refused("GET", "channels/ch") == (404, "CHANNEL_UNKNOWN")
        assert (await life.client.get(locator["urls"][0])).text == vod, "who watches the archive sees nothing of it"
        asset = await life.fine("GET", "assets/show")
        assert asset["measure"]["duration_ns"] > 0
        assert asset["measure"]["freed_bytes"] == asset["measure"]["disk_bytes"] > 0
        await life.fine("DELETE", "locators/tv", status=204)
        assert (await life.client.get(locator["urls"][0])).status_code == 404
        await life.fine("DELETE", "assets/show", status=204)
        assert (await life.fine("GET", "assets"))["items"] == []
    life = api(tmp_path)
    async with life.running():
        assert await life.fine("GET", "channels") == {"items": [], "next": None}


async def test_what_was_told_stands_after_a_restart(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        await made(life)
        await life.carried_out("POST", "channels/ch/start")
        await life.carried_out("POST", "channels/ch/programs/show/start")
        before = [await life.fine("GET", path) for path in ("channels/ch/programs/show", "channels/ch")]
    life = api(tmp_path)
    async with life.running():
        after = [await life.fine("GET", path) for path in ("channels/ch/programs/show", "channels/ch")]
        for was, now in zip(before, after, strict=True):
            moved = {"ingest": 0, "preview": 0, "usage": 0}
            assert now | moved == was | moved


async def test_a_reset_needs_stopped_programs_which_can_then_be_started_again(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        await made(life)
        assert await life.refused("POST", "channels/ch/reset") == (409, "CHANNEL_STATE")
        await life.carried_out("POST", "channels/ch/start")
        await life.carried_out("POST", "channels/ch/programs/show/start")
        assert (await life.push()).startswith(b"HTTP/1.1 200")
        assert await life.refused("POST", "channels/ch/reset") == (409, "PROGRAMS_RUNNING")
        await life.carried_out("POST", "channels/ch/programs/show/stop")
        before = await life.fine("GET", "channels/ch")
        operation = await life.fine("POST", "channels/ch/reset", status=202)
        assert (operation["command"], operation["target"]) == ("reset", "channels/ch")
        while (await life.fine("GET", f"operations/{operation['id']}"))["status"] == "running":
            pass
        after = await life.fine("GET", "channels/ch")
        assert (after["state"], after["tracks"]) == ("Running", [])
        assert [after[urls] for urls in ("ingest", "preview")] == [before[urls] for urls in ("ingest", "preview")]
        assert (await life.client.get(after["preview"][0])).status_code == 404
        await life.carried_out("POST", "channels/ch/programs/show/start")
        assert (await life.push()).startswith(b"HTTP/1.1 200")
        await life.until(lambda: len(life.daemon.fleet.channels["ch"].showing.incoming.tracks) == 3)
    life = api(tmp_path)
    async with life.running():
        assert len((await life.fine("GET", "channels/ch"))["tracks"]) == 3, "it was reset once"


async def test_what_the_state_forbids_is_a_conflict_with_its_code(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        await made(life)
        assert await life.refused("POST", "channels/ch/stop") == (409, "CHANNEL_STATE")
        assert await life.refused("POST", "channels/ch/programs/show/start") == (409, "CHANNEL_STATE")
        assert await life.refused("DELETE", "channels/ch") == (409, "CHANNEL_HAS_PROGRAMS")
        assert await life.refused("POST", "channels", {"name": "ch"}) == (409, "CHANNEL_EXISTS")
        assert await life.refused("POST", "channels/ch/programs", RECORDED) == (409, "PROGRAM_EXISTS")
        assert await life.refused("POST", "channels/ch/programs", {"name": "b", "asset": "show"}) == (409, "ASSET_IN_USE")
        await life.carried_out("POST", "channels/ch/start")
        assert await life.refused("PATCH", "channels/ch", {"protocol": "rtmp"}) == (409, "CHANNEL_STATE")
        await life.fine("PATCH", "channels/ch", {"description": "x", "preview_allow": ["192.0.2.0/24"]})
        await life.carried_out("POST", "channels/ch/programs/show/start")
        assert await life.refused("POST", "channels/ch/stop") == (409, "PROGRAMS_RUNNING")
        assert await life.refused("DELETE", "channels/ch/programs/show") == (409, "PROGRAM_STATE")
        assert await life.refused("PATCH", "channels/ch/programs/show", {"archive_window": "1h"}) == (409, "PROGRAM_STATE")
        assert await life.refused("DELETE", "assets/show") == (409, "ASSET_IN_USE")
        for name in ("b", "c", "d"):
            await life.fine("POST", "channels/ch/programs", {"name": name}, 201)
        await life.carried_out("POST", "channels/ch/programs/b/start")
        await life.carried_out("POST", "channels/ch/programs/c/start")
        assert await life.refused("POST", "channels/ch/programs/d/start") == (409, "TOO_MANY_PROGRAMS")
        await life.fine("POST", "locators", {"asset": "show", "path": "tv"}, 201)
        assert await life.refused("POST", "locators", {"asset": "show", "path": "tv"}) == (409, "LOCATOR_EXISTS")
        for name in ("b2", "c2", "d2", "e2"):
            await life.fine("POST", "channels", {"name": name}, 201)
        assert await life.refused("POST", "channels", {"name": "f2"}) == (403, "QUOTA_CHANNELS")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "channels", {"name": "a/b"}, 400, "INVALID"),
        ("POST", "channels", {"name": "a", "protocoll": "rtmp"}, 400, "INVALID"),
        ("POST", "channels", {"name": "a", "ingest_allow": ["10.0.0.1/44"]}, 400, "INVALID"),
        ("POST", "channels", {"name": "a", "ingest_hosts": ["In.test"]}, 400, "INVALID"),
        ("POST", "channels", {"name": "a", "ingest_hosts": ["in.test:8088"]}, 400, "INVALID"),
        ("PATCH", "channels/ch", {"ingest_users": {"studio": "(set)"}}, 400, "INVALID"),
        ("PATCH", "channels/ch", {"ingest_users": {"a:b": "a-password"}}, 400, "INVALID"),
        ("PATCH", "channels/ch", {"key_frame_interval": "soon"}, 400, "INVALID"),
        ("PATCH", "channels/ch", {"merge_delay": "soon"}, 400, "INVALID"),
        ("PATCH", "channels/ch", {"merge_delay": "61s"}, 400, "INVALID"),
        ("PATCH", "channels/ch", {"fragments_per_segment": 21}, 400, "INVALID"),
        ("PATCH", "channels/ch/programs/show", {"archive_window": "26h"}, 400, "INVALID"),
        ("PATCH", "channels/ch/programs/show", {"asset": "other"}, 400, "INVALID"),
        ("POST", "locators", {"asset": "show", "path": "preview"}, 400, "INVALID"),
        ("POST", "locators", {"asset": "none"}, 404, "ASSET_UNKNOWN"),
        ("GET", "channels?limit=0", None, 400, "INVALID"),
        ("POST", "channels/ch/dance", None, 400, "INVALID"),
        ("GET", "channels/x", None, 404, "CHANNEL_UNKNOWN"),
        ("GET", "channels/ch/programs/x", None, 404, "PROGRAM_UNKNOWN"),
        ("GET", "channels/x/programs", None, 404, "CHANNEL_UNKNOWN"),
        ("DELETE", "locators/x", None, 404, "LOCATOR_UNKNOWN"),
        ("GET", "assets/..", None, 404, "NOT_FOUND"),
        ("GET", "operations/x", None, 404, "OPERATION_UNKNOWN"),
        ("GET", "nothing", None, 404, "NOT_FOUND"),
        ("PUT", "channels", None, 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_what_cannot_be_is_said(tmp_path: Path, method: str, path: str, body: Any, status: int, code: str) -> None:
    life = api(tmp_path)
    async with life.running():
        await made(life)
        assert await life.refused(method, path, body) == (status, code)


async def test_hosts_and_users_of_a_channel(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        await made(life)
        port = life.daemon.addresses["ingest"][0].rpartition(":")[2]
        settings = {"ingest_hosts": ["in.test"], "ingest_users": {"studio": "a-password", "truck": "another-one"}}
        here = await life.fine("PATCH", "channels/ch", settings)
        assert here["ingest"]["primary"] == [f"http://in.test:{port}/ingest.isml/Streams({{stream}})"]
        assert here["ingest"]["secondary"] == [f"http://in.test:{port}/secondary/ingest.isml/Streams({{stream}})"]
        assert here["ingest_users"] == {"studio": "(set)", "truck": "(set)"}, "a password is never shown"
        other = {"name": "flash", "protocol": "rtmp", "ingest_hosts": ["in.test"]}
        assert await life.refused("POST", "channels", other) == (409, "INGEST_HOST_TAKEN")
        made_other = await life.fine("POST", "channels", other | {"ingest_hosts": ["flash.test"]}, 201)
        rtmp = life.daemon.addresses["rtmp"][0].rpartition(":")[2]
        assert made_other["ingest"]["secondary"] == [f"rtmp://flash.test:{rtmp}/live/secondary/{{stream}}"]
        assert await life.refused("PATCH", "channels/flash", {"ingest_hosts": ["in.test"]}) == (409, "INGEST_HOST_TAKEN")
        one_less = await life.fine("PATCH", "channels/ch", {"ingest_users": {"truck": None}, "ingest_hosts": None})
        assert one_less["ingest_users"] == {"studio": "(set)"}
        stored = life.daemon.fleet.registry.resources.channels["ch"].settings
        assert stored.ingest_users == {"studio": "a-password"}, "what is not named stays"
        assert (await life.fine("PATCH", "channels/flash", {"ingest_hosts": ["in.test"]}))["ingest_hosts"] == ["in.test"]
        assert (await life.fine("PATCH", "channels/ch", {"ingest_users": None}))["ingest_users"] == {}


async def test_who_changes_what_another_has_changed_is_told(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        await made(life)
        first = await life.call("GET", "channels/ch")
        etag = first.headers["etag"]
        second = await life.call("PATCH", "channels/ch", {"description": "a", "key_frame_interval": "2s"}, if_match=etag)
        assert second.status_code == 200
        assert second.headers["etag"] != etag
        assert await life.refused("PATCH", "channels/ch", {"description": "b"}, if_match=etag) == (412, "ETAG_MISMATCH")
        assert await life.refused("POST", "channels/ch/start", if_match=etag) == (412, "ETAG_MISMATCH")
        assert await life.refused("DELETE", "channels/ch/programs/show", if_match='"x"') == (412, "ETAG_MISMATCH")
        back = await life.fine("PATCH", "channels/ch", {"key_frame_interval": None})
        assert (back["key_frame_interval"], back["description"]) == (None, "a")


async def test_lists_have_pages_and_filters(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        for name in ("c", "a", "b"):
            await life.fine("POST", "channels", {"name": name}, 201)
        await life.carried_out("POST", "channels/b/start")
        first = await life.fine("GET", "channels?limit=2")
        assert ([each["name"] for each in first["items"]], first["next"]) == (["a", "b"], "b")
        second = await life.fine("GET", "channels?limit=2&after=b")
        assert ([each["name"] for each in second["items"]], second["next"]) == (["c"], None)
        assert [each["name"] for each in (await life.fine("GET", "channels?state=Running"))["items"]] == ["b"]


async def test_strangers_are_kept_out(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        for headers in ({"origin": "https://evil.example"}, {"host": "evil.example"}, {"origin": "null"}):
            assert await life.refused("POST", "channels", {"name": "a"}, **headers) == (403, "CONTROL_CROSS_SITE")
        assert await life.fine("GET", "channels") == {"items": [], "next": None}


async def test_the_description_of_the_api_names_every_path(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        schema = (await life.client.get(f"http://{life.daemon.addresses['control'][0]}/schema/openapi.json")).json()
    assert set(schema["paths"]) == {
        "/v1/drain",
        "/v1/channels",
        "/v1/channels/{channel}",
        "/v1/channels/{channel}/{command}",
        "/v1/channels/{channel}/programs",
        "/v1/channels/{channel}/programs/{program}",
        "/v1/channels/{channel}/programs/{program}/{command}",
        "/v1/streaming-endpoints",
        "/v1/streaming-endpoints/{endpoint}",
        "/v1/streaming-endpoints/{endpoint}/{command}",
        "/v1/locators",
        "/v1/locators/{path}",
        "/v1/locators/{path}/sign",
        "/v1/signing-keys",
        "/v1/signing-keys/{key}",
        "/v1/tokens",
        "/v1/tokens/{token}",
        "/v1/assets",
        "/v1/assets/{asset}",
        "/v1/assets/{asset}/verify",
        "/v1/usage",
        "/v1/operations/{operation}",
        "/v1/events",
        "/v1/webhooks",
        "/v1/webhooks/{webhook}",
        "/v1/webhooks/{webhook}/rotate",
    }


async def test_a_second_command_meanwhile_is_a_conflict(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        await life.fine("POST", "channels", {"name": "ch"}, 201)
        # As long as another channel's journal is read.
        async with life.daemon.fleet._turn:
            deleting = await life.fine("DELETE", "channels/ch", status=202)
            assert (deleting["command"], deleting["target"], deleting["status"]) == ("delete", "channels/ch", "running")
            here = await life.fine("GET", "channels/ch")
            assert (here["state"], here["operation"]) == ("Deleting", deleting["id"])
            for method, path, body in (("POST", "start", None), ("DELETE", "", None), ("PATCH", "", {"description": "x"})):
                assert await life.refused(method, f"channels/ch/{path}".rstrip("/"), body) == (409, "OPERATION_PENDING")
            assert await life.refused("POST", "channels/ch/programs", RECORDED) == (409, "CHANNEL_STATE")
        await life.until(lambda: not life.daemon.fleet.registry.resources.channels)


async def test_a_channel_that_cannot_be_opened_is_stopped_and_says_why(tmp_path: Path) -> None:
    life = api(tmp_path)
    directory = tmp_path / "data" / "channels" / "ch"
    directory.mkdir(parents=True)
    (directory / "journal").write_bytes(b"a file where the directory of journals belongs")
    async with life.running():
        await life.fine("POST", "channels", {"name": "ch"}, 201)
        here = await life.fine("GET", "channels/ch")
        assert (here["state"], [alert["code"] for alert in here["alerts"]]) == ("Stopped", ["CHANNEL_FAILED"])
        operation = await life.fine("POST", "channels/ch/start", status=202)
        await life.until(lambda: life.daemon.fleet.failed != {})
        found = await life.fine("GET", f"operations/{operation['id']}")
        while found["status"] == "running":
            found = await life.fine("GET", f"operations/{operation['id']}")
        assert (found["status"], found["error"]["code"]) == ("failed", "CHANNEL_FAILED")


async def test_a_start_says_what_will_be_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    life = api(tmp_path)
    async with life.running():
        await made(life)
        await life.carried_out("POST", "channels/ch/start")

        async def codes() -> list[str]:
            return [alert["code"] for alert in (await life.fine("GET", "channels/ch"))["alerts"] if alert["code"].startswith("DISK")]

        first = await life.fine("POST", "channels/ch/programs/show/start", status=202)
        limit = 25_000_000 * 600 // 8
        assert first["result"] == {
            "bitrate_bps": 25_000_000,
            "measured": False,
            "window_bytes": limit,
            "new_bytes": limit,
            "free_bytes": first["result"]["free_bytes"],
        }
        assert first["result"]["free_bytes"] > 0
        await life.push()
        while (ended := await life.fine("GET", f"operations/{first['id']}"))["status"] == "running":
            pass
        assert ended["result"] == first["result"]
        assert await codes() == []
        rate = sum(track["bitrate_bps"] for track in (await life.fine("GET", "channels/ch"))["tracks"])
        monkeypatch.setattr(fleet, "free_bytes", lambda _: life.config.tuning.disk_reserve + 1000)
        await life.fine("POST", "channels/ch/programs", {"name": "short", "archive_window": "5m"}, 201)
        covered = (await life.fine("POST", "channels/ch/programs/short/start", status=202))["result"]
        assert (covered["bitrate_bps"], covered["measured"], covered["window_bytes"], covered["new_bytes"]) == (
            rate,
            True,
            rate * 300 // 8,
            0,
        )
        assert await codes() == []
        await life.fine("POST", "channels/ch/programs", {"name": "long", "archive_window": "25h"}, 201)
        more = (await life.fine("POST", "channels/ch/programs/long/start", status=202))["result"]
        assert more["new_bytes"] == rate * (25 * 3600 - 600) // 8
        assert await codes() == ["DISK_LOW"]
        await life.until(lambda: "long" in life.daemon.fleet.channels["ch"].programs.running)
