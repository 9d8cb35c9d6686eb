"""Fragmented MP4 in, every output out: what real encoders sent is what players get."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Literal

import pytest
from lxml import etree

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import NEW_FFMPEG, old_ffmpeg, program, push_cmaf, push_isml, push_rtmp, wait_until
from tests.helpers.frames import read_file
from tests.helpers.judged import assert_clean, judge_urls
from tests.helpers.media import (
    AUDIO_ONLY,
    B_FRAMES,
    FIVE_PICTURES,
    FOUR_SECOND_GOPS,
    LADDER,
    LADDER_SHORT,
    SINGLE,
    VIDEO_ONLY,
    Recipe,
    ffmpeg,
    material,
)
from tests.helpers.outputs import assert_outputs
from tests.helpers.presentation import DASH, OUTPUTS, read_hls, timeline

pytestmark = pytest.mark.e2e


def test_a_minute_of_the_ladder_comes_out_whole(tmp_path: Path) -> None:
    source = material(LADDER)
    with running_daemon(tmp_path, Channel("news")) as daemon:
        push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", rate=0).finish()
        daemon.end_program("news")
        assert_outputs(daemon, "news", read_file(source))


@pytest.mark.parametrize("generation", ["old", "new"])
@pytest.mark.parametrize("flags", ["isml+frag_keyframe", "isml+frag_keyframe+delay_moov"])
def test_ffmpeg_with_b_frames(generation: str, flags: str, tmp_path: Path) -> None:
    source = material(B_FRAMES)
    binary = old_ffmpeg() if generation == "old" else NEW_FFMPEG
    with running_daemon(tmp_path, Channel("news")) as daemon:
        push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", binary=binary, rate=0, flags=flags).finish()
        daemon.end_program("news")
        assert_outputs(daemon, "news", read_file(source))


def test_several_traf_in_a_moof(tmp_path: Path) -> None:
    source = material(SINGLE)
    with running_daemon(tmp_path, Channel("news")) as daemon:
        push_cmaf(daemon.ingest("news"), source, tmp_path / "encoder.log", rate=0).finish()
        daemon.end_program("news")
        # Without an edit list ffmpeg moves the first audio frame to zero by itself: what it writes to a file is what it sends.
        sent = tmp_path / "sent.mp4"
        push_cmaf(str(sent), source, tmp_path / "file.log", rate=0).finish()
        assert_outputs(daemon, "news", read_file(sent))


def test_a_stream_per_track_is_the_same_presentation(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    tracks = read_file(source)
    with running_daemon(tmp_path, Channel("news")) as daemon:
        # Alone, ffmpeg's audio would be one fragment at the end: nothing in it says where to cut.
        cut = ["-frag_duration", "2000000"]
        encoders = [
            push_isml(daemon.ingest("news", f"s{n}"), source, tmp_path / f"{n}.log", rate=2, maps=[f"0:{n}"], extra=cut)
            for n in range(len(tracks))
        ]
        for encoder in encoders:
            encoder.finish()
        daemon.end_program("news")
        assert_outputs(daemon, "news", tracks)


@pytest.mark.parametrize("recipe", [SINGLE, AUDIO_ONLY, VIDEO_ONLY, FOUR_SECOND_GOPS], ids=lambda recipe: recipe.name)
def test_small_feeds_work_in_every_output(recipe: Recipe, tmp_path: Path) -> None:
    source = material(recipe)
    with running_daemon(tmp_path, Channel("news")) as daemon:
        push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", rate=0).finish()
        daemon.end_program("news")
        assert_outputs(daemon, "news", read_file(source))


def test_transport_streams_keep_their_clock_going_between_rare_pictures(tmp_path: Path) -> None:
    source = material(FIVE_PICTURES)
    with running_daemon(tmp_path, Channel("news")) as daemon:
        push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", rate=0).finish()
        daemon.end_program("news")
        assert_outputs(daemon, "news", read_file(source), only=("ts", "ts3"))
        assert_clean(judge_urls([daemon.presentation("news", OUTPUTS[name].manifest) for name in ("ts", "ts3")]))


@pytest.mark.parametrize("protocol", ["fmp4", "rtmp"])
def test_sound_before_the_first_picture_and_behind_the_last_comes_out(protocol: Literal["fmp4", "rtmp"], tmp_path: Path) -> None:
    source, loop = tmp_path / "around.mp4", material(SINGLE)
    inputs = ["-itsoffset", "0.3", "-t", "8", "-i", str(loop), "-t", "8.6", "-i", str(loop), "-map", "0:v", "-map", "1:a"]
    subprocess.run([ffmpeg(), "-v", "error", *inputs, "-c", "copy", str(source)], check=True, timeout=20)
    with running_daemon(tmp_path, Channel("news", protocol=protocol)) as daemon:
        if protocol == "fmp4":
            push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", rate=0).finish()
        else:
            push_rtmp(daemon.rtmp("news"), source, tmp_path / "encoder.log", {"main": ["0:0", "0:1"]}).finish()
        daemon.end_program("news")
        assert_outputs(daemon, "news", read_file(source), coarser=1_000_000 if protocol == "fmp4" else 1000)


@pytest.mark.parametrize("threads", [1, 0], ids=["front", "application"])
def test_live_manifests_grow_and_outside_programs_read_them(threads: int, tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    tuning = f"front_threads = {threads}"
    with running_daemon(tmp_path, Channel("news", settings="fragments_per_segment = 1"), tuning=tuning) as daemon:
        hls = daemon.presentation("news", "manifest(format=m3u8-cmaf)")
        dash = daemon.presentation("news", "manifest(format=mpd-time-cmaf)")
        with push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log") as encoder:
            assert 'type="dynamic"' in daemon.wait_for(dash, "<S ")
            # What is in the window is whole already while the rest is being sent.
            sent = read_file(source)
            assert_outputs(daemon, "news", sent, whole=False, only=["hls", "dash"])
            encoder.finish()

        def listed() -> bool:
            counts = sorted(len(track.frames) for track in read_hls(daemon.fetch, hls))
            return counts == [len(track.frames) for track in sorted_by_size(sent)]

        wait_until(listed, "the end of the feed is not listed")
        assert "#EXT-X-ENDLIST" not in daemon.client.get(hls).text, "ending a POST ends nothing"
        daemon.end_program("news")
        for url in (hls, dash):
            assert_ffprobe(url, video=4, audio=2, frames=300)


def sorted_by_size(sent: list[Any]) -> list[Any]:
    """By frame count, as `sorted` orders counts."""
    return sorted(sent, key=lambda track: len(track.frames))


def assert_ffprobe(url: str, *, video: int, audio: int, frames: int) -> None:
    """Demands that ffprobe finds the tracks and every frame."""
    command = [program("ffprobe", "ffmpeg"), "-v", "error", "-count_packets", "-show_streams", "-of", "json", url]
    done = subprocess.run(command, capture_output=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr.decode()
    streams = json.loads(done.stdout)["streams"]
    kinds = [stream["codec_type"] for stream in streams]
    assert kinds.count("video") >= video, kinds
    assert kinds.count("audio") >= audio, kinds
    counts = {int(stream["nb_read_packets"]) for stream in streams if stream["codec_type"] == "video"}
    assert counts == {frames}, counts


def test_dash_is_static_after_the_end_under_the_same_urls(tmp_path: Path) -> None:
    source = material(SINGLE)
    with running_daemon(tmp_path, Channel("news")) as daemon:
        url = daemon.presentation("news", "manifest(format=mpd-time-cmaf)")
        push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", rate=0).finish()
        daemon.wait_for(url, "<S ")
        live = dash_times(daemon, url)
        daemon.end_program("news")
        vod = dash_times(daemon, url)
        assert all(vod[name][: len(times)] == times for name, times in live.items())
        assert daemon.client.get(daemon.presentation("news", "manifest(format=m3u8-cmaf)")).status_code == 200


def dash_times(daemon: Daemon, url: str) -> dict[str, list[int]]:
    """Representation id to segment times."""
    mpd = etree.fromstring(daemon.fetch(url))
    times = {}
    for adaptation in mpd.iter(f"{DASH}AdaptationSet"):
        for representation in adaptation.iter(f"{DASH}Representation"):
            template = representation.find(f"{DASH}SegmentTemplate")
            template = adaptation.find(f"{DASH}SegmentTemplate") if template is None else template
            assert template is not None
            times[str(representation.get("id"))] = timeline(template)
    return times
