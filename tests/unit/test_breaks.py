"""What of a playlist the fault matrix takes for a sign that frames are missing, and whether it is the truth."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.helpers.breaks import read_signs, untruthful
from tests.helpers.looped import Hole, Story

BEGUN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()
MEDIA, GAP, BREAK = "#EXTINF:2.000,\na.m4s\n", "#EXT-X-GAP\n", "#EXT-X-DISCONTINUITY\n"


def date(at: float) -> str:
    """So many seconds behind the beginning."""
    return f"#EXT-X-PROGRAM-DATE-TIME:{datetime.fromtimestamp(BEGUN + at, UTC).isoformat(timespec='milliseconds')}\n"


def playlist(*segments: str) -> str:
    return "#EXTM3U\n#EXT-X-VERSION:6\n" + date(0) + "".join(segments) + "#EXT-X-ENDLIST\n"


def story(*holes: tuple[float, float], label: str = "video") -> Story:
    """Of a track that begins an hour off what its playlist says; holes (at which second, how long)."""
    begin = BEGUN + 3600
    return Story(label, "video", 0.0, begin, begin + 60, [Hole(label, begin + at, seconds, 1) for at, seconds in holes])


@pytest.mark.parametrize(
    ("segments", "breaks", "dates"),
    [
        ([MEDIA, MEDIA], [], []),
        ([MEDIA, GAP + MEDIA, MEDIA], [(2, 4, 1)], []),
        ([MEDIA, GAP + MEDIA, GAP + MEDIA, MEDIA, GAP + MEDIA, MEDIA], [(2, 6, 2), (8, 10, 1)], []),
        ([MEDIA, BREAK + date(5) + MEDIA], [(2, 5, 0)], []),
        ([MEDIA, MEDIA, BREAK + date(4.2) + GAP + MEDIA, MEDIA], [(4, 6.2, 1)], []),
        ([MEDIA, GAP + MEDIA, BREAK + date(5) + MEDIA], [(2, 5, 1)], []),
        ([MEDIA, date(2.085) + MEDIA], [], [2.085]),
        ([GAP + MEDIA, MEDIA, GAP + MEDIA, GAP + MEDIA], [(0, 2, 1)], []),
        ([GAP + MEDIA], [], []),
    ],
)
def test_signs_are_read_up_to_the_last_segment_that_is_there(
    segments: list[str], breaks: list[tuple[float, float, int]], dates: list[float]
) -> None:
    signs = read_signs(playlist(*segments))
    assert [(round(one.begin - BEGUN, 3), round(one.end - BEGUN, 3), one.gaps) for one in signs.breaks] == breaks
    assert [round(at - BEGUN, 3) for at in signs.dates] == dates


HOLE = story((10.0, 3.0))
LATE_GAP = playlist(*[MEDIA] * 9, GAP + MEDIA, MEDIA)
CUT = playlist(*[MEDIA] * 5, BREAK + date(13) + MEDIA)
DATED = playlist(*[MEDIA] * 5, date(10.05) + MEDIA)


@pytest.mark.parametrize(
    ("stories", "playlists", "faults"),
    [
        ([HOLE], [CUT], 0),
        ([story()], [playlist(MEDIA, MEDIA)], 0),
        ([story((10.0, 0.05))], [DATED], 0),
        ([story((10.0, 0.05))], [playlist(*[MEDIA] * 7)], 0),
        ([story()], [DATED], 1),
        # A discontinuity stands in all playlists, a gap where it is.
        ([HOLE, story(label="audio")], [CUT, CUT], 0),
        ([HOLE, story(label="audio")], [playlist(*[MEDIA] * 5, GAP + MEDIA, MEDIA), playlist(*[MEDIA] * 7)], 0),
        ([HOLE, story(label="audio")], [CUT, playlist(*[MEDIA] * 5, GAP + MEDIA, MEDIA)], 1),
        # Nothing tells of it, or a date alone, or something elsewhere, which is untrue as well.
        ([HOLE], [playlist(*[MEDIA] * 7)], 1),
        ([HOLE], [DATED], 1),
        ([HOLE], [LATE_GAP], 2),
        ([story()], [CUT], 2),
        # One hole is one break.
        ([HOLE], [playlist(*[MEDIA] * 4, GAP + MEDIA, MEDIA, GAP + MEDIA, MEDIA)], 1),
        ([story((10.0, 3.0), (14.0, 2.0))], [playlist(*[MEDIA] * 4, GAP + MEDIA, MEDIA, GAP + MEDIA, MEDIA)], 0),
    ],
)
def test_every_hole_is_told_of_in_its_place_and_nothing_else(stories: list[Story], playlists: list[str], faults: int) -> None:
    assert len(told := untruthful(stories, [read_signs(each) for each in playlists])) == faults, told
