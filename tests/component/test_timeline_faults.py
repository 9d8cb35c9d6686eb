"""Faults below and beside the timeline: slow disk, refused records, times that no fragment can have, layers that do not fit."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from pypackager._core import CoreError
from pypackager.model.errors import PackagerError
from pypackager.model.records import FLAG_GAP, FLAG_OPENS, Measured
from tests.helpers.timeline_rig import Chunk, Header, Rig, audio_header

VIDEO = 90_000
GOP = 2 * VIDEO


def ladder(rig: Rig, count: int) -> int:
    return rig.connect([Header(n + 1, "video", name=f"v{n + 1}") for n in range(count)])


def test_a_disk_that_stalls_past_the_deadline_loses_nothing() -> None:
    rig = Rig()
    conn = ladder(rig, 2)
    rig.send(conn, *(Chunk(n, 100 * VIDEO, GOP) for n in (1, 2)))
    rig.wait(2)
    for n in (1, 2):
        rig.receive(conn, Chunk(n, 102 * VIDEO, GOP))
        if n == 1:
            rig.flush()
    rig.timeline.advance(rig.now)
    rig.wait(6)
    rig.flush()
    rig.timeline.advance(rig.now)
    for start in (104, 106):
        rig.wait(2)
        rig.send(conn, *(Chunk(n, start * VIDEO, GOP) for n in (1, 2)))
    for track in ("v1", "v2"):
        assert [row.time // VIDEO for row in rig.rows(track) if not row.flags & FLAG_GAP] == [100, 102, 104, 106]
    assert not any(line.waiting for line in rig.timeline.lines.values())


@pytest.mark.parametrize("error", [CoreError("TIME_NEGATIVE"), OSError(24, "too many open files"), PackagerError("TIME_USED", "x")])
def test_a_fragment_that_cannot_be_stored_is_an_alert(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    conn = ladder(rig, 1)
    put, calls = rig.store.put_fragment, iter(range(100))

    def faulty(*arguments: Any) -> int:
        if next(calls) == 1:
            raise error
        return put(*arguments)

    monkeypatch.setattr(rig.store, "put_fragment", faulty)
    for start in range(100, 110, 2):
        rig.wait(2)
        rig.send(conn, Chunk(1, start * VIDEO, GOP))
    assert [row.time // VIDEO for row in rig.rows("v1") if not row.flags & FLAG_GAP] == [100, 104, 106, 108]
    assert len(rig.alerts) >= 1


def test_a_time_below_zero_is_an_alert() -> None:
    rig = Rig()
    conn = rig.connect([Header(1, "video"), audio_header(2)], stream="v")
    rig.wait(2)
    rig.send(conn, Chunk(1, 5 * VIDEO, GOP))
    rig.send(conn, Chunk(2, -20 * 48_000, 96_000, 48_000))
    rig.wait(2)
    rig.send(conn, Chunk(1, 7 * VIDEO, GOP))
    rig.wait(5)
    assert all(row.time >= 0 for row in rig.store.rows)
    assert len(rig.rows("v-video1")) == 2


@pytest.mark.parametrize("code", ["CONFIG_UNKNOWN", "TRACK_UNKNOWN"])
def test_a_track_whose_first_record_was_lost_is_recorded_again(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig()
    conn = ladder(rig, 1)
    put, known = rig.store.put_fragment, []

    def forgetful(*arguments: Any) -> int:
        if len(rig.store.configs) < 2 or (code == "TRACK_UNKNOWN" and len(rig.store.tracks) < 2):
            known.append(1)
            raise PackagerError(code, "the record was not written")
        return put(*arguments)

    monkeypatch.setattr(rig.store, "put_fragment", forgetful)
    for start in range(100, 110, 2):
        rig.wait(2)
        rig.send(conn, Chunk(1, start * VIDEO, GOP))
    assert len(known) == 1
    assert len(rig.store.rows) == 4


def test_audio_fragments_of_four_seconds_beside_video_of_two() -> None:
    rig = Rig()
    conn = rig.connect([Header(1, "video", name="v"), audio_header(2, name="a")])
    for start in range(100, 140, 2):
        rig.wait(2)
        rig.send(conn, Chunk(1, start * VIDEO, GOP))
        if start % 4 == 2:
            rig.wait(0.05)
            rig.send(conn, Chunk(2, (start - 2) * 48_000, 4 * 48_000, 48_000))
    rig.wait(5)
    audio = rig.rows("a")
    assert not any(row.flags & FLAG_GAP for row in audio)
    assert [row.time // 48_000 for row in audio][-8:] == list(range(108, 140, 4))
    assert [row.time // VIDEO for row in rig.rows("v")] == list(range(100, 140, 2))


def test_fragments_that_are_cut_elsewhere_stay_whole() -> None:
    """GStreamer: audio first, its fragments end where its own frames end."""
    rig = Rig()
    conn = rig.connect([Header(1, "video"), audio_header(2)], stream="gst")
    ends = [100 * 48_000 + round(n * 2 * 48_000 / 1024) * 1024 + 300 for n in range(12)]
    for n, (begin, end) in enumerate(pairwise(ends)):
        rig.wait(2)
        rig.send(conn, Chunk(2, begin, end - begin, 48_000), Chunk(1, (100 + 2 * n) * VIDEO, GOP))
    for info in rig.store.tracks:
        assert len(rig.rows(info.id)) == 11
        assert not any(row.flags & FLAG_GAP for row in rig.rows(info.id))


@pytest.mark.parametrize("shift_ms", [500, 1000, 1500])
def test_a_misaligned_layer_keeps_its_edges_and_holds_nobody(shift_ms: int) -> None:
    rig = Rig()
    conn = rig.connect([Header(1, "video", name="a"), Header(2, "video", name="b")])
    shift = shift_ms * 90
    for slot in range(12):
        start = (100 + 2 * slot) * VIDEO
        rig.send(conn, Chunk(1, start, GOP))
        before = len(rig.rows("a"))
        rig.wait(shift_ms / 1000)
        rig.send(conn, Chunk(2, start + shift, GOP))
        if slot > 4:
            assert before == slot + 1, "the aligned layer waits for the other"
        rig.wait(2 - shift_ms / 1000)
    rig.wait(5)
    for track in ("a", "b"):
        # At the end the encoder stops, which is a gap for who stops first.
        rows = rig.rows(track)[:12]
        assert not any(row.flags & FLAG_GAP for row in rows), track
        assert [row.time - rows[0].time for row in rows] == [n * GOP for n in range(12)], track
        opened = [n for n, row in enumerate(rows[:11]) if row.flags & FLAG_OPENS]
        assert all(after - before == 3 for before, after in pairwise(opened[1:])), (track, opened)
    assert "GOPS_MISALIGNED" in rig.codes()


@pytest.mark.parametrize("shift_ms", [700, 1000, 1300, 1900])
def test_the_gap_of_a_misaligned_layer_that_leaves_is_no_longer_than_a_segment(shift_ms: int) -> None:
    rig = Rig("rtmp", fragments_per_segment=1)
    first = rig.connect([Header(1, "video")], stream="a")
    rig.timeline.place(first, 0, 1000, rig.now)
    second = None
    for slot in range(14):
        rig.send(first, Chunk(1, 2 * slot * VIDEO, GOP))
        rig.wait(shift_ms / 1000)
        if slot == 2:
            second = rig.connect([Header(1, "video")], stream="b")
            rig.timeline.place(second, 0, 1000, rig.now)
        if second is not None and slot < 8:
            rig.send(second, Chunk(1, 2 * slot * VIDEO, GOP))
        if second is not None and slot == 8:
            rig.disconnect(second)
        rig.wait(2 - shift_ms / 1000)
    rig.wait(5)
    gaps = [row.duration / VIDEO for row in rig.rows("b") if row.flags & FLAG_GAP]
    assert gaps
    assert all(round(length + 1e-9) <= 2 for length in gaps), gaps


def test_a_short_first_gop_does_not_set_the_rhythm() -> None:
    rig = Rig()
    conn = ladder(rig, 1)
    rig.send(conn, Chunk(1, 99 * VIDEO + VIDEO // 2, VIDEO // 2))
    for start in range(100, 120, 2):
        rig.wait(2)
        rig.send(conn, Chunk(1, start * VIDEO, GOP))
    measured = next(record for record in rig.store.records if isinstance(record, Measured))
    assert measured.interval_ns == 2_000_000_000
    assert len(rig.rows("v1")) == 11


def test_a_single_long_fragment_is_listed_soon_after_its_encoder_has_gone() -> None:
    rig = Rig()
    conn = rig.connect([audio_header(1)], stream="a")
    rig.send(conn, Chunk(1, 100 * 48_000, 12 * 48_000, 48_000))
    rig.disconnect(conn)
    rig.wait(3.1)
    assert len(rig.rows("a")) == 1


def test_a_fragment_of_one_frame_opens_its_period() -> None:
    rig = Rig()
    conn = ladder(rig, 1)
    for start in range(100, 106, 2):
        rig.wait(2)
        rig.send(conn, Chunk(1, start * VIDEO, GOP))
    # Back in mid-GOP: one frame, then whole fragments.
    rig.wait(6)
    rig.send(conn, Chunk(1, 110 * VIDEO, 3600), Chunk(1, 110 * VIDEO + 3600, GOP))
    rows = rig.rows("v1")
    assert [row.time for row in rows][-2:] == [110 * VIDEO, 110 * VIDEO + 3600]
    assert len(rig.store.periods) == 2


def test_a_layer_that_stalls_and_floods_is_listed_again_without_holding_the_others() -> None:
    rig = Rig()
    conn = ladder(rig, 2)
    for start in range(100, 104, 2):
        rig.wait(2)
        rig.send(conn, *(Chunk(n, start * VIDEO, GOP) for n in (1, 2)))
    for start in range(104, 120, 2):
        rig.wait(2)
        rig.send(conn, Chunk(2, start * VIDEO, GOP))
    rig.send(conn, *(Chunk(1, start * VIDEO, GOP) for start in range(104, 120, 2)))
    for start in range(120, 126, 2):
        rig.wait(2)
        rig.send(conn, *(Chunk(n, start * VIDEO, GOP) for n in (1, 2)))
    two = rig.rows("v2")
    assert [row.time // VIDEO for row in two] == list(range(100, 126, 2))
    one = [row for row in rig.rows("v1") if not row.flags & FLAG_GAP]
    assert [row.time // VIDEO for row in one][-4:] == [102, 120, 122, 124]
    for track in ("v1", "v2"):
        for before, after in pairwise(rig.rows(track)):
            assert after.segment - before.segment == bool(after.flags & FLAG_OPENS)
    assert not rig.timeline.feeds[conn].unwritten


def test_a_layer_that_comes_and_goes_holds_the_others_ever_less() -> None:
    rig = Rig()
    good = rig.connect([Header(1, "video", name="good"), audio_header(2, name="good")])
    flaky = [rig.connect([Header(1, "video", name=f"flaky{n}")], stream=f"flaky{n}") for n in range(3)]
    lags: list[int] = []
    for slot in range(60):
        rig.wait(2)
        start_s = 100 + 2 * slot
        for number, conn in enumerate(flaky):
            # Each misses a slot now and then, in turn, or breaks off in it.
            if slot < 4 or slot % 3 != number:
                rig.send(conn, Chunk(1, start_s * 90_000, 180_000))
            elif slot % 2:
                rig.send(conn, Chunk(1, start_s * 90_000, 90_000, partial=True))
        rig.send(good, Chunk(1, start_s * 90_000, 180_000), Chunk(2, start_s * 48_000, 96_000, 48_000))
        lags.append(slot + 1 - len(rig.rows("good")))
    assert max(lags) <= 4
    assert sum(lags[30:]) <= 6, "who missed several deadlines has to be in time for a while"
    assert not any(row.flags & FLAG_GAP for row in rig.rows("good"))


@pytest.mark.parametrize("first", [True, False], ids=["the first layer", "another layer"])
def test_a_fragment_of_a_minute_holds_nobody_beyond_the_deadline(first: bool) -> None:
    rig = Rig()
    conns = [rig.connect([Header(1, "video")], stream=f"v{n}") for n in range(3)]
    for slot in range(30):
        rig.wait(2)
        for number, conn in enumerate(conns):
            if number == (0 if first else 2) and slot >= 5:
                if slot == 5:
                    rig.send(conn, Chunk(1, (100 + 2 * slot) * 90_000, 58 * 90_000))
            else:
                rig.send(conn, Chunk(1, (100 + 2 * slot) * 90_000, 180_000))
        assert len(rig.rows("v1")) >= slot - 3, slot
    assert not any(row.flags & FLAG_GAP for row in rig.rows("v1"))


# --- what the disk did not take


def _with_a_lost_write(*, again: bool) -> Rig:
    """Two layers; the write of the third fragment of the second one fails before the first one's is there."""
    rig = Rig()
    conn = ladder(rig, 2)
    for start in range(102, 114, 2):
        rig.wait(2)
        rig.receive(conn, Chunk(2, start * VIDEO, GOP))
        rig.flush(28 if start == 106 else 0)
        if start == 106 and again:
            rig.receive(conn, Chunk(2, start * VIDEO, GOP))
        rig.send(conn, Chunk(1, start * VIDEO, GOP))
    return rig


