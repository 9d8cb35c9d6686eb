"""Two sources of one track, one of which breaks off or begins within a fragment: the whole one is listed, once."""

from __future__ import annotations

from itertools import pairwise

import pytest

from pypackager.model.records import FLAG_GAP, Measured
from tests.helpers.merge_rig import SOUND, VIDEO, Pair, border, frames, picture, whole
from tests.helpers.timeline_rig import Chunk, Header, audio_header


def begun() -> Pair:
    """Four seconds of both."""
    pair = Pair()
    for second in (100, 102):
        pair.both(second)
    return pair


def assert_whole(pair: Pair, until: int) -> None:
    """Sound from 100 s on, every frame once."""
    rows = pair.sound()
    assert (rows[0][0], rows[-1][1]) == (border(100), border(until)), rows
    assert all(before[1] == after[0] for before, after in pairwise(rows)), rows
    assert len(pair.rig.store.periods) == 1


@pytest.mark.parametrize("partial", [True, False])
@pytest.mark.parametrize("at", [0.3, 1.1, 1.9])
def test_what_one_source_broke_off_comes_whole_from_the_other(at: float, *, partial: bool) -> None:
    pair = begun()
    cut = border(104) + int(at * SOUND / 1024)
    # Where the picture's connection ends first the sound is cut there, and is no broken fragment.
    pair.send("secondary", "audio", frames(border(104), cut, partial=partial))
    for kind in ("video", "audio"):
        pair.rig.disconnect(pair.conns["secondary", kind])
    pair.send("primary", "video", picture(104))
    pair.rig.wait(0.05)
    pair.send("primary", "audio", whole(104))
    pair.rig.wait(2)
    for kind, chunk in (("video", picture(106)), ("audio", whole(106))):
        pair.send("primary", kind, chunk)
    pair.rig.wait(4)
    assert_whole(pair, 108)


@pytest.mark.parametrize("first", ["stump", "whole"])
def test_a_source_that_comes_back_within_a_fragment_takes_nothing_from_the_other(first: str) -> None:
    pair = begun()
    cut = border(104) + 30
    pair.send("secondary", "audio", frames(border(104), cut, partial=True))
    pair.rig.disconnect(pair.conns["secondary", "audio"])
    pair.conns["secondary", "audio"] = pair.connect("secondary", "audio", 104.7)
    stump = ("secondary", frames(cut + 3, border(106)))
    for side, chunk in (stump, ("primary", whole(104))) if first == "stump" else (("primary", whole(104)), stump):
        pair.send(side, "audio", chunk)
        pair.send(side, "video", picture(104))
        pair.rig.wait(0.05)
    pair.rig.wait(2)
    pair.both(106)
    pair.rig.wait(4)
    assert_whole(pair, 108)


def test_a_hole_in_all_that_one_source_sent_is_filled_by_the_slower_one() -> None:
    pair = begun()
    # The quick one leaves out two seconds, the other one is half a second behind it.
    pair.rig.wait(2)
    for kind, chunk in (("video", picture(106)), ("audio", whole(106))):
        pair.send("primary", kind, chunk)
    pair.rig.wait(0.5)
    for second in (104, 106):
        for kind, chunk in (("video", picture(second)), ("audio", whole(second))):
            pair.send("secondary", kind, chunk)
    pair.rig.wait(1.5)
    pair.both(108)
    pair.rig.wait(4)
    assert_whole(pair, 110)


