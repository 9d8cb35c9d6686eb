"""A connection may break at any byte: with the last two fragments sent again nothing is lost or doubled, and there is no discontinuity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pypackager.model.records import FLAG_GAP, FLAG_PERIOD
from tests.helpers.timeline_rig import Rig
from tests.helpers.wire_rig import Stream, WireRig, published, stream

REPEATS = 3
SENT: Stream = stream(REPEATS)
STARTED = len(SENT.header) + sum(len(piece.data) for piece in SENT.pieces[:6])
"""Two fragments of each track: a channel that has just begun does not wait for an encoder that is gone."""
TRACKS = ("video_und-34k", "video_und-16k", "audio_deu-17k")
"""In the order of the stream."""

OF_ONE_SECOND = ["FRAGMENT_DURATION"]
"""What is said of the fragments of this encoder."""

Rows = dict[str, Sequence[tuple[int, int, int]]]


@contextmanager
def wire() -> Iterator[WireRig]:
    """A timeline behind a pump."""
    made = WireRig()
    try:
        yield made
    finally:
        made.close()


@cache
def expected() -> Rows:
    """What a connection that never breaks gives."""
    with wire() as made:
        made.push(SENT.bytes(), whole=True)
        rows = published(made.rig)
        assert made.rig.codes() == OF_ONE_SECOND
        assert {len(found) for found in rows.values()} == {2 * REPEATS}
        return rows


def assert_whole(rig: Rig, rows: Rows) -> None:
    assert rows == expected()
    assert len(rig.store.periods) == 1
    assert rig.codes() in ([], OF_ONE_SECOND)


cuts = st.integers(0, SENT.size)


@settings(max_examples=150, deadline=None)
@given(first=cuts, second=cuts, resent=st.integers(2, 2 * REPEATS))
@example(0, 0, 2)
@example(SENT.size, SENT.size, 2)
@example(len(SENT.header), len(SENT.header) + 1, 2)
@example(SENT.size - 1, SENT.size, 2 * REPEATS)
def test_a_break_at_any_byte_costs_nothing(first: int, second: int, resent: int) -> None:
    with wire() as made:
        made.push(SENT.bytes()[:first], whole=False)
        again = SENT.resent(first, resent)
        made.push(again.bytes()[:second], whole=False)
        made.push(again.resent(second, resent).bytes(), whole=True)
        assert_whole(made.rig, published(made.rig))
        assert made.ended[-1] == ""


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(STARTED, SENT.size), away_s=st.sampled_from([0.1, 1, 5, 9.5]), upload_s=st.sampled_from([0, 0.1, 0.2, 0.3]))
def test_nor_does_it_after_a_while_over_a_slow_uplink(cut: int, away_s: float, upload_s: float) -> None:
    with wire() as made:
        made.push(SENT.bytes()[:cut], whole=False)
        made.rig.wait(away_s)
        made.push(SENT.resent(cut, 2).bytes(), whole=True, upload_s=upload_s)
        assert_whole(made.rig, published(made.rig))


@settings(max_examples=60, deadline=None)
@given(cut=cuts, resent=st.integers(0, 2 * REPEATS))
def test_the_other_path_covers_a_break_without_a_resend(cut: int, resent: int) -> None:
    # Both connections are live at once in the end only: what the second brings again has been published.
    with wire() as made:
        made.push(SENT.bytes()[:cut], whole=False)
        made.push(SENT.bytes(), whole=True, side="secondary")
        made.push(SENT.resent(cut, resent).bytes(), whole=True)
        assert_whole(made.rig, published(made.rig))


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(len(SENT.header) + 1, SENT.size - 1))
def test_without_a_resend_the_hole_is_signalled_and_the_stream_goes_on(cut: int) -> None:
    with wire() as made:
        made.push(SENT.bytes()[:cut], whole=False)
        made.push(SENT.resent(cut, 0).bytes(), whole=True)
        rows, whole = published(made.rig), expected()
    lost = SENT.broken(cut)
    for number, name in enumerate(sorted(whole, key=TRACKS.index), 1):
        missing = set() if lost is None or lost[0] != number else {whole[name][lost[1]][0]}
        found = rows[name]
        assert [row[:2] for row in found if not row[2] & FLAG_GAP] == [row[:2] for row in whole[name] if row[0] not in missing]
        for before, after in pairwise(found):
            # To half a frame of sound.
            assert after[0] - before[0] - before[1] <= 600 or after[2] & FLAG_PERIOD or before[0] in missing, "a hole that nobody says"
    # What is missing of one track is a gap of that track.
    assert len(made.rig.store.periods) == 1
    if lost is None or 0 < lost[1] < 2 * REPEATS - 1:
        assert ("TRACK_GAP" in made.rig.codes()) == (lost is not None)
