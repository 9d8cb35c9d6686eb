"""Which encoder session a connection belongs to: resent, late, restarted, half-open. A wrong answer costs hours of media."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest

from pypackager.model.records import FLAG_GAP, FLAG_PERIOD, Row
from tests.helpers.timeline_rig import Chunk, Header, Rig, audio_header

VIDEO = 90_000
GOP = 2 * VIDEO


def layer(name: str, **changes: Any) -> list[Header]:
    return [Header(1, "video", name=name, **changes)]


def gop(start_s: int, *, sync: bool = True) -> Chunk:
    return Chunk(1, start_s * VIDEO, GOP, sync=sync)


def seconds(rows: Sequence[Row]) -> list[int]:
    return [row.time // VIDEO for row in rows if not row.flags & FLAG_GAP]


def in_step(rig: Rig, conns: Iterable[int], starts: Iterable[int]) -> None:
    """Each connection sends the same fragment of two seconds, one after the other in time."""
    for start in starts:
        rig.wait(2)
        for conn in conns:
            rig.send(conn, gop(start))


def test_a_layer_that_joins_with_a_fragment_behind_the_edge_stays_on_its_encoders_clock() -> None:
    rig = Rig()
    one = rig.connect(layer("one"), stream="one")
    for start in (100, 102, 104):
        rig.wait(2)
        rig.send(one, gop(start))
    two = rig.connect(layer("two"), stream="two")
    rig.wait(1)
    rig.send(two, gop(104))
    for start in (106, 108):
        rig.wait(2)
        rig.send(one, gop(start))
        rig.send(two, gop(start))
    assert seconds(rig.rows("two")) == [106, 108]
    assert rig.offsets() == [0]


def test_a_slow_resend_is_no_restart() -> None:
    rig = Rig()
    conns = [rig.connect(layer(name), stream=name) for name in ("one", "two")]
    in_step(rig, conns, range(100, 110, 2))
    rig.disconnect(conns[1])
    again = rig.connect(layer("two"), stream="two")
    rig.wait(1.8)
    rig.send(again, gop(106))
    rig.wait(1.5)
    rig.send(conns[0], gop(110))
    rig.send(again, gop(108), gop(110))
    rig.wait(2)
    rig.send(conns[0], gop(112))
    rig.send(again, gop(112))
    assert rig.offsets() == [0]
    assert seconds(rig.rows("two")) == seconds(rig.rows("one"))


def test_a_restart_at_zero_beside_a_half_open_connection_goes_on() -> None:
    rig = Rig()
    one = rig.connect(layer("v"), stream="v")
    for start in range(0, 200, 2):
        rig.wait(2)
        rig.send(one, gop(start))
    rig.wait(5)
    two = rig.connect(layer("v"), stream="v")
    for start in range(0, 20, 2):
        rig.wait(2)
        rig.send(two, gop(start))
    assert len(seconds(rig.rows("v"))) == 110
    assert len(rig.store.periods) == 2


def test_a_restart_is_seen_when_every_fragment_comes_in_a_post_of_its_own() -> None:
    rig = Rig()
    for _ in range(2):
        for start in range(0, 100, 2):
            rig.wait(2)
            conn = rig.connect(layer("v"), stream="v")
            rig.send(conn, gop(start))
            rig.disconnect(conn)
    # At most the few seconds until it is plain that nothing new comes.
    assert len(seconds(rig.rows("v"))) >= 95
    assert len(rig.store.periods) == 2


@pytest.mark.parametrize("fragments", [1, 2, 3, 4])
def test_an_encoder_that_is_started_again_and_again_is_heard_every_time(fragments: int) -> None:
    """An operator tries: a few seconds each time, from zero."""
    rig = Rig()
    for _ in range(5):
        conn = rig.connect(layer("v"), stream="v")
        for start in range(0, 2 * fragments, 2):
            rig.wait(2)
            rig.send(conn, gop(start))
        rig.disconnect(conn)
        rig.wait(1)
    rig.wait(10)
    assert len(rig.rows("v")) == 5 * fragments
    assert len(rig.store.periods) == 5


def test_the_first_fragments_of_a_session_may_be_sent_again() -> None:
    rig = Rig()
    one = rig.connect(layer("v"), stream="v")
    for start in (0, 2):
        rig.wait(2)
        rig.send(one, gop(start))
    rig.disconnect(one)
    rig.wait(1)
    two = rig.connect(layer("v"), stream="v")
    rig.wait(0.5)
    rig.send(two, gop(0), gop(2))
    for start in (4, 6):
        rig.wait(2)
        rig.send(two, gop(start))
    rig.wait(5)
    assert len(rig.rows("v")) == 4
    assert len(rig.store.periods) == 1


def test_an_encoder_that_comes_back_within_a_gop_is_taken_from_its_next_key_frame_on() -> None:
    rig = Rig()
    one = rig.connect(layer("v"), stream="v")
    for start in range(100, 110, 2):
        rig.wait(2)
        rig.send(one, gop(start))
    rig.disconnect(one)
    rig.wait(6)
    two = rig.connect(layer("v"), stream="v")
    rig.send(two, Chunk(1, 116 * VIDEO - 7200, 7200, samples=2, sync=False))
    for start in range(116, 122, 2):
        rig.wait(2)
        rig.send(two, gop(start))
    assert seconds(rig.rows("v")) == [100, 102, 104, 106, 108, 116, 118, 120]


def test_sound_beside_pictures_without_a_key_frame_is_taken() -> None:
    rig = Rig()
    conn = rig.connect([*layer("v"), Header(2, "audio", timescale=48_000)], stream="v")
    rig.send(conn, Chunk(1, 98 * VIDEO, 2 * VIDEO, sync=False), Chunk(2, 98 * 48_000, 96_000, 48_000))
    for start in range(100, 106, 2):
        rig.wait(2)
        rig.send(conn, gop(start), Chunk(2, start * 48_000, 96_000, 48_000))
    sound = next(info.number for info in rig.store.tracks if info.kind == "audio")
    assert [row.time // VIDEO for row in rig.store.rows if row.track == sound] == [98, 100, 102, 104]


def test_what_goes_on_within_a_gop_on_another_connection_is_taken() -> None:
    rig = Rig()
    for start in range(100, 110, 2):
        for part in range(2):
            rig.wait(1)
            conn = rig.connect(layer("v"), stream="v")
            rig.send(conn, Chunk(1, (start + part) * VIDEO, VIDEO, sync=part == 0))
            rig.disconnect(conn)
    assert seconds(rig.rows("v")) == list(range(100, 110))


def test_a_track_that_has_no_key_frames_is_taken_after_a_while() -> None:
    rig = Rig()
    conn = rig.connect(layer("v"), stream="v")
    for start in range(100, 130, 2):
        rig.wait(2)
        rig.send(conn, gop(start, sync=False))
    assert seconds(rig.rows("v")) == list(range(110, 130, 2))


def test_a_restart_faster_than_real_time_is_seen() -> None:
    rig = Rig()
    for _ in range(2):
        conn = rig.connect(layer("v"), stream="v")
        for start in range(0, 400, 2):
            rig.wait(0.01)
            rig.send(conn, gop(start))
        rig.disconnect(conn)
        rig.wait(1)
    assert len(seconds(rig.rows("v"))) == 400


def test_an_encoder_that_leaps_to_utc_gets_an_offset() -> None:
    rig = Rig()
    conn = rig.connect(layer("v"), stream="v")
    for start in (0, 2, 4):
        rig.wait(2)
        rig.send(conn, gop(start))
    rig.disconnect(conn)
    rig.wait(1)
    conn = rig.connect(layer("v"), stream="v")
    for start in (0, 2, 4):
        rig.wait(2)
        rig.send(conn, gop(1_790_000_000 + start))
    found = seconds(rig.rows("v"))
    assert len(found) == 6
    assert found[-1] < 30, "players compute the live edge from the wall clock: media time must not leave it"


def test_layers_that_reconnect_one_after_the_other_lose_nothing() -> None:
    rig = Rig()
    names = ("one", "two", "three")
    conns = [rig.connect(layer(name), stream=name) for name in names]
    in_step(rig, conns, range(100, 108, 2))
    for conn in conns:
        rig.disconnect(conn)
    rig.wait(5)
    again = []
    for name in names:
        again.append(rig.connect(layer(name), stream=name))
        # The last two fragments again, of which the server saw one, and what was encoded meanwhile.
        rig.send(again[-1], gop(106), gop(108), gop(110))
        rig.wait(0.4)
    in_step(rig, again, (112, 114))
    for name in names:
        assert seconds(rig.rows(name)) == list(range(100, 116, 2)), name
        assert not any(row.flags & FLAG_GAP for row in rig.rows(name)), name


@pytest.mark.parametrize(("first", "last"), [("one", "two"), ("two", "one")])
@pytest.mark.parametrize("apart_s", [1, 3, 5])
def test_layers_whose_pauses_between_attempts_differ_lose_nothing_when_the_server_was_away(apart_s: int, first: str, last: str) -> None:
    rig = Rig()
    conns = {name: rig.connect(layer(name), stream=name) for name in ("one", "two")}
    in_step(rig, conns.values(), range(100, 108, 2))
    for conn in conns.values():
        rig.disconnect(conn)
    rig.wait(3)
    conns[first] = rig.connect(layer(first), stream=first)
    # The two that were sent last come again, then what was encoded meanwhile.
    rig.send(conns[first], gop(104), gop(106), gop(108))
    newest = 108
    for second in range(1, apart_s + 1):
        rig.wait(1)
        if second % 2:
            newest += 2
            rig.send(conns[first], gop(newest))
    conns[last] = rig.connect(layer(last), stream=last)
    rig.send(conns[last], *(gop(start) for start in range(104, newest + 2, 2)))
    in_step(rig, conns.values(), range(newest + 2, 124, 2))
    for name in ("one", "two"):
        assert seconds(rig.rows(name)) == list(range(100, 124, 2)), name
        assert not any(row.flags & FLAG_GAP for row in rig.rows(name)), name


def test_a_layer_that_does_not_come_back_holds_the_others_three_fragments_and_no_longer() -> None:
    rig = Rig()
    conns = [rig.connect(layer(name), stream=name) for name in ("one", "two")]
    in_step(rig, conns, range(100, 108, 2))
    for conn in conns:
        rig.disconnect(conn)
    rig.wait(1)
    one = rig.connect(layer("one"), stream="one")
    rig.send(one, gop(104), gop(106))
    for start in (108, 110, 112):
        rig.wait(1.9)
        rig.send(one, gop(start))
        assert seconds(rig.rows("one"))[-1] == 106
    rig.wait(0.4)
    assert seconds(rig.rows("one"))[-1] > 106
    for start in (114, 116):
        rig.wait(2)
        rig.send(one, gop(start))
    assert seconds(rig.rows("one"))[-1] == 116


def test_rtmp_restart_within_three_seconds_of_the_start() -> None:
    rig = Rig("rtmp", "utc")
    one = rig.connect(layer(""), stream="v1")
    other = rig.connect(layer(""), stream="v2")
    first = rig.timeline.place(one, 0, 1000, rig.now)
    assert rig.timeline.place(other, 40, 1000, rig.now) == first
    rig.wait(2)
    rig.send(one, gop(0))
    rig.send(other, gop(0))
    rig.disconnect(one)
    again = rig.connect(layer(""), stream="v1")
    second = rig.timeline.place(again, 0, 1000, rig.now)
    assert second != first
    rig.disconnect(other)
    other = rig.connect(layer(""), stream="v2")
    assert rig.timeline.place(other, 20, 1000, rig.now) == second


def two_on_one_url() -> tuple[Rig, int, int]:
    """A publisher that has sent 8 s, and another that begins on the same URL where that one is."""
    rig = Rig("rtmp", "utc")
    one = rig.connect(layer(""), stream="v")
    first = rig.timeline.place(one, 0, 1000, rig.now)
    for start in range(0, 8, 2):
        rig.wait(2)
        rig.send(one, gop(start))
    two = rig.connect(layer(""), stream="v")
    assert rig.timeline.place(two, 8000, 1000, rig.now) == first
    return rig, one, two


@pytest.mark.parametrize("side", ["primary", "secondary"])
@pytest.mark.parametrize("late_s", [2, 4, 6, 8])
def test_an_rtmp_connection_whose_first_frame_a_network_delivers_late_is_synchronised(late_s: int, side: str) -> None:
    """It opens, the cable is pulled, what was sent meanwhile comes with the retransmission: seconds old, but of the same encoder."""
    rig = Rig("rtmp", "utc")
    one = rig.connect(layer(""), stream="v")
    first = rig.timeline.place(one, 0, 1000, rig.now)
    for start in range(0, 8, 2):
        rig.wait(2)
        rig.send(one, gop(start))
    two = rig.connect(layer(""), stream="v", side=side)
    rig.wait(0.5)
    for start in range(8, 8 + late_s, 2):
        rig.wait(2)
        rig.send(one, gop(start))
    number = rig.timeline.place(two, 8000, 1000, rig.now)
    rig.send(two, *(gop(start) for start in range(8, 8 + late_s, 2)))
    for start in range(8 + late_s, 30, 2):
        rig.wait(2)
        rig.send(two, gop(start))
        rig.send(one, gop(start))
    assert (number == first) == (side == "primary")
    assert len(set(rig.offsets())) == 1
    assert [time - rig.offsets()[0] for time in seconds(rig.rows("v"))] == list(range(0, 30, 2))
    assert len(rig.store.periods) == 1
    assert rig.codes() == []


def test_an_rtmp_connection_that_is_late_is_synchronised_when_the_other_one_ends_before_it_comes() -> None:
    rig = Rig("rtmp", "utc")
    one = rig.connect(layer(""), stream="v")
    first = rig.timeline.place(one, 0, 1000, rig.now)
    for start in (0, 2, 4):
        rig.wait(2)
        rig.send(one, gop(start))
    two = rig.connect(layer(""), stream="v")
    for start in (6, 8):
        rig.wait(2)
        rig.send(one, gop(start))
    rig.disconnect(one)
    assert rig.timeline.place(two, 6000, 1000, rig.now) == first
    rig.send(two, gop(6), gop(8))
    for start in (10, 12):
        rig.wait(2)
        rig.send(two, gop(start))
    rig.wait(5)
    assert seconds(rig.rows("v")) == [rig.offsets()[0] + start for start in range(0, 14, 2)]
    assert len(rig.store.periods) == 1


@pytest.mark.parametrize("waits_s", [0, 2, 5, 8, 9.9, 30])
def test_an_rtmp_encoder_that_was_started_again_is_no_late_one_however_long_it_waits_before_it_sends(waits_s: float) -> None:
    rig = Rig("rtmp", "utc")
    one = rig.connect(layer(""), stream="v")
    first = rig.timeline.place(one, 0, 1000, rig.now)
    for start in (0, 2):
        rig.wait(2)
        rig.send(one, gop(start))
    rig.disconnect(one)
    two = rig.connect(layer(""), stream="v")
    rig.wait(waits_s)
    # Its clock begins anew.
    assert rig.timeline.place(two, 0, 1000, rig.now) != first
    for start in (0, 2, 4):
        rig.wait(2)
        rig.send(two, gop(start))
    rig.wait(5)
    assert len(seconds(rig.rows("v"))) == 5
    assert len(rig.store.periods) == 2


@pytest.mark.parametrize("side", ["primary", "secondary"])
@pytest.mark.parametrize(("opens_s", "waits_s"), [(6, 0), (6, 6), (8, 12), (2, 16)])
def test_an_rtmp_encoder_of_a_time_of_its_own_is_not_synchronised_however_long_it_waits(opens_s: int, waits_s: int, side: str) -> None:
    rig = Rig("rtmp", "utc")
    one = rig.connect(layer(""), stream="v")
    first, two = rig.timeline.place(one, 0, 1000, rig.now), 0
    for start in range(0, opens_s + waits_s + 2, 2):
        if start == opens_s:
            two = rig.connect(layer(""), stream="v", side=side)
        rig.wait(2)
        rig.send(one, gop(start))
    assert rig.timeline.place(two, 0, 1000, rig.now) != first
    assert len(set(rig.offsets())) == 2


def test_rtmp_times_that_step_back_within_a_connection_are_no_late_ones_however_long_it_is_open() -> None:
    rig = Rig("rtmp", "utc")
    conn = rig.connect(layer(""), stream="v")
    first = rig.timeline.place(conn, 0, 1000, rig.now)
    for start in (0, 2, 4):
        rig.wait(2)
        rig.send(conn, gop(start))
    assert rig.timeline.place(conn, 0, 1000, rig.now) != first


def test_two_rtmp_publishers_on_one_url_are_merged() -> None:
    rig, one, two = two_on_one_url()
    for start in range(8, 16, 2):
        rig.wait(2)
        rig.send(one, gop(start))
        rig.send(two, gop(start))
    # `one` is half-open from here on and never says so.
    for start in range(16, 24, 2):
        rig.wait(2)
        rig.send(two, gop(start))
    rows = rig.rows("v")
    assert [row.time - rows[0].time for row in rows] == [n * GOP for n in range(12)]
    assert sum(bool(row.flags & FLAG_PERIOD) for row in rows) == 1


@pytest.mark.parametrize("shift_ms", [100, 300, 700, 1000, 1900])
def test_two_rtmp_publishers_on_one_url_that_are_not_synchronised_follow_one_another(shift_ms: int) -> None:
    rig, one, two = two_on_one_url()
    shift = shift_ms * VIDEO // 1000
    for start in range(8, 20, 2):
        rig.wait(2 - shift_ms / 1000)
        rig.send(one, gop(start))
        rig.wait(shift_ms / 1000)
        rig.send(two, Chunk(1, start * VIDEO + shift, GOP))
    rig.disconnect(one)
    for start in range(20, 30, 2):
        rig.wait(2)
        rig.send(two, Chunk(1, start * VIDEO + shift, GOP))
    rig.wait(5)
    rows = [row for row in rig.rows("v") if not row.flags & FLAG_GAP]
    # No mixture: all of the first one, then all of the other.
    assert [row.time - rows[0].time for row in rows] == [n * GOP for n in range(10)] + [n * GOP + shift for n in range(10, 15)]
    assert ("DISCONTINUITY" in rig.codes()) != ("TRACK_GAP" in rig.codes())


@pytest.mark.parametrize("where", ["beside it", "on the other side", "after it"])
@pytest.mark.parametrize("timescale", [90_000, 44_100])
def test_a_connection_whose_counter_has_wrapped_is_on_the_timeline_of_one_from_before(where: str, timescale: int) -> None:
    rig, wrap_ms = Rig("rtmp", "utc"), 1 << 31
    header = layer("") if timescale == 90_000 else [audio_header(1, timescale=timescale, stored_timescale=timescale)]
    begin_ms = wrap_ms - 9000

    def fragment(at_ms: int) -> Chunk:
        begin, end = (round(ms * timescale / 1000) for ms in (at_ms, at_ms + 2000))
        return Chunk(1, begin, end - begin, timescale=timescale)

    one = rig.connect(header, stream="v")
    first = rig.timeline.place(one, begin_ms, 1000, rig.now)
    for at_ms in range(0, 10_000, 2000):
        rig.wait(2)
        rig.send(one, fragment(begin_ms + at_ms))
    if where == "after it":
        rig.disconnect(one)
    two = rig.connect(header, stream="v", side="secondary" if where == "on the other side" else "primary")
    number = rig.timeline.place(two, begin_ms + 10_000 - wrap_ms, 1000, rig.now)
    # Where it is cut together with the other its times are counted on.
    assert (number == first) == (where == "beside it")
    missing_ms = 0 if where == "beside it" else wrap_ms
    for at_ms in range(10_000, 20_000, 2000):
        rig.wait(2)
        rig.send(two, fragment(begin_ms + at_ms - missing_ms))
        if where != "after it":
            rig.send(one, fragment(begin_ms + at_ms))
    rows = rig.rows("v")
    assert len(set(rig.offsets())) == 1
    assert len(rig.store.periods) == 1
    assert [round((row.time - rows[0].time) / timescale, 3) for row in rows] == list(range(0, 20, 2))
    assert all(abs(before.time + before.duration - after.time) <= 1 for before, after in pairwise(rows))
    assert "ENCODERS_OUT_OF_SYNC" not in rig.codes()


def test_another_header_is_taken_once_the_old_source_is_silent() -> None:
    rig = Rig()
    old = rig.connect(layer("v"), stream="v")
    for start in (100, 102):
        rig.wait(2)
        rig.send(old, gop(start))
    rig.wait(10)
    new = rig.connect(layer("v", codec_private=b"other"), stream="v")
    for start in (114, 116):
        rig.wait(2)
        rig.send(new, gop(start))
    assert seconds(rig.rows("v"))[-2:] == [114, 116]
    assert "HEADER_MISMATCH" in rig.codes()
    assert len(rig.store.periods) == 2


def test_a_resolution_change_in_mid_stream_is_a_period_and_an_alert() -> None:
    rig = Rig("rtmp", "utc")
    conn = rig.connect(layer(""), stream="v")
    rig.timeline.place(conn, 0, 1000, rig.now)
    for start in (0, 2):
        rig.wait(2)
        rig.send(conn, gop(start))
    rig.announce(conn, layer("", codec_private=b"1080", width=1920, height=1080))
    for start in (4, 6):
        rig.wait(2)
        rig.send(conn, gop(start))
    assert len(seconds(rig.rows("v"))) == 4
    assert len(rig.store.periods) == 2
    assert rig.codes() == ["HEADER_MISMATCH", "DISCONTINUITY"]
