"""Real encoders that go over the limits of a channel: what is too much is refused and said, and the rest loses no frame."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import Encoder, push_isml, push_rtmp, wait_until
from tests.helpers.frames import Track, counterpart, read_file
from tests.helpers.media import LADDER_SHORT, SINGLE, material
from tests.helpers.outputs import assert_outputs
from tests.helpers.presentation import OUTPUTS

pytestmark = pytest.mark.e2e

COARSER = 1000
BRIEFLY = ("-t", "8")
"""Output options of who only has to be let in."""
MPD = OUTPUTS["dash"].manifest


def raised(daemon: Daemon, code: str) -> bool:
    return code.encode() in daemon.fetch(daemon.control("healthz"))


def sent(*indexes: int) -> list[Track]:
    tracks = read_file(material(LADDER_SHORT))
    return [tracks[index] for index in indexes]


def assert_whole(daemon: Daemon, whole: list[Track], cut: list[Track]) -> None:
    """Every frame of some tracks comes out, and some of others. Not of Smooth: what a layer lacks, the next one stands in for there."""
    for name in ("hls", "ts", "dash"):
        got = OUTPUTS[name].read(daemon.fetch, daemon.presentation("news", OUTPUTS[name].manifest))
        pairs = [(counterpart(whole + cut, track), track) for track in got]
        assert len(pairs) == len(whole) + len(cut), name
        for source, track in pairs:
            lacks = len(source.frames) - len(track.frames)
            assert (lacks == 0) if source in whole else (lacks > 0), f"{name}: {lacks} frames of {track.label} are missing"


@pytest.mark.parametrize("protocol", ["fmp4", "rtmp"])
def test_an_encoder_without_the_stream_key(protocol: str, tmp_path: Path) -> None:
    source, channel = material(SINGLE), Channel("news", protocol=protocol, settings='stream_key = "first-key"')
    with running_daemon(tmp_path, channel) as daemon:

        def push(key: str) -> Encoder:
            log = tmp_path / f"{key or 'none'}.log"
            if protocol == "fmp4":
                return push_isml(f"{daemon.ingest('news')}?key={key}", source, log, extra=BRIEFLY)
            return push_rtmp(daemon.rtmp("news"), source, log, {f"main?key={key}": ["0"]}, extra=BRIEFLY)

        for key in ("", "other-key"):
            with push(key) as stranger:
                wait_until(lambda: not stranger.running(), "the encoder was not refused")
                assert stranger.process.returncode != 0
        with push("first-key") as encoder:
            daemon.wait_for(daemon.presentation("news", MPD), "<S ")
            # Who has the old key is not let on.
            daemon.reload("news", settings='stream_key = "second-key"')
            wait_until(lambda: not encoder.running(), "the encoder was not told")
        push("second-key").finish()
        assert "STREAM_KEY_WRONG" in daemon.log()
        assert "-key" not in daemon.log(), "a stream key is in the log"
        daemon.end_program("news")


def test_more_tracks_than_a_channel_may_have_in_one_post(tmp_path: Path) -> None:
    tuning = "video_layers = 3\naudio_tracks = 1\n"
    with running_daemon(tmp_path, Channel("news", settings='clock = "source"'), tuning=tuning) as daemon:
        push_isml(daemon.ingest("news"), material(LADDER_SHORT), tmp_path / "encoder.log", rate=4).finish()
        assert raised(daemon, "TOO_MANY_TRACKS")
        daemon.end_program("news")
        assert_outputs(daemon, "news", sent(0, 1, 2, 4))


def test_one_publish_too_many(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    with running_daemon(tmp_path, Channel("news", protocol="rtmp", settings='clock = "source"'), tuning="video_layers = 2\n") as daemon:
        first = push_rtmp(daemon.rtmp("news"), source, tmp_path / "first.log", {"v1": ["0:0"], "v2": ["0:1", "0:4"]}, rate=2)
        daemon.wait_for(daemon.presentation("news", MPD), "<S ")
        second = push_rtmp(daemon.rtmp("news"), source, tmp_path / "second.log", {"v3": ["0:2"]})
        wait_until(lambda: not second.running(), "the third layer was not refused")
        assert second.process.returncode != 0
        assert "TOO_MANY_TRACKS" in second.log()
        first.finish()
        assert raised(daemon, "TOO_MANY_TRACKS")
        daemon.end_program("news")
        assert_outputs(daemon, "news", sent(0, 1, 4), coarser=COARSER)


def test_a_layer_that_sends_more_than_it_may(tmp_path: Path) -> None:
    # 394 kB in thirty seconds: twelve seconds of the two small layers, four of the largest.
    source = material(LADDER_SHORT)
    channel = Channel("news", protocol="rtmp", settings='clock = "source"')
    with running_daemon(tmp_path, channel, tuning="layer_bitrate = 100_000\n") as daemon:
        small = push_rtmp(daemon.rtmp("news"), source, tmp_path / "small.log", {"v1": ["0:0"], "v2": ["0:1", "0:4"]}, rate=2)
        large = push_rtmp(daemon.rtmp("news"), source, tmp_path / "large.log", {"v4": ["0:3"]}, rate=2)
        wait_until(lambda: not large.running(), "the large layer was not refused")
        assert "BITRATE_EXCEEDED" in large.log()
        again = push_rtmp(daemon.rtmp("news"), source, tmp_path / "again.log", {"v4": ["0:3"]}, rate=2)
        wait_until(lambda: not again.running(), "it was let in again at once")
        assert "BITRATE_EXCEEDED" in again.log()
        small.finish()
        assert raised(daemon, "BITRATE_EXCEEDED")
        daemon.end_program("news")
        assert_whole(daemon, sent(0, 1, 4), sent(3))


def test_a_ladder_that_sends_more_than_the_channel_may_take(tmp_path: Path) -> None:
    # 1.6 MB in thirty seconds: all tracks send 2.4 in twelve, those before the last layer 1.2.
    with running_daemon(tmp_path, Channel("news", settings='clock = "source"'), tuning="channel_bitrate = 406_000\n") as daemon:
        push_isml(daemon.ingest("news"), material(LADDER_SHORT), tmp_path / "encoder.log", rate=4).finish()
        assert raised(daemon, "BITRATE_EXCEEDED")
        daemon.end_program("news")
        assert_whole(daemon, sent(0, 1, 2, 4, 5), sent(3))
