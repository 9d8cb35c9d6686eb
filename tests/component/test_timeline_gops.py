"""Encoders that cut GOPs, or go on within one: what can be decoded is joined and listed, what cannot is that track's gap."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise

import pytest

from pypackager.model.records import FLAG_GAP, FLAG_SYNC, Row
from tests.helpers.timeline_rig import Chunk, Header, Rig, audio_header

VIDEO, SOUND = 90_000, 48_000
FRAME = VIDEO // 25


def ladder(layers: int) -> list[Header]:
    """Video layers and one sound, in one connection."""
    return [
        *(Header(n + 1, "video", name=f"v{n + 1}", bitrate=1_000_000 + n) for n in range(layers)),
        audio_header(layers + 1, name="a", bitrate=128_000),
    ]


def piece(track: int, start: int, frames: int, *, key: bool) -> Chunk:
    """Frames of a video track from frame number `start` on."""
    return Chunk(track, start * FRAME, frames * FRAME, samples=frames, sync=key)


def sound(track: int, start_s: float, seconds: float) -> Chunk:
    return Chunk(track, int(start_s * SOUND), int(seconds * SOUND), SOUND, samples=50)


def rows(rig: Rig, name: str) -> list[Row]:
    """The rows of the track of a name, with or without its rate."""
    track = next(info.number for info in rig.store.tracks if info.id.partition("-")[0] == name)
    return [row for row in rig.store.rows if row.track == track]


def frames(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """(first frame, frames) of each row that is no gap."""
    return [(row.time // FRAME, row.duration // FRAME) for row in rows if not row.flags & FLAG_GAP]


def gaps(rows: Sequence[Row]) -> list[tuple[int, int]]:
    return [(row.time // FRAME, row.duration // FRAME) for row in rows if row.flags & FLAG_GAP]


def begins_at_key_frames(rig: Rig, *tracks: str) -> bool:
    return all(row.flags & (FLAG_SYNC | FLAG_GAP) for track in tracks for row in rows(rig, track))


def flush(rig: Rig, conn: int, layers: int, second: int, *, seconds: int = 2) -> None:
    """A multiplexer writes what all tracks have since its last key frame."""
    rig.wait(seconds)
    rig.send(conn, *(piece(n + 1, second * 25, seconds * 25, key=True) for n in range(layers)), sound(layers + 1, second, seconds))


def fed(layers: int) -> tuple[Rig, int]:
    """A channel that an encoder of so many layers has sent four seconds to, from 100 s on; its connection."""
    rig = Rig(fragments_per_segment=1)
    conn = rig.connect(ladder(layers))
    for second in (100, 102):
        flush(rig, conn, layers, second)
    return rig, conn


def test_a_key_frame_of_one_layer_that_cuts_the_others_leaves_them_whole() -> None:
    """As ffmpeg does where the encoder puts a key frame at a cut of the scene into one layer of a ladder."""
    rig = Rig(fragments_per_segment=1)
    conn = rig.connect(ladder(2))
    for second in (100, 102, 104):
        flush(rig, conn, 2, second)
    rig.wait(0.8)
    rig.send(conn, piece(1, 2650, 20, key=True), piece(2, 2650, 20, key=True), sound(3, 106, 0.8))
    rig.wait(1.2)
    rig.send(conn, piece(1, 2670, 30, key=False), piece(2, 2670, 30, key=True), sound(3, 106.8, 1.2))
    for second in (108, 110):
        flush(rig, conn, 2, second)
    rig.wait(10)
    assert frames(rows(rig, "v1")) == [(start, 50) for start in range(2500, 2800, 50)]
    assert frames(rows(rig, "v2")) == [(2500, 50), (2550, 50), (2600, 50), (2650, 20), (2670, 30), (2700, 50), (2750, 50)]
    assert begins_at_key_frames(rig, "v1", "v2")
    assert not gaps(rows(rig, "v1")) + gaps(rows(rig, "v2"))


def test_where_an_encoder_goes_on_between_the_layers_of_a_picture_nothing_of_it_is_lost() -> None:
    """Its queue begins with the last picture of one layer, behind which come the key frames of all: that layer's cuts the others'."""
    rig, conn = fed(3)
    rig.disconnect(conn)
    rig.wait(4)
    conn = rig.connect(ladder(3))
    rig.send(conn, piece(1, 2700, 1, key=True), piece(2, 2700, 1, key=True), piece(3, 2699, 1, key=False), sound(4, 107.96, 0.08))
    rig.wait(1.96)
    rig.send(conn, piece(1, 2701, 49, key=False), piece(2, 2701, 49, key=False), piece(3, 2700, 50, key=True), sound(4, 108.04, 1.96))
    for second in (110, 112):
        flush(rig, conn, 3, second)
    rig.wait(10)
    for track in ("v1", "v2", "v3"):
        assert frames(rows(rig, track)) == [(start, 50) for start in (2500, 2550, 2700, 2750, 2800)]
    assert begins_at_key_frames(rig, "v1", "v2", "v3")
    assert [round(row.time / SOUND, 2) for row in rows(rig, "a")] == [100, 102, 107.96, 108.04, 110, 112]
    assert [code for code, _ in rig.alerts].count("NO_KEY_FRAME") == 1


def test_what_one_layer_cannot_show_is_a_gap_of_that_layer_alone() -> None:
    rig, conn = fed(2)
    # Its key frame was dropped: a hole of one picture, nearer than times of two sources are told apart.
    rig.wait(2)
    rig.send(conn, piece(1, 2601, 49, key=False), piece(2, 2600, 50, key=True), sound(3, 104, 2))
    for second in (106, 108):
        flush(rig, conn, 2, second)
    rig.wait(10)
    assert frames(rows(rig, "v1")) == [(start, 50) for start in (2500, 2550, 2650, 2700)]
    assert gaps(rows(rig, "v1")) == [(2600, 50)]
    assert frames(rows(rig, "v2")) == [(start, 50) for start in range(2500, 2750, 50)]
    assert [row.time // SOUND for row in rows(rig, "a")] == [100, 102, 104, 106, 108]
    assert "NO_KEY_FRAME" in rig.codes()
    assert len(rig.store.periods) == 1


def test_sound_behind_a_hole_of_all_is_listed_beside_a_gap_of_the_pictures() -> None:
    rig, conn = fed(2)
    rig.disconnect(conn)
    rig.wait(4)
    conn = rig.connect(ladder(2))
    rig.send(conn, piece(1, 2720, 30, key=False), piece(2, 2720, 30, key=False), sound(3, 108.8, 1.2))
    for second in (110, 112):
        flush(rig, conn, 2, second)
    rig.wait(10)
    for track in ("v1", "v2"):
        assert frames(rows(rig, track)) == [(start, 50) for start in (2500, 2550, 2750, 2800)]
        assert gaps(rows(rig, track)) == [(2720, 30)]
        assert [row.segment for row in rows(rig, track)] == [row.segment for row in rows(rig, "a")]
    assert [row.time / SOUND for row in rows(rig, "a")] == [100, 102, 108.8, 110, 112]
    assert rig.store.periods[-1] == 108_800_000_000


def test_a_sender_that_cuts_by_time_is_joined_from_the_first_gop_on() -> None:
    rig = Rig()
    conn = rig.connect([Header(1, "video")], stream="v")
    for start in range(2500, 3000, 10):
        rig.wait(0.4)
        rig.send(conn, piece(1, start, 10, key=start % 50 == 0))
        if start == 2990:
            # What is listed is at most one piece behind: the next one tells that the GOP is whole.
            assert frames(rows(rig, "v"))[-1] == (2900, 50)
    rig.disconnect(conn)
    assert frames(rows(rig, "v")) == [(start, 50) for start in range(2500, 3000, 50)]
    assert begins_at_key_frames(rig, "v")
    assert rig.codes() == []


def test_whole_gops_are_listed_as_soon_as_they_come() -> None:
    rig = Rig()
    conn = rig.connect(ladder(2))
    for second in range(100, 120, 2):
        flush(rig, conn, 2, second)
        if second > 100:
            assert frames(rows(rig, "v1"))[-1] == (second * 25, 50)


def test_what_continues_a_listed_fragment_is_listed_and_the_next_gop_is_joined() -> None:
    rig = Rig()
    conn = rig.connect([Header(1, "video")], stream="v")
    for start in range(2500, 2700, 50):
        rig.wait(2)
        rig.send(conn, piece(1, start, 50, key=True))
    for start in range(2700, 3000, 50):
        rig.wait(2)
        rig.send(conn, piece(1, start, 50, key=start % 100 == 0))
    rig.disconnect(conn)
    whole = [(start, 50) for start in (2500, 2550, 2600, 2650, 2700, 2750)] + [(2800, 100), (2900, 100)]
    assert frames(rows(rig, "v")) == whole
    assert "FRAGMENT_WITHOUT_KEY_FRAME" in rig.codes()


def test_a_fragment_that_may_grow_is_stored_when_its_body_ends() -> None:
    rig = Rig()
    conn = rig.connect([Header(1, "video")], stream="v")
    rig.send(conn, piece(1, 2500, 10, key=True))
    assert not rig.store.fragments
    rig.timeline.complete(conn, rig.now)
    assert list(rig.store.fragments) == [(1, 2500 * FRAME)]
    assert rig.timeline.feeds[conn].unwritten
    rig.flush()
    assert not rig.timeline.feeds[conn].unwritten


def test_a_fragment_that_may_grow_is_not_waited_for_without_end() -> None:
    rig = Rig()
    conn = rig.connect(ladder(2))
    for second in (100, 102):
        flush(rig, conn, 2, second)
    rig.wait(0.8)
    rig.send(conn, piece(1, 2600, 20, key=True), piece(2, 2600, 20, key=True), sound(3, 104, 0.8))
    rig.wait(4.1)
    assert frames(rows(rig, "v1"))[-1] == (2600, 20)
    assert frames(rows(rig, "v2"))[-1] == (2600, 20)


def test_pictures_that_are_refreshed_gradually_are_listed_as_they_come() -> None:
    """One key frame at the start, and never again one."""
    rig = Rig()
    conn = rig.connect([Header(1, "video")], stream="v")
    for start in range(2500, 4000, 50):
        rig.wait(2)
        rig.send(conn, piece(1, start, 50, key=start == 2500))
    listed = rows(rig, "v")
    assert sum(row.duration for row in listed) == 1500 * FRAME
    assert all(row.duration == 50 * FRAME for row in listed[5:])
    # It comes back within what a key frame would begin: no picture of it is dropped again.
    rig.disconnect(conn)
    rig.wait(5)
    conn = rig.connect([Header(1, "video")], stream="v")
    for start in range(4123, 4323, 50):
        rig.wait(2)
        rig.send(conn, piece(1, start, 50, key=False))
    assert frames(rows(rig, "v"))[-4:] == [(start, 50) for start in range(4123, 4323, 50)]


def test_two_encoders_that_cut_alike_are_one() -> None:
    rig = Rig()
    conns = [rig.connect([Header(1, "video")], stream="v", side=side) for side in ("primary", "secondary")]
    for start in range(2500, 2800, 25):
        rig.wait(1)
        for conn in conns if start % 50 else conns[::-1]:
            rig.send(conn, piece(1, start, 25, key=start % 50 == 0))
    for conn in conns:
        rig.disconnect(conn)
    assert frames(rows(rig, "v")) == [(start, 50) for start in range(2500, 2800, 50)]
    assert rig.codes() == []


@pytest.mark.parametrize("seed", range(60))
def test_any_cut_of_a_ladder_gives_the_same_gops(seed: int) -> None:
    """Layers are cut anywhere, each at places of its own; nothing is lost, and every fragment begins at a key frame.

    But for the end of a GOP: one that is nearly of the usual length is listed at once.
    """
    chance = random.Random(seed)
    layers = chance.randint(1, 3)
    rig = Rig()
    conn = rig.connect(ladder(layers))
    borders = [
        sorted({2500, *range(2500, 3000, 50), *(cut for cut in chance.sample(range(2501, 3000), chance.randint(0, 40)) if cut % 50 < 47)})
        for _ in range(layers)
    ]
    events = [
        (end, piece(n + 1, start, end - start, key=start % 50 == 0))
        for n, mine in enumerate(borders)
        for start, end in pairwise([*mine, 3000])
    ]
    events += [(50 * slot + 50, sound(layers + 1, 2 * slot, 2)) for slot in range(50, 60)]
    now = 2500
    for end, chunk in sorted(events, key=lambda event: event[0]):
        rig.wait((end - now) / 25)
        now = end
        rig.send(conn, chunk)
    rig.disconnect(conn)
    rig.wait(10)
    for n in range(layers):
        assert frames(rows(rig, f"v{n + 1}")) == [(start, 50) for start in range(2500, 3000, 50)], f"seed {seed}"
    assert begins_at_key_frames(rig, *(f"v{n + 1}" for n in range(layers)))
    assert [row.time // SOUND for row in rows(rig, "a")] == list(range(100, 120, 2))
