"""Which rows a presentation shows."""

from __future__ import annotations

import pytest

from pypackager.dvr.clip import Bounds, present
from pypackager.dvr.ledger import Ledger
from pypackager.model.presentation import Presentation
from pypackager.model.records import (
    FLAG_GAP,
    FLAG_OPENS,
    FLAG_PERIOD,
    FLAG_SYNC,
    Anchored,
    BlobOpened,
    ConfigAdded,
    FragmentWritten,
    Measured,
    Peak,
    PeriodOpened,
    Published,
    Row,
    TargetRaised,
    TrackAdded,
)
from pypackager.model.track import TrackInfo
from tests.helpers.dvr import AUDIO, SECOND, VIDEO, config

LONG = 3600 * SECOND


def ledger(*tracks: TrackInfo) -> Ledger:
    made = Ledger()
    for info in tracks:
        made.apply(TrackAdded(info))
        made.apply(ConfigAdded(info.number, 1, config("a")))
        made.apply(BlobOpened(info.number, info.number, f"blobs/{info.id}/1", 1))
    made.apply(Measured(2 * SECOND, 3, 6))
    return made


def row(made: Ledger, info: TrackInfo, index: int, *, shift: int = 0, segment: int | None = None, flags: int = 0) -> None:
    """Publishes row `index` of a track: 2 s each, three to a segment unless told otherwise."""
    time, duration = index * 2 * info.timescale + shift, 2 * info.timescale
    opens = FLAG_OPENS if index % 3 == 0 else 0
    number = index // 3 if segment is None else segment
    if not flags & FLAG_GAP:
        made.apply(FragmentWritten(info.number, time, duration, info.number, 1000 * index, 1000, 1, FLAG_SYNC, 0, 50))
    made.apply(Published((Row(info.number, time, duration, number, FLAG_SYNC | opens | flags),)))


def shown(made: Ledger, bounds: Bounds) -> Presentation:
    return present(made, "p", bounds, ended=False, published_ns=None, paths={}, caches={})


def rows(made: Ledger, bounds: Bounds) -> dict[int, tuple[int, int]]:
    """Absolute numbers [first, end) by track."""
    return {t.info.number: (t.first, t.first + len(t.time)) for t in shown(made, bounds).tracks}


@pytest.fixture
def plain() -> Ledger:
    made = ledger(VIDEO, AUDIO)
    for index in range(30):
        row(made, VIDEO, index)
        row(made, AUDIO, index, shift=300)
    return made


@pytest.mark.parametrize(
    ("window", "first"),
    [(60, 0), (59, 0), (58, 0), (54, 3), (53, 3), (49, 3), (48, 6), (24, 18), (6, 27), (1000, 0)],
)
def test_a_window_holds_what_it_promises_and_starts_at_a_segment_for_all_tracks(plain: Ledger, window: int, first: int) -> None:
    # Audio ends 300 ticks of 48 kHz (6.25 ms) after video, and so does the edge.
    bounds = Bounds(window * SECOND + 6_250_000)
    assert rows(plain, bounds) == {1: (first, 30), 2: (first, 30)}
    assert {int(track.segment[0]) for track in shown(plain, bounds).tracks} == {first // 3}


def test_a_window_shorter_than_a_segment_shows_what_it_has(plain: Ledger) -> None:
    row(plain, VIDEO, 30)
    row(plain, VIDEO, 31)
    row(plain, AUDIO, 30, shift=300)
    row(plain, AUDIO, 31, shift=300)
    assert rows(plain, Bounds(SECOND))[1] == (30, 32)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(13, None, (6, 30)), (12, None, (6, 30)), (0, 12, (0, 6)), (0, 13, (0, 9)), (13, 14, (6, 9)), (100, None, (27, 30)), (-5, 0, None)],
)
def test_a_viewer_gets_the_segments_that_hold_the_times(
    plain: Ledger, start: int, end: int | None, expected: tuple[int, int] | None
) -> None:
    bounds = Bounds(LONG, start_ns=start * SECOND, end_ns=None if end is None else end * SECOND)
    assert rows(plain, bounds) == ({1: expected, 2: expected} if expected else {})


def test_a_viewer_never_gets_more_than_the_window(plain: Ledger) -> None:
    assert rows(plain, Bounds(24 * SECOND + 6_250_000, start_ns=0))[1] == (18, 30)


def test_a_program_begins_with_the_next_segment(plain: Ledger) -> None:
    assert rows(plain, Bounds(LONG, {1: 10, 2: 10})) == {1: (12, 30), 2: (12, 30)}
    assert rows(plain, Bounds(LONG, {1: 28, 2: 28})) == {}
    assert rows(plain, Bounds(LONG, {1: 12, 2: 12})) == {1: (12, 30), 2: (12, 30)}


