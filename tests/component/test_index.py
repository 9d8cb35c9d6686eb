"""The fragment index of ingest (`tfxd` version 2): two data centres number and group HLS segments alike, whenever each began."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from pypackager.packaging.publish import answer
from tests.helpers.channel_node import VIDEO, ChannelNode
from tests.helpers.presentations import ASC, AVCC, body_of
from tests.helpers.timeline_rig import Chunk, Header, Rig, Stored, audio_header

GOP = 2 * VIDEO
TRACKS = ("v", "a")


def ticks(number: int) -> int:
    """Start of a fragment: off every grid that time alone would give."""
    return (1_000_001 + 2 * number) * VIDEO


class Centre(ChannelNode):
    """A data centre: its own directory, its own encoder, which numbers its fragments."""

    def encoder(self, conn: int) -> None:
        """Its encoder connects; sound is a stream of its own."""
        for stream, header in (("v", Header(1, "video", codec_private=AVCC)), ("a", audio_header(1, codec_private=ASC))):
            number = 2 * conn + (stream == "a")
            self.channel.open_feed(number, "primary", stream)
            self.channel.track_found(number, cast(Any, header))
            self.channel.admit(number)

    def gone(self, conn: int) -> None:
        """It is cut off."""
        for number in (2 * conn, 2 * conn + 1):
            self.channel.close_feed(number)

    def push(self, conn: int, numbers: Iterable[int], at_once: int = 0) -> None:
        """Fragments by number: in real time, but the first ones, which are sent again."""
        for count, number in enumerate(numbers):
            if count >= at_once:
                self.wait(2)
            time = ticks(number)
            self.channel.chunk(2 * conn, cast(Any, Stored(1, time, GOP, index=number)))
            self.channel.chunk(2 * conn + 1, cast(Any, Stored(1, time // VIDEO * 48_000, 2 * 48_000, 48_000, index=number)))
            self.channel.advance()
            self.settle()

    def segments(self, track: str) -> dict[int, tuple[str, ...]]:
        """What the media playlist lists, by media sequence number."""
        playlist = body_of(answer(self.channel.programs.present("show"), f"hls/{track}.m3u8", "")).decode()
        found = re.search(r"MEDIA-SEQUENCE:(\d+)", playlist)
        assert found is not None
        uris = re.findall(r"#EXTINF:([\d.]+),.*\n(?:#.*\n)*([^#\n]+)", playlist)
        return dict(enumerate(uris, int(found[1])))


@pytest.mark.parametrize("per_segment", [1, 2, 3, 5])
def test_two_data_centres_agree_on_numbers_borders_and_urls(per_segment: int, tmp_path: Path) -> None:
    centres = []
    for name in ("east", "west"):
        (tmp_path / name).mkdir()
        centre = Centre(tmp_path / name)
        centre.config = msgspec.structs.replace(centre.config, fragments_per_segment=per_segment)
        centre.restart()
        centres.append(centre)
    east, west = centres
    east.encoder(0)
    east.push(0, range(100, 113))
    # Its encoder is started again within a segment, and sends the last two fragments again.
    east.gone(0)
    east.encoder(1)
    east.push(1, range(111, 118), at_once=2)
    # The daemon, too: the newest fragment waits for its sound when the process dies.
    east.channel.chunk(2, cast(Any, Stored(1, ticks(118), GOP, index=118)))
    east.settle()
    east.crash()
    east.encoder(2)
    east.push(2, range(117, 131), at_once=2)
    # The other one begins elsewhere, within a segment.
    west.encoder(0)
    west.push(0, range(104, 131))
    for track in TRACKS:
        here, there = east.segments(track), west.segments(track)
        assert next(iter(here)) == 100 // per_segment
        common = here.keys() & there.keys()
        # All but the one within which the second began.
        assert len(common) >= (130 - 104) // per_segment - 1
        first = -(-104 // per_segment)
        assert {n: here[n] for n in common if n >= first} == {n: there[n] for n in common if n >= first}
        starts = [int(re.findall(r"\d{6,}", here[n][1])[-1]) for n in sorted(common) if n >= first]
        scale = VIDEO if track == "v" else 48_000
        assert starts == [ticks(per_segment * n) // VIDEO * scale for n in sorted(common) if n >= first]
    assert not {"INDEX_MISMATCH", "TRACK_GAP"} & {*east.channel.alarm.alerts, *west.channel.alarm.alerts}


def test_a_border_opens_a_segment_though_the_target_duration_has_to_rise() -> None:
    rig = Rig(interval_ns=2_000_000_000, fragments_per_segment=3)
    conn = rig.connect([Header(1, "video")], stream="v")
    time = ticks(0)
    for index, seconds in enumerate((2, 2, 2, 2, 2.8, 2.8, 2, 2), 99):
        rig.wait(seconds)
        rig.send(conn, Chunk(1, time, int(seconds * VIDEO), index=index))
        time += int(seconds * VIDEO)
    assert [row.segment for row in rig.rows("v")] == [33, 33, 33, 34, 34, 34, 35, 35]
    assert "KEY_FRAME_INTERVAL_TOO_LONG" in rig.codes()


def numbered(rig: Rig, conn: int, *numbers: tuple[int, int]) -> list[str]:
    """Sends fragments as (number by time, index); returns what was raised of the index."""
    before = len(rig.alerts)
    for number, index in numbers:
        rig.send(conn, Chunk(1, ticks(number), GOP, index=index))
        rig.wait(2)
    return [text for code, text in rig.alerts[before:] if code == "INDEX_MISMATCH"]


def test_an_index_that_does_not_rise_by_one_is_an_alert() -> None:
    rig = Rig(interval_ns=2_000_000_000)
    conn = rig.connect([Header(1, "video")], stream="v")
    assert numbered(rig, conn, (0, 7), (1, 8), (2, 9)) == []
    assert numbered(rig, conn, (3, 11)) == [f"track v: index 11 at {ticks(3)} follows 9 at {ticks(2)}"]
    # Over a hole it rises, by how much nobody knows.
    assert numbered(rig, conn, (4, 12), (7, 20), (8, 21)) == []
    assert len(numbered(rig, conn, (10, 21))) == 1
    assert len(numbered(rig, conn, (11, 1 << 54))) == 1
    # What is sent again is called the same.
    assert numbered(rig, conn, (10, 21), (12, 22)) == []
    rig.wait(5)
    assert len(rig.rows("v")) == 10


def test_two_encoders_that_number_one_fragment_differently_are_an_alert() -> None:
    rig = Rig(interval_ns=2_000_000_000)
    one = rig.connect([Header(1, "video")], stream="v")
    two = rig.connect([Header(1, "video")], stream="v", side="secondary")
    for number in range(3):
        assert numbered(rig, one, (number, 40 + number)) == []
        # It is published by now.
        assert numbered(rig, two, (number, 40 + number)) == []
    assert numbered(rig, one, (3, 43)) == []
    assert numbered(rig, two, (3, 3)) == [f"track v: the fragment at {ticks(3)} has index 3, and 43 from another source"]
    # An encoder without says nothing.
    assert rig.alerts[-1][0] == "INDEX_MISMATCH"
    rig.send(two, Chunk(1, ticks(2), GOP))
    assert [row.segment for row in rig.rows("v")] == [13, 13, 14, 14]
