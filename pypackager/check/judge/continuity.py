"""Samples go on from segment to segment, and are where and as long as the manifest says.

In: a track with its loaded segments in order. Out: findings.
"""

from __future__ import annotations

from fractions import Fraction

from pypackager.check.finding import Scope
from pypackager.check.media.samples import Samples
from pypackager.check.presentation import SHORT_HOLE, Loaded, Track
from pypackager.check.rules import rule

CONTINUOUS = rule(
    "MEDIA-CONTINUOUS", "error", "ISO 23000-19 7.3.2.2", "inside a continuity each stream starts where the segment before ended",
    example="tfdt is 3,600 ticks above the end of the last sample",
)  # fmt: skip
HOLE = rule(
    "MEDIA-HOLE", "warning", "DASH-IF Timing Model, Referencing media segments", "a segment has samples up to the start of the next one",
    example='40 ms without a picture in front of <S t="180000">, up to which the segment before is listed',
)  # fmt: skip
TIME = rule(
    "MEDIA-TIME", "error", "RFC 8216bis 3", "media times of one continuity differ from the manifest's times by one constant",
    example="the 12th segment lies half a second behind its place in the manifest",
)  # fmt: skip
START = rule(
    "MEDIA-START", "error", "ISO 23009-1 5.3.9.6", "the first sample has the time that the manifest gives",
    example="S@t is 900000, tfdt is 903600",
)  # fmt: skip
DURATION = rule(
    "MEDIA-DURATION", "error", "RFC 8216bis 4.4.4.1", "a segment lasts as long as the manifest says, to a frame",
    example="EXTINF:6.0 over 4.8 s of frames",
)  # fmt: skip
EXACT = rule(
    "MEDIA-DURATION-EXACT", "warning", "RFC 8216bis 4.4.4.1", "a segment lasts as long as the manifest says, to its last decimal",
    example="EXTINF:6.006 over 6.000 s of frames",
)  # fmt: skip
EMPTY = rule(
    "MEDIA-EMPTY", "error", "RFC 8216bis 3", "a segment has samples",
    example="a segment of 0 samples that is listed with 2 s",
)  # fmt: skip

_MILLISECOND = Fraction(1, 1000)


def check_continuity(track: Track, scope: Scope) -> None:
    """Checks a track."""
    anchor: _Anchor | None = None
    pictures = any(stream.kind == "video" for loaded in track.loaded for stream in loaded.media.streams if len(stream))
    for loaded, after in zip(track.loaded, [*track.loaded[1:], None], strict=False):
        here = scope.at(url=loaded.listing.url, segment=loaded.listing.name)
        main = main_stream(loaded)
        if main is None:
            here.breach(EMPTY, "no samples", f"{float(loaded.listing.duration):.3f} s of samples")
            anchor = None
            continue
        if pictures and main.kind != "video":
            # It is cut by pictures that are not there: what else is in it has no such times.
            anchor = None
            continue
        joint = after if after is not None and adjoin(loaded, after) else None
        _check_duration(loaded, main, joint, here)
        _check_start(loaded, main, here)
        anchor = _check_place(anchor, loaded, main, here)
        if joint is not None:
            _check_joint(loaded, joint, scope.at(url=joint.listing.url, segment=joint.listing.name))


def main_stream(loaded: Loaded) -> Samples | None:
    """The stream that a segment is cut by: video, or what there is."""
    streams = [stream for stream in loaded.media.streams if len(stream)]
    return next((stream for stream in streams if stream.kind == "video"), streams[0] if streams else None)


def adjoin(before: Loaded, after: Loaded) -> bool:
    """The manifest lists nothing between them."""
    one, other = before.listing, after.listing
    return one.continuity == other.continuity and abs(one.start + one.duration - other.start) <= one.exact + other.exact + _MILLISECOND


