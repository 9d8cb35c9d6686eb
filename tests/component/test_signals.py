"""Sparse tracks: shown when their parent is there, in every format that has a place for them, and in nobody's way.

The examples of the ingest specification: a signal at t = 1000, payloads of XML, text and bytes, the header first and the data later, a
daemon that never saw the track, one that comes before its parent, and very late.
"""

from __future__ import annotations

import base64
import itertools
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from lxml import etree

from pypackager.dvr.ledger import Ledger
from pypackager.dvr.signals import KEPT_BYTES, Signals
from pypackager.model.records import SignalReceived, SignalsAdded
from pypackager.model.signal import TIMESCALE, Signal, SignalInfo
from pypackager.packaging.publish import answer
from tests.helpers.channel_node import VIDEO, ChannelNode
from tests.helpers.presentation import DASH
from tests.helpers.presentations import ASC, AVCC, body_of
from tests.helpers.timeline_rig import Chunk, Header, Rig, Stored, audio_header

SMOOTH = 10_000_000
"""Ticks per second of what the encoder sends."""
START_S = 1_000
XML, TEXT, BINARY = b"<?xml version='1.0'?><Acquire><Cue id='7'/></Acquire>", "Grüße".encode(), bytes(range(256))
SCTE = "urn:scte:scte35:2013:bin"


class Found(msgspec.Struct):
    """What the header boxes and the live manifest say of a track of signals."""

    conn: int = 0
    number: int = 3
    timescale: int = SMOOTH
    format: str = "data"
    name: str = "ads"
    language: str = "und"
    parent: str = "video"
    output: bool = True
    subtype: str = "DATA"
    scheme: str = SCTE


class Ready(msgspec.Struct):
    """A signal."""

    conn: int
    track: int
    time: int
    duration: int
    timescale: int
    data: bytes


