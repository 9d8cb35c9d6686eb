"""Which track of the channel a source's track is, and what becomes of one that can't be taken."""

from __future__ import annotations

import pytest

from pypackager.model.errors import PackagerError
from pypackager.model.records import FLAG_GAP
from tests.helpers.timeline_rig import Chunk, Header, Rig, audio_header

VIDEO = 90_000
GOP = 2 * VIDEO


def sound(start_s: int, track: int = 2, rate: int = 48_000) -> Chunk:
    return Chunk(track, start_s * rate, 2 * rate, rate)


def picture(start_s: int, track: int = 1) -> Chunk:
    return Chunk(track, start_s * VIDEO, GOP)


def count(rig: Rig, track: str) -> int:
    return sum(not row.flags & FLAG_GAP for row in rig.rows(track))


def test_audio_with_another_sample_rate_becomes_a_track_of_its_own() -> None:
    rig = Rig("rtmp", "utc")
    for rate in (48_000, 44_100, 48_000):
        audio = audio_header(2, timescale=rate, stored_timescale=rate, sample_rate=rate, codec_private=b"%d" % rate)
        conn = rig.connect([Header(1, "video"), audio], stream="v")
        rig.timeline.place(conn, 0, 1000, rig.now)
        for start in (0, 2, 4):
            rig.wait(2)
            rig.send(conn, picture(start), sound(start, rate=rate))
        rig.disconnect(conn)
        rig.wait(3)
    assert count(rig, "v") == 9
    assert count(rig, "audio") == 6
    assert count(rig, "audio-44100") == 3
    assert "HEADER_MISMATCH" in rig.codes()


def test_audio_that_comes_long_before_its_video_does_not_wedge_the_stream() -> None:
    rig = Rig("rtmp", "utc")
    for _ in range(2):
        conn = rig.connect([audio_header(2)], stream="v")
        rig.timeline.place(conn, 0, 1000, rig.now)
        rig.wait(2)
        rig.send(conn, sound(0))
        rig.announce(conn, [Header(1, "video")])
        for start in (2, 4, 6):
            rig.wait(2)
            rig.send(conn, sound(start), picture(start))
        rig.disconnect(conn)
        rig.wait(3)
    assert {info.kind for info in rig.store.tracks} == {"audio", "video"}
    video = next(info.id for info in rig.store.tracks if info.kind == "video")
    assert count(rig, video) == 6


def test_audio_of_a_muxed_stream_is_named_when_its_video_is_known() -> None:
    rig = Rig("rtmp", "utc")
    conn = rig.connect([audio_header(2)], stream="v")
    rig.timeline.place(conn, 0, 1000, rig.now)
    rig.announce(conn, [Header(1, "video")])
    rig.wait(2)
    rig.send(conn, sound(0), picture(0))
    assert sorted(info.id for info in rig.store.tracks) == ["audio", "v"]


def test_the_operator_can_tell_languages_in_different_layers_apart() -> None:
    class Rule:
        match, id, language, role = "lo/audio", "audio-de", "de", "main"

    rig = Rig("rtmp", "utc", rules=[Rule()])
    for name in ("hi", "lo"):
        conn = rig.connect([Header(1, "video"), audio_header(2)], stream=name)
        rig.timeline.place(conn, 0, 1000, rig.now)
        rig.send(conn, picture(0), sound(0))
    assert {info.id: info.language for info in rig.store.tracks} == {"hi": "und", "lo": "und", "audio": "und", "audio-de": "de"}


def test_a_track_over_the_limit_leaves_the_others_of_its_connection_alone() -> None:
    rig = Rig(audio_tracks=1)
    headers = [Header(1, "video", name="v"), audio_header(2, name="a"), audio_header(3, name="b")]
    conn = rig.connect(headers)
    for start in (100, 102):
        rig.wait(2)
        rig.send(conn, picture(start), sound(start), sound(start, track=3))
    assert sorted(info.id for info in rig.store.tracks) == ["a", "v"]
    assert count(rig, "v") == count(rig, "a") == 2
    assert "TOO_MANY_TRACKS" in rig.codes()


def test_a_known_stream_of_two_tracks_reconnects_at_the_limit() -> None:
    rig = Rig(video_layers=1, audio_tracks=1)
    for start in (100, 102):
        conn = rig.connect([Header(1, "video"), audio_header(2)], stream="gst")
        rig.wait(2)
        rig.send(conn, picture(start), sound(start))
        rig.disconnect(conn)
    assert len(rig.store.tracks) == 2
    assert rig.codes() == []


def test_tracks_of_an_encoder_that_is_gone_do_not_count() -> None:
    rig = Rig(video_layers=1)
    for name in ("one", "two", "three"):
        conn = rig.connect([Header(1, "video")], stream=name)
        for start in range(0, 20, 2):
            rig.wait(2)
            rig.send(conn, picture(start))
        rig.disconnect(conn)
        rig.wait(60)
    assert [count(rig, name) for name in ("one", "two", "three")] == [10, 10, 10]


def test_the_number_of_tracks_that_ever_were_is_bounded() -> None:
    rig = Rig(video_layers=1)

    def encoders() -> None:
        for n in range(100):
            conn = rig.connect([Header(1, "video")], stream=f"v{n}")
            rig.wait(2)
            rig.send(conn, picture(0))
            rig.disconnect(conn)
            rig.wait(60)

    with pytest.raises(PackagerError, match="TOO_MANY_TRACKS"):
        encoders()
    assert len(rig.store.tracks) < 20


def test_the_header_is_hashed_once() -> None:
    asked: list[int] = []

    class Counting(Header):
        def init(self, track_id: int, timescale: int, language: str) -> bytes:
            asked.append(track_id)
            return b"init"

    rig = Rig()
    conn = rig.connect([Counting(1, "video")], stream="v")
    for start in range(100, 120, 2):
        rig.wait(2)
        rig.send(conn, picture(start))
    assert asked == [1]
