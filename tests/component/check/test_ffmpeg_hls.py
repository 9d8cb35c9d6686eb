"""Good HLS streams by FFmpeg: the judge has nothing to say against them but what is truly wrong."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.helpers.judged import BASE, assert_clean, judge_recording, record_folder
from tests.helpers.media import B_FRAMES, LADDER_SHORT, Recipe, ffmpeg, material
from tests.helpers.recorded import Recording

_SPLIT = ["-map", "0:0", "-map", "0:3", "-map", "0:4", "-master_pl_name", "master.m3u8"]
_SPLIT += ["-var_stream_map", "v:0,agroup:a v:1,agroup:a a:0,agroup:a"]
_MUXED = ["-map", "0:3", "-map", "0:4"]
# FFmpeg's BANDWIDTH of a variant lacks the audio of its group.
_BANDWIDTH = {"HLS-BANDWIDTH", "HLS-AVERAGE-BANDWIDTH"}


def mux(recipe: Recipe, folder: Path, segment_type: str, maps: list[str], name: str) -> Recording:
    """What FFmpeg makes of a recipe."""
    command = [ffmpeg(), "-hide_banner", "-loglevel", "error", "-i", str(material(recipe)), *maps, "-c", "copy", "-output_ts_offset", "1"]
    command += ["-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod", "-hls_flags", "independent_segments"]
    subprocess.run([*command, "-hls_segment_type", segment_type, str(folder / name)], check=True, stdin=subprocess.DEVNULL, cwd=folder)
    return record_folder(folder)


@pytest.mark.parametrize("recipe", [LADDER_SHORT, B_FRAMES], ids=lambda recipe: recipe.name)
def test_fragmented_mp4(recipe: Recipe, tmp_path: Path) -> None:
    report = judge_recording(mux(recipe, tmp_path, "fmp4", _SPLIT, "%v.m3u8"), BASE + "master.m3u8")
    # FFmpeg gives the last sample of this audio half a frame, and lists a whole one.
    assert_clean(report, expected={"MEDIA-DURATION-EXACT"} | _BANDWIDTH)
    assert [track.segments for track in report.tracks] == [6, 6, 7]


@pytest.mark.parametrize("recipe", [LADDER_SHORT, B_FRAMES], ids=lambda recipe: recipe.name)
def test_transport_streams(recipe: Recipe, tmp_path: Path) -> None:
    report = judge_recording(mux(recipe, tmp_path, "mpegts", _SPLIT, "%v.m3u8"), BASE + "master.m3u8")
    # FFmpeg counts the audio of a group in one of the two rates only, and writes a PCR with each PES packet of audio alone.
    assert_clean(report, expected={"HLS-AVERAGE-ABOVE-PEAK", "TS-PCR-SPACING"} | _BANDWIDTH)
    assert [track.segments for track in report.tracks] == [6, 6, 7]


@pytest.mark.parametrize("recipe", [LADDER_SHORT, B_FRAMES], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("segment_type", ["fmp4", "mpegts"])
def test_sound_and_picture_in_one_segment(segment_type: str, recipe: Recipe, tmp_path: Path) -> None:
    report = judge_recording(mux(recipe, tmp_path, segment_type, _MUXED, "media.m3u8"), BASE + "media.m3u8")
    assert_clean(report)
    assert [track.segments for track in report.tracks] == [6]


def test_both_containers_carry_the_same_frames(tmp_path: Path) -> None:
    recording = mux(B_FRAMES, tmp_path, "fmp4", _MUXED, "one.m3u8")
    recording = mux(B_FRAMES, tmp_path, "mpegts", _MUXED, "two.m3u8")
    assert_clean(judge_recording(recording, BASE + "one.m3u8", BASE + "two.m3u8", compare=True))


@pytest.mark.parametrize("head", [True, False])
def test_a_container_that_carries_half_of_it_is_found(head: bool, tmp_path: Path) -> None:
    recording = mux(B_FRAMES, tmp_path, "fmp4", _MUXED, "one.m3u8")
    recording = mux(B_FRAMES, tmp_path, "mpegts", _MUXED, "two.m3u8")
    (answer,) = (answer for _, answer in recording.answers[BASE + "two.m3u8"])
    rows = re.findall(rb"#EXTINF:.*\n.*\n", answer.body)
    for row in rows[:3] if head else rows[3:]:
        recording.replace(BASE + "two.m3u8", recording.answers[BASE + "two.m3u8"][0][1].body.replace(row, b""))
    report = judge_recording(recording, BASE + "one.m3u8", BASE + "two.m3u8", compare=True)
    assert report.broken("error") == {"SYNC-BORDERS"}
    assert report.count("error") == 2
