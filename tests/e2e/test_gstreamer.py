"""GStreamer as the encoder, over both protocols."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import gst_isml, gst_rtmp
from tests.helpers.frames import Track, counterpart, read_file
from tests.helpers.media import SINGLE, without_priming
from tests.helpers.outputs import assert_outputs
from tests.helpers.presentation import read_dash

pytestmark = pytest.mark.e2e


def test_fragmented_mp4(tmp_path: Path) -> None:
    source = without_priming(SINGLE, tmp_path)
    with running_daemon(tmp_path, Channel("news")) as daemon:
        gst_isml(daemon.ingest("news"), source, tmp_path / "encoder.log").finish()
        daemon.end_program("news")
        assert_what_gstreamer_sent(daemon, read_file(source))


def test_rtmp(tmp_path: Path) -> None:
    source = without_priming(SINGLE, tmp_path)
    with running_daemon(tmp_path, Channel("news", protocol="rtmp", settings='clock = "source"')) as daemon:
        gst_rtmp(daemon.rtmp("news") + "/main", source, tmp_path / "encoder.log").finish()
        daemon.end_program("news")
        assert_what_gstreamer_sent(daemon, read_file(source))


def assert_what_gstreamer_sent(daemon: Daemon, sent: list[Track]) -> None:
    """Every video frame, and all audio but the last frame, which the muxers may drop at the end of the stream."""
    assert_outputs(daemon, "news", sent, whole=False, coarser=1000)
    for track in read_dash(daemon.fetch, daemon.presentation("news", "manifest(format=mpd-time-cmaf)")):
        source = counterpart(sent, track)
        assert len(track.frames) >= len(source.frames) - (track.kind == "audio"), track.label