class Studio(ChannelNode):
    """A channel with a layer, sound, and an encoder of signals that posts when it has one."""

    def __init__(self, directory: Path, **options: Any) -> None:
        super().__init__(directory, **options)
        self.conns = itertools.count(100)

    def go_live(self) -> None:
        self.channel.open_feed(1, "primary", "ladder")
        self.channel.track_found(1, cast(Any, Header(1, "video", name="video", codec_private=AVCC)))
        self.channel.track_found(1, cast(Any, audio_header(2, name="audio", codec_private=ASC, frame_ticks=1024)))
        self.channel.admit(1)

    def media(self, *starts_s: int) -> None:
        """Pictures and sound of two seconds each, in real time."""
        for start_s in starts_s:
            self.channel.chunk(1, cast(Any, Stored(1, start_s * VIDEO, 2 * VIDEO)))
            self.channel.chunk(1, cast(Any, Stored(2, start_s * 48_000, 2 * 48_000, 48_000)))
            self.channel.advance()
            self.settle()
            self.wait(2)
            self.settle()

    def post(self, *signals: tuple[float, bytes], side: str = "primary", found: Found | None = None) -> int:
        """A POST of header boxes and some signals; it stays open."""
        conn = next(self.conns)
        self.channel.open_feed(conn, side, "ads")
        self.channel.signals_found(conn, cast(Any, msgspec.structs.replace(found or Found(), conn=conn)))
        for time_s, data in signals:
            self.channel.signal(conn, cast(Any, Ready(conn, 3, round(time_s * SMOOTH), SMOOTH, SMOOTH, data)))
        self.channel.complete(conn)
        self.settle()
        return conn

    def end(self, conn: int) -> bool:
        """The encoder closes its POST; returns whether it was acknowledged."""
        settled = self.channel.settled(conn)
        self.channel.close_feed(conn)
        return settled

    def smooth(self) -> dict[str, list[tuple[int, bytes]]]:
        """Signals of each text stream of the Smooth manifest."""
        manifest = etree.fromstring(self.text("manifest").encode())
        streams = [stream for stream in manifest.iter("StreamIndex") if stream.get("Type") == "text"]
        assert all(stream.get("ParentStreamIndex") == "video" and stream.get("ManifestOutput") == "TRUE" for stream in streams)
        return {
            stream.get("Name"): [(int(c.get("t")), base64.b64decode(c.findtext("f") or "")) for c in stream.iter("c")] for stream in streams
        }

    def dash(self) -> list[tuple[int, bytes]]:
        """Events of the MPD: media time in ticks and payload."""
        found = etree.fromstring(self.text("manifest.mpd").encode()).iter(f"{DASH}Event")
        return [(int(event.get("presentationTime")), base64.b64decode(event.text)) for event in found]

    def hls(self) -> list[str]:
        """Date ranges of the layer's playlist."""
        return [line for line in self.text("hls/video.m3u8").splitlines() if line.startswith("#EXT-X-DATERANGE")]

    def text(self, path: str) -> str:
        return body_of(answer(self.channel.programs.present("show"), path, "")).decode()


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def test_a_signal_is_there_when_its_parent_is(studio: Studio) -> None:
    studio.go_live()
    studio.media(*range(START_S - 8, START_S + 4, 2))
    assert studio.end(studio.post())
    assert studio.smooth() == {"ads": []}, "the header boxes alone register the track"
    conn = studio.post((START_S + 9, XML))
    assert studio.end(conn), "acknowledged at once: it is in the journal"
    studio.media(START_S + 4, START_S + 6, START_S + 8)
    assert (studio.dash(), studio.hls()) == ([], []), "no fragment of the parent starts at 1009 or later"
    studio.media(START_S + 10)
    time = (START_S + 9) * VIDEO
    assert studio.dash() == [(time, XML)]
    payload = base64.b64encode(XML).decode()
    (line,) = studio.hls()
    assert line.startswith(f'#EXT-X-DATERANGE:ID="ads-{time}",CLASS="{SCTE}",START-DATE="')
    assert line.endswith(f'X-PAYLOAD="{payload}"')
    assert studio.smooth() == {"ads": []}, "Smooth lists a fragment when the two behind it are there"
    studio.media(START_S + 12, START_S + 14)
    assert studio.smooth() == {"ads": [(time, XML)]}
    fragment = answer(studio.channel.programs.present("show"), f"QualityLevels(0)/Fragments(ads={time})", "")
    assert body_of(fragment).endswith(b"mdat" + XML)


def test_a_signal_at_the_very_time_of_a_fragment_is_there_with_it(studio: Studio) -> None:
    studio.go_live()
    studio.media(START_S - 4, START_S - 2)
    studio.end(studio.post((START_S, TEXT)))
    assert studio.dash() == []
    studio.media(START_S)
    assert studio.dash() == [(START_S * VIDEO, TEXT)]


def test_one_that_comes_before_its_parent_is_acknowledged_when_its_place_is_known(studio: Studio) -> None:
    conn = studio.post((START_S + 1, BINARY))
    assert not studio.channel.settled(conn)
    studio.go_live()
    studio.media(START_S, START_S + 2, START_S + 4)
    assert studio.channel.settled(conn)
    assert studio.dash() == [((START_S + 1) * VIDEO, BINARY)]


def test_one_that_comes_very_late_is_shown_at_once_and_one_before_the_window_never(studio: Studio) -> None:
    studio.go_live()
    studio.media(*range(START_S, START_S + 40, 2))
    assert studio.end(studio.post((START_S + 3, TEXT), (START_S - 50, XML)))
    assert studio.dash() == [((START_S + 3) * VIDEO, TEXT)]


def test_media_is_published_alike_with_and_without_signals(tmp_path: Path) -> None:
    rows: list[Any] = []
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
        studio = Studio(tmp_path / name)
        studio.go_live()
        for start_s in range(START_S, START_S + 20, 2):
            if name == "with" and start_s % 4 == 0:
                studio.post((start_s + 3, BINARY))
            studio.media(start_s)
        rows.append(
            [(track.info.id, track.time.tolist(), track.flags.tolist()) for track in studio.channel.programs.present("show").tracks]
        )
    assert rows[0] == rows[1]


