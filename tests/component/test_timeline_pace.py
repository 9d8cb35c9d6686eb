"""Ahead of the wall clock: what has not ended by the clock that players are given is not listed yet."""

from __future__ import annotations

import pytest

from pypackager.model.records import FLAG_GAP, FLAG_PERIOD, Row
from pypackager.timeline.clocks import Mode
from pypackager.timeline.feeds import Now
from pypackager.timeline.pace import MOST_NS, TOLERANCE_NS
from pypackager.timeline.times import SECOND_NS
from tests.helpers.timeline_rig import UTC0, Chunk, Header, Rig, audio_header

VIDEO, AUDIO = 90_000, 48_000
GOP_S = 2


class WatchedRig(Rig):
    """Notes by how much what is listed is ahead of the clock: of each row, when it appears."""

    def __init__(self, protocol: str = "fmp4", mode: Mode = "source") -> None:
        super().__init__(protocol, mode)
        self.ahead_ns: list[int] = []
        publish = self.store.publish

        def watched(rows: list[Row]) -> int:
            for row in rows:
                scale = next(info.timescale for info in self.store.tracks if info.number == row.track)
                self.ahead_ns.append((row.time + row.duration) * SECOND_NS // scale + (self.timeline.anchor_ns or 0) - self.now.utc_ns)
            return publish(rows)

        self.store.publish = watched  # type: ignore[assignment,method-assign]

    def session(self, gops: int, *, pace: float = 1.0) -> None:
        """An encoder that starts at zero, and ends."""
        conn = self.connect([Header(1, "video"), audio_header()], stream="all")
        for n in range(gops):
            self.wait(GOP_S / pace)
            self.send(conn, Chunk(1, n * GOP_S * VIDEO, GOP_S * VIDEO), Chunk(2, n * GOP_S * AUDIO, GOP_S * AUDIO, AUDIO))
        self.disconnect(conn)


def test_an_encoder_that_restarts_at_once_again_and_again_is_never_listed_ahead_of_the_clock() -> None:
    rig = WatchedRig()
    for _ in range(4):
        rig.session(5)
        rig.wait(0.2)
    rig.wait(3)
    for kind in ("all-video1", "all-audio2"):
        rows = rig.rows(kind)
        assert len(rows) == 20
        assert not any(row.flags & FLAG_GAP for row in rows)
        assert sum(bool(row.flags & FLAG_PERIOD) for row in rows) == 4
    assert max(rig.ahead_ns) <= TOLERANCE_NS
    assert "AHEAD_OF_TIME" not in rig.codes()


def test_what_is_held_is_listed_as_soon_as_it_has_ended() -> None:
    rig = WatchedRig()
    rig.session(3)
    rig.wait(0.1)
    rig.session(3)
    rig.wait(5)
    # It goes on in the encoder's rhythm: all of the second session is late by the same.
    assert rig.ahead_ns[-1] == TOLERANCE_NS


def test_a_source_that_is_twice_as_fast_is_held_until_it_is_too_far_ahead_and_then_told_of() -> None:
    rig = WatchedRig()
    rig.session(4, pace=2)
    assert max(rig.ahead_ns) <= TOLERANCE_NS
    assert "AHEAD_OF_TIME" not in rig.codes()
    rig.session(40, pace=2)
    assert "AHEAD_OF_TIME" in rig.codes()
    # Nothing of it is kept back for long.
    waiting = rig.timeline.lines["all-video1"].waiting
    assert len(waiting) * GOP_S * SECOND_NS <= MOST_NS


def test_a_program_that_ends_waits_for_no_clock() -> None:
    rig = WatchedRig()
    rig.session(3)
    rig.session(3)
    assert len(rig.rows("all-video1")) < 6
    rig.timeline.advance(rig.now, at_once=True)
    assert len(rig.rows("all-video1")) == 6


@pytest.mark.parametrize("step_ns", [-3 * SECOND_NS, 3 * SECOND_NS])
def test_a_step_of_the_wall_clock_holds_nothing_back(step_ns: int) -> None:
    rig = WatchedRig()
    conn = rig.connect([Header(1, "video")], stream="v")
    for n in range(10):
        if n == 5:
            rig.now = Now(rig.now.utc_ns + step_ns, rig.now.mono_ns)
        rig.wait(GOP_S)
        rig.send(conn, Chunk(1, n * GOP_S * VIDEO, GOP_S * VIDEO))
    assert len(rig.rows("v")) == 10


def test_an_encoder_whose_clock_is_an_hour_ahead_is_published_and_told_of() -> None:
    rig = WatchedRig()
    conn = rig.connect([Header(1, "video")], stream="v")
    start_s = UTC0 // SECOND_NS + 3600
    for n in range(5):
        rig.wait(GOP_S)
        rig.send(conn, Chunk(1, (start_s + n * GOP_S) * VIDEO, GOP_S * VIDEO))
    assert len(rig.rows("v")) == 5
    assert "AHEAD_OF_TIME" in rig.codes()
