"""Assets over the API and by commands: clips, numbers, verification, deletion; against a daemon's own channels."""

from __future__ import annotations

import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import av
import pytest

from pypackager.control import archive
from pypackager.dvr.library import Library
from tests.component.test_download import damage
from tests.component.test_locators import Both
from tests.component.test_operate import Capture

MANIFESTS = (
    "manifest",
    "manifest(format=m3u8-cmaf)",
    "manifest(format=m3u8-aapl)",
    "manifest(format=m3u8-aapl-v3)",
    "manifest(format=mpd-time-cmaf)",
    "manifest(format=f4m-f4f)",
)


class Archived(Both):
    """A daemon with a program that recorded three fragments of a second, a segment each, and has ended."""

    async def record(self, **settings: Any) -> None:
        await self.fine("POST", "channels", {"name": "ch", "ingest_allow": ["127.0.0.1"], "fragments_per_segment": 1, **settings}, 201)
        await self.fine("POST", "channels/ch/programs", {"name": "show"}, 201)
        await self.carried_out("POST", "channels/ch/start")
        await self.carried_out("POST", "channels/ch/programs/show/start")
        assert (await self.push()).startswith(b"HTTP/1.1 200")

    async def end(self) -> None:
        await self.carried_out("POST", "channels/ch/programs/show/stop")

    async def forget(self) -> None:
        """Nothing is left but assets."""
        await self.end()
        await self.fine("DELETE", "channels/ch/programs/show", status=204)
        await self.carried_out("POST", "channels/ch/stop")
        await self.carried_out("DELETE", "channels/ch")

    async def packets(self, asset: str, **more: Any) -> list[tuple[int, bytes]]:
        """What it plays, from its start to its end: stream and bytes of each frame."""
        url = (await self.fine("POST", "locators", {"asset": asset, **more}, 201))["urls"][0].removesuffix("manifest")
        for manifest in MANIFESTS:
            assert ((await self.client.get(url + manifest)).status_code, manifest) == (200, manifest)
        data = (await self.client.get(url + "download.mp4")).content
        with av.open(io.BytesIO(data), mode="r") as container:
            return [(packet.stream_index, bytes(packet)) for packet in container.demux() if packet.size]

    @property
    def bytes(self) -> int:
        return Library(Path(self.config.data_dir) / "assets").disk_bytes()


def archived(tmp_path: Path) -> Archived:
    return Archived(tmp_path, channel=[])


@pytest.mark.parametrize("clock", ["utc", "source"])
async def test_a_clip_is_a_part_that_neither_needs_nor_holds_its_source(tmp_path: Path, clock: str) -> None:
    life = archived(tmp_path)
    async with life.running():
        await life.record(clock=clock)
        # Of a program that runs: what is published.
        early = await life.fine("POST", "assets", {"asset": "show", "name": "early"}, 201)
        assert (early["state"], early["clip"], early["program"], early["channel"]) == ("OnDemand", True, None, "ch")
        await life.forget()
        source = await life.fine("GET", "assets/show")
        start = datetime.fromisoformat(source["start"])
        middle = (start + timedelta(seconds=1.2)).isoformat()
        before = life.bytes
        await life.fine(
            "POST", "assets", {"asset": "show", "name": "second", "start": middle, "end": (start + timedelta(seconds=1.3)).isoformat()}, 201
        )
        media_s = source["measure"]["start_ns"] / 1e9
        last = await life.fine("POST", "assets", {"asset": "show", "start": str(media_s + 2.1)}, 201)
        assert last["name"].startswith("show-")
        assert life.bytes < before + 4000, "nothing is copied"
        whole, part, rest = [await life.packets(name) for name in ("show", "second", last["name"])]
        assert await life.packets("early") == whole
        assert 0 < len(part) < len(whole)
        found = await life.fine("GET", "assets/second")
        assert [track["fragments"] for track in found["measure"]["tracks"]] == [1, 1, 1]
        assert found["measure"]["shared_bytes"] > 0.9 * found["measure"]["disk_bytes"]
        # The segment that holds the moment, and no other.
        for stream in range(3):
            frames = [[data for index, data in packets if index == stream] for packets in (whole, part, rest)]
            first = frames[0].index(frames[1][0])
            assert frames[0][first:] == frames[1] + frames[2]
        await life.fine("DELETE", "assets/show", status=204)
        await life.fine("DELETE", "assets/early", status=204)
        assert await life.packets("second", path="again") == part
        await life.fine("DELETE", f"assets/{last['name']}", status=204)
        assert await life.packets("second", path="more") == part
        held = life.bytes
        found = await life.fine("GET", "assets/second")
        assert found["measure"]["freed_bytes"] == found["measure"]["disk_bytes"] == held, "the last sharer has it all"
        await life.fine("DELETE", "assets/second", status=204)
        assert life.bytes == 0
    life = archived(tmp_path)
    async with life.running():
        assert (await life.fine("GET", "assets"))["items"] == []


