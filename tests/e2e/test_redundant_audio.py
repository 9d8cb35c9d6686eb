"""Redundant audio (ingest specification): the same sound in several streams is listed once, and goes on when its primary dies.

Each layout with real encoders, two languages, and the encoder that carries the primary killed in mid-stream.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import Encoder
from tests.helpers.frames import assert_same, counterpart, read_file
from tests.helpers.media import LADDER_SHORT, SINGLE, material
from tests.helpers.presentation import DASH, OUTPUTS, attributes
from tests.helpers.service import push_in_step

pytestmark = pytest.mark.e2e

ENG, DEU = "0:4", "0:5"
PICTURES: dict[str, tuple[str, ...]] = {f"v{n}": (f"0:{n}",) for n in range(4)}
LAYOUTS: dict[str, tuple[dict[str, tuple[str, ...]], tuple[str, ...]]] = {
    # Streams with their tracks, `secondary/` on the other side, and those that are killed.
    "a spare of each": (
        {**PICTURES, "eng": (ENG,), "deu": (DEU,), "eng-spare": (ENG,), "deu-spare": (DEU,)},
        ("eng", "deu"),
    ),
    "in the two lowest": (
        {**PICTURES, "v0": ("0:0", ENG, DEU), "v1": ("0:1", ENG, DEU)},
        ("v0",),
    ),
    "spares from separate encoders": (
        {**PICTURES, "eng": (ENG,), "deu": (DEU,), "secondary/eng": (ENG,), "secondary/deu": (DEU,)},
        ("eng", "deu"),
    ),
}  # fmt: skip
TWO_RATES = replace(SINGLE, name="two-rates", audio=(SINGLE.audio[0], replace(SINGLE.audio[0], kbps=32)))
"""One language twice."""
CUT = ("-frag_duration", "2000000")
"""Sound alone has no key frames at which it would be cut."""


def start(daemon: Daemon, source: Path, folder: Path, name: str, tracks: tuple[str, ...], began: int) -> Encoder:
    """A process of its own for each stream."""
    side, _, stream = name.rpartition("/")
    maps = [part for track in tracks for part in ("-map", track)]
    alone = CUT if all(track in (ENG, DEU) for track in tracks) else ()
    log = folder / f"{name.replace('/', '-')}.log"
    return push_in_step(daemon.ingest("news", stream, side), source, log, began, maps=(), extra=(*maps, *alone))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sound_goes_on_when_its_primary_is_killed(layout: str, tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    streams, killed = LAYOUTS[layout]
    # The first segment is there long before the material ends.
    with running_daemon(tmp_path, Channel("news", settings="fragments_per_segment = 1")) as daemon, ExitStack() as stack:
        began = int(time.time()) // 6 * 6
        encoders = {name: stack.enter_context(start(daemon, source, tmp_path, name, tracks, began)) for name, tracks in streams.items()}
        daemon.wait_for(daemon.presentation("news", OUTPUTS["dash"].manifest), "<S ")
        time.sleep(1)
        for name in killed:
            assert encoders[name].running(), "the material was too short"
            encoders[name].kill()
        for name, encoder in encoders.items():
            if name not in killed:
                encoder.finish()
        daemon.end_program("news")
        assert_listed_once(daemon)
        # The picture that went with the sound is not in question.
        sent = read_file(source)
        first = next(track for track in sent if track.kind == "video")
        for name, output in OUTPUTS.items():
            got = output.read(daemon.fetch, daemon.presentation("news", output.manifest))
            compared = [track for track in got if track.kind == "audio" or "v0" not in killed or counterpart(sent, track) is not first]
            for track in compared:
                assert_same(counterpart(sent, track), track)
            assert {track.language for track in compared if track.kind == "audio"} or output.one_audio, name


def assert_listed_once(daemon: Daemon) -> None:
    """Two languages, each once, in every format that lists them."""
    master = daemon.fetch(daemon.presentation("news", OUTPUTS["hls"].manifest)).decode()
    renditions = [attributes(line)["LANGUAGE"] for line in master.splitlines() if line.startswith("#EXT-X-MEDIA:TYPE=AUDIO")]
    mpd = etree.fromstring(daemon.fetch(daemon.presentation("news", OUTPUTS["dash"].manifest)))
    sets = [each.get("lang") for each in mpd.iter(f"{DASH}AdaptationSet") if each.get("contentType") == "audio"]
    smooth = etree.fromstring(daemon.fetch(daemon.presentation("news", OUTPUTS["smooth"].manifest)))
    indexes = [each.get("Language") for each in smooth.iter("StreamIndex") if each.get("Type") == "audio"]
    assert (sorted(renditions), sorted(sets), sorted(indexes)) == (["de", "en"],) * 3


def separate_sounds(daemon: Daemon, folder: Path, source: Path, streams: Mapping[str, tuple[str, ...]]) -> list[tuple[str | None, int]]:
    """Languages and rates of the sounds that DASH lists of streams; every frame of theirs has to be there."""
    with ExitStack() as stack:
        began = int(time.time()) // 6 * 6
        encoders = []
        for name, options in streams.items():
            log = folder / f"{name}.log"
            encoders.append(stack.enter_context(push_in_step(daemon.ingest("news", name), source, log, began, maps=(), extra=options)))
        for encoder in encoders:
            encoder.finish()
    daemon.end_program("news")
    dash = daemon.presentation("news", OUTPUTS["dash"].manifest)
    sent = read_file(source)
    for track in OUTPUTS["dash"].read(daemon.fetch, dash):
        assert_same(counterpart(sent, track), track)
    sets = [each for each in etree.fromstring(daemon.fetch(dash)).iter(f"{DASH}AdaptationSet") if each.get("contentType") == "audio"]
    return sorted((each.get("lang"), int(one.get("bandwidth", 0))) for each in sets for one in each.iter(f"{DASH}Representation"))


def test_one_sound_in_two_languages_is_two_tracks(tmp_path: Path) -> None:
    streams = {
        "v0": ("-map", "0:0", "-map", ENG),
        "deu": ("-map", DEU, *CUT),
        "fra": ("-map", ENG, "-metadata:s:a:0", "language=fra", *CUT),
    }
    source = material(LADDER_SHORT)
    with running_daemon(tmp_path, Channel("news")) as daemon:
        found = separate_sounds(daemon, tmp_path, source, streams)
    assert [language for language, _ in found] == ["de", "en", "fr"]


def test_one_language_at_two_bit_rates_is_two_tracks(tmp_path: Path) -> None:
    """Unequal entries in the live manifest (ingest specification, "Redundant audio")."""
    source = material(TWO_RATES)
    streams = {"v0": ("-map", "0:0"), "high": ("-map", "0:1", *CUT), "low": ("-map", "0:2", *CUT)}
    with running_daemon(tmp_path, Channel("news")) as daemon:
        found = separate_sounds(daemon, tmp_path, source, streams)
    (low_language, low_rate), (language, rate) = found
    assert (low_language, language) == ("en", "en")
    assert low_rate < rate
