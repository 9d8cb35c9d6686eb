"""The rows of a slot: which period and HLS segment each fragment goes to, and the holes between them (docs/design/chunk.md).

In: slots, lines, the channel's segments. Out: rows; the lines are moved past them. Never: a decision when something is published.

A fragment goes to the segment that holds its middle, also when it comes too late for its slot. Where a gap begins or ends in one track a
segment opens in all: a playlist has no word for half a gap (EXT-X-GAP, RFC 8216bis 4.4.4.7), and the renditions' media sequences agree. A
gap inside a slot opens one in its track alone. No segment grows beyond the target duration (4.4.3.1).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import msgspec

from pypackager.model.records import FLAG_CLOSES, FLAG_GAP, FLAG_OPENS, FLAG_PERIOD, Row
from pypackager.timeline.edge import MISALIGNED_NS, Slot
from pypackager.timeline.outage import frame_border
from pypackager.timeline.pending import Fragment, TrackLine
from pypackager.timeline.rhythm import Segmenter, rounded_seconds
from pypackager.timeline.times import from_ns


def rows_of(slot: Slot, lines: Iterable[TrackLine], rhythm: Segmenter, period: int, *, closes: bool, new_period: bool) -> list[Row]:
    """The rows of a slot, in track order.

    Args:
        slot: what is published.
        lines: all tracks.
        rhythm: the channel's segments; the slot is placed in them.
        period: the open period.
        closes: the slot is its segment's last.
        new_period: the slot opened the period.
    """
    rows: list[Row] = []
    missing = {id(line) for line in slot.missing}
    for line in sorted(lines, key=lambda line: line.info.number):
        fragments = slot.members.get(line.info.number, [])
        if not fragments and id(line) not in missing:
            continue
        before = len(rows)
        holes = [_hole(line, slot, fragments, new_period=new_period, in_new_period=line.period != period)]
        # A fragment that waited to grow is listed with what came behind it.
        holes += [_between(line, one.end, other.time) for one, other in pairwise(fragments)]
        for n, (begin, end) in enumerate(holes):
            if end > begin > line.last_time:
                for first, last in _parts(line, slot, rhythm, begin, end):
                    rows.append(row_of(line, rhythm, period, first, last - first, FLAG_GAP))
                    line.last_time, line.edge, line.last_size = first, last, 0
            for fragment in fragments[n : n + 1]:
                rows.append(row_of(line, rhythm, period, fragment.time, fragment.duration, flags_of(fragment)))
                line.published(fragment)
        if fragments:
            line.retired = False
            if line.info.kind == "video" and line is not slot.leader:
                line.misaligned = abs(line.ns(fragments[0].time) - slot.start_ns) > MISALIGNED_NS
        if closes and len(rows) > before and _middle_ns(line, rows[-1].time, rows[-1].duration) >= slot.start_ns:
            rows[-1] = msgspec.structs.replace(rows[-1], flags=rows[-1].flags | FLAG_CLOSES)
            line.closed = True
    return rows


def turns(slot: Slot, lines: Iterable[TrackLine]) -> bool:
    """Whether a gap begins or ends in a track with the slot."""
    missing = {id(line) for line in slot.missing}
    heads = ((line, slot.members.get(line.info.number)) for line in lines)
    return any(line.gap != (not inside or inside[0].lost) for line, inside in heads if inside or id(line) in missing)


def flags_of(fragment: Fragment) -> int:
    """Of its row: what the disk did not take is a gap."""
    return FLAG_GAP if fragment.lost else fragment.flags


def row_of(line: TrackLine, rhythm: Segmenter, period: int, time: int, duration: int, flags: int) -> Row:
    """The next row of a track, of the segment that it goes to.

    A track's media sequence number is its last one plus one whenever a segment opens; a track that joins takes the channel's, and so does
    one that is behind it when a period opens, where numbers are those of other data centres, too.
    """
    place, gap = rhythm.segment_at(_middle_ns(line, time, duration)), bool(flags & FLAG_GAP)
    if line.segment is None or line.period != period:
        opens = True
        flags |= FLAG_PERIOD
    else:
        too_long = rounded_seconds(line.ns(time + duration) - line.opened_ns) > rhythm.rhythm.target_duration_s
        opens = line.closed or place > line.place or gap != line.gap or too_long
    if opens:
        joins = line.segment is None or (rhythm.shared and line.period != period and place > line.segment)
        line.segment = place if joins else (line.segment or 0) + 1
        line.place, line.opened_ns = place, line.ns(time)
        line.period, line.closed = period, False
        flags |= FLAG_OPENS
    line.gap = gap
    return Row(line.info.number, time, duration, line.segment or 0, flags)


def _middle_ns(line: TrackLine, time: int, duration: int) -> int:
    return (line.ns(time) + line.ns(time + duration)) // 2


def _parts(line: TrackLine, slot: Slot, rhythm: Segmenter, begin: int, end: int) -> list[tuple[int, int]]:
    """A hole in parts that a segment can hold, where it is too long for one: a layer that does not align lacks more than the slot."""
    target = rhythm.rhythm.target_duration_s
    if rounded_seconds(line.ns(end) - line.ns(begin)) <= target:
        return [(begin, end)]
    borders = [end, max(begin, min(end, from_ns(slot.start_ns, line.info.timescale)))]
    while rounded_seconds(line.ns(borders[-1]) - line.ns(begin)) > target:
        borders.append(borders[-1] - target * line.info.timescale)
    borders.append(begin)
    return [(first, last) for first, last in pairwise(reversed(borders)) if first < last]


def _hole(line: TrackLine, slot: Slot, fragments: list[Fragment], *, new_period: bool, in_new_period: bool) -> tuple[int, int]:
    """What is to be listed as a gap before the slot's fragments of a track, or in their place."""
    scale = line.info.timescale
    if fragments:
        begin, end = line.edge, fragments[0].time
        if begin is None or line.segment is None or in_new_period:
            return 0, 0
        return _between(line, begin, end)
    start = from_ns(slot.start_ns, scale)
    begin = start if line.edge is None else max(line.edge, start) if new_period else line.edge
    end = from_ns(slot.end_ns, scale)
    if not slot.members:
        end = frame_border(line, begin, end, slot.start_ns)
    if line.waiting:
        return begin, min(end, line.waiting[0].time)
    pictures_under_sound = line.info.kind == "video" and slot.leader.info.kind == "audio"
    return begin, _key_frame(line, begin, end) if pictures_under_sound else _own_end(line, slot, begin, end)


