"""The Adaptation Sets of a DASH Period: which tracks it lists, which of their rows, and which of them players may switch between.

In: a presentation, one of its periods. Out: rows of tracks in groups. Never: text.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.track import TrackConfig, picture_group
from pypackager.packaging.choices import Sound
from pypackager.packaging.timing import NS, from_ns
from pypackager.packaging.window import config_at, end_time, first_media

_REACH_NS = NS // 10
"""A row that reaches no further into a part of a period is not of it: audio frames do not end where pictures do."""


class Listed(msgspec.Struct, frozen=True):
    """A track's rows [start, stop) of a period, with the configuration they have there."""

    track: TrackWindow
    start: int
    stop: int
    config: TrackConfig
    group: int
    """Member.group."""


def adaptation_sets(presentation: Presentation, index: int, spoken: dict[int, Sound]) -> Iterator[list[Listed]]:
    """Representations that a player may switch between: pictures of one codec family and shape, or one sound in one codec."""
    period = presentation.periods[index]
    groups = None if period.members is None else {member.track: member.group for member in period.members}
    sets: dict[tuple[object, ...], list[Listed]] = {}
    for track in presentation.tracks:
        number = track.info.number
        group = number if groups is None else groups.get(number)
        if group is None:
            continue
        start, stop = _rows(presentation, index, track)
        row = first_media(track, start, stop)
        if row is None:
            continue
        config = config_at(track, row)
        video = track.info.kind == "video"
        key = picture_group(track.info, config) if video else ("audio", spoken[number].name, config.codec)
        sets.setdefault(key, []).append(Listed(track, start, stop, config, group))
    # Video first: the order says nothing in DASH, but simple players take the first set for the main one.
    yield from sorted(sets.values(), key=lambda members: members[0].track.info.kind != "video")


def _rows(presentation: Presentation, index: int, track: TrackWindow) -> tuple[int, int]:
    """The rows of a period: of a part of one all that reach into it, so that one which lies over its border is in both parts."""
    periods = presentation.periods
    period, following = periods[index], periods[index + 1] if index + 1 < len(periods) else None
    start, stop = 0, len(track.time)
    if periods[0].number != periods[-1].number:
        start, stop = (int(track.period.searchsorted(number)) for number in (period.number, period.number + 1))
    if period.part:
        border = from_ns(period.start_ns + _REACH_NS, track.info.timescale)
        row = int(track.time.searchsorted(border, "right"))
        start = min(max(start, row - (row > 0 and end_time(track, row - 1) > border)), stop)
    if following is not None and following.number == period.number:
        border = from_ns(following.start_ns - _REACH_NS, track.info.timescale)
        stop = max(start, min(stop, int(track.time.searchsorted(border))))
    return start, stop


def aligned(members: list[Listed]) -> bool:
    """All members have the same rows."""
    first = members[0]
    rows = first.stop - first.start
    return all(
        other.stop - other.start == rows
        and other.track.info.timescale == first.track.info.timescale
        and (not rows or int(other.track.time[other.start]) == int(first.track.time[first.start]))
        and (not rows or int(other.track.time[other.stop - 1]) == int(first.track.time[first.stop - 1]))
        for other in members[1:]
    )
