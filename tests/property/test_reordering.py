"""Fragments out of order: up to the limit nothing is lost and nothing is listed otherwise, beyond it they are dropped and told of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pypackager.model.records import FLAG_GAP, FLAG_PERIOD, Row
from tests.helpers.timeline_rig import Chunk, Header, Rig, audio_header

VIDEO = 90_000
COUNT = 12
SCALES = {1: VIDEO, 2: VIDEO, 3: 48_000}
HEADERS = [Header(1, "video", name="v1", bitrate=2_000_000), Header(2, "video", name="v2", bitrate=1_000_000), audio_header(3, name="a")]
NAMES = ("v1-2000k", "v2-1000k", "a")


def chunk(track: int, slot: int, length_s: int = 2, **changes: Any) -> Chunk:
    return Chunk(track, (100 + length_s * slot) * SCALES[track], length_s * SCALES[track], SCALES[track], **changes)


def sent(orders: Sequence[Sequence[int]], *, pace: float = 1, length_s: int = 2, **options: Any) -> Rig:
    """What becomes of fragments of each track in an order of its own."""
    rig = Rig(**options)
    conn = rig.connect(HEADERS)
    for slots in zip(*orders, strict=True):
        rig.wait(pace * length_s)
        for track, slot in enumerate(slots, 1):
            rig.send(conn, chunk(track, slot, length_s, index=slot))
    rig.wait(30)
    return rig


def rows(rig: Rig) -> dict[str, list[Row]]:
    return {name: rig.rows(name) for name in NAMES}


def seconds(found: Sequence[Row]) -> list[int]:
    return [row.time // VIDEO for row in found if not row.flags & FLAG_GAP]


@st.composite
def late(draw: st.DrawFn) -> tuple[int, list[list[int]]]:
    """A limit, and an order of each track in which none comes later than that. The first of all is the first: nothing tells otherwise."""
    most = draw(st.integers(1, 8))
    delays = draw(st.lists(st.lists(st.integers(0, most), min_size=COUNT, max_size=COUNT), min_size=3, max_size=3))
    return most, [[0, *(-slot for _, slot in sorted((slot + by[slot], -slot) for slot in range(1, COUNT)))] for by in delays]


@cache
def in_order(pace: float, length_s: int) -> Rig:
    """What becomes of the same fragments without a fault."""
    return sent([list(range(COUNT))] * 3, pace=pace, length_s=length_s)


@settings(max_examples=300, deadline=None)
@given(feed=late(), pace=st.sampled_from([1, 1, 0.05, 0]))
@example((2, [[0, 2, 4, 1, 3, 5, 6, 7, 8, 9, 10, 11], list(range(COUNT)), [0, 3, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]]), 1)
@example((1, [[0, 1, 2, 3, 4, 6, 5, 7, 9, 8, 10, 11], [0, 1, 2, 3, 4, 6, 5, 7, 9, 8, 10, 11], list(range(COUNT))]), 1)
def test_any_order_within_the_limit_gives_the_same_rows(feed: tuple[int, list[list[int]]], pace: float) -> None:
    most, orders = feed
    # What is ten seconds too early leaps.
    length_s = 2 if most < 5 else 1
    rig, expected = sent(orders, pace=pace, length_s=length_s, reorder=most), in_order(pace, length_s)
    assert rows(rig) == rows(expected)
    # What is sent early is ahead of the wall clock.
    assert set(rig.codes()) - {"AHEAD_OF_TIME"} == set(expected.codes()) - {"AHEAD_OF_TIME"}


def test_what_comes_in_order_is_listed_at_once_whatever_the_limit() -> None:
    found: list[list[int]] = []
    for most in (0, 8):
        rig = Rig(reorder=most)
        conn = rig.connect(HEADERS)
        found.append([])
        for slot in range(COUNT):
            rig.wait(2)
            rig.send(conn, *(chunk(track, slot) for track in SCALES))
            found[-1].append(len(rig.store.rows))
    assert found[0] == found[1]
    assert found[0][-1] == 3 * COUNT


@pytest.mark.parametrize("most", range(5))
def test_beyond_the_limit_it_is_dropped_and_told_of(most: int) -> None:
    slots = list(range(COUNT))
    slots.insert(4 + most + 1, slots.pop(4))
    rig = sent([slots] * 3, reorder=most)
    for name in NAMES:
        scale = 48_000 if name == "a" else VIDEO
        assert [row.time // scale for row in rig.rows(name) if not row.flags & FLAG_GAP] == [100 + 2 * n for n in range(COUNT) if n != 4]
    late_ones = [detail for code, detail in rig.alerts if code == "TIME_NOT_RISING"]
    assert len(late_ones) == 3
    assert rig.offsets() == [0], "one fragment that comes late is no restart"


def test_a_lost_fragment_holds_the_edge_no_longer_than_one_may_be_late_and_not_for_ever() -> None:
    rig = Rig(reorder=2)
    conn = rig.connect(HEADERS)
    behind: list[int] = []
    for slot in range(40):
        rig.wait(2)
        # Every fifth is lost, of all tracks.
        if slot % 5 != 4:
            rig.send(conn, *(chunk(track, slot) for track in SCALES))
        behind.append(slot + 1 - slot // 5 - (slot % 5 == 4) - len(seconds(rig.rows(NAMES[0]))))
    assert max(behind) == 2
    assert behind[20:] == [0] * 20, "nothing has ever come into such a hole: nobody waits for it any more"
    # Until one does come late; it is lost, and from then on they are waited for again.
    for slot in (41, 40, 43, 42, 44, 45):
        rig.wait(2)
        rig.send(conn, *(chunk(track, slot) for track in SCALES))
    rig.wait(10)
    for name in NAMES[:2]:
        assert seconds(rig.rows(name))[-6:] == [100 + 2 * slot for slot in (38, 41, 42, 43, 44, 45)]


@pytest.mark.parametrize("again", ["one connection", "a new one"])
@pytest.mark.parametrize("hole_s", [2, 6, 30, 600, 7200])
@pytest.mark.parametrize("waits", [True, False], ids=["in its time", "a leap"])
def test_a_forward_gap_is_a_period_and_never_the_end(again: str, hole_s: int, waits: bool) -> None:
    """Ingest specification, 3: a gap is signalled, and the stream goes on."""
    rig = Rig()
    conn = rig.connect(HEADERS)
    for slot in range(5):
        rig.wait(2)
        rig.send(conn, *(chunk(track, slot) for track in SCALES))
    if again == "a new one":
        rig.disconnect(conn)
    if waits:
        rig.wait(hole_s)
    if again == "a new one":
        conn = rig.connect(HEADERS)
    for slot in range(5, 12):
        rig.wait(2)
        rig.send(conn, *(chunk(track, slot + hole_s // 2) for track in SCALES))
    rig.wait(30)
    for name in NAMES:
        # Where it leaps far ahead of everything the second fragment has to confirm the first.
        found = [row for row in rig.rows(name) if not row.flags & FLAG_GAP]
        assert len(found) >= 12 - (not waits and hole_s > 10), name
        assert sum(bool(row.flags & FLAG_PERIOD) for row in found) == 2
    assert "DISCONTINUITY" in rig.codes()