def _key_frame(line: TrackLine, begin: int, end: int) -> int:
    """Where a gap of pictures up to the end of a slot of sound ends: sound that is cut at a key frame may end a frame behind it."""
    if line.begun is None or not line.usual_ns:
        return end
    usual = from_ns(line.usual_ns, line.info.timescale)
    due = line.begun + (end - line.begun + usual // 2) // usual * usual
    return due if due > begin and abs(due - end) <= line.tolerance else end


def _between(line: TrackLine, begin: int, end: int) -> tuple[int, int]:
    """What of a hole between two fragments is listed as a gap: all of it or nothing.

    A frame or two that an encoder leaves out (a playlist's seam, a connection that was cut) players play over: a gap would cost them a
    whole segment, and the renditions' numbers would part.
    """
    return (begin, end) if line.ns(end) - line.ns(begin) >= MISALIGNED_NS else (0, 0)


def _own_end(line: TrackLine, slot: Slot, begin: int, end: int) -> int:
    """Where a gap of sound up to the end of a slot ends on its own grid: a gap over the start of its next fragment would cost that, too."""
    if line.info.kind != "audio":
        return end
    own = begin + from_ns(line.usual_ns or 0, line.info.timescale)
    elsewhere = line.tolerance < abs(own - end) < (own - begin) // 2
    return own if elsewhere else frame_border(line, begin, end, slot.start_ns)
