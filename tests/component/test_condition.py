"""What the preview's page is told of a channel: its tracks' holes, rates and alerts, for who may see the preview, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from pypackager.model.errors import PackagerError
from tests.component.origin.fakes import World
from tests.component.test_daemon_life import Life
from tests.helpers.channel_node import VIDEO, ChannelNode
from tests.helpers.timeline_rig import Header, Stored

VIEWER = "198.51.100.1"


def two_layers(tmp_path: Path, *, missing: int | None = None, count: int = 70) -> ChannelNode:
    """Two layers in fragments of two seconds; of the second one, one fragment does not come."""
    node = ChannelNode(tmp_path)
    for conn, name in ((1, "v1"), (2, "v2")):
        node.channel.open_feed(conn, "primary", name)
        node.channel.track_found(conn, cast(Any, Header(1, "video")))
        node.channel.admit(conn)
    for number in range(count):
        node.wait(2)
        for conn, size in ((1, 5000), (2, 1000 + 10 * number)):
            if (conn, number) != (2, missing):
                node.channel.chunk(conn, cast(Any, Stored(1, (100 + 2 * number) * VIDEO, 2 * VIDEO, size=size)))
        node.channel.advance()
        node.settle()
    return node


def test_before_anything_came_it_says_so(tmp_path: Path) -> None:
    found = ChannelNode(tmp_path).channel.showing.condition(VIEWER)
    assert found == {
        "state": "Running",
        "status": "Streaming",
        "gap_s": None,
        "depth_s": 0.0,
        "interval_s": None,
        "tracks": [],
        "alerts": [],
    }


def test_a_fragment_that_did_not_come_is_a_hole_of_its_track_alone(tmp_path: Path) -> None:
    node = two_layers(tmp_path, missing=40)
    found = node.channel.showing.condition(VIEWER)
    fine, holed = found["tracks"]
    assert (found["status"], found["interval_s"], round(found["depth_s"])) == ("Streaming", 2.0, 140)
    assert (fine["id"], fine["gaps"], fine["gap_s"], fine["alerts"]) == ("v1", 0, 0.0, [])
    assert (holed["id"], holed["gaps"], holed["gap_s"], holed["alerts"]) == ("v2", 1, 2.0, ["TRACK_GAP"])
    assert [fine["key_frame_interval_s"], fine["behind_s"], len(fine["recent"])] == [2.0, 0.0, 60]
    times = [start for start, _, _ in holed["recent"]]
    assert times == [120.0 + 2 * number for number in range(60)]
    assert [start for start, _, rate in holed["recent"] if rate is None] == [180.0]
    assert holed["recent"][-1] == [238.0, 2.0, len(b"%d %d %d" % (1, 238 * VIDEO, 1690)) * 4]
    (alert,) = found["alerts"]
    assert (alert["code"], alert["count"]) == ("TRACK_GAP", 1)
    node.wait(30)
    assert node.channel.showing.condition(VIEWER)["alerts"][0]["ago_s"] - alert["ago_s"] == pytest.approx(30)
    assert node.channel.showing.condition(VIEWER)["gap_s"] - found["gap_s"] == pytest.approx(30)


def test_it_is_for_who_may_see_the_preview_and_names_nobody(tmp_path: Path) -> None:
    node = two_layers(tmp_path, count=3)
    node.channel.alert("ADDRESS_NOT_ALLOWED", "203.0.113.77 is not in the channel's ingest_allow")
    node.channel.apply(msgspec.structs.replace(node.config, preview_allow=["198.51.100.0/24"]))
    text = json.dumps(node.channel.showing.condition(VIEWER))
    assert "ADDRESS_NOT_ALLOWED" in text
    assert not any(address in text for address in ("203.0.113.77", "192.0.2.1", "198.51.100"))
    with pytest.raises(PackagerError) as caught:
        node.channel.showing.condition("192.0.2.9")
    assert (caught.value.code, caught.value.status) == ("PREVIEW_FORBIDDEN", 403)


async def test_it_is_never_kept_and_refused_as_the_preview_is() -> None:
    world = World()
    answer = await world.ask("/preview/news.isml/health.json", client=VIEWER)
    assert (answer.status, answer.json()["state"], answer.headers["cache-control"]) == (200, "Running", "no-store")
    assert answer.headers["content-type"] == "application/json"
    assert (await world.ask("/preview/nobody.isml/health.json")).status == 404
    assert (await world.ask("/show/show.ism/health.json")).status == 404, "a locator's viewers are told nothing of the encoder"
    world.catalog.fault = PackagerError("PREVIEW_FORBIDDEN", "not for you", status=403)
    assert (await world.ask("/preview/news.isml/health.json")).json()["code"] == "PREVIEW_FORBIDDEN"
    assert world.catalog.preview_clients[0] == VIEWER
    assert world.catalog.audience.viewers() == [], "who looks after it does not watch"


async def test_a_daemon_tells_of_what_was_pushed_and_of_a_channel_that_is_stopped(tmp_path: Path) -> None:
    life = Life(tmp_path)
    async with life.running():
        await life.push()
        found = (await life.ask("origin", "preview/ch.isml/health.json")).json()
        assert {track["kind"]: track["key_frame_interval_s"] is None for track in found["tracks"]} == {"video": False, "audio": True}
        assert all(track["bitrate_bps"] > 0 and len(track["recent"]) == 3 for track in found["tracks"])