@pytest.mark.parametrize(("merge_s", "listed"), [(0, [(100, 108), (110, 116)]), (6, [(100, 116)])])
def test_merge_delay_is_how_far_behind_a_source_may_be(merge_s: int, listed: list[tuple[int, int]]) -> None:
    pair = Pair(merge_ns=merge_s * 1_000_000_000)
    for second in range(100, 116, 2):
        for kind, chunk in (("video", picture(second)), ("audio", whole(second))):
            if second not in (106, 108):
                pair.send("primary", kind, chunk)
        if second >= 106:
            # Six seconds behind: its first one comes within a fragment's duration of the hole, the second one does not.
            for kind, chunk in (("video", picture(second - 6)), ("audio", whole(second - 6))):
                pair.send("secondary", kind, chunk)
        pair.rig.wait(2)
    pair.rig.wait(20)
    # A period for each stretch; within it every fragment of either, once.
    assert len(pair.rig.store.periods) == len(listed)
    assert stretches(pair.sound()) == [(border(begin), border(end)) for begin, end in listed]
    pictures = [(row.time // VIDEO, (row.time + row.duration) // VIDEO) for row in pair.rig.rows("video")]
    assert stretches(pictures) == listed
    assert not any(row.flags & FLAG_GAP for row in pair.rig.store.rows), "a hole of all is a period, and no gap within one"
    assert ("DISCONTINUITY" in pair.rig.codes()) == (len(listed) > 1)


def stretches(rows: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Rows that follow one another without a hole, as one."""
    found: list[tuple[int, int]] = []
    for begin, end in rows:
        if found and found[-1][1] == begin:
            found[-1] = found[-1][0], end
        else:
            found.append((begin, end))
    return found


def test_a_hole_that_nobody_fills_holds_the_edge_no_longer_than_a_fragment_and_not_for_ever() -> None:
    pair, behind = begun(), 0.0
    for second in range(104, 124, 2):
        # Thirty milliseconds are missing before every fragment, on both.
        for side in ("primary", "secondary"):
            pair.send(side, "video", picture(second))
            pair.send(side, "audio", frames(border(second) + 2, border(second + 2)))
        pair.rig.wait(2)
        behind = second + 2 - pair.sound()[-1][1] * 1024 / SOUND
        assert behind < 4.1, (second, behind)
    assert behind < 0.1, "after two waits in vain nobody waits for such a track"


@pytest.mark.parametrize("more", [-2, -1, 1, 2])
@pytest.mark.parametrize("quick", ["primary", "secondary"])
def test_sound_that_is_cut_a_frame_or_two_apart_is_listed_by_the_frame(more: int, quick: str) -> None:
    pair = begun()
    slow = "secondary" if quick == "primary" else "primary"
    # Each of them sends alone for a while: the other one's borders are where they were.
    for second, sides in ((104, (quick, slow)), (106, (slow,)), (108, (slow, quick)), (110, (quick,)), (112, (quick, slow))):
        for side in sides:
            off = more if side == slow else 0
            first = border(second) + (off if second > 104 else 0)
            pair.send(side, "video", picture(second))
            pair.send(side, "audio", frames(first, border(second + 2) + off))
            pair.rig.wait(0.05)
        pair.rig.wait(2)
    pair.rig.wait(4)
    rows = pair.sound()
    assert rows[-1][1] in (border(114), border(114) + more)
    assert all(before[1] == after[0] for before, after in pairwise(rows)), rows
    assert len(pair.rig.store.periods) == 1


def test_a_gap_of_pictures_under_sound_alone_ends_where_their_key_frame_is_due() -> None:
    pair = begun()
    for kind in ("video", "audio"):
        pair.rig.disconnect(pair.conns["secondary", kind])
    # The pictures break off, are back before the sound does, and go on at their next key frame.
    pair.rig.wait(0.8)
    pair.send("primary", "video", Chunk(1, 104 * VIDEO, 63_000, partial=True))
    for kind in ("video", "audio"):
        pair.rig.disconnect(pair.conns["primary", kind])
        pair.conns["primary", kind] = pair.connect("primary", kind, 104.8)
        pair.rig.wait(0.6)
    pair.send("primary", "audio", frames(border(104) + 51, border(106)))
    pair.rig.wait(1)
    for second in (106, 108):
        pair.rig.wait(1)
        for kind, chunk in (("video", picture(second)), ("audio", whole(second))):
            pair.send("primary", kind, chunk)
        pair.rig.wait(1)
    pair.rig.wait(4)
    rows = pair.rig.rows("video")
    (gap,) = (row for row in rows if row.flags & FLAG_GAP)
    assert gap.time + gap.duration == 106 * VIDEO < border(106) * 1024 * VIDEO // SOUND
    assert [row.time // VIDEO for row in rows if row.time > gap.time] == [106, 108]


def test_what_two_sources_break_off_at_once_is_as_long_as_the_longer_one() -> None:
    pair = begun()
    for side, count in (("primary", 30), ("secondary", 50)):
        pair.rig.receive(pair.conns[side, "audio"], frames(border(104), border(104) + count, partial=True))
    # The disk has answered for neither.
    pair.rig.flush()
    for conn in pair.conns.values():
        pair.rig.disconnect(conn)
    pair.rig.wait(20)
    assert pair.sound()[-1] == (border(104), border(104) + 50)


@pytest.mark.parametrize("broken", [True, False])
def test_a_frame_of_sound_that_nobody_has_is_no_gap(broken: bool) -> None:
    pair = begun()
    for second in (104, 106):
        for side in ("primary", "secondary"):
            pair.send(side, "video", picture(second))
            lost = second == 106
            pair.send(side, "audio", frames(border(second) + lost, border(second + 2), partial=broken and not lost))
        pair.rig.wait(2)
    pair.both(108)
    pair.rig.wait(4)
    # It would take a segment of its own, and the numbers of the renditions would part.
    assert not any(row.flags & FLAG_GAP for track in ("audio", "video") for row in pair.rig.rows(track))
    assert [row.segment for row in pair.rig.rows("video")] == [row.segment for row in pair.rig.rows("audio")]


def test_pictures_for_which_two_encoders_that_stop_have_no_more_sound_are_listed_with_a_gap_of_it() -> None:
    pair = begun()
    # They stop a few milliseconds behind a key frame, before the sound that goes with it begins; one of them begins a third fragment.
    for side in ("primary", "secondary"):
        pair.send(side, "video", picture(104))
    pair.send("primary", "video", Chunk(1, 106 * VIDEO, 3_600, partial=True))
    for conn in pair.conns.values():
        pair.rig.disconnect(conn)
    pair.rig.wait(20)
    assert_whole(pair, 104)
    assert [(row.time // VIDEO, row.flags & FLAG_GAP) for row in pair.rig.rows("video")] == [(100, 0), (102, 0), (104, 0), (106, 0)]
    (gap,) = (row for row in pair.rig.rows("audio") if row.flags & FLAG_GAP)
    assert gap.time == border(104) * 1024
    assert abs((gap.time + gap.duration) / SOUND - 106) < 1024 / SOUND


def test_sound_that_is_there_in_pieces_is_the_same_sound() -> None:
    pair = begun()
    middle, end = border(104) + 40, border(106)
    pair.send("secondary", "audio", frames(border(104), middle), frames(middle, end - 1), frames(end - 1, end))
    pair.send("secondary", "video", picture(104))
    pair.send("primary", "audio", frames(border(104), end - 1))
    pair.send("primary", "video", picture(104))
    assert "ENCODERS_OUT_OF_SYNC" not in pair.rig.codes()
    pair.rig.wait(2)
    pair.both(106)
    pair.rig.wait(4)
    assert_whole(pair, 108)


def test_what_stands_behind_a_stump_that_is_listed_is_not_lost() -> None:
    pair = begun()
    stump = border(104) + 40
    pair.send("secondary", "audio", frames(border(104), stump))
    pair.send("secondary", "video", picture(104))
    pair.send("primary", "video", picture(104))
    # Longer than anyone waits.
    pair.rig.wait(5)
    assert pair.sound()[-1] == (border(104), stump)
    pair.send("primary", "audio", whole(104))
    pair.both(106)
    pair.rig.wait(4)
    rows = pair.sound()
    assert rows[-1][1] == border(108)


def test_sound_that_comes_two_seconds_before_the_first_key_frame_does_not_open_the_channel_alone() -> None:
    pair = Pair()
    # Without a picture a fixed grid cuts it.
    for first, last in ((-80, -40), (-40, 0)):
        pair.send("primary", "audio", frames(border(100) + first, border(100) + last))
        pair.rig.wait((last - first) * 1024 / SOUND)
    pair.rig.wait(1.5)
    pair.send("primary", "audio", whole(100))
    pair.send("primary", "video", picture(100))
    pair.rig.wait(2)
    pair.both(102)
    pair.rig.wait(4)
    measured = next(record for record in pair.rig.store.records if isinstance(record, Measured))
    assert measured.interval_ns == 2_000_000_000
    assert "KEY_FRAME_INTERVAL_TOO_LONG" not in pair.rig.codes()


@pytest.mark.parametrize("partial", [True, False])
@pytest.mark.parametrize("at", [0.3, 0.56, 1.5])
def test_pictures_of_an_encoder_that_ends_well_within_a_gop_come_whole_from_the_other(at: float, *, partial: bool) -> None:
    """One that an operator stops sends what it has as a last fragment, whole in itself, and ends its body in order."""
    pair = begun()
    pair.send("secondary", "video", Chunk(1, 104 * VIDEO, int(at * VIDEO), partial=partial))
    pair.send("secondary", "audio", frames(border(104), border(104) + int(at * SOUND / 1024)))
    for kind in ("video", "audio"):
        pair.rig.disconnect(pair.conns["secondary", kind])
    pair.rig.wait(2 - at)
    pair.send("primary", "video", picture(104))
    pair.send("primary", "audio", whole(104))
    pair.rig.wait(2)
    for kind, chunk in (("video", picture(106)), ("audio", whole(106))):
        pair.send("primary", kind, chunk)
    pair.rig.wait(4)
    assert [(row.time / VIDEO, row.duration / VIDEO) for row in pair.rig.rows("video")] == [(second, 2) for second in (100, 102, 104, 106)]
    assert_whole(pair, 108)
    assert "ENCODERS_OUT_OF_SYNC" not in pair.rig.codes()


@pytest.mark.parametrize("rival", [False, True])
def test_sound_is_fitted_also_while_a_third_source_is_not_synchronised(rival: bool) -> None:
    """A source that is back begins a frame before the border."""
    pair = begun()
    rig = pair.rig
    if rival:
        # A second connection of the secondary side with a clock of its own: 5 s off.
        for kind, header in (("video", Header(1, "video")), ("audio", audio_header(2))):
            pair.conns["rival", kind] = rig.connect([header], stream=kind, side="secondary")
            rig.timeline.place(pair.conns["rival", kind], 98_500, 1000, rig.now)
        pair.send("rival", "video", Chunk(1, int(98.5 * VIDEO), 2 * VIDEO))
        assert [clock.passive for clock in rig.timeline.clocks.all] == [False, False, True]
    for kind in ("video", "audio"):
        rig.disconnect(pair.conns["secondary", kind])
    pair.send("primary", "video", picture(104))
    pair.send("primary", "audio", whole(104))
    for kind in ("video", "audio"):
        pair.conns["secondary", kind] = pair.connect("secondary", kind, 106.0)
    rig.wait(2)
    pair.send("secondary", "video", picture(106))
    pair.send("secondary", "audio", frames(border(106) - 1, border(108)))
    rig.wait(0.05)
    pair.send("primary", "video", picture(106))
    pair.send("primary", "audio", whole(106))
    rig.wait(2)
    pair.both(108)
    rig.wait(4)
    assert_whole(pair, 110)
