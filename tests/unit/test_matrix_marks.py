"""What of a playlist the fault matrix takes for a sign that frames are missing."""

from __future__ import annotations

import pytest

from tests.helpers.matrix import marks

HEAD = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:05.000Z\n"
DATE = "#EXT-X-PROGRAM-DATE-TIME:2026-01-02T03:04:07.085Z\n"
MEDIA, GAP, BREAK = "#EXTINF:2.000,\na.m4s\n", "#EXT-X-GAP\n", "#EXT-X-DISCONTINUITY\n"


@pytest.mark.parametrize(
    ("segments", "told"),
    [
        ([MEDIA, MEDIA], (0, 0)),
        ([MEDIA, GAP + MEDIA, MEDIA], (1, 0)),
        ([MEDIA, BREAK + DATE + MEDIA], (1, 0)),
        ([MEDIA, DATE + MEDIA], (0, 1)),
        ([GAP + MEDIA, MEDIA, GAP + MEDIA, GAP + MEDIA], (1, 0)),
        ([GAP + MEDIA], (0, 0)),
    ],
)
def test_breaks_and_dates_are_counted_up_to_the_last_segment_that_is_there(segments: list[str], told: tuple[int, int]) -> None:
    assert marks(HEAD + "".join(segments) + "#EXT-X-ENDLIST\n") == told