def test_two_encoders_send_the_same_signals_and_one_that_differs_is_told_of(studio: Studio) -> None:
    studio.go_live()
    studio.media(START_S, START_S + 2)
    first, second = studio.post((START_S + 1, XML)), studio.post((START_S + 1, XML), side="secondary")
    assert studio.end(first)
    assert studio.end(second)
    assert "SIGNALS_DIFFER" not in studio.channel.alarm.alerts
    studio.end(studio.post((START_S + 1, TEXT)))
    assert "SIGNALS_DIFFER" in studio.channel.alarm.alerts
    assert studio.dash() == [((START_S + 1) * VIDEO, XML)]


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (Found(parent=""), "SIGNALS_WITHOUT_PARENT"),
        (Found(parent="nobody"), "SIGNALS_PARENT_UNKNOWN"),
        (Found(output=False), "SIGNALS_NOT_IN_MANIFEST"),
    ],
)
def test_without_a_parent_or_the_wish_payloads_are_kept_and_not_shown(studio: Studio, found: Found, code: str) -> None:
    studio.go_live()
    studio.media(START_S)
    assert studio.end(studio.post((START_S + 1, XML), found=found))
    studio.media(*range(START_S + 2, START_S + 12, 2))
    assert code in studio.channel.alarm.alerts
    assert (studio.dash(), studio.smooth(), studio.hls()) == ([], {}, [])
    (kept,) = studio.channel.programs.present("show").signals
    assert [signal.data for signal in kept.signals] == [XML]


def test_an_unequal_entry_is_a_track_of_its_own(studio: Studio) -> None:
    studio.go_live()
    studio.media(START_S)
    for found in (Found(), Found(scheme="urn:other"), Found()):
        studio.end(studio.post((START_S + 1, XML), found=found))
    studio.media(*range(START_S + 2, START_S + 12, 2))
    assert studio.smooth() == {"ads": [((START_S + 1) * VIDEO, XML)], "ads-2": [((START_S + 1) * VIDEO, XML)]}


@pytest.mark.parametrize("how", ["crash", "restart"])
def test_they_survive_a_restart_and_a_daemon_that_never_saw_the_track_takes_them(studio: Studio, how: str) -> None:
    studio.go_live()
    studio.media(START_S, START_S + 2)
    studio.end(studio.post((START_S + 1, XML), (START_S + 5, TEXT)))
    getattr(studio, how)()
    assert studio.dash() == [((START_S + 1) * VIDEO, XML)]
    studio.go_live()
    studio.media(START_S + 4, START_S + 6)
    assert studio.end(studio.post((START_S + 1, XML), (START_S + 6, BINARY)))
    assert [data for _, data in studio.dash()] == [XML, TEXT, BINARY]
    assert "SIGNALS_DIFFER" not in studio.channel.alarm.alerts


def test_a_stopped_program_keeps_them(studio: Studio) -> None:
    studio.go_live()
    studio.media(START_S, START_S + 2)
    studio.end(studio.post((START_S + 1, XML)))
    studio.media(START_S + 4)
    live = studio.dash()
    studio.stop_program()
    studio.settle()
    assert studio.ended()
    assert studio.dash() == live == [((START_S + 1) * VIDEO, XML)]
    assert studio.smooth() == {"ads": [((START_S + 1) * VIDEO, XML)]}


def test_signals_behind_the_edge_outlive_the_file_that_they_came_in() -> None:
    ledger = Ledger()
    ledger.begin_file(1)
    info = SignalInfo(1, "ads", "ads", "video", output=True, subtype="", scheme="", format="", language="und")
    ledger.apply(SignalsAdded(info))
    ledger.apply(SignalReceived(1, Signal(500, 0, TEXT)))
    # All that later files are read with.
    later = Ledger()
    later.begin_file(2)
    later.apply(ledger.snapshot())
    assert later.signals.lines[1].info == info
    assert later.signals.lines[1].signals == [Signal(500, 0, TEXT)]


