"""How far back an encoder may begin when it comes back: what was processed is ignored, however much it is, and a restart is still one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pypackager.model.records import FLAG_GAP, Row
from tests.helpers.channel_node import ChannelNode
from tests.helpers.timeline_rig import Chunk, Header, Rig

VIDEO = 90_000
GOP = 2 * VIDEO
HEADER = [Header(1, "video", name="v")]


def gop(start_s: int, size: int | None = None) -> Chunk:
    # No two GOPs have the same size.
    return Chunk(1, start_s * VIDEO, GOP, size=1000 + start_s % 7919 if size is None else size)


def live(rig: Rig, start_s: int, count: int, pace: float = 1) -> tuple[int, int]:
    """An encoder that sends in its time, and breaks off; returns the connection and where it ends."""
    conn = rig.connect(HEADER)
    for slot in range(count):
        rig.wait(2 * pace)
        rig.send(conn, gop(start_s + 2 * slot))
    return conn, start_s + 2 * count


def gone(rig: Rig, conn: int) -> None:
    rig.disconnect(conn)
    rig.wait(1)


def seconds(rows: Sequence[Row]) -> list[int]:
    return [row.time // VIDEO for row in rows if not row.flags & FLAG_GAP]


def back(rig: Rig, begin_s: int, live_s: float, pace: float, until_s: int, size: int | None = None) -> None:
    """An encoder sends from `begin_s` on: at a pace until it has caught up with its live edge, then in its time."""
    conn = rig.connect(HEADER)
    start_ns = rig.now.mono_ns
    for start_s in range(begin_s, until_s, 2):
        now_s = (rig.now.mono_ns - start_ns) / 10**9
        # It has ended by then.
        rig.wait(max(2 / pace, live_s and start_s + 2 - live_s - now_s))
        rig.send(conn, gop(start_s, size))


@pytest.mark.parametrize("pace", [1.3, 1.5, 2, 4, 20, 1000])
@pytest.mark.parametrize("resent_s", [10, 30, 58, 62, 120, 300])
def test_what_is_sent_again_is_ignored_however_much_it_is(resent_s: int, pace: float) -> None:
    rig = Rig()
    conn, end_s = live(rig, 1000, 400)
    gone(rig, conn)
    back(rig, end_s - resent_s, end_s + 1, pace, end_s + 1600)
    rig.wait(5)
    assert seconds(rig.rows("v")) == list(range(1000, end_s + 1600, 2))
    assert rig.offsets() == [0]
    # While it catches up nothing new comes.
    assert set(rig.codes()) <= {"DISCONTINUITY"}


@pytest.mark.parametrize("resent_s", [30, 300])
def test_so_does_the_encoder_that_succeeds_it_whose_pictures_have_other_bytes(resent_s: int) -> None:
    rig = Rig()
    conn, end_s = live(rig, 1000, 400)
    gone(rig, conn)
    back(rig, end_s - resent_s, end_s + 1, 20, end_s + 60, size=2222)
    rig.wait(5)
    assert seconds(rig.rows("v")) == list(range(1000, end_s + 60, 2))
    assert rig.offsets() == [0]


@pytest.mark.parametrize("resent_s", [30, 300])
def test_all_of_a_session_may_be_sent_again_faster_than_it_was_made(resent_s: int) -> None:
    """From where it began: a file that is played again comes no faster than the first time."""
    rig = Rig()
    conn, end_s = live(rig, 1000, resent_s // 2)
    gone(rig, conn)
    back(rig, 1000, end_s + 1, 20, end_s + 60)
    rig.wait(5)
    assert seconds(rig.rows("v")) == list(range(1000, end_s + 60, 2))
    assert rig.offsets() == [0]


@pytest.mark.parametrize("begin_s", [0, 1000])
@pytest.mark.parametrize("length_s", [10, 30, 58, 62, 120, 600])
@pytest.mark.parametrize("pace", [1, 0.05])
def test_the_same_file_played_again_is_a_restart(length_s: int, begin_s: int, pace: float) -> None:
    rig = Rig()
    for _ in range(3):
        conn, _ = live(rig, begin_s, length_s // 2, pace)
        gone(rig, conn)
    rig.wait(30)
    # Faster than real time, and shorter than a minute, it cannot be told from what is sent again.
    known = length_s < 60 and pace < 1
    assert len(seconds(rig.rows("v"))) == (1 if known else 3) * length_s // 2
    assert len(rig.store.periods) == (1 if known else 3)


@pytest.mark.parametrize("behind_s", [30, 300])
def test_live_pictures_that_happen_to_have_the_times_of_others_are_none_sent_again(behind_s: int) -> None:
    """An encoder that counts from zero, whose first minutes were never seen, restarts; what it sends stands at published times."""
    rig = Rig()
    conn, end_s = live(rig, 0, 400)
    gone(rig, conn)
    back(rig, end_s - behind_s, 0, 1, end_s - behind_s + 40, size=3333)
    rig.wait(5)
    assert len(seconds(rig.rows("v"))) == 420
    assert len(rig.store.periods) == 2


@pytest.mark.parametrize("pace", [1, 1.1])
def test_what_does_not_catch_up_is_taken_for_a_restart_after_a_few_seconds(pace: float) -> None:
    """A playout server that goes on somewhere in its file: the bytes are those that were sent, and the pace is an encoder's."""
    rig = Rig()
    conn, end_s = live(rig, 0, 400)
    gone(rig, conn)
    back(rig, end_s - 300, 0, pace, end_s - 100)
    rig.wait(5)
    assert 96 <= len(seconds(rig.rows("v"))) - 400 <= 100
    assert len(rig.store.periods) == 2


def test_what_is_sent_again_on_one_of_two_connections_leaves_the_other_alone() -> None:
    rig = Rig()
    one, end_s = live(rig, 1000, 100)
    two = rig.connect(HEADER, side="secondary")
    for start_s in range(end_s - 150, end_s, 2):
        rig.wait(0.02)
        rig.send(two, gop(start_s))
    for start_s in range(end_s, end_s + 40, 2):
        rig.wait(2)
        rig.send(one, gop(start_s))
        rig.send(two, gop(start_s))
    assert seconds(rig.rows("v")) == list(range(1000, end_s + 40, 2))
    assert set(rig.offsets()) == {0}
    assert rig.codes() == []


def test_the_store_knows_what_it_has_published(tmp_path: Path) -> None:
    node = ChannelNode(tmp_path)
    node.connect(1, "v")
    node.live(1, 100, 102, 104)
    node.wait(10)
    (track,) = node.channel.store.ledger.tracks.values()
    number, stored = track.info.number, node.channel.store.stored
    sizes = track.columns.window(track.columns.first, track.columns.end)[2].tolist()
    assert [stored(number, start_s * VIDEO) for start_s in (100, 102)] == [(GOP, sizes[0], True), (GOP, sizes[1], True)]
    assert [stored(number, time) for time in (99 * VIDEO, 101 * VIDEO, 200 * VIDEO)] == [None] * 3
    track.lose(100 * VIDEO)
    assert stored(number, 100 * VIDEO) is None
