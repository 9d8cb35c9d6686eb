"""A sparse track beside a real encoder: POSTs of their own, acknowledged, and in every format that has a place for signals."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from lxml import etree

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import NEW_FFMPEG, Encoder, push_isml
from tests.helpers.frames import read_file
from tests.helpers.media import LADDER_SHORT, material
from tests.helpers.outputs import assert_outputs
from tests.helpers.presentation import DASH, OUTPUTS
from tests.helpers.raw import post
from tests.helpers.sparse import TIMESCALE, fragment, header

pytestmark = pytest.mark.e2e

MPD = OUTPUTS["dash"].manifest
SIGNALS = {2: b"<?xml version='1.0'?><Acquire/>", 5: "zwölf".encode(), 6: bytes(range(256))}
"""Payloads by the encoder's seconds."""


def send(daemon: Daemon, *bodies: bytes) -> int:
    url = urlsplit(daemon.ingest("news", "ads"))
    return post(url.port or 80, url.path, bodies).status


def test_signals_beside_an_encoder(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    with running_daemon(tmp_path, Channel("news", settings='clock = "source"')) as daemon:
        encoder = push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", rate=2)
        daemon.wait_for(daemon.presentation("news", MPD), "<S ")
        tracks = json.loads(daemon.fetch(daemon.control("v1/channels/news")))["tracks"]
        parent = next(track["id"] for track in tracks if track["kind"] == "video")
        assert send(daemon, header("ads", parent)) == HTTPStatus.OK
        # Two in one POST, one in a later one; what was sent is sent again.
        first, second, third = (fragment(n, at * TIMESCALE, TIMESCALE, data) for n, (at, data) in enumerate(SIGNALS.items()))
        assert send(daemon, header("ads", parent), first, second) == HTTPStatus.OK
        assert send(daemon, header("ads", parent), second, third) == HTTPStatus.OK
        encoder.finish()
        daemon.end_program("news")
        assert_outputs(daemon, "news", read_file(source))
        manifest = etree.fromstring(daemon.fetch(daemon.presentation("news", MPD)))
        events = {int(event.get("presentationTime")): base64.b64decode(event.text) for event in manifest.iter(f"{DASH}Event")}
        # Times that begin at zero are moved by a second.
        expected = {(at + 1) * 90_000: data for at, data in SIGNALS.items()}
        assert events == expected
        smooth = etree.fromstring(daemon.fetch(daemon.presentation("news", "manifest")))
        (stream,) = (stream for stream in smooth.iter("StreamIndex") if stream.get("Type") == "text")
        assert {int(c.get("t")): base64.b64decode(c.findtext("f") or "") for c in stream.iter("c")} == expected
        for time, data in expected.items():
            assert daemon.fetch(daemon.presentation("news", f"QualityLevels(0)/Fragments(ads={time})")).endswith(b"mdat" + data)
        playlist = daemon.fetch(daemon.presentation("news", f"hls/{parent}.m3u8")).decode()
        assert [f'ID="ads-{time}"' in playlist for time in expected] == [True] * len(expected)


@pytest.mark.parametrize(("codec", "kept"), [("ttml", b"Hello &amp; welcome"), ("mov_text", b"Hello & welcome")])
def test_text_of_a_real_encoder_is_kept_and_in_nobodys_way(codec: str, kept: bytes, tmp_path: Path) -> None:
    """ffmpeg sends text in a track of the same body, and names no parent for it: it is no signal that was asked for in manifests."""
    source, words = material(LADDER_SHORT), tmp_path / "words.srt"
    words.write_text("1\n00:00:01,000 --> 00:00:03,000\nHello & welcome\n\n2\n00:00:05,000 --> 00:00:06,500\nSecond\n")
    with running_daemon(tmp_path, Channel("news")) as daemon:
        command = [NEW_FFMPEG, "-hide_banner", "-loglevel", "warning", "-nostats", "-readrate", "2", "-i", str(source), "-i", str(words)]
        command += ["-map", "0", "-map", "1", "-c:v", "copy", "-c:a", "copy", "-c:s", codec, "-movflags", "isml+frag_keyframe"]
        Encoder([*command, "-f", "ismv", daemon.ingest("news")], tmp_path / "encoder.log").finish()
        daemon.end_program("news")
        assert_outputs(daemon, "news", read_file(source))
        alerts = {alert["code"]: alert for alert in json.loads(daemon.fetch(daemon.control("v1/channels/news")))["alerts"]}
        assert alerts.keys() >= {"SIGNALS_WITHOUT_PARENT", "SIGNALS_NOT_IN_MANIFEST"}
        assert alerts["SIGNALS_WITHOUT_PARENT"]["count"] == 1
        for output in ("smooth", "dash", "hls"):
            text = daemon.fetch(daemon.presentation("news", OUTPUTS[output].manifest))
            assert b'Type="text"' not in text
            assert b"EventStream" not in text
        journal = b"".join(path.read_bytes() for path in daemon.data.rglob("*") if path.is_file() and path.suffix != ".db")
        assert kept in journal, "the payload is recorded"
