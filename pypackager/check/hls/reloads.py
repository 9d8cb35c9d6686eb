"""What may change between two copies of a live media playlist (RFC 8216bis 6.2.1, 6.2.2).

In: a copy and the one before. Out: findings.
"""

from __future__ import annotations

from fractions import Fraction

from pypackager.check.finding import Scope
from pypackager.check.hls.media_playlist import MediaPlaylist, Segment
from pypackager.check.rules import rule

SEQUENCE = rule(
    "HLS-MEDIA-SEQUENCE", "error", "RFC 8216bis 6.2.2", "the media sequence never falls, and rises by one for each segment that is removed",
    example="a sequence of 1200 is 0 after a restart",
)  # fmt: skip
DISCONTINUITY_SEQUENCE = rule(
    "HLS-DISCONTINUITY-SEQUENCE", "error", "RFC 8216bis 6.2.2", "the discontinuity sequence counts each EXT-X-DISCONTINUITY removed",
    example="it stays 0 when a segment with the tag leaves the window",
)  # fmt: skip
CHANGED = rule(
    "HLS-SEGMENT-CHANGED", "error", "RFC 8216bis 6.2.1", "what is listed of a segment stays as it is until it is removed",
    example="the EXTINF of number 1204 was 2.0 and is 2.1",
)  # fmt: skip
SHRUNK = rule(
    "HLS-SEGMENT-WITHDRAWN", "error", "RFC 8216bis 6.2.1", "segments are removed from the head alone",
    example="the newest segment of the last copy is not in this one",
)  # fmt: skip
TARGET_CHANGED = rule(
    "HLS-TARGETDURATION-CHANGED", "error", "RFC 8216bis 4.4.3.1", "EXT-X-TARGETDURATION does not change",
    example="6 becomes 8",
)  # fmt: skip
AFTER_END = rule(
    "HLS-ENDLIST", "error", "RFC 8216bis 6.2.1", "a playlist with EXT-X-ENDLIST does not change any more",
    example="a segment comes behind EXT-X-ENDLIST",
)  # fmt: skip
EVENT = rule(
    "HLS-EVENT-REMOVAL", "error", "RFC 8216bis 6.2.1", "nothing is removed from a playlist of type EVENT or VOD",
    example="an EVENT playlist whose first number rises",
)  # fmt: skip

WINDOW = rule(
    "HLS-WINDOW", "error", "RFC 8216bis 6.2.2", "a segment is removed only while three target durations of a live playlist are left",
    example="two segments of 6 s are left when the third is removed",
)  # fmt: skip


def check_reload(before: MediaPlaylist, after: MediaPlaylist, scope: Scope) -> None:
    """Checks a copy against the one before."""
    line = after.lines.get("EXT-X-MEDIA-SEQUENCE")
    if after.sequence < before.sequence:
        scope.breach(SEQUENCE, f"{after.sequence} after {before.sequence}", "a number that does not fall", line=line)
        return
    if after.target != before.target:
        scope.breach(TARGET_CHANGED, after.target, before.target, line=after.lines.get("EXT-X-TARGETDURATION"))
    if before.type and after.sequence > before.sequence:
        scope.breach(EVENT, f"{after.sequence - before.sequence} segments are gone", "all of them", line=line)
    length = sum((segment.duration for segment in after.segments), Fraction(0))
    if after.sequence > before.sequence and not after.ended and length < 3 * after.target:
        scope.breach(WINDOW, f"{float(length):.3f} s are left", f"{3 * after.target} s", line=line)
    if before.ended and (not after.ended or after.segments != before.segments):
        scope.breach(AFTER_END, "another copy", "the same", line=line)
    ours, theirs = after.segments, before.segments
    if not ours or not theirs:
        return
    if after.sequence > theirs[-1].number + 1 and (at := _find(ours[0], theirs)) is not None:
        scope.breach(SEQUENCE, f"{ours[0].uri} is number {after.sequence}", at.number, line=ours[0].line)
        return
    kept = theirs[after.sequence - before.sequence :]
    if len(ours) < len(kept):
        scope.breach(SHRUNK, f"the newest number is {ours[-1].number}", f"at least {theirs[-1].number}", line=ours[-1].line)
    for new, old in zip(ours, kept, strict=False):
        if difference := _difference(old, new, first=new is ours[0]):
            # A list that lies one off is a wrong number, not as many wrong segments.
            moved = _find(new, theirs)
            if moved is not None and moved.number != new.number:
                scope.breach(SEQUENCE, f"{new.uri} is number {new.number}", moved.number, line=new.line)
                return
            scope.breach(CHANGED, difference[0], difference[1], line=new.line)
    if kept and ours[0].continuity != kept[0].continuity:
        found = f"{ours[0].uri} has discontinuity sequence {ours[0].continuity}"
        scope.breach(DISCONTINUITY_SEQUENCE, found, kept[0].continuity, line=after.lines.get("EXT-X-DISCONTINUITY-SEQUENCE", 1))


def _find(segment: Segment, among: tuple[Segment, ...]) -> Segment | None:
    return next((other for other in among if (other.url, other.byte_range) == (segment.url, segment.byte_range)), None)


def _difference(old: Segment, new: Segment, *, first: bool) -> tuple[str, str] | None:
    """What is new and what was, of the first field that differs."""
    # A number that is wrong for the whole copy is found once, by the rule on sequences.
    for name in ("url", "duration", "byte_range", "map", "key", "gap"):
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            if name == "duration":
                was, now = float(was), float(now)
            return f"number {new.number}: {name} {now}", f"{was}, as before"
    # The first segment may be given the date that was only implied, and its EXT-X-DISCONTINUITY is counted instead.
    if old.date != new.date and not (first and old.date is None):
        return f"number {new.number}: date {new.date and float(new.date)}", f"{old.date and float(old.date)}, as before"
    if old.discontinuity != new.discontinuity and not first:
        return f"number {new.number}: discontinuity {new.discontinuity}", f"{old.discontinuity}, as before"
    return None