def test_a_scheme_is_said_as_each_format_quotes_it(studio: Studio) -> None:
    studio.go_live()
    studio.media(START_S)
    studio.end(studio.post((START_S + 1, XML), found=Found(scheme='urn:a?b&"c"')))
    studio.media(*range(START_S + 2, START_S + 12, 2))
    assert "CLASS=\"urn:a?b&'c'\"," in studio.hls()[0]
    mpd = etree.fromstring(studio.text("manifest.mpd").encode())
    assert [stream.get("schemeIdUri") for stream in mpd.iter(f"{DASH}EventStream")] == ['urn:a?b&"c"']
    assert 'Value="urn:a?b&amp;&quot;c&quot;"' in studio.text("manifest")


def test_a_flood_is_cut_and_told_of(studio: Studio) -> None:
    studio.go_live()
    studio.media(START_S)
    large = bytes(60_000)
    studio.end(studio.post(*((START_S + n / 1000, large) for n in range(100))))
    assert "SIGNALS_TOO_MANY" in studio.channel.alarm.alerts
    (kept,) = studio.channel.store.ledger.signals.lines.values()
    assert sum(len(signal.data) for signal in kept.signals) <= 1 << 20


def test_of_too_many_the_oldest_are_forgotten() -> None:
    signals = Signals()
    for number, name in ((1, "ads"), (2, "words")):
        signals.add(SignalsAdded(SignalInfo(number, name, name, "", output=True, subtype="", scheme="", format="", language="und")))
    for time in range(200):
        assert signals.put(SignalReceived(2, Signal(time, 0, bytes(40_000))))
        signals.put(SignalReceived(1, Signal(time, 0, XML)))
    assert len(signals.lines[1].signals) == 200
    words = signals.lines[2]
    assert words.size == sum(len(signal.data) for signal in words.signals) <= KEPT_BYTES
    assert [signal.time for signal in words.signals] == list(range(200 - len(words.signals), 200))
    assert words.size > KEPT_BYTES - 60_000


@pytest.mark.parametrize("seed", range(5))
def test_whenever_they_come_the_manifests_are_the_same(tmp_path: Path, seed: int) -> None:
    """Signals come in any order, early and late, before and behind their parents: only what is published decides what is shown."""
    chance = random.Random(seed)
    signals = [(START_S + chance.randrange(0, 20_000) / 1000, bytes([n])) for n in range(12)]
    texts: list[Mapping[str, Any]] = []
    for order in (sorted(signals), signals, sorted(signals, reverse=True)):
        (tmp_path / str(len(texts))).mkdir()
        studio = Studio(tmp_path / str(len(texts)))
        studio.go_live()
        waiting = list(order)
        for start_s in range(START_S, START_S + 24, 2):
            for _ in range(chance.randrange(3)):
                if waiting:
                    studio.end(studio.post(waiting.pop(0)))
            studio.media(start_s)
        studio.end(studio.post(*waiting))
        texts.append({path: studio.text(path) for path in ("manifest", "hls/video.m3u8", "hls/audio.m3u8")} | {"mpd": studio.dash()})
    assert texts[0] == texts[1] == texts[2]
    assert len(texts[0]["mpd"]) == len({round(time * VIDEO) for time, _ in signals})


def furthest() -> Found:
    """What the pump says of a handler of RTMP's data messages."""
    return Found(format="", name="onCuePoint", parent="*", scheme="urn:pypackager:rtmp:onCuePoint")


