"""Limits of bit rate: who sends too much is put out, whoever else sends goes on, and who keeps to it comes back."""

from __future__ import annotations

import pytest

from pypackager.model.errors import PackagerError
from pypackager.model.records import FLAG_GAP, Peak
from tests.helpers.timeline_rig import Chunk, Header, Rig, audio_header

VIDEO = 90_000
MBIT = 125_000
"""Bytes of a second at a Mbit/s."""


def picture(start_s: int, mbit: float, track: int = 1) -> Chunk:
    return Chunk(track, start_s * VIDEO, 2 * VIDEO, size=int(2 * mbit * MBIT))


def sound(start_s: int, track: int = 9) -> Chunk:
    return Chunk(track, start_s * 48_000, 2 * 48_000, 48_000, size=32_000)


def media(rig: Rig, track: str) -> list[int]:
    """Seconds behind the begin of the presentation."""
    begin = min(row.time for row in rig.rows(track))
    return [(row.time - begin) // VIDEO for row in rig.rows(track) if not row.flags & FLAG_GAP]


def gaps(rig: Rig, track: str) -> int:
    return sum(bool(row.flags & FLAG_GAP) for row in rig.rows(track))


def test_a_layer_over_its_limit_is_dropped_from_a_ladder_until_it_keeps_to_it() -> None:
    rig = Rig(layer_bps=10_000_000)
    conn = rig.connect([Header(1, "video"), Header(2, "video", bitrate=1), audio_header(9)], stream="ladder")
    low, high = (rig.timeline.feeds[conn].ids[number] for number in (1, 2))
    for start in range(0, 160, 2):
        rig.wait(2)
        # Within its limit, then 20 Mbit/s for twenty seconds, then within it again.
        rate = 20 if 40 <= start < 60 else 9
        rig.send(conn, picture(start, 2), picture(start, rate, track=2), sound(start))
    rig.wait(5)
    assert media(rig, low) == list(range(0, 160, 2))
    assert gaps(rig, low) == 0
    kept = media(rig, high)
    # 10.5 Mbit/s over 30 s are passed by the third large chunk (9 * 24 + 20 * 6 > 315); half a minute later it is far below.
    away = [start for start in range(0, 160, 2) if start not in kept]
    assert away[0] in (42, 44, 46)
    assert away == list(range(away[0], away[-1] + 2, 2))
    assert 74 <= away[-1] <= 90
    assert len([code for code, _ in rig.alerts if code == "BITRATE_EXCEEDED"]) == len(away)


class Publishers:
    """Encoders of a layer each, connected one after the other."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.conns: dict[str, int] = {}

    def connect(self, name: str, start: int) -> None:
        self.conns[name] = self.rig.connect([Header(1, "video")], stream=name)
        self.rig.timeline.place(self.conns[name], start * 1000, 1000, self.rig.now)

    def send(self, start: int) -> None:
        self.rig.wait(2)
        for name, conn in self.conns.items():
            self.rig.send(conn, picture(start, {"a": 8, "b": 7.5, "c": 7}[name]))


def test_the_layer_that_came_last_goes_when_all_together_are_too_much() -> None:
    rig = Rig("rtmp", "utc", layer_bps=10_000_000, channel_bps=20_000_000)
    publishers = Publishers(rig)
    publishers.connect("a", 0)
    publishers.connect("b", 0)
    for start in range(0, 30, 2):
        publishers.send(start)
    publishers.connect("c", 30)
    # 15.5 + 7 n / 30 Mbit/s pass 21 with n = 24.
    for start in range(30, 52, 2):
        publishers.send(start)
    with pytest.raises(PackagerError, match="BITRATE_EXCEEDED: c came last"):
        publishers.send(52)
    rig.disconnect(publishers.conns.pop("c"))
    with pytest.raises(PackagerError, match="BITRATE_EXCEEDED"):
        publishers.connect("c", 54)
    rig.disconnect(max(rig.timeline.feeds))
    for start in range(54, 86, 2):
        publishers.send(start)
    assert gaps(rig, "a") == gaps(rig, "b") == 0
    # Half a minute is over.
    publishers.connect("c", 86)
    publishers.send(86)


def test_two_sources_of_one_layer_count_once() -> None:
    rig = Rig(layer_bps=10_000_000)
    first, second = (rig.connect([Header(1, "video")], stream="v", side=side) for side in ("primary", "secondary"))
    for start in range(0, 80, 2):
        rig.wait(2)
        for conn, late in ((first, 0), (second, 30)):
            chunk = picture(start, 9)
            chunk.time += late
            rig.send(conn, chunk)
    assert "BITRATE_EXCEEDED" not in rig.codes()


@pytest.mark.parametrize(("length_s", "expected"), [(1.2, 10_000_000), (0.3, 24_000_000 / 2.3), (0.1, 24_000_000 / 2.1)])
def test_what_a_source_broke_off_counts_for_the_peak_as_far_as_players_measure_it(length_s: float, expected: float) -> None:
    rig = Rig("rtmp", "utc", fragments_per_segment=1)
    conn = rig.connect([Header(1, "video")], stream="v")
    rig.timeline.place(conn, 100_000, 1000, rig.now)
    for start in (100, 102, 104):
        rig.send(conn, picture(start, 6))
        rig.wait(2)
    # Twelve Mbit in a key frame and little more, as many as in two seconds.
    rig.send(conn, Chunk(1, 106 * VIDEO, int(length_s * VIDEO), size=12 * MBIT, partial=True))
    rig.disconnect(conn)
    rig.wait(20)
    assert rig.rows("v")[-1].duration == int(length_s * VIDEO)
    peak = max(record.bps for record in rig.store.records if isinstance(record, Peak))
    assert expected <= peak <= 1.06 * expected