def _check_joint(before: Loaded, after: Loaded, scope: Scope) -> None:
    for stream in after.media.streams:
        last = _same(before, stream)
        if last is None or not len(stream) or last.timescale != stream.timescale or not last.last:
            continue
        gap = stream.begin - last.end
        # A picture may be shown for longer than the one before; where one is missing, the hole is as long as it.
        if not -_slack(last) <= gap <= (1 if last.stated else max(1, last.last * 9 // 10)):
            if _is_short(before, stream, gap) or _is_told(before, last, gap):
                scope.breach(HOLE, f"{gap} ticks of 1/{stream.timescale} without {stream.kind}", "none")
                continue
            found = f"{stream.kind} starts {gap:+d} ticks of 1/{stream.timescale} from the end of {before.listing.name}"
            scope.breach(CONTINUOUS, found, f"at {last.end}")


def _same(loaded: Loaded, stream: Samples) -> Samples | None:
    return next((each for each in loaded.media.streams if (each.kind, each.ident) == (stream.kind, stream.ident) and len(each)), None)


def _is_short(before: Loaded, stream: Samples, gap: int) -> bool:
    """Whether a hole is of a frame or two. Where manifests state each time, which is judged by itself, the segment before lasts over it."""
    return before.listing.media_start is not None and 0 < gap < stream.timescale * SHORT_HOLE


def _is_told(before: Loaded, last: Samples, gap: int) -> bool:
    """Whether a hole is as long, to a sample, as what is said to be missing of the segment in front of it."""
    missing = before.listing.missing
    return missing > 0 and abs(Fraction(gap, last.timescale) - missing) <= Fraction(last.last, last.timescale)


def _slack(stream: Samples) -> int:
    """A duration that nobody states is guessed: half a sample is the guess's worth."""
    return 1 if stream.stated else max(1, stream.last // 2)


def _check_duration(loaded: Loaded, main: Samples, after: Loaded | None, scope: Scope) -> None:
    end, exact = main.end, main.stated
    following = _same(after, main) if after is not None else None
    if not main.last and following is None:
        return
    if not exact and following is not None and (not main.last or abs(following.begin - end) <= _slack(main)):
        # Where the last duration is a guess, the start of the next segment says it.
        end, exact = following.begin, True
    elif following is not None and main.last and _is_short(loaded, main, following.begin - end):
        # A last sample that lasts nothing is no hole, but a wrong duration.
        end = following.begin
    lasts, listed = Fraction(end - main.begin, main.timescale), loaded.listing.duration - loaded.listing.missing
    off = abs(lasts - listed)
    found, expected = f"{float(lasts):.6f} s of {main.kind}", f"{float(listed):.6f} s as listed"
    if off > lasts / len(main) + loaded.listing.exact:
        scope.breach(DURATION, found, expected)
    elif exact and off > loaded.listing.exact + Fraction(2, main.timescale):
        scope.breach(EXACT, found, expected)


def _check_start(loaded: Loaded, main: Samples, scope: Scope) -> None:
    listed = loaded.listing.media_start
    if listed is None:
        return
    first = Fraction(loaded.begin(main), main.timescale)
    if abs(first - listed) > Fraction(1, main.timescale) / 2:
        scope.breach(START, f"{float(first):.6f} s", f"{float(listed):.6f} s as listed")


_Anchor = tuple[int, Fraction, Fraction]
"""A continuity, how far the manifest's times are from the media's in it, and how far they may be off by rounding."""


def _check_place(anchor: _Anchor | None, loaded: Loaded, main: Samples, scope: Scope) -> _Anchor:
    listing = loaded.listing
    shift = listing.start - Fraction(loaded.begin(main), main.timescale)
    slack = 2 * listing.exact + Fraction(1, main.timescale)
    if anchor is None or anchor[0] != listing.continuity:
        return listing.continuity, shift, slack + _MILLISECOND
    allowed = anchor[2] + slack
    if abs(shift - anchor[1]) > allowed:
        scope.breach(TIME, f"{float(shift - anchor[1]):+.4f} s against the first of the continuity", f"within {float(allowed):.4f} s")
        # The rest is judged against where the media went on, or every segment behind would be found.
        return listing.continuity, shift, slack + _MILLISECOND
    return anchor[0], anchor[1], allowed
