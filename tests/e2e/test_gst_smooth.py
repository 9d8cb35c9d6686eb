"""Smooth Streaming read by GStreamer: its element `mssdemux` follows the live edge.

`mssdemux2` asks for no fragment of any presentation with `IsLive="TRUE"`, in every release from 1.22.0 on: before a live download its base
class asks it how long to wait, is told the constant of one second, and asks again when that has passed. `mssdemux` itself starts again
at the head of the window when the manifest that it reloads every few seconds does not list yet what it waits for after a 412: the reload
puts it at the first fragment before it looks for the right one. What it played until then is judged.
"""

from __future__ import annotations

import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from lxml import etree

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import Encoder, program, push_isml, push_rtmp
from tests.helpers.frames import Frame, assert_same, counterpart, read_file
from tests.helpers.media import LADDER, material
from tests.helpers.presentation import chunk_times

pytestmark = pytest.mark.e2e


def gst_launch(*description: str) -> list[str]:
    """A command that runs a pipeline."""
    return ["env", "no_proxy=127.0.0.1", program("gst-launch-1.0", "gstreamer1.0-tools"), *" ".join(description).split()]


def listed(daemon: Daemon, url: str) -> float:
    """Seconds from the first to the last fragment of video that a manifest lists."""
    video = next(iter(etree.fromstring(daemon.fetch(url)).iter("StreamIndex")))
    times = chunk_times(video)
    return (times[-1] - times[0]) / int(video.get("TimeScale", "0"))


def until_it_starts_again(frames: list[Frame]) -> list[Frame]:
    """The frames before the first that lies a second or more behind the one before it: no order of decoding goes back so far."""
    again = next((n for n, (before, frame) in enumerate(pairwise(frames), 1) if frame.pts <= before.pts - 1000), len(frames))
    return frames[:again]


# RTMP's media time is UTC, some 1.8e18 ns; this fMP4 encoder counts from 0.
@pytest.mark.parametrize("protocol", ["fmp4", "rtmp"])
def test_mssdemux_follows_the_live_edge(tmp_path: Path, protocol: str) -> None:
    source, out, log = material(LADDER), tmp_path / "out.mkv", tmp_path / "encoder.log"
    with running_daemon(tmp_path / "daemon", Channel("news", protocol=protocol)) as daemon:
        url = daemon.presentation("news", "manifest")
        encoder = (
            push_isml(daemon.ingest("news"), source, log)
            if protocol == "fmp4"
            else push_rtmp(daemon.rtmp("news"), source, log, {"main": ["0:3", "0:4"]})
        )
        with encoder:
            daemon.wait_for(url, 'Type="audio"')
            time.sleep(6)
            before = listed(daemon, url)
            # A speed that is said is not measured: on a busy machine it would change layers, and the frames with them.
            command = gst_launch(
                f"souphttpsrc location={url} ! mssdemux name=smooth connection-speed=100000",
                f"matroskamux name=mux streamable=true ! filesink location={out}",
                "smooth.video_00 ! queue ! qtdemux ! h264parse ! mux.",
                "smooth.audio_00 ! queue ! qtdemux ! aacparse ! mux.",
            )
            with Encoder(command, tmp_path / "player.log") as player:
                time.sleep(20)
                assert player.running(), player.log()[-3000:]
            assert encoder.running(), "the material was too short: this was not live"
    sent, starts = read_file(source), []
    for track in read_file(out):
        del track.frames[-2:]  # being written when the player was interrupted
        received, track.frames = len(track.frames), until_it_starts_again(track.frames)
        # Every frame of one layer and of one language, in order, each at its time.
        source_track = counterpart(sent, track)
        first = assert_same(source_track, track, whole=False, coarser=1000)
        end = source_track.seconds(source_track.frames[first + len(track.frames) - 1].pts)
        followed = 10 if len(track.frames) == received else 5
        assert end > before + followed, f"{track.label}: ends at {float(end)} s, {before} s were there when it began"
        starts.append(track.seconds(track.frames[0].pts) - source_track.seconds(source_track.frames[first].pts))
    assert len(starts) == 2, "video and audio"
    assert abs(starts[0] - starts[1]) <= Fraction(2, 1000), f"{float(starts[0] - starts[1])} s between sound and picture"
