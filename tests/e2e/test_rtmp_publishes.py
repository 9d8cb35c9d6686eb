"""Several publishes over one RTMP connection. The encoder is this project's own (`tests.helpers.multi_bitrate`): there was no real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.daemon import Channel, running_daemon
from tests.helpers.encoders import wait_until
from tests.helpers.frames import assert_presentation, assert_same, counterpart, read_file
from tests.helpers.media import LADDER_SHORT, material
from tests.helpers.multi_bitrate import MultiBitrate, Tag, read_tags
from tests.helpers.outputs import assert_outputs
from tests.helpers.presentation import read_dash

pytestmark = pytest.mark.e2e

COARSER = 1000
"""RTMP counts in milliseconds."""
SOUND = 4
"""The first of the material's two languages, which every layer has."""
CHANNEL = Channel("news", protocol="rtmp", settings='clock = "source"')
MPD = "manifest(format=mpd-time-cmaf)"


def layers(source: Path) -> dict[str, list[Tag]]:
    return {f"name{number + 1}": read_tags(source, [f"0:{number}", f"0:{SOUND}"], number) for number in range(4)}


def test_all_layers_of_one_connection_are_in_every_output(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    tags = layers(source)
    with running_daemon(tmp_path, CHANNEL) as daemon:
        with MultiBitrate(daemon.rtmp("news"), tags, rate=2) as encoder:
            encoder.finish()
            assert encoder.fault is None
            wait_until(lambda: encoder.told("NetStream.Unpublish.Success") >= len(tags), "not all were ended")
        daemon.end_program("news")
        assert_outputs(daemon, "news", read_file(source)[: SOUND + 1], coarser=COARSER)


def test_one_that_ends_leaves_the_others_whole(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    tags = layers(source)
    with running_daemon(tmp_path, CHANNEL) as daemon:
        with MultiBitrate(daemon.rtmp("news"), tags, rate=2) as encoder:
            daemon.wait_for(daemon.presentation("news", MPD), "<S ")
            encoder.stop("name2")
            encoder.finish()
            assert encoder.fault is None
        daemon.end_program("news")
        sent = read_file(source)[: SOUND + 1]
        got = read_dash(daemon.fetch, daemon.presentation("news", MPD))
        ended = next(track for track in got if counterpart(sent, track) is sent[1])
        assert_same(sent[1], ended, whole=False, coarser=COARSER)
        assert 0 < len(ended.frames) < len(sent[1].frames)
        assert ended.digests() == sent[1].digests()[: len(ended.frames)]
        assert_presentation([sent[0], *sent[2:]], [track for track in got if track is not ended], coarser=COARSER)


def test_one_is_refused_and_the_others_are_taken(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    tags = layers(source)
    # As an encoder sends it that does not put its numbers in.
    tags = {name.replace("name2", "name%i"): each for name, each in tags.items()}
    with running_daemon(tmp_path, CHANNEL) as daemon:
        with MultiBitrate(daemon.rtmp("news"), tags, rate=2) as encoder:
            assert encoder.told("STREAM_NAME_PATTERN") == 1
            encoder.finish()
            assert encoder.fault is None
        daemon.end_program("news")
        sent = read_file(source)[: SOUND + 1]
        assert_outputs(daemon, "news", [sent[0], *sent[2:]], coarser=COARSER)


def test_an_encoder_that_is_killed_comes_back_and_goes_on(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    tags = layers(source)
    # On the border of two GOPs: what is behind it was never sent.
    border = 6000
    with running_daemon(tmp_path, CHANNEL) as daemon:
        with MultiBitrate(daemon.rtmp("news"), tags, until=border) as first:
            first.finish()
        with MultiBitrate(daemon.rtmp("news"), tags, start=border) as second:
            daemon.wait_for(daemon.control("metrics"), f"pypackager_ingest_connections {len(tags)}.0")
            second.finish()
            assert second.fault is None
        daemon.end_program("news")
        assert_outputs(daemon, "news", read_file(source)[: SOUND + 1], coarser=COARSER)