async def test_a_source_survives_its_clip_and_a_restart(tmp_path: Path) -> None:
    life = archived(tmp_path)
    async with life.running():
        await life.record()
        await life.fine("POST", "assets", {"asset": "show", "name": "clip"}, 201)
        await life.end()
        whole = await life.packets("show", path="tv")
        await life.fine("POST", "locators", {"asset": "clip", "path": "part"}, 201)
    life = archived(tmp_path)
    async with life.running():
        await life.fine("DELETE", "assets/clip", status=204)
        assert await life.packets("show", path="again") == whole
        assert await life.refused("GET", "locators/part") == (404, "LOCATOR_UNKNOWN")
        assert await life.refused("DELETE", "assets/show") == (409, "ASSET_IN_USE")


async def test_what_is_no_clip(tmp_path: Path) -> None:
    life = archived(tmp_path)
    async with life.running():
        await life.record()
        await life.fine("POST", "channels/ch/programs", {"name": "next"}, 201)
        for body, refusal in (
            ({"asset": "nothing"}, (404, "ASSET_UNKNOWN")),
            ({"asset": "show", "name": "show"}, (409, "ASSET_IN_USE")),
            ({"asset": "show", "name": "next"}, (409, "ASSET_IN_USE")),
            ({"asset": "show", "start": 1e9, "end": 2e9}, (409, "CLIP_EMPTY")),
            ({"asset": "show", "start": "2027-03-01T18:00:00"}, (400, "INVALID")),
            ({"asset": "show", "end": "yesterday"}, (400, "INVALID")),
            ({"asset": "show", "start": "nan"}, (400, "INVALID")),
            ({"asset": "show", "start": -1}, (400, "INVALID")),
            ({"asset": "show", "start": 5, "end": 5}, (400, "INVALID")),
            ({"asset": "show", "name": "../x"}, (400, "INVALID")),
        ):
            assert await life.refused("POST", "assets", body) == refusal, body
        await life.fine("POST", "assets", {"asset": "show", "name": "clip"}, 201)
        assert await life.refused("POST", "assets", {"asset": "show", "name": "clip"}) == (409, "ASSET_EXISTS")
        assert [item["name"] for item in (await life.fine("GET", "assets"))["items"]] == ["clip", "show"]


async def test_all_media_is_read_and_damage_is_said_and_left_out(tmp_path: Path) -> None:
    life = archived(tmp_path)
    async with life.running():
        await life.record()
        assert await life.refused("POST", "assets/show/verify") == (409, "ASSET_RUNNING")
        await life.forget()
        await life.carried_out("POST", "assets/show/verify")
        sums = (await life.fine("GET", "assets/show"))["verified"]
        assert [track["fragments"] for track in sums["tracks"]] == [3, 3, 3]
        assert sums["damaged"] == []
        url = (await life.fine("POST", "locators", {"asset": "show", "path": "tv"}, 201))["urls"][0]
        shown = life.daemon.fleet.shelf["show"].presentation()
        picture = shown.tracks[0]
        url = url.removesuffix("manifest") + f"hls/{picture.info.id}.m3u8"
        before = (await life.client.get(url)).text
        damage(Path(shown.blob_paths[int(picture.blob[1])]), int(picture.offset[1]) + int(picture.size[1]) - 9)
        operation = await life.fine("POST", "assets/show/verify", status=202)
        while (ended := await life.fine("GET", f"operations/{operation['id']}"))["status"] == "running":
            pass
        assert (ended["progress"], ended["error"]) == (1.0, None)
        (lost,) = ended["result"]["damaged"]
        assert (lost["track"], lost["fragments"], lost["reason"]) == (picture.info.id, 1, "the checksum is wrong")
        assert lost["end_ns"] - lost["start_ns"] == 1_000_000_000
        asset = await life.fine("GET", "assets/show")
        assert [alert["code"] for alert in asset["alerts"]] == ["ASSET_DAMAGED"]
        hole = {key: lost[key] for key in ("start_ns", "end_ns")}
        assert [(track["gaps"], track["holes"]) for track in asset["measure"]["tracks"]] == [(1, [hole]), (0, []), (0, [])]
        # The others are what they were, and viewers get what is whole.
        assert [now == was for now, was in zip(asset["verified"]["tracks"], sums["tracks"], strict=True)] == [False, True, True]
        now = (await life.client.get(url)).text
        assert (before.count("#EXT-X-GAP"), now.count("#EXT-X-GAP")) == (0, 1)
        assert ended["result"] == asset["verified"]
    life = archived(tmp_path)
    async with life.running():
        again = await life.fine("GET", "assets/show")
        assert (again["verified"], again["alerts"]) == (asset["verified"], asset["alerts"])


