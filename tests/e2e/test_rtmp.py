"""RTMP in: layers and languages over several publishes, takeover, restart at zero."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import LADDER_PUBLISHES, NEW_FFMPEG, old_ffmpeg, push_rtmp, wait_until
from tests.helpers.frames import assert_presentation, assert_same, read_file
from tests.helpers.media import AUDIO_ONLY, B_FRAMES, LADDER, LADDER_SHORT, OTHER_SIZE, SINGLE, VIDEO_ONLY, Recipe, material
from tests.helpers.outputs import assert_outputs
from tests.helpers.presentation import read_dash, read_hls

pytestmark = pytest.mark.e2e

# RTMP counts in milliseconds.
COARSER = 1000
# The languages are what RTMP cannot say; the frames are found by their content anyway.
LADDER_CHANNEL = Channel("news", protocol="rtmp", settings='[[channel.track]]\nmatch = "audio2"\nid = "audio-de"\nlanguage = "de"\n')


def test_a_minute_of_the_ladder_comes_out_whole(tmp_path: Path) -> None:
    source = material(LADDER)
    with running_daemon(tmp_path, Channel("news", protocol="rtmp", settings='clock = "source"')) as daemon:
        push_rtmp(daemon.rtmp("news"), source, tmp_path / "encoder.log", LADDER_PUBLISHES, rate=4).finish()
        daemon.end_program("news")
        assert_outputs(daemon, "news", read_file(source), coarser=COARSER)


@pytest.mark.parametrize("recipe", [AUDIO_ONLY, VIDEO_ONLY], ids=lambda recipe: recipe.name)
def test_a_feed_without_picture_or_sound_works_in_every_output(recipe: Recipe, tmp_path: Path) -> None:
    source = material(recipe)
    with running_daemon(tmp_path, Channel("news", protocol="rtmp", settings='clock = "source"')) as daemon:
        push_rtmp(daemon.rtmp("news"), source, tmp_path / "encoder.log", {"main": ["0:0"]}, rate=4).finish()
        daemon.end_program("news")
        assert_outputs(daemon, "news", read_file(source), coarser=COARSER)


@pytest.mark.parametrize("generation", ["old", "new"])
def test_ffmpeg_in_real_time(generation: str, tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    binary = old_ffmpeg() if generation == "old" else NEW_FFMPEG
    with running_daemon(tmp_path, LADDER_CHANNEL) as daemon:
        push_rtmp(daemon.rtmp("news"), source, tmp_path / "encoder.log", LADDER_PUBLISHES, binary=binary).finish()
        daemon.end_program("news")
        assert_outputs(daemon, "news", read_file(source), coarser=COARSER)
        assert 'lang="de"' in daemon.client.get(daemon.presentation("news", "manifest(format=mpd-time-cmaf)")).text


def test_b_frames_at_ntsc_rate(tmp_path: Path) -> None:
    source = material(B_FRAMES)
    publishes = {"v1": ["0:0"], "v2": ["0:3", "0:4"], "audio2": ["0:5"]}
    with running_daemon(tmp_path, Channel("news", protocol="rtmp")) as daemon:
        push_rtmp(daemon.rtmp("news"), source, tmp_path / "encoder.log", publishes).finish()
        daemon.end_program("news")
        sent = read_file(source)
        assert_outputs(daemon, "news", [sent[0], sent[3], sent[4], sent[5]], coarser=COARSER)


def test_the_same_audio_in_every_layer_is_listed_once(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    with running_daemon(tmp_path, Channel("news", protocol="rtmp")) as daemon:
        publishes = {f"v{n}": [f"0:{n}", "0:4"] for n in range(4)}
        push_rtmp(daemon.rtmp("news"), source, tmp_path / "encoder.log", publishes).finish()
        daemon.end_program("news")
        got = read_dash(daemon.fetch, daemon.presentation("news", "manifest(format=mpd-time-cmaf)"))
        assert [track.kind for track in got].count("audio") == 1
        assert_presentation(read_file(source)[:5], got, coarser=COARSER)


def test_a_frozen_publisher_is_taken_over_without_a_gap(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    publishes = {"v1": ["0:0", "0:4"]}
    with running_daemon(tmp_path, Channel("news", protocol="rtmp")) as daemon:
        playlist = daemon.presentation("news", "manifest(format=m3u8-cmaf)")
        with push_rtmp(daemon.rtmp("news"), source, tmp_path / "first.log", publishes) as first:
            daemon.wait_for(playlist, "#EXT-X-STREAM-INF")
            with push_rtmp(daemon.rtmp("news"), source, tmp_path / "second.log", publishes) as second:
                first.freeze()
                second.finish()
        daemon.end_program("news")
        got = read_hls(daemon.fetch, playlist)
        sent = read_file(source)
        # What the first one sent until it froze, then all that the second one sent.
        for track in got:
            ours = (sent[0] if track.kind == "video" else sent[4]).digests()
            before = len(track.frames) - len(ours)
            assert before > 0, f"{track.label}: {len(track.frames)} frames"
            assert track.digests() == ours[:before] + ours, track.label
        texts = media_playlists(daemon, playlist)
        assert [text.count("#EXT-X-GAP\n") for text in texts] == [0, 0], texts
        assert [text.count("#EXT-X-DISCONTINUITY\n") for text in texts] == [1, 1], texts


def media_playlists(daemon: Daemon, master: str) -> list[str]:
    """The text of every playlist below a master playlist."""
    text = daemon.fetch(master).decode()
    names = [line for line in text.splitlines() if line and not line.startswith("#")] + re.findall(r'URI="([^"]+)"', text)
    return [daemon.fetch(urljoin(master, name)).decode() for name in names]


@pytest.mark.parametrize("again", [SINGLE, OTHER_SIZE], ids=lambda recipe: recipe.name)
def test_a_restart_at_zero_opens_a_period(again: Recipe, tmp_path: Path) -> None:
    first, second = material(SINGLE), material(again)
    publishes = {"main": ["0:0", "0:1"]}
    with running_daemon(tmp_path, Channel("news", protocol="rtmp")) as daemon:
        push_rtmp(daemon.rtmp("news"), first, tmp_path / "first.log", publishes).finish()
        push_rtmp(daemon.rtmp("news"), second, tmp_path / "second.log", publishes).finish()
        daemon.end_program("news")
        dash = read_dash(daemon.fetch, daemon.presentation("news", "manifest(format=mpd-time-cmaf)"))
        periods = sorted({track.label.split()[2] for track in dash})
        assert len(periods) == 2
        for period, source in zip(periods, (first, second), strict=True):
            assert_presentation(read_file(source), [track for track in dash if track.label.split()[2] == period], coarser=COARSER)


def test_two_publishers_of_one_track_are_merged_by_time(tmp_path: Path) -> None:
    source = material(SINGLE)
    publishes = {"main": ["0:0", "0:1"]}
    with running_daemon(tmp_path, Channel("news", protocol="rtmp", settings='clock = "source"')) as daemon:
        with (
            push_rtmp(daemon.rtmp("news"), source, tmp_path / "first.log", publishes) as first,
            push_rtmp(daemon.rtmp("news", "secondary"), source, tmp_path / "second.log", publishes) as second,
        ):
            wait_until(lambda: "#EXT-X-STREAM-INF" in daemon.client.get(daemon.presentation("news", "master.m3u8")).text, "no playlist")
            first.kill()
            second.finish()
        daemon.end_program("news")
        assert_outputs(daemon, "news", read_file(source), coarser=COARSER)


@pytest.mark.parametrize("seconds", [6.04, 7.9])
def test_when_the_last_picture_leaves_its_tail_and_all_the_sound_are_there(seconds: float, tmp_path: Path) -> None:
    source = material(SINGLE)
    with running_daemon(tmp_path, Channel("news", protocol="rtmp")) as daemon:
        with (
            push_rtmp(daemon.rtmp("news"), source, tmp_path / "v.log", {"v": ["0:0"]}, extra=["-t", str(seconds)]) as picture,
            push_rtmp(daemon.rtmp("news"), source, tmp_path / "a.log", {"a": ["0:1"]}) as sound,
        ):
            picture.finish()
            sound.finish()
        daemon.end_program("news")
        got = read_dash(daemon.fetch, daemon.presentation("news", "manifest(format=mpd-time-cmaf)"))
        sent = {track.kind: track for track in read_file(source)}
        assert {track.kind: len(track.frames) for track in got} == {"video": round(seconds * 25), "audio": len(sent["audio"].frames)}
        for track in got:
            assert_same(sent[track.kind], track, whole=False, coarser=COARSER)
