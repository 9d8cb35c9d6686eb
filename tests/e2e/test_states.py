"""An operator stops a channel under its encoder, and starts it again: the encoder is told why, viewers keep what was recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import Encoder, push_isml, push_rtmp, wait_until
from tests.helpers.media import SINGLE, material

pytestmark = pytest.mark.e2e


def isml(daemon: Daemon, log: Path) -> Encoder:
    return push_isml(daemon.ingest("news"), material(SINGLE), log, loop=True)


def rtmp(daemon: Daemon, log: Path) -> Encoder:
    return push_rtmp(daemon.rtmp("news"), material(SINGLE), log, {"v1": ["0"]}, loop=True)


@pytest.mark.parametrize(("protocol", "push"), [("fmp4", isml), ("rtmp", rtmp)])
def test_a_channel_is_stopped_and_started_under_its_encoder(protocol: str, push: Callable[[Daemon, Path], Encoder], tmp_path: Path) -> None:
    with running_daemon(tmp_path, Channel("news", protocol, settings="fragments_per_segment = 1")) as daemon:
        preview = daemon.origin("preview/news.isml/manifest(format=m3u8-cmaf)")
        with push(daemon, tmp_path / "first.log") as encoder:
            daemon.wait_for(daemon.presentation("news", "manifest(format=m3u8-cmaf)"), "#EXT-X-STREAM-INF")
            daemon.wait_for(daemon.control("healthz"), '"Streaming"')
            daemon.reload("news", state="stopped", program="stopped")
            daemon.wait_for(daemon.presentation("news", "manifest(format=mpd-time-cmaf)"), 'type="static"')
            wait_until(lambda: not encoder.running(), "the encoder was not told")
        daemon.wait_for(daemon.control("healthz"), '"Stopped"')
        assert '"code":"CHANNEL_NOT_RUNNING"' in daemon.log()
        assert daemon.get(preview).json()["code"] == "CHANNEL_NOT_RUNNING"
        with push(daemon, tmp_path / "refused.log") as encoder:
            wait_until(lambda: not encoder.running(), "a stopped channel took an encoder")
        daemon.reload("news", state="running")
        daemon.wait_for(daemon.control("healthz"), '"Ready"')
        with push(daemon, tmp_path / "second.log"):
            daemon.wait_for(preview, "#EXT-X-STREAM-INF")