def test_a_gap_that_the_disk_makes_is_a_segment_of_its_own_in_every_layer() -> None:
    rig = _with_a_lost_write(again=False)
    assert [bool(row.flags & FLAG_GAP) for row in rig.rows("v2")] == [False, False, True, False, False, False]
    assert not any(row.flags & FLAG_GAP for row in rig.rows("v1"))
    segments = [[row.segment for row in rig.rows(layer)] for layer in ("v1", "v2")]
    assert segments[0] == segments[1]
    steps = [after - before for before, after in pairwise(segments[0])]
    assert steps[:3] == [0, 1, 1]
    assert "DISK_WRITE_FAILED" in rig.codes()


def test_what_the_disk_did_not_take_may_come_again_until_it_is_published() -> None:
    rig = _with_a_lost_write(again=True)
    for layer in ("v1", "v2"):
        assert [bool(row.flags & FLAG_GAP) for row in rig.rows(layer)] == [False] * 6


def test_nothing_is_decided_before_the_disk_has_answered() -> None:
    rig = Rig()
    conn = ladder(rig, 1)
    rig.wait(4)
    for start in (102, 104):
        rig.receive(conn, Chunk(1, start * VIDEO, GOP))
    rig.timeline.advance(rig.now)
    assert not rig.store.rows
    rig.flush()
    rig.wait(2)
    assert len(rig.rows("v1")) == 2