def test_what_belongs_to_no_layer_is_shown_with_whichever_is_furthest(studio: Studio) -> None:
    studio.channel.open_feed(1, "primary", "ladder")
    studio.channel.track_found(1, cast(Any, Header(1, "video", name="video", codec_private=AVCC)))
    studio.channel.track_found(1, cast(Any, Header(3, "video", name="low", codec_private=AVCC, width=320, height=180)))
    studio.channel.admit(1)
    # The sound is ahead of the pictures, but pictures count; the first layer ends early.
    for start_s in range(START_S - 8, START_S + 8, 2):
        for track in (1, 3) if start_s < START_S + 4 else (3,):
            studio.channel.chunk(1, cast(Any, Stored(track, start_s * VIDEO, 2 * VIDEO)))
        studio.channel.advance()
        studio.settle()
        studio.wait(2)
        studio.settle()
    conn = studio.post((START_S + 1, TEXT), (START_S + 5, XML), (START_S + 9, BINARY), found=furthest())
    studio.wait(30)
    studio.channel.advance()
    studio.settle()
    assert studio.end(conn)
    base = min(time for time, _ in studio.dash())
    assert [(time - base, data) for time, data in studio.dash()] == [(0, TEXT), (4 * VIDEO, XML)]
    # In Smooth Streaming the layers are one stream, which goes as far as the first.
    assert studio.smooth() == {"oncuepoint": studio.dash()[:1]}
    assert "SIGNALS" not in " ".join(studio.channel.alarm.alerts)


def test_one_without_a_duration_has_a_tick_in_smooth_streaming(studio: Studio) -> None:
    studio.go_live()
    studio.media(START_S)
    conn = studio.post(found=furthest())
    studio.channel.signal(conn, cast(Any, Ready(conn, 3, (START_S + 1) * SMOOTH, 0, SMOOTH, TEXT)))
    studio.media(*range(START_S + 2, START_S + 12, 2))
    assert f'<c t="{(START_S + 1) * VIDEO}" d="1">' in studio.text("manifest")
    assert "DURATION" not in studio.hls()[0]
    assert ' duration="' not in studio.text("manifest.mpd").partition("<Event ")[2].partition(">")[0]


def test_what_each_layer_repeats_takes_no_room(studio: Studio) -> None:
    studio.go_live()
    studio.media(START_S, START_S + 2)
    for layer in range(10):
        for at in range(100):
            studio.post((START_S + at / 100, b"%d" % at), found=furthest())
        assert "SIGNALS_TOO_MANY" not in studio.channel.alarm.alerts, layer
    studio.media(START_S + 4, START_S + 6)
    assert len(studio.dash()) == 100


@pytest.mark.parametrize("where", ["beside it", "on the other side", "after it"])
def test_over_rtmp_they_are_where_their_media_is_when_the_counter_has_wrapped(where: str) -> None:
    """RTMP's milliseconds start again at zero every 24.8 days (rtmp_specification_1.0, 3.1); who connects then has small ones."""
    rig, wrap_ms = Rig("rtmp", "utc"), 1 << 31

    def fragment(at_ms: int) -> Chunk:
        return Chunk(1, at_ms * 90, 2 * VIDEO)

    one = rig.connect([Header(1, "video")], stream="v")
    rig.timeline.place(one, wrap_ms - 9000, 1000, rig.now)
    for at_ms in range(wrap_ms - 9000, wrap_ms + 1000, 2000):
        rig.wait(2)
        rig.send(one, fragment(at_ms))
    if where == "after it":
        rig.disconnect(one)
    two = rig.connect([Header(1, "video")], stream="v", side="secondary" if where == "on the other side" else "primary")
    rig.timeline.signals_found(two, cast(Any, Found(two, parent="", timescale=1000)))
    early = Ready(two, 3, 1500, 0, 1000, b"early")
    rig.timeline.signal(two, cast(Any, early), rig.now)
    rig.timeline.place(two, 1000, 1000, rig.now)
    # Where both are cut together the later one's times are counted on.
    moved_ms = wrap_ms if where == "beside it" else 0
    for at_ms in range(1000, 7000, 2000):
        rig.wait(2)
        rig.send(two, fragment(at_ms + moved_ms))
    rig.timeline.signal(two, cast(Any, Ready(two, 3, 6000, 0, 1000, b"late")), rig.now)
    began_s = rig.rows("v")[0].time / VIDEO
    received = [record.signal for record in rig.store.records if isinstance(record, SignalReceived)]
    assert [(round(signal.time / TIMESCALE - began_s, 3), signal.data) for signal in received] == [(10.5, b"early"), (15.0, b"late")]
