"""Segments of video start with a key frame."""

from __future__ import annotations

from pypackager.check.finding import Scope
from pypackager.check.presentation import Track
from pypackager.check.rules import rule

FIRST = rule(
    "MEDIA-KEY-FIRST", "error", "RFC 8216bis 4.4.2.1", "a segment of video starts with a key frame where the manifest promises it",
    example="the first picture of a segment is a P picture under EXT-X-INDEPENDENT-SEGMENTS",
)  # fmt: skip
ANY = rule(
    "MEDIA-KEY-NONE", "warning", "RFC 8216bis 3", "a segment of video has a key frame",
    example="a segment of 6 s inside a GOP of 12 s",
)  # fmt: skip


def check_keys(track: Track, scope: Scope) -> None:
    """Checks a track."""
    for loaded in track.loaded:
        for stream in loaded.media.streams:
            if stream.kind != "video" or not len(stream):
                continue
            here = scope.at(url=loaded.listing.url, segment=loaded.listing.name)
            if track.claims.independent and not stream.sync[0]:
                here.breach(FIRST, "the first picture is no key frame", "a key frame")
            elif not stream.sync.any():
                here.breach(ANY, "no key frame", "one at least")
