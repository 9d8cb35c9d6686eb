"""Smooth Streaming out: what its clients rely on, and the clients that still exist."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from lxml import etree

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import push_isml
from tests.helpers.frames import read_file
from tests.helpers.media import LADDER_SHORT, SINGLE, material
from tests.helpers.outputs import assert_outputs
from tests.helpers.presentation import chunk_times
from tests.helpers.read_mp4 import TFRF, TFXD, uuid_payload

pytestmark = pytest.mark.e2e


def fragment_url(daemon: Daemon, stream: etree._Element, time: int) -> str:
    """The URL of a fragment of a stream's first quality level."""
    level = stream.find("QualityLevel")
    assert level is not None
    pattern = str(stream.get("Url"))
    return daemon.presentation("news", pattern.replace("{bitrate}", level.get("Bitrate", "")).replace("{start time}", str(time)))


def test_a_live_client_can_follow_from_fragment_to_fragment(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    with running_daemon(tmp_path, Channel("news")) as daemon:
        url = daemon.presentation("news", "manifest")
        with push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", loop=True):
            daemon.wait_for(url, 'd="')
            manifest = etree.fromstring(daemon.fetch(url))
            assert manifest.get("IsLive") == "TRUE"
            ahead = int(manifest.get("LookAheadFragmentCount", "0"))
            assert ahead >= 1
            assert int(manifest.get("DVRWindowLength", "0")) > 0
            for stream in manifest.iter("StreamIndex"):
                follow(daemon, stream, chunk_times(stream)[0], 4, ahead)
            video = next(iter(manifest.iter("StreamIndex")))
            first = chunk_times(video)[0]
            assert daemon.client.get(fragment_url(daemon, video, first + 3600 * 10_000_000)).status_code == 412, "too early"
            assert daemon.client.get(fragment_url(daemon, video, first + 1)).status_code == 404, "no fragment starts there"


def follow(daemon: Daemon, stream: etree._Element, time_ticks: int, steps: int, ahead: int) -> None:
    """Walks from fragment to fragment by `tfrf` alone, as a live client does."""
    for _ in range(steps):
        data = wait_for_fragment(daemon, fragment_url(daemon, stream, time_ticks))
        tfxd, tfrf = uuid_payload(data, TFXD), uuid_payload(data, TFRF)
        assert tfxd is not None
        assert tfrf is not None
        start, duration = struct.unpack_from(">QQ", tfxd, 4)
        assert start == time_ticks
        assert tfrf[4] == ahead
        following = [struct.unpack_from(">QQ", tfrf, 5 + 16 * n) for n in range(ahead)]
        assert following[0][0] == start + duration, "the successor starts where this one ends"
        time_ticks = following[0][0]


def wait_for_fragment(daemon: Daemon, url: str) -> bytes:
    """A fragment that may still be too early."""
    deadline = time.monotonic() + 15
    while (answer := daemon.client.get(url)).status_code == 412:
        assert time.monotonic() < deadline, f"still too early: {url}"
        time.sleep(0.1)
    assert answer.status_code == 200, f"{answer.status_code} for {url}"
    return answer.content


def test_yt_dlp_downloads_it_after_the_end(tmp_path: Path) -> None:
    source = material(SINGLE)
    with running_daemon(tmp_path, Channel("news")) as daemon:
        push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", rate=0).finish()
        daemon.end_program("news")
        manifest = etree.fromstring(daemon.fetch(daemon.presentation("news", "manifest")))
        assert manifest.get("IsLive", "FALSE").upper() == "FALSE"
        assert int(manifest.get("Duration", "0")) >= 11 * 10_000_000
        # yt-dlp tells Smooth by ".ism/Manifest" in the URL.
        url = daemon.presentation("news", "Manifest")
        assert_yt_dlp(url, tmp_path, frames=300)
        assert_outputs(daemon, "news", read_file(source), only=["smooth"])


def assert_yt_dlp(url: str, folder: Path, *, frames: int) -> None:
    """Downloads the best video and demands every frame of it."""
    out = folder / "download.mp4"
    command = [sys.executable, "-m", "yt_dlp", "--quiet", "--no-warnings", "--no-cache-dir", "--proxy", "", "-f", "bestvideo/best"]
    done = subprocess.run([*command, "-o", str(out), url], capture_output=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr.decode()
    (video,) = [track for track in read_file(out) if track.kind == "video"]
    assert len(video.frames) == frames


@pytest.mark.parametrize("lost", [5, 50, 60], ids=["shorter", "absent", "both"])
def test_a_layer_whose_encoder_left_first_stays(lost: int, tmp_path: Path) -> None:
    """At the end of each of two encoders the last fragment of one layer is shorter than the others', or was never sent."""
    source = material(LADDER_SHORT)
    (frames,) = {len(track.frames) for track in read_file(source) if track.kind == "video"}
    dropped = ["-bsf:v:1", f"noise=drop=gte(n\\,{frames - lost})"]
    with running_daemon(tmp_path, Channel("news")) as daemon:
        for n in range(2):
            push_isml(daemon.ingest("news"), source, tmp_path / f"encoder{n}.log", rate=0, extra=dropped).finish()
        daemon.end_program("news")
        video = next(iter(etree.fromstring(daemon.fetch(daemon.presentation("news", "manifest"))).iter("StreamIndex")))
        assert len(video.findall("QualityLevel")) == sum(track.kind == "video" for track in read_file(source))
