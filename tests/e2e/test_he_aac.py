"""HE-AAC v1 and v2, in each way to signal them, by both protocols: announced for what they are, and whole in every format."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from lxml import etree

from tests.e2e.test_browser import QUICK
from tests.helpers.browser import assert_all_play, chromium, watch
from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import Encoder, push_isml, push_rtmp
from tests.helpers.frames import read_file
from tests.helpers.he_aac import V1, V1_HIERARCHICAL, V1_IMPLICIT, V2, V2_COMPATIBLE, HeAac, he_aac_material
from tests.helpers.outputs import assert_outputs
from tests.helpers.presentation import DASH
from tests.helpers.service import push_on_air

pytestmark = pytest.mark.e2e


def push(daemon: Daemon, protocol: str, source: Path, folder: Path, *, rate: float, loop: bool = False) -> Encoder:
    """An encoder that sends picture and sound together."""
    log = folder / "encoder.log"
    if protocol == "fmp4":
        return push_isml(daemon.ingest("news"), source, log, rate=rate, loop=loop)
    return push_rtmp(daemon.rtmp("news"), source, log, {"main": ["0:0", "0:1"]}, rate=rate, loop=loop)


@pytest.mark.parametrize("protocol", ["fmp4", "rtmp"])
@pytest.mark.parametrize("sound", [V1, V1_HIERARCHICAL, V1_IMPLICIT, V2, V2_COMPATIBLE], ids=lambda sound: sound.name)
def test_it_is_announced_and_comes_out_whole(tmp_path: Path, protocol: str, sound: HeAac) -> None:
    source = he_aac_material(sound, tmp_path / "source.mp4")
    # It comes faster than real time.
    channel = Channel("news", protocol=protocol, settings='clock = "source"')
    with running_daemon(tmp_path / "daemon", channel) as daemon:
        push(daemon, protocol, source, tmp_path, rate=4).finish()
        daemon.end_program("news")
        assert_outputs(daemon, "news", read_file(source), coarser=1000 if protocol == "rtmp" else 1_000_000)
        assert_announced(daemon, sound)


def assert_announced(daemon: Daemon, sound: HeAac) -> None:
    """What the manifests say of the sound, and that their durations are whole frames."""
    master = daemon.fetch(daemon.presentation("news", "manifest(format=m3u8-cmaf)")).decode()
    codecs = re.findall(r'CODECS="([^"]+)"', master)
    assert codecs
    assert all(sound.codec in entry.split(",") for entry in codecs), master

    mpd = etree.fromstring(daemon.fetch(daemon.presentation("news", "manifest(format=mpd-time-cmaf)")))
    (audio,) = [entry for entry in mpd.iter(f"{DASH}AdaptationSet") if "audio" in (entry.get("mimeType"), entry.get("contentType"))]
    representation = audio.find(f"{DASH}Representation")
    assert representation is not None
    attributes = dict(audio.attrib) | dict(representation.attrib)
    assert (attributes["codecs"], int(attributes["audioSamplingRate"])) == (sound.codec, sound.sample_rate)
    template = next(iter(audio.iter(f"{DASH}SegmentTemplate")))
    assert int(template.get("timescale", "0")) == sound.sample_rate
    durations = [int(entry.get("d", "1")) for entry in template.iter(f"{DASH}S")]
    assert durations
    assert all(duration % sound.frame_ticks == 0 for duration in durations), durations

    smooth = etree.fromstring(daemon.fetch(daemon.presentation("news", "manifest")))
    (stream,) = [entry for entry in smooth.iter("StreamIndex") if entry.get("Type") == "audio"]
    level = stream.find("QualityLevel")
    assert level is not None
    assert int(stream.get("TimeScale", "0")) == sound.sample_rate
    assert all(int(chunk.get("d", "1")) % sound.frame_ticks == 0 for chunk in stream.iter("c"))
    assert level.get("FourCC") == ("AACL" if sound is V1_IMPLICIT else "AACH")
    assert level.get("SamplingRate") == str(sound.sample_rate)
    assert level.get("Channels") == "2"
    assert level.get("CodecPrivateData", "").lower() == sound.config


@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize(("protocol", "sound"), [("fmp4", V1), ("rtmp", V2)], ids=["v1", "v2"])
def test_browsers_play_it_live(tmp_path: Path, protocol: str, sound: HeAac) -> None:
    source = he_aac_material(sound, tmp_path / "source.mp4")
    with ExitStack() as stack:
        channel = Channel("news", protocol=protocol, settings=QUICK)
        daemon = stack.enter_context(running_daemon(tmp_path / "daemon", channel))
        if protocol == "fmp4":
            stack.enter_context(push_on_air(daemon.ingest("news"), source, tmp_path / "encoder.log", loop=True))
        else:
            stack.enter_context(push(daemon, protocol, source, tmp_path, rate=1, loop=True))
        # The last format that is there.
        daemon.wait_for(daemon.presentation("news", "manifest"), "StreamIndex")
        browser = stack.enter_context(chromium())
        players = {
            name: stack.enter_context(watch(browser, daemon.origin(f"play/news?format={name}")))
            for name in ("hls", "ts", "dash", "smooth", "shaka-dash")
        }
        assert_all_play(players, 8)
        for name, player in players.items():
            heard = player.page.evaluate("document.querySelector('video').webkitAudioDecodedByteCount")
            assert heard > 8 * 1500, f"{name}: {heard} bytes of sound decoded"
