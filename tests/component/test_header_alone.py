"""A POST of the header boxes and nothing else registers its tracks, also of pictures and sound (ingest specification, sparse tracks)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pypackager.model.errors import PackagerError
from pypackager.model.records import FLAG_PERIOD
from tests.component.test_rest import Api, api, made
from tests.helpers.timeline_rig import Chunk, Header, Rig, audio_header
from tests.helpers.wire_rig import HEAD, WireRig, published, stream

VIDEO = 90_000
LAYERS = [Header(1, "video", name="low", bitrate=500_000), Header(2, "video", name="high", bitrate=3_000_000)]
SOUND = [audio_header(1, name="a", bitrate=128_000)]


def register(rig: Rig, headers: list[Header], name: str = "ladder") -> None:
    conn = rig.connect(headers, stream=name)
    rig.timeline.complete(conn, rig.now)
    rig.disconnect(conn)


def coming(rig: Rig) -> list[str]:
    return sorted(rig.timeline.announced())


def test_its_tracks_are_known_and_the_same_as_those_that_come_later() -> None:
    rig = Rig()
    register(rig, LAYERS)
    register(rig, SOUND, "sound")
    assert coming(rig) == ["a-128k", "high-3000k", "low-500k"]
    assert not rig.store.tracks
    # Each comes in a POST of its own, the sound first, with another header boxes' order.
    sound = rig.connect(SOUND, stream="other")
    layers = rig.connect(LAYERS[::-1])
    for start in range(100, 110, 2):
        rig.wait(2)
        rig.send(sound, Chunk(1, start * 48_000, 96_000, 48_000))
        rig.send(layers, Chunk(2, start * VIDEO, 2 * VIDEO), Chunk(1, start * VIDEO, 2 * VIDEO))
    assert {info.id: info.number for info in rig.store.tracks} == {"low-500k": 1, "high-3000k": 2, "a-128k": 3}
    assert all(len(rig.rows(name)) == 5 for name in coming(rig))
    assert rig.codes() == []


def test_the_first_publication_waits_for_them_as_long_as_for_a_connected_one_and_no_longer() -> None:
    rig = Rig()
    register(rig, SOUND, "sound")
    layers = rig.connect(LAYERS)
    found: list[tuple[int, int]] = []
    for start in range(100, 112, 2):
        rig.wait(2)
        rig.send(layers, Chunk(1, start * VIDEO, 2 * VIDEO), Chunk(2, start * VIDEO, 2 * VIDEO))
        found.append((start, len(rig.store.rows)))
    assert found == [(100, 0), (102, 0), (104, 6), (106, 8), (108, 10), (110, 12)], "two fragments"
    sound = rig.connect(SOUND, stream="sound")
    for start in range(112, 120, 2):
        rig.wait(2)
        rig.send(sound, Chunk(1, start * 48_000, 96_000, 48_000))
        rig.send(layers, Chunk(1, start * VIDEO, 2 * VIDEO), Chunk(2, start * VIDEO, 2 * VIDEO))
    assert [row.time // 48_000 for row in rig.rows("a-128k")] == [112, 114, 116, 118]
    assert len(rig.store.periods) == 1
    assert sum(bool(row.flags & FLAG_PERIOD) for row in rig.store.rows) == 3


def test_without_any_media_nothing_is_published_and_nothing_is_due() -> None:
    rig = Rig()
    register(rig, [*LAYERS, *[audio_header(3)]])
    rig.wait(100)
    assert (rig.store.rows, rig.timeline.wake_ns) == ([], None)


def test_the_limits_count_them_for_half_a_minute() -> None:
    rig = Rig(video_layers=3)
    register(rig, LAYERS)
    register(rig, LAYERS)
    register(rig, [Header(1, "video", name="third")], "third")
    with pytest.raises(PackagerError, match="TOO_MANY_TRACKS"):
        register(rig, [Header(1, "video", name="fourth")], "fourth")
    # Who has registered is let in.
    conn = rig.connect([Header(1, "video", name="third")], stream="third")
    rig.send(conn, Chunk(1, 100 * VIDEO, 2 * VIDEO))
    rig.wait(30)
    register(rig, [Header(1, "video", name="fourth")], "fourth")
    assert {"third", "fourth"} <= set(coming(rig))


def test_headers_that_come_again_and_again_take_no_room() -> None:
    rig = Rig()
    for _ in range(200):
        register(rig, LAYERS)
        rig.wait(1)
    assert len(rig.timeline.tracks.registered) == 1
    for number in range(200):
        rig.wait(30)
        register(rig, [Header(1, "video", name=f"v{number}")])
    assert len(rig.timeline.tracks.registered) == 64
    conn = rig.connect([Header(1, "video", name="v199")])
    rig.send(conn, Chunk(1, 100 * VIDEO, 2 * VIDEO))
    assert len(rig.timeline.tracks.registered) == 63, "it is a track now"


def test_rtmp_has_none() -> None:
    rig = Rig("rtmp", "utc")
    conn = rig.connect([Header(1, "video")])
    rig.disconnect(conn)
    assert coming(rig) == []


def test_through_the_real_parser_a_header_alone_is_what_a_whole_body_announces() -> None:
    made_rig, body = WireRig(), stream(1)
    try:
        made_rig.push(body.header, whole=True)
        assert made_rig.ended == [""]
        assert coming(made_rig.rig) == ["audio_deu-17k", "video_und-16k", "video_und-34k"]
        made_rig.push(body.bytes(), whole=True)
        rows = published(made_rig.rig)
    finally:
        made_rig.close()
    assert sorted(rows) == ["audio_deu-17k", "video_und-16k", "video_und-34k"]
    assert all(len(found) == 2 for found in rows.values())


async def header_alone(life: Api, header: bytes) -> bytes:
    async with await life.connect() as encoder:
        head = HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        await encoder.send_all(head + b"%x\r\n" % len(header) + header + b"\r\n0\r\n\r\n")
        return b"".join([part async for part in encoder])


async def test_the_api_shows_them_as_announced_until_they_come(tmp_path: Path) -> None:
    life = api(tmp_path)
    async with life.running():
        await made(life)
        await life.carried_out("POST", "channels/ch/start")
        await life.carried_out("POST", "channels/ch/programs/show/start")
        assert (await header_alone(life, stream(1).header)).startswith(b"HTTP/1.1 200")
        found: list[dict[str, Any]] = (await life.fine("GET", "channels/ch"))["tracks"]
        assert [(track["kind"], track["codec"][:4], track["bitrate_bps"], track["announced"]) for track in found] == [
            ("video", "avc1", 0, True), ("video", "avc1", 0, True), ("audio", "mp4a", 0, True),
        ]  # fmt: skip
        assert (await life.push()).startswith(b"HTTP/1.1 200")
        later = (await life.fine("GET", "channels/ch"))["tracks"]
        assert [track["announced"] for track in later] == [False] * 3
        assert {track["id"] for track in later} == {track["id"] for track in found}