async def test_what_is_being_read_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    life = archived(tmp_path)
    monkeypatch.setattr(archive, "RATE", 1)
    async with life.running():
        await life.record()
        await life.end()
        operation = await life.fine("POST", "assets/show/verify", status=202)
        assert (await life.fine("GET", "assets/show"))["operation"] == operation["id"]
        await life.fine("DELETE", "channels/ch/programs/show", status=204)
        assert await life.refused("DELETE", "assets/show") == (409, "OPERATION_PENDING")
        assert await life.refused("POST", "assets/show/verify") == (409, "OPERATION_PENDING")
        # The end of the daemon does not wait for it.


async def test_a_program_that_was_started_meanwhile_keeps_its_asset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    life = archived(tmp_path)
    monkeypatch.setattr(archive, "RATE", 1e5)
    async with life.running():
        await life.record()
        await life.end()
        operation = await life.fine("POST", "assets/show/verify", status=202)
        await life.carried_out("POST", "channels/ch/programs/show/start")
        while (ended := await life.fine("GET", f"operations/{operation['id']}"))["status"] == "running":
            pass
        assert (ended["status"], ended["error"]["code"]) == ("failed", "ASSET_RUNNING")
        assert (await life.fine("GET", "assets/show"))["state"] == "Live"


async def test_a_list_is_cut_down_and_has_pages(tmp_path: Path) -> None:
    life = archived(tmp_path)
    async with life.running():
        await life.record()
        for name in ("b", "a", "c"):
            await life.fine("POST", "assets", {"asset": "show", "name": name}, 201)
        (Path(life.config.data_dir) / "assets" / "b" / "asset.json").write_text("{")

        async def names(query: str) -> list[str]:
            return [item["name"] for item in (await life.fine("GET", f"assets?{query}"))["items"]]

        assert await names("") == ["a", "b", "c", "show"]
        assert await names("channel=ch") == ["a", "c", "show"]
        assert await names("channel=other") == []
        assert await names("program=ch/show") == ["show"]
        assert await names("state=OnDemand") == ["a", "c"]
        assert await names("state=Live") == ["show"]
        assert await names("state=Unreadable") == ["b"]
        first = await life.fine("GET", "assets?channel=ch&limit=2")
        assert ([item["name"] for item in first["items"]], first["next"]) == (["a", "c"], "c")
        assert await names("channel=ch&limit=2&after=c") == ["show"]
        assert await life.refused("GET", "assets?state=x") == (400, "INVALID")


async def test_the_same_by_commands(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    life = archived(tmp_path)
    monkeypatch.chdir(tmp_path)
    async with life.running():
        await life.record()
        await life.end()
        start = (await life.fine("GET", "assets/show"))["start"]
        capsys.readouterr()
        assert await life.tell(f"asset clip show clip --start {start} --json") == 0
        assert json.loads(capsys.readouterr().out)["clip"] is True
        assert await life.tell("asset measure clip") == 0
        said = capsys.readouterr().out
        assert "0:00:02.421" in said
        assert "mp4a.40.2" in said
        assert await life.tell("asset verify clip --wait") == 0
        assert "done" in capsys.readouterr().out
        assert await life.tell("asset measure clip") == 0
        assert "sha256 audio_deu-17k" in capsys.readouterr().out
        assert await life.tell("asset list --channel ch --state OnDemand", "--json") == 0
        assert [item["name"] for item in json.loads(capsys.readouterr().out)] == ["clip", "show"]
        assert await life.tell("asset download clip") == 1
        assert "`pypackager locator create clip`" in capsys.readouterr().err
        assert await life.tell("locator create clip signed=true") == 0
        assert await life.tell("key create") == 0
        assert await life.tell("asset download clip") == 0
        assert await life.tell("asset download clip --tracks nothing -o other.mp4") == 1
        assert "NO_SUCH_TRACK" in capsys.readouterr().err
        with av.open(str(tmp_path / "clip.mp4")) as container:
            assert [stream.type for stream in container.streams] == ["video", "video", "audio"]
        blob = next((tmp_path / "data" / "assets" / "clip").rglob("*.cmfa"))
        damage(blob, blob.stat().st_size - 9)
        assert await life.tell("asset verify clip --wait") == 1
        assert "ASSET_DAMAGED: 1 fragments are damaged" in capsys.readouterr().err
        for command in ("asset clip nothing clip", "asset clip show x --start soon", "asset measure nothing"):
            assert await life.tell(command) == 1, command
