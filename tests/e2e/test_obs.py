"""OBS Studio as the encoder: it publishes, comes back after a break, and stops in order. `make obs` runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pypackager.cli.main import main
from tests.helpers.daemon import Channel, running_daemon
from tests.helpers.encoders import wait_until
from tests.helpers.obs import FRAME_RATE, streaming_obs
from tests.helpers.presentation import read_dash, read_hls

pytestmark = [pytest.mark.e2e, pytest.mark.obs]

AGENT = "FMLE/3.0 (compatible; FMSc/1.0)"
HLS, DASH = "manifest(format=m3u8-cmaf)", "manifest(format=mpd-time-cmaf)"


def test_obs_publishes_comes_back_and_stops(tmp_path: Path) -> None:
    with running_daemon(tmp_path, Channel("news", protocol="rtmp", settings="fragments_per_segment = 1")) as daemon:
        with streaming_obs(tmp_path, daemon.rtmp("news"), "main") as obs:
            master = daemon.wait_for(daemon.presentation("news", HLS), "#EXT-X-STREAM-INF")
            assert "RESOLUTION=640x360,FRAME-RATE=30.000" in master, master
            assert 'mp4a.40.2"' in master, master
            assert f'"agent":"{AGENT}"' in daemon.log(), "this is not OBS's connect command"
            assert '"bitrate":600000' in daemon.log(), "onMetaData has not arrived"

            daemon.kill()
            daemon.start()
            wait_until(lambda: "Reconnecting in" in obs.log(), "OBS does not try again")
            periods = daemon.wait_for(daemon.presentation("news", DASH), '<Period id="1"')
            assert len(re.findall("<AdaptationSet", periods)) == 4, periods

            obs.stop_streaming()
            wait_until(lambda: "Streaming Stop" in obs.log(), f"OBS does not stop:\n{obs.log()[-2000:]}")
            wait_until(lambda: daemon.log().count('"event":"closed"') == 1, "the connection is still open")
        assert "PEER_CLOSED" not in daemon.log(), daemon.tail()
        daemon.end_program("news")

        for tracks in (
            read_hls(daemon.fetch, daemon.presentation("news", HLS)),
            read_dash(daemon.fetch, daemon.presentation("news", DASH)),
        ):
            for track in tracks:
                assert len(track.frames) > 2 * FRAME_RATE, f"{track.label}: {len(track.frames)} frames"
                if track.kind == "video":
                    assert any(frame.pts > frame.dts for frame in track.frames), "no B-frames"


def test_obs_says_who_it_is_and_comes_back_after_a_drain(tmp_path: Path) -> None:
    channel = Channel("news", protocol="rtmp", settings='fragments_per_segment = 1\ningest_users = { studio = "a-password" }')
    with running_daemon(tmp_path, channel) as daemon:
        with streaming_obs(tmp_path, daemon.rtmp("news"), "main", ("studio", "a-password")) as obs:
            daemon.wait_for(daemon.presentation("news", HLS), "#EXT-X-STREAM-INF")
            assert main(["drain", "primary", "--control", daemon.control(), "--wait", "40s"]) == 0, daemon.tail()
            assert daemon.log().count('"event":"push"') == 2
            obs.stop_streaming()
            wait_until(lambda: "Streaming Stop" in obs.log(), "OBS does not stop")
        daemon.end_program("news")
        assert "a-password" not in daemon.log()
