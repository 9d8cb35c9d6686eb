"""Media playlists of one multivariant playlist against each other (RFC 8216bis 6.2.4)."""

from __future__ import annotations

from fractions import Fraction

from pypackager.check.finding import Scope
from pypackager.check.hls.media_playlist import MediaPlaylist
from pypackager.check.rules import rule

TARGETS = rule(
    "HLS-TARGETDURATION-DIFFERS", "error", "RFC 8216bis 6.2.4", "all media playlists have the same EXT-X-TARGETDURATION",
    example="video has 6, audio has 7",
)  # fmt: skip
DATED = rule(
    "HLS-PDT-MISSING", "error", "RFC 8216bis 6.2.4", "when one media playlist has dates, all have",
    example="the audio playlist has no EXT-X-PROGRAM-DATE-TIME",
)  # fmt: skip
CONTINUITIES = rule(
    "HLS-DISCONTINUITY-DIFFERS", "error", "RFC 8216bis 6.2.4", "content of one moment has one discontinuity sequence in all playlists",
    example="video counts 3 discontinuities, audio 2",
)  # fmt: skip
NUMBERS = rule(
    "HLS-MEDIA-SEQUENCE-DIFFERS", "warning", "RFC 8216bis 6.2.2", "content of one moment has one media sequence number in all playlists",
    example="video's segment of 12:00:00 is 1204, audio's is 1206",
)  # fmt: skip
ENDS = rule(
    "HLS-ENDLIST-DIFFERS", "error", "RFC 8216bis 6.2.1", "when one media playlist has ended for longer than a reload, all have",
    example="video has EXT-X-ENDLIST, audio goes on being live",
)  # fmt: skip
GAPS = rule(
    "HLS-GAP", "warning", "RFC 8216bis 4.4.4.7", "where one media playlist has EXT-X-GAP, another has media to play",
    example="the segments of 12:00:06 are gaps in all variants and in audio",
)  # fmt: skip


def check_renditions(last: dict[str, MediaPlaylist], scope: Scope) -> None:
    """Checks the newest copies, by the track's label."""
    playlists = [(label, playlist) for label, playlist in last.items() if playlist.segments and not playlist.i_frames_only]
    if not playlists:
        return
    label, first = playlists[0]
    _check_gaps(playlists, scope)
    ours = _moments(first)
    for other_label, other in playlists[1:]:
        here = scope.at(track=other_label, url=other.url)
        if other.target != first.target and other.target and first.target:
            here.breach(TARGETS, other.target, f"{first.target}, as {label}", line=other.lines.get("EXT-X-TARGETDURATION"))
        if other.dated != first.dated:
            here.breach(DATED, "dates" if other.dated else "no dates", f"{'dates' if first.dated else 'no dates'}, as {label}")
            continue
        if other.ended != first.ended:
            here.breach(ENDS, f"EXT-X-ENDLIST is {'there' if other.ended else 'not there'}", f"as in {label}")
        _check_moments(ours, _moments(other), label, first.dated, here)


def _check_gaps(playlists: list[tuple[str, MediaPlaylist]], scope: Scope) -> None:
    """A gap that all have leaves a player nothing."""
    (label, first), *others = playlists
    rows = [list(zip(other.segments, other.starts(), strict=True)) for _, other in others]
    for segment, start in zip(first.segments, first.starts(), strict=True):
        if not segment.gap:
            continue
        middle = start + segment.duration / 2
        beside = [
            [each for each, at in row if (at <= middle < at + each.duration if first.dated else each.number == segment.number)]
            for row in rows
        ]
        if all(same and same[0].gap for same in beside):
            here = scope.at(track=label, url=first.url, segment=str(segment.number))
            here.breach(GAPS, f"a gap in all of {len(playlists)} playlists", "media in one of them", line=segment.line)


_Moment = tuple[Fraction, Fraction, int, int, int]
"""Start, end, media sequence, discontinuity sequence, line."""


def _moments(playlist: MediaPlaylist) -> list[_Moment]:
    return [
        (start, start + segment.duration, segment.number, segment.continuity, segment.line)
        for segment, start in zip(playlist.segments, playlist.starts(), strict=True)
    ]


def _check_moments(ours: list[_Moment], theirs: list[_Moment], label: str, dated: bool, scope: Scope) -> None:
    at, numbers = 0, True
    for start, end, number, continuity, line in theirs:
        # Without dates the playlists' times are not comparable: numbers are all that there is.
        if dated:
            middle = (start + end) / 2
            while at < len(ours) and ours[at][1] <= middle:
                at += 1
            match = ours[at] if at < len(ours) and ours[at][0] <= middle else None
        else:
            match = next((moment for moment in ours if moment[2] == number), None)
        if match is None:
            continue
        if match[3] != continuity:
            found = f"number {number} has discontinuity sequence {continuity}"
            scope.at(segment=str(number)).breach(CONTINUITIES, found, f"{match[3]}, as {label}", line=line)
            return
        if numbers and match[2] != number:
            scope.at(segment=str(number)).breach(NUMBERS, f"number {number}", f"{match[2]}, as {label}", line=line)
            numbers = False
