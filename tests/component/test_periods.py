"""A period opens for what happens to the channel, never for what one layer does alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pypackager.model.records import FLAG_GAP, FLAG_OPENS, FLAG_PERIOD
from pypackager.timeline.times import SECOND_NS
from tests.helpers.timeline_rig import Chunk, Header, Rig, audio_header, shown

VIDEO = 90_000
LAYERS = 4


def layer(**changes: Any) -> list[Header]:
    return [Header(1, "video", **changes)]


def gop(start_s: float) -> Chunk:
    return Chunk(1, round(start_s * VIDEO), 2 * VIDEO)


def sound(start_s: float) -> Chunk:
    return Chunk(1, round(start_s * 48_000), 96_000, 48_000)


class Ladder:
    """Four layers and audio, each on a connection of its own, all on one clock."""

    def __init__(self, protocol: str = "fmp4", start_s: int = 100) -> None:
        self.rig = Rig(protocol, "utc" if protocol == "rtmp" else "source")
        self.start_s = start_s
        self.next_s = 0
        self.conns: dict[str, int] = {}
        for name in self.names():
            self.connect(name)

    def names(self) -> list[str]:
        return [*(f"v{n}" for n in range(1, LAYERS + 1)), "a"]

    def connect(self, name: str, **changes: object) -> None:
        self.conns[name] = self.rig.connect([audio_header(1)] if name == "a" else layer(**changes), stream=name)
        if self.rig.timeline.options.protocol == "rtmp":
            self.rig.timeline.place(self.conns[name], self.next_s * 1000, 1000, self.rig.now)

    def run(self, slots: int, without: str = "") -> None:
        for _ in range(slots):
            self.rig.wait(2)
            self.slot(without)

    def slot(self, without: str = "") -> None:
        for name, conn in self.conns.items():
            if name != without:
                start_s = self.start_s + self.next_s
                self.rig.send(conn, sound(start_s) if name == "a" else gop(start_s))
        self.next_s += 2

    def restart(self) -> None:
        """The encoder goes, and comes back on a new clock."""
        for conn in self.conns.values():
            self.rig.timeline.close_feed(conn, self.rig.now)
        self.rig.wait(7)
        self.next_s = 0
        for name in self.names():
            self.connect(name)

    def periods(self, name: str) -> int:
        return sum(bool(row.flags & FLAG_PERIOD) for row in self.rig.rows(name))

    def gaps(self, name: str) -> int:
        return sum(bool(row.flags & FLAG_GAP) for row in self.rig.rows(name))


@pytest.mark.parametrize("name", ["v1", "v3", "a"])
def test_one_layer_that_starts_again_at_zero_is_a_gap(name: str) -> None:
    ladder = Ladder()
    ladder.run(20)
    ladder.rig.disconnect(ladder.conns[name])
    conn = ladder.rig.connect([audio_header(1)] if name == "a" else layer(), stream=name)
    for slot in range(20):
        ladder.rig.wait(1.3)
        ladder.rig.send(conn, sound(2 * slot) if name == "a" else gop(2 * slot))
        ladder.rig.wait(0.7)
        ladder.slot(without=name)
    assert len(ladder.rig.store.periods) == 1
    for other in ladder.names():
        assert ladder.periods(other) == 1
        assert (ladder.gaps(other) > 0) == (other == name)
    media = [row for row in ladder.rig.rows(name) if not row.flags & FLAG_GAP]
    assert len(media) >= 36, "it goes on after the gap"


@pytest.mark.parametrize("pause_s", [0.2, 0.9, 2.0, 5.0])
@pytest.mark.parametrize("order", ["forward", "backward"])
def test_all_layers_one_after_another_give_one_period(pause_s: float, order: str) -> None:
    ladder = Ladder("rtmp", 0)
    ladder.run(10)
    for conn in ladder.conns.values():
        ladder.rig.disconnect(conn)
    ladder.rig.wait(pause_s)
    ladder.conns.clear()
    ladder.next_s = 0
    names = ladder.names() if order == "forward" else ladder.names()[::-1]
    for name in names:
        ladder.connect(name)
        ladder.rig.wait(0.4)
    ladder.run(10)
    assert len(ladder.rig.store.periods) == 2
    for name in names:
        assert ladder.periods(name) == 2
        assert len([row for row in ladder.rig.rows(name) if not row.flags & FLAG_GAP]) == 20


def test_a_stray_layer_that_changes_what_it_is_opens_no_period() -> None:
    ladder = Ladder()
    ladder.run(5)
    for turn in range(12):
        stray = ladder.rig.connect(layer(codec_private=b"%d" % turn), stream="stray")
        ladder.rig.send(stray, gop(100 + ladder.next_s))
        ladder.run(1)
        ladder.rig.disconnect(stray)
        ladder.run(4)
    assert len(ladder.rig.store.periods) == 1
    assert not any(ladder.gaps(name) for name in ladder.names())


def test_a_proven_layer_that_changes_its_picture_opens_a_period() -> None:
    ladder = Ladder()
    ladder.run(20)
    ladder.rig.announce(ladder.conns["v3"], layer(codec_private=b"1080", width=1920, height=1080))
    ladder.run(5)
    assert len(ladder.rig.store.periods) == 2
    assert all(ladder.periods(name) == 2 and not ladder.gaps(name) for name in ladder.names())


def test_a_new_layer_that_changes_its_picture_is_listed_when_it_has_proven_it() -> None:
    ladder = Ladder()
    ladder.run(4)
    ladder.rig.announce(ladder.conns["v3"], layer(codec_private=b"1080", width=1920, height=1080))
    ladder.run(10)
    assert len(ladder.rig.store.periods) == 1
    assert ladder.gaps("v3") == 10
    assert "HEADER_MISMATCH" in ladder.rig.codes()
    ladder.run(10)
    assert len(ladder.rig.store.periods) == 2
    assert not ladder.rig.rows("v3")[-1].flags & FLAG_GAP
    assert not any(ladder.gaps(name) for name in ladder.names() if name != "v3")


@pytest.mark.parametrize("pause_s", [0.1, 1.0, 1.6, 5.0])
@pytest.mark.parametrize("tails", [{}, {"v1": 0.44, "v2": 0.44, "v4": 0.4, "a": 1.2}, {"v2": 1.2, "v4": 0.4}, {"v1": 0.2, "v3": 1.9}])
def test_an_encoder_that_comes_back_is_waited_for_as_a_whole(tails: dict[str, float], pause_s: float) -> None:
    """It stopped in the middle of its fragments, and comes back on a new clock, one connection after the other."""
    ladder = Ladder("rtmp", start_s=0)
    ladder.run(10)
    ladder.rig.wait(1.9)
    for name, conn in ladder.conns.items():
        if name in tails:
            whole = sound(ladder.next_s) if name == "a" else gop(ladder.next_s)
            ladder.rig.send(conn, msgspec.structs.replace(whole, duration=round(tails[name] * whole.timescale), partial=True))
        ladder.rig.timeline.close_feed(conn, ladder.rig.now)
    ladder.rig.timeline.advance(ladder.rig.now)
    ladder.rig.wait(pause_s)
    ladder.next_s = 0
    came: dict[str, int] = {}
    for name in ladder.names():
        ladder.connect(name)
        came[name] = ladder.rig.now.mono_ns
        ladder.rig.wait(0.13)
    for slot in range(5):
        for name, conn in ladder.conns.items():
            ladder.rig.wait(max(0, came[name] + (2 * slot + 2) * SECOND_NS - ladder.rig.now.mono_ns) / SECOND_NS)
            ladder.rig.send(conn, sound(2 * slot) if name == "a" else gop(2 * slot))
    ladder.rig.wait(10)
    assert len(ladder.rig.store.periods) == 2
    for name in ladder.names():
        ticks = 96_000 if name == "a" else 2 * VIDEO
        whole_rows = [row for row in ladder.rig.rows(name) if row.duration == ticks and not row.flags & FLAG_GAP]
        assert len(whole_rows) == 15, (name, ladder.rig.alerts)


@pytest.mark.parametrize("lag", [1, 2, 3, 4])
def test_what_comes_late_goes_to_the_segment_that_it_belongs_to(lag: int) -> None:
    """The audio of an encoder that comes back misses the slot that opens the period; it catches up when the next segment is open."""
    ladder = Ladder("rtmp", start_s=0)
    ladder.run(4)
    ladder.restart()
    late = []
    for slot in range(9):
        ladder.rig.wait(2)
        late.append(sound(2 * slot))
        ladder.slot(without="a")
        if slot + 1 >= lag:
            for chunk in late:
                ladder.rig.send(ladder.conns["a"], chunk)
            late.clear()
    ladder.rig.wait(10)
    media = [row for row in ladder.rig.rows("a") if not row.flags & FLAG_GAP]
    starts = {name: starts_of(ladder, name) for name in ("a", "v1")}
    assert len(ladder.rig.store.periods) == 2
    assert longest_s(ladder, "a") <= 6.5, shown(ladder.rig.rows("a"))
    # Where it has media, its segments start with those of the pictures.
    assert {start for start in starts["v1"] if any(row.time / 48_000 == start for row in media)} <= starts["a"]


def starts_of(ladder: Ladder, name: str) -> set[float]:
    """Where the segments of a track start."""
    scale = 48_000 if name == "a" else VIDEO
    return {row.time / scale for row in ladder.rig.rows(name) if row.flags & FLAG_OPENS}


def longest_s(ladder: Ladder, name: str) -> float:
    """The longest segment of a track."""
    scale = 48_000 if name == "a" else VIDEO
    lengths: dict[int, int] = {}
    for row in ladder.rig.rows(name):
        lengths[row.segment] = lengths.get(row.segment, 0) + row.duration
    return max(lengths.values()) / scale


@pytest.mark.parametrize("lead_s", [0.3, 0.7, 1.2, 1.9])
def test_sound_before_the_first_picture_of_a_period_makes_no_segment_too_long(lead_s: float) -> None:
    ladder = Ladder("rtmp", start_s=0)
    ladder.run(4)
    ladder.restart()
    ladder.rig.send(ladder.conns["a"], Chunk(1, 0, round(lead_s * 48_000), 48_000))
    for slot in range(8):
        ladder.rig.wait(2)
        for name, conn in ladder.conns.items():
            start_s = lead_s + 2 * slot
            ladder.rig.send(conn, sound(start_s) if name == "a" else gop(start_s))
    ladder.rig.wait(10)
    assert longest_s(ladder, "a") < 6.5, shown(ladder.rig.rows("a"))
    assert not any(row.flags & FLAG_GAP for row in ladder.rig.rows("a"))
