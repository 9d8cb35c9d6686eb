"""Which tracks each part of a period lists in DASH: those that cover it (docs/design/publication.md).

In: the open part, the channel's tracks, the rows that were just published. Out: the parts from the open one on. Never: a change to rows.

Theory of operation. All Representations of a DASH Period cover it whole (DASH-IF Timing Model, Representation timing). So where a track
joins a running period a *part* begins, at the first fragment of the reference that the track covers as well; where a track has had
nothing for `GONE_NS` a part begins without it. A track that starts less than a fragment after its period is of the first part (less
than two, if it is published with the period's first rows): encoders start their tracks one after another. A shorter gap stays a hole of
the timeline, unless a part begins just then: parts for each lost fragment would fill the manifest. For the same reason a track that was
gone has to go on for `PROVEN_NS` without a gap before it is listed again, and twice as long each time, if players have another one to
switch to meanwhile.

A part begins only behind everything that was listed before, so nothing that a client has read moves to another Period.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import zip_longest

from msgspec.structs import replace

from pypackager.dvr.track import Track
from pypackager.model.presentation import Member, Period
from pypackager.model.track import picture_group

NS = 1_000_000_000
TOLERANCE_NS = NS // 10
"""Fragments of aligned tracks start within it: audio frames do not end where pictures do."""
GONE_NS = 10 * NS
PROVEN_NS = 30 * NS
MOST_DOUBLED = 7
"""30 s become an hour."""


def after_rows(
    period: Period, tracks: Mapping[int, Track], media: Sequence[tuple[int, int]], before_ns: int, usual_ns: int
) -> tuple[Period, ...]:
    """The open part as it is now, and the one that begins with the rows, if one does.

    Args:
        period: the open part.
        tracks: all tracks by number; the rows are in them already.
        media: (track, time) of the rows that have media, in track order.
        before_ns: start of the newest row before them.
        usual_ns: the key frame interval.
    """
    members, inside = period.members, {member.track for member in period.members or ()}
    if members is None or not media or inside == {number for number, _ in media}:
        return (period,)
    if not period.part:
        late_ns = max(usual_ns, 2 * TOLERANCE_NS) - TOLERANCE_NS
        if not members:
            # Published with the period's first rows: pictures begin at a key frame, sound up to an interval and some frames before it.
            late_ns += usual_ns
        for number in sorted({number for number, _ in media} - inside):
            if not tracks[number].absences and _ns(tracks[number], tracks[number].begun) < period.start_ns + late_ns:
                members += (_member(tracks, members, number, 0),)
        period = replace(period, members=members) if members is not period.members else period
        inside = {member.track for member in members}
    border_ns = _border(tracks, media, inside)
    if border_ns <= max(before_ns, period.start_ns) + TOLERANCE_NS:
        return (period,)
    behind_ns = {number: border_ns - _ns(tracks[number], tracks[number].reached) for number in inside}
    gone = {number for number in inside if behind_ns[number] > GONE_NS + 2 * usual_ns}
    kept = {_group(tracks[number]) for number in inside - gone}
    comes = [number for number in sorted(set(tracks) - inside) if _comes(tracks[number], border_ns, kept)]
    late = {number for number in inside - gone if tracks[number].begun >= 0 and behind_ns[number] >= -TOLERANCE_NS}
    waited = any(behind_ns[number] > 2 * GONE_NS for number in gone) or any(_run_ns(tracks[number]) > GONE_NS for number in comes)
    # A part is listed with all that it will have: what is published a little later than the reference is waited for, but not for ever.
    if not (gone or comes) or (late and not waited):
        return (period,)
    stays = tuple(member for member in members if member.track in late or _covers(tracks[member.track], border_ns))
    for number in comes:
        stays += (_member(tracks, members, number, period.part + 1),)
    for number in gone:
        tracks[number].absences += 1
    return period, Period(period.number, border_ns, period.part + 1, stays)


def shown(periods: Sequence[Period], numbers: range, first_ns: int, end_ns: int) -> tuple[Period, ...]:
    """Those with rows in a window, of the periods `numbers`, from the first row's start to the last one's end."""
    return tuple(
        period
        for period, after in zip_longest(periods, periods[1:])
        if period.number in numbers
        and not (period.part and period.start_ns >= end_ns)
        and not (after is not None and after.number == period.number and after.start_ns <= first_ns)
    )


def _border(tracks: Mapping[int, Track], media: Sequence[tuple[int, int]], inside: set[int]) -> int:
    """Where a part could begin: the first fragment of the reference, the first video track that is listed already."""
    number, time = min(media, key=lambda row: (row[0] not in inside, tracks[row[0]].info.kind != "video", row[0]))
    return _ns(tracks[number], time)


def _covers(track: Track, border_ns: int) -> bool:
    begins = track.begun >= 0 and _ns(track, track.begun) <= border_ns + TOLERANCE_NS
    return begins and _ns(track, track.reached) > border_ns + TOLERANCE_NS


def _comes(track: Track, border_ns: int, kept: Collection[tuple[object, ...]]) -> bool:
    proven = not track.absences or _run_ns(track) >= PROVEN_NS << min(track.absences - 1, MOST_DOUBLED)
    return _covers(track, border_ns) and (proven or _group(track) not in kept)


def _run_ns(track: Track) -> int:
    return _ns(track, track.reached - track.begun) if track.begun >= 0 else 0


def _member(tracks: Mapping[int, Track], members: Sequence[Member], number: int, part: int) -> Member:
    key = _group(tracks[number])
    group = next((member.group for member in members if _group(tracks[member.track]) == key), number)
    return Member(number, group, part)


def _group(track: Track) -> tuple[object, ...]:
    config = track.configs.get(track.config)
    if track.info.kind != "video" or config is None:
        return ("audio", track.info.number)
    return picture_group(track.info, config)


def _ns(track: Track, time: int) -> int:
    return time * NS // track.info.timescale
