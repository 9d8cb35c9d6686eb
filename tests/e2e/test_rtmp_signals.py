"""Data messages of RTMP as signals: ffmpeg's `onTextData`, which it makes of text subtitles, and what other encoders send."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest
from lxml import etree

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import NEW_FFMPEG, old_ffmpeg, push_rtmp
from tests.helpers.frames import read_file
from tests.helpers.media import LADDER_SHORT, ffmpeg, material
from tests.helpers.multi_bitrate import DATA, MultiBitrate, Tag, read_tags
from tests.helpers.outputs import assert_outputs
from tests.helpers.presentation import DASH, OUTPUTS
from tests.helpers.raw import command

pytestmark = pytest.mark.e2e

COARSER = 1000
"""RTMP counts in milliseconds."""
TICKS = 90_000
TEXTS = {2: 'Hello "world"', 5: "Grüße"}
"""By the second of the material."""
CHANNEL = Channel("news", protocol="rtmp", settings='clock = "source"')

Shown = dict[str, dict[int, object]]


def with_subtitles(source: Path, made: Path) -> Path:
    texts = made.with_suffix(".srt")
    texts.write_text("".join(f"{at}\n00:00:{at:02},000 --> 00:00:{at + 1:02},000\n{text}\n\n" for at, text in TEXTS.items()))
    inputs = ["-i", str(source), "-i", str(texts), "-map", "0", "-map", "1", "-c", "copy", "-c:s", "mov_text"]
    subprocess.run([ffmpeg(), "-loglevel", "error", *inputs, str(made)], check=True, stdin=subprocess.DEVNULL)
    return made


def dash(daemon: Daemon) -> Shown:
    """By scheme and time, what the payloads say."""
    manifest = etree.fromstring(daemon.fetch(daemon.presentation("news", OUTPUTS["dash"].manifest)))
    found: Shown = {}
    for stream in manifest.iter(f"{DASH}EventStream"):
        events = found.setdefault(stream.get("schemeIdUri"), {})
        for event in stream.iter(f"{DASH}Event"):
            assert int(event.get("presentationTime")) not in events, "twice"
            events[int(event.get("presentationTime"))] = json.loads(base64.b64decode(event.text))
    return found


def smooth(daemon: Daemon) -> Shown:
    manifest = etree.fromstring(daemon.fetch(daemon.presentation("news", "manifest")))
    streams = [stream for stream in manifest.iter("StreamIndex") if stream.get("Type") == "text"]
    return {
        next(stream.iter("Attribute")).get("Value"): {
            int(c.get("t")): json.loads(base64.b64decode(c.findtext("f") or "")) for c in stream.iter("c")
        }
        for stream in streams
    }


def hls(daemon: Daemon, layer: str) -> list[str]:
    text = daemon.fetch(daemon.presentation("news", f"hls/{layer}.m3u8")).decode()
    return [line for line in text.splitlines() if line.startswith("#EXT-X-DATERANGE")]


@pytest.mark.parametrize("generation", ["old", "new"])
def test_the_text_that_ffmpeg_sends_in_each_layer_is_one_signal(generation: str, tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    told = with_subtitles(source, tmp_path / "told.mp4")
    binary = old_ffmpeg() if generation == "old" else NEW_FFMPEG
    publishes = {f"v{number}": [f"0:{number}", "0:4", "0:s"] for number in range(2)}
    with running_daemon(tmp_path, CHANNEL) as daemon:
        push_rtmp(daemon.rtmp("news"), told, tmp_path / "encoder.log", publishes, binary=binary, rate=2, extra=["-c:s", "text"]).finish()
        daemon.end_program("news")
        sent = read_file(source)
        assert_outputs(daemon, "news", [*sent[:2], sent[4]], coarser=COARSER)
        # The first picture is the zero of the subtitles.
        got = OUTPUTS["dash"].read(daemon.fetch, daemon.presentation("news", OUTPUTS["dash"].manifest))
        picture = next(track for track in got if track.kind == "video")
        zero = picture.seconds(picture.frames[0].dts)
        expected = {round((zero + at) * TICKS): [{"type": "Text", "text": text}] for at, text in TEXTS.items()}
        assert dash(daemon) == smooth(daemon) == {"urn:pypackager:rtmp:onTextData": expected}
        ranges = hls(daemon, "v0")
        assert len(ranges) == len(TEXTS)
        assert all(
            f'ID="ontextdata-{time}",CLASS="urn:pypackager:rtmp:onTextData"' in line for time, line in zip(expected, ranges, strict=True)
        )
        assert "SIGNAL" not in daemon.log(), daemon.tail()


def test_other_handlers_of_a_multi_bitrate_encoder(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    layers = {f"name{number + 1}": read_tags(source, [f"0:{number}", "0:4"], number) for number in range(2)}
    cue = {"name": "ad", "time": 3.5, "type": "event", "parameters": {"length": 30}}
    each = [
        (2500, command("onCuePoint", cue)),
        (3000, command("onAdCue", "splice", True, None)),
        (3000, command("@setDataFrame", "onFI", {"tc": "01:02:03:04"})),
        (3500, command("lower", 1)),
        (4000, command("onCaptionInfo", "x" * 65_535)),
    ]
    data = sorted(Tag(time, layer, DATA, body) for layer in range(2) for time, body in each)
    with running_daemon(tmp_path, CHANNEL) as daemon:
        with MultiBitrate(daemon.rtmp("news"), layers, rate=2, data=data) as encoder:
            encoder.finish()
            assert encoder.fault is None
        daemon.end_program("news")
        # Times that begin at zero are moved by a second.
        expected: dict[str, dict[float, list[object]]] = {
            "urn:pypackager:rtmp:onCuePoint": {3.5: [cue]},
            "urn:pypackager:rtmp:onAdCue": {4.0: ["splice", True, None]},
            "urn:pypackager:rtmp:onFI": {4.0: [{"tc": "01:02:03:04"}]},
        }
        assert dash(daemon) == {scheme: {round(at * TICKS): value for at, value in told.items()} for scheme, told in expected.items()}
        assert smooth(daemon) == dash(daemon)
        alerts = {each["code"]: each["count"] for each in json.loads(daemon.fetch(daemon.control("v1/channels/news")))["alerts"]}
        assert (alerts["RTMP_DATA_DROPPED"], alerts["SIGNAL_TOO_LARGE"]) == (2, 2), alerts
