"""ffmpeg in two generations as the encoder over RTMPS and HTTPS; it believes the test's own authority alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.certificates import Authority
from tests.helpers.daemon import Channel, running_daemon
from tests.helpers.encoders import NEW_FFMPEG, Encoder, old_ffmpeg, push_isml, push_rtmp
from tests.helpers.frames import read_file
from tests.helpers.media import SINGLE, material
from tests.helpers.outputs import assert_outputs

pytestmark = pytest.mark.e2e


def test_what_is_pushed_over_tls_comes_out_whole(tmp_path: Path) -> None:
    authority, source = Authority(tmp_path), material(SINGLE)
    trusting = ["-tls_verify", "1", "-ca_file", str(authority.path)]
    kinds = {"old": old_ffmpeg(), "new": NEW_FFMPEG}
    channels = [Channel(f"http-{kind}") for kind in kinds]
    channels += [Channel(f"rtmp-{kind}", protocol="rtmp", settings='clock = "source"') for kind in kinds]
    with running_daemon(tmp_path, *channels, tls=authority.issue("server")) as daemon:
        encoders: list[Encoder] = []
        for kind, binary in kinds.items():
            url, log = daemon.ingest(f"http-{kind}", tls=True), tmp_path / f"http-{kind}.log"
            encoders.append(push_isml(url, source, log, binary=binary, rate=0, extra=trusting))
            url, log = daemon.rtmp(f"rtmp-{kind}", tls=True), tmp_path / f"rtmp-{kind}.log"
            encoders.append(push_rtmp(url, source, log, {"main": ["0:0", "0:1"]}, binary=binary, rate=4, extra=trusting))
        for encoder in encoders:
            encoder.finish()
        for channel in channels:
            daemon.end_program(channel.name)
            assert_outputs(daemon, channel.name, read_file(source), coarser=1000 if channel.protocol == "rtmp" else 1_000_000)