def test_a_layer_with_its_own_edges_is_cut_near_by() -> None:
    other = TrackInfo("video-2", 3, "video", 90_000, 1_000_000)
    made = ledger(VIDEO, AUDIO, other)
    for index in range(30):
        row(made, VIDEO, index)
        row(made, AUDIO, index)
        row(made, other, index, shift=45_000, segment=100 + index // 3)
    assert rows(made, Bounds(24 * SECOND)) == {1: (18, 30), 2: (18, 30), 3: (18, 30)}


def test_a_track_that_ended_leaves_and_the_next_video_leads() -> None:
    second = TrackInfo("video-2", 3, "video", 90_000, 1_000_000)
    made = ledger(VIDEO, AUDIO, second)
    for index in range(30):
        if index < 9:
            row(made, VIDEO, index)
        row(made, AUDIO, index)
        row(made, second, index)
    assert rows(made, Bounds(24 * SECOND)) == {2: (18, 30), 3: (18, 30)}
    assert rows(made, Bounds(54 * SECOND)) == {1: (3, 9), 2: (3, 30), 3: (3, 30)}


def test_a_track_that_joined_late_does_not_hold_the_others_back() -> None:
    made = ledger(VIDEO, AUDIO)
    for index in range(30):
        if index >= 24:
            row(made, VIDEO, index)
        row(made, AUDIO, index)
    assert rows(made, Bounds(30 * SECOND)) == {1: (0, 6), 2: (15, 30)}
    assert rows(made, Bounds(6 * SECOND)) == {1: (3, 6), 2: (27, 30)}


def test_gaps_keep_their_place_and_cost_nothing(plain: Ledger) -> None:
    row(plain, VIDEO, 30, flags=FLAG_GAP)
    row(plain, VIDEO, 31)
    row(plain, VIDEO, 32)
    track = shown(plain, Bounds(LONG)).tracks[0]
    assert [int(column[30]) for column in (track.size, track.blob, track.config)] == [0, -1, 1]
    assert int(track.flags[30]) & FLAG_GAP
    # The mean of what is there: a hole has no rate.
    assert track.average_bps == 32 * 1000 * 8 // 64


def test_a_row_without_its_fragment_is_a_gap(plain: Ledger) -> None:
    plain.apply(Published((Row(1, 30 * 180_000, 180_000, 10, FLAG_SYNC | FLAG_OPENS),)))
    assert int(shown(plain, Bounds(LONG)).tracks[0].flags[30]) == FLAG_SYNC | FLAG_OPENS | FLAG_GAP


def test_periods_count_discontinuities_alike_on_all_tracks() -> None:
    made = ledger(VIDEO, AUDIO)
    made.apply(PeriodOpened(0, 0))
    for index in range(3):
        row(made, VIDEO, index, flags=FLAG_PERIOD if index == 0 else 0)
    made.apply(PeriodOpened(1, 6 * SECOND))
    for index in range(3, 9):
        row(made, VIDEO, index, flags=FLAG_PERIOD if index == 3 else 0)
        row(made, AUDIO, index, flags=FLAG_PERIOD if index == 3 else 0)
    presentation = shown(made, Bounds(LONG))
    video, audio = presentation.tracks
    assert video.discontinuity.tolist() == video.period.tolist() == [0] * 3 + [1] * 6
    assert set(audio.discontinuity.tolist()) == {1}
    assert [(period.number, period.start_ns) for period in presentation.periods] == [(0, 0), (1, 6 * SECOND)]
    assert [period.number for period in shown(made, Bounds(12 * SECOND)).periods] == [1]


def test_a_track_that_joins_late_does_not_cut_the_window_of_the_others(plain: Ledger) -> None:
    """It may have the lowest number, when it was there long ago, or be the only video."""
    made = ledger(TrackInfo("late", 1, "video", 90_000, 1_000_000), AUDIO)
    for index in range(30):
        row(made, AUDIO, index)
    for index in range(24, 30):
        row(made, VIDEO, index)
    assert rows(made, Bounds(30 * SECOND)) == {1: (0, 6), 2: (15, 30)}
    assert rows(plain, Bounds(30 * SECOND)) == {1: (15, 30), 2: (15, 30)}


def test_decisions_are_read_from_the_ledger(plain: Ledger) -> None:
    version = plain.version
    plain.apply(Anchored(1_700_000_000 * SECOND))
    plain.apply(Peak(1, 5_000_000))
    plain.apply(Peak(1, 4_000_000))
    plain.apply(TargetRaised(9))
    presentation = shown(plain, Bounds(LONG))
    assert presentation.version > version
    assert presentation.tracks[0].peak_bps == 5_000_000
    assert (presentation.target_duration_s, presentation.fragments_per_segment, presentation.interval_ns) == (9, 3, 2 * SECOND)
    assert presentation.published_ns == 1_700_000_060 * SECOND + 6_250_000


def test_nothing_published_is_no_tracks() -> None:
    assert shown(ledger(VIDEO), Bounds(LONG)).tracks == ()
    assert shown(Ledger(), Bounds(LONG)).tracks == ()
