"""The timeline: one published order per track out of what sources send, whatever they do."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from pypackager.model.errors import PackagerError
from pypackager.model.records import FLAG_CLOSES, FLAG_GAP, FLAG_OPENS, FLAG_PERIOD, Measured
from tests.helpers.timeline_rig import Chunk, Header, Rig, audio_header, shown

VIDEO = 90_000
GOP = 2 * VIDEO


def ladder(count: int = 2) -> list[Header]:
    layers = [Header(n + 1, "video", name="video", bitrate=1_000_000 * (n + 1)) for n in range(count)]
    return [*layers, audio_header(count + 1, name="audio", bitrate=128_000)]


def gop(conn_tracks: int, start_s: int, *, seconds: int = 2, only: set[int] | None = None, partial: bool = False) -> list[Chunk]:
    """One slot of a ladder made by `ladder(conn_tracks)`."""
    chunks = [Chunk(n + 1, start_s * VIDEO, seconds * VIDEO, partial=partial) for n in range(conn_tracks)]
    chunks.append(Chunk(conn_tracks + 1, start_s * 48_000, seconds * 48_000, 48_000, partial=partial))
    return [chunk for chunk in chunks if only is None or chunk.track in only]


def run(rig: Rig, conn: int, start_s: int, slots: int, tracks: int = 2) -> None:
    for slot in range(slots):
        rig.wait(2)
        rig.send(conn, *gop(tracks, start_s + 2 * slot))


def test_a_steady_feed_is_published_without_holes() -> None:
    rig = Rig()
    conn = rig.connect(ladder())
    run(rig, conn, 100, 7)
    assert shown(rig.rows("video-1000k")) == [
        "9000000+180000 s16OP",
        "9180000+180000 s17O",
        "9360000+180000 s17",
        "9540000+180000 s17",
        "9720000+180000 s18O",
        "9900000+180000 s18",
        "10080000+180000 s18",
    ]
    for track in ("video-2000k", "audio-128k"):
        rows = rig.rows(track)
        assert [row.segment for row in rows] == [row.segment for row in rig.rows("video-1000k")]
        assert [row.flags for row in rows] == [row.flags for row in rig.rows("video-1000k")]
    assert rig.offsets() == [0]
    assert rig.alerts == []


def test_the_first_fragment_is_published_as_soon_as_it_is_there() -> None:
    rig = Rig()
    conn = rig.connect(ladder())
    run(rig, conn, 100, 1)
    assert shown(rig.rows("video-1000k")) == ["9000000+180000 s16OP"]
    assert len(rig.rows("video-2000k")) == len(rig.rows("audio-128k")) == 1


def test_a_first_fragment_that_may_be_a_stump_waits_for_the_second() -> None:
    stump = [Chunk(1, 101 * VIDEO, VIDEO), Chunk(2, 101 * VIDEO, VIDEO), Chunk(3, 101 * 48_000, 48_000, 48_000)]
    unequal = [Chunk(1, 100 * VIDEO, GOP), Chunk(2, 99 * VIDEO, 3 * VIDEO), Chunk(3, 100 * 48_000, 96_000, 48_000)]
    for first in (stump, unequal, gop(2, 100, partial=True)):
        rig = Rig()
        conn = rig.connect(ladder())
        rig.wait(2)
        rig.send(conn, *first)
        assert not rig.rows("video-1000k")
        run(rig, conn, 102, 1)
        assert len(rig.rows("video-1000k")) == 2
        (measured,) = [record for record in rig.store.records if isinstance(record, Measured)]
        assert measured.interval_ns == 2_000_000_000


def test_the_first_fragment_waits_for_connections_that_are_still_being_opened() -> None:
    rig = Rig()
    low, high = ladder()[0], ladder()[1]
    one = rig.connect([low])
    rig.wait(1.5)
    two = rig.connect([high])
    rig.wait(0.5)
    rig.send(one, Chunk(1, 100 * VIDEO, GOP))
    assert not rig.rows("video-1000k")
    rig.send(two, Chunk(2, 100 * VIDEO, GOP))
    assert not rig.rows("video-1000k")
    rig.wait(0.6)
    assert len(rig.rows("video-1000k")) == len(rig.rows("video-2000k")) == 1


def test_source_times_near_zero_move_by_one_second_so_that_priming_fits() -> None:
    rig = Rig(interval_ns=2_000_000_000)
    conn = rig.connect(ladder(1))
    rig.wait(2)
    rig.send(conn, Chunk(1, 0, GOP), Chunk(2, -1024, 2 * 48_000, 48_000))
    assert rig.rows("video-1000k")[0].time == VIDEO
    assert rig.rows("audio-128k")[0].time == 48_000 - 1024


def test_a_layer_that_is_late_is_waited_for_one_fragment_then_listed_as_a_gap() -> None:
    rig = Rig()
    conn = rig.connect(ladder())
    run(rig, conn, 100, 2)
    rig.wait(2)
    rig.send(conn, *gop(2, 104, only={1, 3}))
    assert len(rig.rows("video-1000k")) == 2
    rig.wait(1.9)
    assert len(rig.rows("video-1000k")) == 2
    rig.wait(0.2)
    assert len(rig.rows("video-1000k")) == 3
    gap = rig.rows("video-2000k")[-1]
    assert gap.flags & FLAG_GAP
    assert (gap.time, gap.duration) == (104 * VIDEO, GOP)
    assert "TRACK_GAP" in rig.codes()
    # It is not waited for again until it is back, and what it sends for the frozen slot is dropped.
    rig.wait(2)
    rig.send(conn, *gop(2, 106, only={1, 3}))
    assert len(rig.rows("video-1000k")) == 4
    rig.send(conn, *gop(2, 106, only={2}))
    # It is back, though it always comes a little later than the others.
    rig.wait(2)
    rig.send(conn, *gop(2, 108, only={1, 3}))
    assert len(rig.rows("video-1000k")) == 4
    rig.send(conn, *gop(2, 108, only={2}))
    assert len(rig.rows("video-1000k")) == 5
    assert not rig.rows("video-2000k")[-1].flags & FLAG_GAP
    # The gap is a segment of its own, and all tracks open one where it begins and ends: their media sequences agree.
    segments = [text.partition(" ")[2] for text in shown(rig.rows("video-1000k"))]
    assert segments == ["s16OP", "s17O", "s18O", "s18", "s19O"]
    assert [text.partition(" ")[2] for text in shown(rig.rows("video-2000k"))] == ["s16OP", "s17O", "s18GO", "s18G", "s19O"]


def test_the_same_fragment_from_two_sources_is_taken_once() -> None:
    rig = Rig()
    one = rig.connect(ladder())
    two = rig.connect(ladder(), side="secondary")
    for slot in range(5):
        rig.wait(2)
        rig.send(one, *gop(2, 100 + 2 * slot))
        rig.send(two, *gop(2, 100 + 2 * slot))
    assert [row.time for row in rig.rows("video-1000k")] == [(100 + 2 * n) * VIDEO for n in range(5)]
    assert rig.codes() == []


def test_a_hole_of_one_source_is_filled_from_the_other_before_the_edge() -> None:
    rig = Rig()
    one = rig.connect(ladder())
    two = rig.connect(ladder(), side="secondary")
    run(rig, one, 100, 2)
    rig.send(two, *gop(2, 102))
    rig.wait(2)
    rig.send(one, *gop(2, 104, only={1, 3}))
    rig.wait(1)
    rig.send(two, *gop(2, 104, only={2}))
    assert [row.time for row in rig.rows("video-2000k")][-1] == 104 * VIDEO
    assert rig.codes() == []


def test_a_broken_off_fragment_is_replaced_by_the_whole_one() -> None:
    rig = Rig()
    one = rig.connect(ladder(1))
    two = rig.connect(ladder(1), side="secondary")
    run(rig, one, 100, 2, tracks=1)
    rig.send(two, *gop(1, 102))
    rig.wait(1)
    rig.send(one, *gop(1, 104, seconds=1, partial=True))
    rig.disconnect(one)
    rig.wait(1)
    rig.send(two, *gop(1, 104))
    assert rig.rows("video-1000k")[-1].duration == GOP


def test_resent_fragments_after_a_reconnect_are_ignored() -> None:
    rig = Rig()
    one = rig.connect(ladder())
    run(rig, one, 100, 4)
    rig.disconnect(one)
    rig.wait(0.5)
    two = rig.connect(ladder())
    rig.wait(0.05)
    rig.send(two, *gop(2, 104), *gop(2, 106))
    rig.wait(1.5)
    rig.send(two, *gop(2, 108))
    assert [row.time // VIDEO for row in rig.rows("video-1000k")] == [100, 102, 104, 106, 108]
    assert sum(bool(row.flags & FLAG_PERIOD) for row in rig.rows("video-1000k")) == 1
    assert rig.offsets() == [0]


@pytest.mark.parametrize("same_material", [True, False])
def test_a_restart_from_zero_opens_a_period_and_uses_no_time_again(same_material: bool) -> None:
    rig = Rig()
    one = rig.connect(ladder())
    run(rig, one, 0, 5)
    rig.disconnect(one)
    rig.wait(3)
    headers = ladder() if same_material else [Header(1, "video", name="video", bitrate=1_000_000, codec_private=b"new"), *ladder()[1:]]
    two = rig.connect(headers)
    run(rig, two, 0, 3)
    rows = rig.rows("video-1000k")
    assert len(rows) == 8
    assert [bool(row.flags & FLAG_PERIOD) for row in rows] == [True, *[False] * 4, True, False, False]
    assert len(rig.store.periods) == 2
    assert rows[5].flags & FLAG_OPENS
    assert rows[5].segment == rows[4].segment + 1
    # The second session starts where the wall clock is, to the second.
    assert 13 * VIDEO <= rows[5].time - rows[0].time <= 15 * VIDEO
    audio = rig.rows("audio-128k")
    assert audio[5].time * VIDEO == rows[5].time * 48_000


def test_a_changed_header_is_refused_while_the_old_one_is_live() -> None:
    rig = Rig()
    rig_headers = ladder(1)
    one = rig.connect(rig_headers)
    run(rig, one, 100, 1, tracks=1)
    with pytest.raises(PackagerError) as refused:
        rig.connect([Header(1, "video", name="video", bitrate=1_000_000, codec_private=b"other")], side="secondary")
    assert refused.value.code == "HEADER_MISMATCH"
    assert refused.value.status == 400


def test_more_tracks_than_the_limit_are_refused() -> None:
    rig = Rig(video_layers=2)
    conn = rig.connect(ladder(2))
    run(rig, conn, 100, 1)
    with pytest.raises(PackagerError) as refused:
        rig.connect([Header(1, "video", name="other", bitrate=5_000_000)], stream="more")
    assert refused.value.code == "TOO_MANY_TRACKS"


def test_the_first_publication_waits_for_announced_tracks() -> None:
    rig = Rig(interval_ns=2_000_000_000)
    conn = rig.connect(ladder())
    rig.wait(2)
    rig.send(conn, *gop(2, 100, only={3}))
    rig.wait(0.2)
    rig.send(conn, *gop(2, 100, only={1}))
    assert rig.store.rows == []
    rig.send(conn, *gop(2, 100, only={2}))
    assert len(rig.store.rows) == 3


def test_audio_only_and_video_only_feeds_go_on() -> None:
    for header, chunk in ((audio_header(1), (48_000, 96_000)), (Header(1, "video"), (VIDEO, GOP))):
        rig = Rig()
        conn = rig.connect([header], stream="solo")
        for slot in range(4):
            rig.wait(2)
            scale, duration = chunk
            rig.send(conn, Chunk(1, 100 * scale + slot * duration, duration, scale))
        assert len(rig.rows("solo")) == 4


def test_when_the_video_dies_audio_goes_on_after_the_deadline() -> None:
    rig = Rig()
    conn = rig.connect(ladder(1))
    run(rig, conn, 100, 3, tracks=1)
    for slot in range(4):
        rig.wait(2)
        rig.send(conn, *gop(1, 106 + 2 * slot, only={2}))
    assert len(rig.rows("audio-128k")) >= 6
    assert rig.rows("video-1000k")[-1].flags & FLAG_GAP


def test_a_segment_is_closed_by_its_last_slot_however_many_fragments_a_track_has_in_it() -> None:
    rig = Rig()
    conn = rig.connect(ladder(1))
    for slot in range(6):
        rig.wait(2)
        rig.send(conn, *[Chunk(2, (102 + 2 * slot + half) * 48_000, 48_000, 48_000) for half in (0, 1)])
        rig.send(conn, Chunk(1, (102 + 2 * slot) * VIDEO, GOP))
    # The channel's clock began with the end of the first half of the sound.
    rig.wait(1)
    closing = [bool(row.flags & FLAG_CLOSES) for row in rig.rows("video-1000k")]
    assert closing == [False, False, True, False, False, True]
    assert [bool(row.flags & FLAG_CLOSES) for row in rig.rows("audio-128k")] == [*[False] * 5, True, *[False] * 5, True]


@pytest.mark.parametrize("per_segment", [1, 2, 3])
def test_what_is_left_of_a_period_does_not_go_into_a_segment_that_is_closed(per_segment: int) -> None:
    rig = Rig(fragments_per_segment=per_segment)
    conn = rig.connect(ladder(1))
    run(rig, conn, 102, 6, tracks=1)
    rig.send(conn, Chunk(2, 114 * 48_000, 14_400, 48_000))
    run(rig, conn, 118, 6, tracks=1)
    for track in ("video-1000k", "audio-128k"):
        rows = rig.rows(track)
        for before, row in pairwise(rows):
            opens = bool(row.flags & FLAG_OPENS)
            assert opens or not before.flags & FLAG_CLOSES
            assert row.segment == before.segment + opens
        assert sum(bool(row.flags & FLAG_PERIOD) for row in rows) == 2
    assert 114 in [row.time // 48_000 for row in rig.rows("audio-128k")]


@pytest.mark.parametrize("lead_s", [0, 1, 2])
def test_what_comes_behind_a_hole_and_before_the_picture_is_the_new_period_s(lead_s: int) -> None:
    rig = Rig()
    conn = rig.connect(ladder(1))
    run(rig, conn, 102, 6, tracks=1)
    rig.wait(6)
    if lead_s:
        rig.send(conn, Chunk(2, (120 - lead_s) * 48_000, lead_s * 48_000, 48_000))
    run(rig, conn, 120, 3, tracks=1)
    assert [start // 1_000_000_000 for start in rig.store.periods] == [102, 120 - lead_s]
    audio = [(row.time // 48_000, bool(row.flags & FLAG_PERIOD)) for row in rig.rows("audio-128k")[6:]]
    times = ([120 - lead_s] if lead_s else []) + [120, 122, 124]
    assert audio == [(time, time == times[0]) for time in times]
    # The pictures have a gap there: muxed formats carry the sound of it.
    gaps = [(row.time // VIDEO, row.duration // VIDEO) for row in rig.rows("video-1000k") if row.flags & FLAG_GAP]
    assert gaps == ([(120 - lead_s, lead_s)] if lead_s else [])
    assert [row.segment for row in rig.rows("video-1000k")] == [row.segment for row in rig.rows("audio-128k")]


def test_a_single_long_gop_raises_the_target_once() -> None:
    rig = Rig()
    conn = rig.connect([Header(1, "video")], stream="v")
    for start, seconds in ((100, 2), (102, 2), (104, 9), (113, 2)):
        rig.wait(seconds)
        rig.send(conn, Chunk(1, start * VIDEO, seconds * VIDEO))
    assert "KEY_FRAME_INTERVAL_TOO_LONG" in rig.codes()
    measured = next(record for record in rig.store.records if isinstance(record, Measured))
    assert (measured.interval_ns, measured.fragments_per_segment, measured.target_duration_s) == (2_000_000_000, 3, 6)


def test_rtmp_connections_of_one_encoder_share_a_clock_and_a_restart_gets_another() -> None:
    rig = Rig("rtmp", "utc")
    one = rig.connect([Header(1, "video", timescale=1000)], stream="v1")
    first = rig.timeline.place(one, 0, 1000, rig.now)
    rig.wait(0.3)
    two = rig.connect([Header(1, "video", timescale=1000)], stream="v2")
    assert rig.timeline.place(two, 120, 1000, rig.now) == first
    for slot in range(10):
        rig.wait(2)
        rig.send(one, Chunk(1, slot * GOP, GOP))
        rig.send(two, Chunk(1, slot * GOP, GOP))
    rig.disconnect(one)
    rig.disconnect(two)
    rig.wait(1)
    again = rig.connect([Header(1, "video", timescale=1000)], stream="v1")
    assert rig.timeline.place(again, 0, 1000, rig.now) != first
    rig.wait(2)
    rig.send(again, Chunk(1, 0, GOP))
    rig.wait(3)
    rows = rig.rows("v1")
    assert rows[-1].flags & FLAG_PERIOD
    assert rows[-1].time > rows[-2].time + rows[-2].duration
    # No fragment ends in the future of the wall clock.
    assert (rows[-1].time + rows[-1].duration) * 1_000_000_000 // VIDEO <= rig.now.utc_ns


def test_muxed_audio_of_every_layer_is_one_track() -> None:
    rig = Rig("rtmp", "utc")
    conns = [rig.connect([Header(1, "video", timescale=1000), audio_header(2)], stream=name) for name in ("hi", "lo")]
    for conn in conns:
        rig.timeline.place(conn, 0, 1000, rig.now)
    for slot in range(3):
        rig.wait(2)
        for conn in conns:
            rig.send(conn, *gop(1, 2 * slot))
    assert sorted(info.id for info in rig.store.tracks) == ["audio", "hi", "lo"]
    assert len(rig.rows("audio")) == 3


def test_a_failed_write_is_a_gap_and_an_alert() -> None:
    rig = Rig()
    conn = rig.connect(ladder(1))
    run(rig, conn, 100, 2, tracks=1)
    rig.wait(2)
    rig.send(conn, *gop(1, 104), errno=28)
    run(rig, conn, 106, 2, tracks=1)
    rig.wait(5)
    assert "DISK_WRITE_FAILED" in rig.codes()
    assert [row.time // VIDEO for row in rig.rows("video-1000k") if not row.flags & FLAG_GAP] == [100, 102, 106, 108]


@pytest.mark.parametrize("seed", range(40))
def test_any_order_of_arrival_within_a_fragment_gives_the_same_rows(seed: int) -> None:
    chance = random.Random(seed)
    straight = Rig()
    conn = straight.connect(ladder(3))
    run(straight, conn, 100, 8, tracks=3)
    mixed = Rig()
    conn = mixed.connect(ladder(3))
    for slot in range(8):
        mixed.wait(2)
        chunks = gop(3, 100 + 2 * slot)
        chance.shuffle(chunks)
        for chunk in chunks:
            mixed.wait(chance.random() / 4)
            mixed.send(conn, chunk)
    numbers = {info.number: info.id for info in mixed.store.tracks}
    for info in straight.store.tracks:
        assert shown(mixed.rows(info.id)) == shown(straight.rows(info.id)), f"seed {seed}"
    assert len(numbers) == 4


# --- what no encoder in its senses sends


def test_a_fragment_far_ahead_leaves_the_other_tracks_alone() -> None:
    for leap_s in (60, 86_400, 10 * 366 * 86_400):
        rig = Rig()
        conn, other = rig.connect(ladder(1)), rig.connect([Header(1, "video", name="other", bitrate=9_000)], stream="other")
        for slot in range(6):
            rig.wait(2)
            at_s = 100 + 2 * slot
            rig.send(conn, *gop(1, at_s))
            rig.send(other, Chunk(1, (at_s + (leap_s if slot == 3 else 0)) * VIDEO, GOP))
        rig.wait(5)
        rows = rig.rows("video-1000k")
        assert [row.time // VIDEO for row in rows] == [100, 102, 104, 106, 108, 110]
        assert not any(row.flags & FLAG_GAP for row in rows)
        assert len(rig.store.periods) == 1
        assert "TIME_LEAP" in rig.codes()
        gaps = [row.time // VIDEO for row in rig.rows("other-9k") if row.flags & FLAG_GAP]
        assert gaps == [106, 108], "the track itself goes on, once it was seen again"


def test_an_encoder_that_leaps_ahead_for_good_is_followed_on_a_clock_of_its_own() -> None:
    rig = Rig()
    conn = rig.connect(ladder(1))
    run(rig, conn, 100, 3, tracks=1)
    run(rig, conn, 1_000_000, 4, tracks=1)
    rig.wait(5)
    assert "TIME_LEAP" in rig.codes()
    rows = rig.rows("video-1000k")
    assert rows[-1].time < 200 * VIDEO
    assert len(rows) >= 6


def test_an_encoder_that_was_away_for_hours_goes_on_with_its_own_times() -> None:
    rig = Rig()
    conn = rig.connect(ladder(1))
    run(rig, conn, 100, 3, tracks=1)
    rig.disconnect(conn)
    rig.wait(7200)
    conn = rig.connect(ladder(1))
    run(rig, conn, 7306, 3, tracks=1)
    assert rig.rows("video-1000k")[-1].time == 7310 * VIDEO
    assert rig.offsets() == [0]


def test_a_burst_of_one_track_does_not_use_up_the_time_of_the_others() -> None:
    rig = Rig()
    conn = rig.connect(ladder(1))
    run(rig, conn, 100, 3, tracks=1)
    other = rig.connect([Header(1, "video", name="other", bitrate=9_000)], stream="other")
    rig.send(other, *(Chunk(1, 2 * slot * VIDEO, GOP) for slot in range(6)))
    for slot in range(3, 12):
        rig.wait(2.3 if slot % 2 else 1.7)
        rig.send(conn, *gop(1, 100 + 2 * slot))
    rig.wait(5)
    for track in ("video-1000k", "audio-128k"):
        assert not any(row.flags & FLAG_GAP for row in rig.rows(track))
    assert len(rig.rows("video-1000k")) == 12
    assert len([row for row in rig.rows("other-9k") if not row.flags & FLAG_GAP]) == 6


@pytest.mark.parametrize(
    ("chunk", "code"),
    [
        (Chunk(1, 1 << 62, GOP, 10_000_000), "TIME_RANGE"),
        (Chunk(1, -(1 << 62), GOP, 1), "TIME_RANGE"),
        (Chunk(1, 100 * VIDEO, (1 << 32) - 1, 1000), "FRAGMENT_TOO_LONG"),
    ],
    ids=str,
)
def test_times_that_are_none_are_refused(chunk: Chunk, code: str) -> None:
    rig = Rig()
    conn = rig.connect(ladder(1))
    for _ in range(2):
        with pytest.raises(PackagerError) as refused:
            rig.send(conn, chunk)
        assert refused.value.code == code
        run(rig, conn, 100, 2, tracks=1)
    assert not rig.store.rows or [row.time // VIDEO for row in rig.rows("video-1000k")] == [100, 102]


def test_fragments_without_duration_are_dropped() -> None:
    rig = Rig()
    conn = rig.connect(ladder(1))
    rig.send(conn, Chunk(1, 100 * VIDEO, 0), Chunk(1, 1_000_000_000, 1, 10_000_000))
    run(rig, conn, 100, 3, tracks=1)
    assert [row.time // VIDEO for row in rig.rows("video-1000k")] == [100, 102, 104]
    assert rig.codes() == ["FRAGMENT_WITHOUT_DURATION"]


def test_a_track_that_has_nothing_where_a_segment_opens_opens_its_own_later() -> None:
    """Pictures end with a stump; the audio behind it is cut so that it opens a segment before the hole is listed."""
    rig = Rig()
    video, sound = rig.connect([Header(1, "video", name="v")], stream="v"), rig.connect([audio_header(1, name="a")], stream="a")
    for start in (100, 102, 104):
        rig.send(video, Chunk(1, start * 90_000, 180_000))
        rig.send(sound, Chunk(1, start * 48_000, 96_000, 48_000))
        rig.wait(2)
    rig.send(video, Chunk(1, 106 * 90_000, 3600, partial=True))
    rig.send(sound, Chunk(1, 106 * 48_000, 2048, 48_000))
    rig.disconnect(video)
    rig.wait(2)
    begins = 106 * 48_000 + 2048
    for duration in (46_080, 95_232, 96_256, 96_256, 96_256):
        rig.send(sound, Chunk(1, begins, duration, 48_000))
        begins += duration
        rig.wait(2)
    rig.wait(10)
    lengths: dict[int, int] = {}
    for row in rig.rows("v"):
        lengths[row.segment] = lengths.get(row.segment, 0) + row.duration
    assert max(lengths.values()) <= 6.5 * 90_000, rig.rows("v")
