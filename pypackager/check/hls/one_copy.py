"""Rules on one copy of a media playlist: durations, dates, version, maps (RFC 8216bis 4.4, 8)."""

from __future__ import annotations

from fractions import Fraction

from pypackager.check.finding import Scope
from pypackager.check.hls.media_playlist import MediaPlaylist
from pypackager.check.presentation import SHORT_HOLE
from pypackager.check.rules import rule

TARGET = rule(
    "HLS-TARGETDURATION", "error", "RFC 8216bis 4.4.3.1", "each EXTINF, rounded to the nearest integer, is at most EXT-X-TARGETDURATION",
    example="EXTINF:6.6 under EXT-X-TARGETDURATION:6",
)  # fmt: skip
DATES = rule(
    "HLS-PDT", "error", "RFC 8216bis 4.4.4.6", "inside a continuity the dates go on as the durations do",
    example="a date 2 s after a segment of 6 s",
)  # fmt: skip
HOLE = rule(
    "HLS-HOLE", "warning", "RFC 8216bis 3", "inside a continuity each segment begins where the one before ends",
    example="a date 2.040 s after a segment of 2 s, which lacks its last picture; from 100 ms on it is HLS-PDT",
)  # fmt: skip
VERSION = rule(
    "HLS-VERSION", "error", "RFC 8216bis 8", "EXT-X-VERSION is at least what the features in use demand",
    example="EXT-X-MAP without EXT-X-I-FRAMES-ONLY in version 5",
)  # fmt: skip
_MILLISECOND = Fraction(1, 1000)


def check_copy(playlist: MediaPlaylist, scope: Scope) -> None:
    """Checks a playlist by itself."""
    for segment in playlist.segments:
        # Halves round up: "nearest" of 6.5 may be read either way, and the lenient reading is the player's risk, not ours to assume.
        if playlist.target and int(segment.duration + Fraction(1, 2)) > playlist.target:
            scope.at(segment=str(segment.number)).breach(TARGET, float(segment.duration), f"at most {playlist.target}", line=segment.line)
    _check_dates(playlist, scope)
    _check_version(playlist, scope)


def _check_dates(playlist: MediaPlaylist, scope: Scope) -> None:
    expected: Fraction | None = None
    slack = Fraction(0)
    for segment in playlist.segments:
        slack += Fraction(1, 2 * 10**segment.decimals)
        if segment.discontinuity:
            expected = None
        if segment.date is not None:
            # Both dates are rounded to a millisecond, each duration to its last decimal.
            off = segment.date - expected if expected is not None else Fraction(0)
            if abs(off) > slack + _MILLISECOND:
                # Where frames are missing dates go on with the media's timestamps (6.2.1): MEDIA-TIME finds one that does not.
                found, broken = f"{float(off):+.3f} s against the durations", HOLE if 0 < off < SHORT_HOLE else DATES
                scope.at(segment=str(segment.number)).breach(broken, found, "the last date plus the durations since", line=segment.line)
            expected, slack = segment.date, Fraction(0)
        if expected is not None:
            expected += segment.duration


def needed_version(playlist: MediaPlaylist) -> tuple[int, str]:
    """The least version, and the feature that demands it."""
    needs = [(1, "nothing")]
    if any(segment.decimals for segment in playlist.segments):
        needs.append((3, "decimal durations"))
    if "EXT-X-BYTERANGE" in playlist.lines or playlist.i_frames_only:
        needs.append((4, "EXT-X-BYTERANGE or EXT-X-I-FRAMES-ONLY"))
    if "EXT-X-MAP" in playlist.lines:
        needs.append((5, "EXT-X-MAP") if playlist.i_frames_only else (6, "EXT-X-MAP without EXT-X-I-FRAMES-ONLY"))
    if "EXT-X-DEFINE" in playlist.lines:
        needs.append((8, "EXT-X-DEFINE"))
    if "EXT-X-SKIP" in playlist.lines:
        needs.append((9, "EXT-X-SKIP"))
    return max(needs)


def _check_version(playlist: MediaPlaylist, scope: Scope) -> None:
    least, feature = needed_version(playlist)
    if playlist.version < least:
        scope.breach(VERSION, playlist.version, f"{least}: {feature}", line=playlist.lines.get("EXT-X-VERSION", 1))
