"""An outage of one of two data centres: a hole in all tracks that is no discontinuity (docs/design/publication.md).

In: the slot behind a hole. Out: the slots that the other data centre has in it. Never: a fragment.

Theory of operation. A hole in all tracks opens a period, and HLS counts a discontinuity. Where an encoder's times are shared with another
data centre, which had no hole, the two then say different things of one media sequence number, and players that are moved there take no
newer playlist. Nothing but media is missing, though, when the encoder that comes back has the clock and the configurations of the one that
left, and the hole is of whole segments: then each of them is a gap in the open period, under the number and the name that it has elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from pypackager.timeline.edge import MISALIGNED_NS, Slot
from pypackager.timeline.pending import ROUNDING_NS, TrackLine
from pypackager.timeline.periods import differ, hole_ns
from pypackager.timeline.rhythm import Segmenter
from pypackager.timeline.times import SECOND_NS, from_ns

LONGEST_NS = 600 * SECOND_NS
"""What was away for longer begins anew: its gaps would be rows without end."""


def slots_of(slot: Slot, last_end_ns: int, lines: Sequence[TrackLine], rhythm: Segmenter, period: int) -> list[Slot]:
    """The slots of a hole before a slot, in order; none where the hole is a discontinuity.

    Args:
        slot: what is about to be published.
        last_end_ns: end of what is published, of all tracks.
        lines: all tracks.
        rhythm: the channel's segments.
        period: the open period.
    """
    begin_ns = hole_ns(slot, last_end_ns, lines)
    if begin_ns is None or slot.head.index >= 0:
        return []
    places = _places(rhythm, begin_ns, slot.start_ns)
    gone = [line for line in lines if line.period == period and not line.retired]
    if not gone or not all(_goes_on(line, slot, begin_ns) for line in gone):
        return []
    interval_ns = rhythm.rhythm.interval_ns
    return [Slot(n * interval_ns, (n + 1) * interval_ns, slot.leader, slot.head, {}, gone) for n in places]


def sound_begins(line: TrackLine, time: int, rhythm: Segmenter) -> int | None:
    """Where sound at a time, behind an outage, begins in the other data centre; None where that is not known.

    An encoder that is back may begin a frame or two before the border of its pictures.
    """
    if line.edge is None or line.segment is None or line.waiting or not line.frame or line.ns(time - line.edge) <= MISALIGNED_NS:
        return None
    places = _places(rhythm, line.ns(line.edge), line.ns(time))
    if not places:
        return None
    start_ns, stop_ns = (place * rhythm.rhythm.interval_ns for place in (places.start, places.stop))
    return frame_border(line, line.edge, from_ns(stop_ns, line.info.timescale), start_ns)


def _places(rhythm: Segmenter, begin_ns: int, end_ns: int) -> range:
    """The places on the grid of intervals that a hole leaves out; none where it is not of whole segments that another data centre has."""
    if not rhythm.shared or end_ns - begin_ns > LONGEST_NS:
        return range(0)
    first, stop, interval_ns = rhythm.position(begin_ns), rhythm.position(end_ns), rhythm.rhythm.interval_ns
    off_ns = max(abs(begin_ns - first * interval_ns), abs(end_ns - stop * interval_ns))
    whole = not any(place % rhythm.rhythm.fragments_per_segment for place in (first, stop))
    return range(first, stop) if whole and off_ns <= MISALIGNED_NS else range(0)


def _goes_on(line: TrackLine, slot: Slot, begin_ns: int) -> bool:
    """Whether a track is there before and behind the hole, by one clock and in one configuration."""
    members = slot.members.get(line.info.number)
    if not members or line.edge is None or abs(line.ns(line.edge) - begin_ns) > MISALIGNED_NS:
        return False
    return members[0].config == line.config and not differ(members[0].offset_s, line.offset_s)


def frame_border(line: TrackLine, begin: int, end: int, start_ns: int) -> int:
    """Where the other data centre has a border of sound that pictures have at `end`: on the grid of frames that `begin` lies on.

    Encoders begin a fragment of sound with the first frame behind the picture's border, or with the last one before it: as they did at
    `start_ns`, where that was at `begin`.
    """
    if not line.frame:
        return end
    count, rest = divmod(end - begin, line.frame)
    behind = line.ns(begin) >= start_ns - ROUNDING_NS
    # Less than half a millisecond is the rounding of the picture's border.
    return begin + (count + (behind and rest > from_ns(SECOND_NS // 2000, line.info.timescale))) * line.frame
