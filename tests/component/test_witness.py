"""The witness itself, judged by FFmpeg's muxers: what they wrote from known material must read back as that material."""

from __future__ import annotations

import functools
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.helpers.frames import Track, assert_presentation, assert_same, read_file
from tests.helpers.media import AUDIO_ONLY, B_FRAMES, LADDER_SHORT, SINGLE, VIDEO_ONLY, Recipe, ffmpeg, material
from tests.helpers.presentation import read_dash, read_hds, read_hls, read_media_playlist, read_smooth


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class calls it so
        """Says nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """`tmp_path` over HTTP."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def fetch(url: str) -> bytes:
    with urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def mux(recipe: Recipe, out: Path, *arguments: str, offset: int = 1) -> list[Track]:
    """Muxes the material with FFmpeg, `offset` seconds late, and returns what went in.

    Late, because the first AAC frame lies before zero (priming) and each of FFmpeg's muxers bends that in a way of its own.
    """
    source = material(recipe)
    command = [ffmpeg(), "-hide_banner", "-loglevel", "error", "-i", str(source), "-map", "0", "-c", "copy"]
    command += ["-output_ts_offset", str(offset), *arguments, str(out)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, cwd=out.parent)
    return read_file(source)


@pytest.mark.parametrize("recipe", [LADDER_SHORT, B_FRAMES], ids=lambda recipe: recipe.name)
def test_dash_reads_back(recipe: Recipe, tmp_path: Path, served: str) -> None:
    sets = "id=0,streams=v id=1,streams=4 id=2,streams=5"
    sent = mux(recipe, tmp_path / "live.mpd", "-f", "dash", "-adaptation_sets", sets, "-seg_duration", "2", "-use_timeline", "1",
               "-media_seg_name", "$RepresentationID$-$Time$.m4s")  # fmt: skip
    assert_presentation(sent, read_dash(fetch, served + "live.mpd"))


@pytest.mark.parametrize("recipe", [LADDER_SHORT, B_FRAMES], ids=lambda recipe: recipe.name)
def test_hls_with_cmaf_reads_back(recipe: Recipe, tmp_path: Path, served: str) -> None:
    layout = "v:0,agroup:a v:1,agroup:a v:2,agroup:a v:3,agroup:a a:0,agroup:a a:1,agroup:a"
    sent = mux(recipe, tmp_path / "%v.m3u8", "-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod", "-hls_segment_type", "fmp4",
               "-var_stream_map", layout, "-master_pl_name", "master.m3u8")  # fmt: skip
    assert_presentation(sent, read_hls(fetch, served + "master.m3u8"))


def test_hls_with_ts_reads_back(tmp_path: Path, served: str) -> None:
    sent = mux(SINGLE, tmp_path / "media.m3u8", "-f", "hls", "-hls_time", "2", "-hls_playlist_type", "vod")
    assert_presentation(sent, read_media_playlist(fetch, served + "media.m3u8", "muxed"))


@pytest.mark.parametrize("recipe", [VIDEO_ONLY, AUDIO_ONLY], ids=lambda recipe: recipe.name)
def test_smooth_reads_back(recipe: Recipe, tmp_path: Path, served: str) -> None:
    # FFmpeg never writes the first `t`, so its manifests are right for one track that starts at zero.
    sent = mux(recipe, tmp_path / "ism", "-f", "smoothstreaming", "-min_frag_duration", "2000000", offset=0)
    assert_presentation(sent, read_smooth(fetch, served + "ism/Manifest"))


def test_hds_reads_back(tmp_path: Path, served: str) -> None:
    sent = mux(SINGLE, tmp_path / "hds", "-f", "hds", "-min_frag_duration", "2000000")
    manifest = next((tmp_path / "hds").glob("*.f4m")).name
    assert_presentation(sent, read_hds(fetch, served + "hds/" + manifest), coarser=1000)


Break = Callable[[Track], object]


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda track: track.frames.pop(100), "frame 100"),
        (lambda track: track.frames.pop(), "went in"),
        (lambda track: track.frames.insert(3, track.frames.pop(4)), "frame 3"),
        (lambda track: track.frames.__setitem__(7, replace(track.frames[7], pts=track.frames[7].pts + 3)), "frame 7: pts"),
    ],
    ids=["lost", "cut", "swapped", "shifted"],
)
def test_a_fault_is_seen(fault: Break, message: str) -> None:
    sent, broken = read_file(material(SINGLE))[0], read_file(material(SINGLE))[0]
    fault(broken)
    with pytest.raises(AssertionError, match=message):
        assert_same(sent, broken)


def test_late_audio_is_seen() -> None:
    sent, got = read_file(material(SINGLE)), read_file(material(SINGLE))
    got[1].frames = [replace(frame, pts=frame.pts + 96, dts=frame.dts + 96) for frame in got[1].frames]
    with pytest.raises(AssertionError, match=r"2\.000 ms late"):
        assert_presentation(sent, got)
