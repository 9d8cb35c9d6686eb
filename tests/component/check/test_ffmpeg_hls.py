"""Good HLS streams by FFmpeg: the judge has nothing to say against them but what is truly wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.helpers.judged import BASE, assert_clean, judge_recording, record_folder
from tests.helpers.media import B_FRAMES, LADDER_SHORT, Recipe, ffmpeg, material
from tests.helpers.recorded import Recording


def mux(recipe: Recipe, folder: Path, segment_type: str) -> Recording:
    """Two layers and a language, each with a playlist of its own, and what they are called together."""
    command = [ffmpeg(), "-hide_banner", "-loglevel", "error", "-i", str(material(recipe)), "-map", "0:0", "-map", "0:3", "-map", "0:4"]
    command += [
        "-c",
        "copy",
        "-output_ts_offset",
        "1",
        "-f",
        "hls",
        "-hls_time",
        "2",
        "-hls_playlist_type",
        "vod",
        "-hls_flags",
        "independent_segments",
    ]
    command += [
        "-hls_segment_type",
        segment_type,
        "-master_pl_name",
        "master.m3u8",
        "-var_stream_map",
        "v:0,agroup:a v:1,agroup:a a:0,agroup:a",
    ]
    subprocess.run([*command, str(folder / "%v.m3u8")], check=True, stdin=subprocess.DEVNULL, cwd=folder)
    return record_folder(folder)


@pytest.mark.parametrize("recipe", [LADDER_SHORT, B_FRAMES], ids=lambda recipe: recipe.name)
def test_fragmented_mp4(recipe: Recipe, tmp_path: Path) -> None:
    report = judge_recording(mux(recipe, tmp_path, "fmp4"), BASE + "master.m3u8")
    # FFmpeg gives the last sample of this audio half a frame, and lists a whole one.
    assert_clean(report, expected={"MEDIA-DURATION-EXACT"})
    assert [track.segments for track in report.tracks] == [6, 6, 7]


@pytest.mark.parametrize("recipe", [LADDER_SHORT, B_FRAMES], ids=lambda recipe: recipe.name)
def test_transport_streams(recipe: Recipe, tmp_path: Path) -> None:
    report = judge_recording(mux(recipe, tmp_path, "mpegts"), BASE + "master.m3u8")
    # FFmpeg counts the audio of a group in one of the two rates only, and writes a PCR with each PES packet of audio alone.
    assert_clean(report, expected={"HLS-AVERAGE-ABOVE-PEAK", "TS-PCR-SPACING"})
    assert [track.segments for track in report.tracks] == [6, 6, 7]
