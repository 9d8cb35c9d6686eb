"""The published edge: which fragments are listed next, and when (docs/design/chunk.md).

Theory of operation. Fragments wait in their track's line. The next fragment of the reference, the first live video track, spans a *slot*
[start, end); where the reference has a hole, or there is no video, the earliest fragment does. Every track's fragments whose middle lies
before the slot's end belong to it: aligned layers give one each, audio that is cut elsewhere gives the nearest ones. The slot is published
when every live track has reached its end, or at a deadline of one fragment after the first of it arrived; a track that should have had a
fragment there gets a gap row. What is published is frozen, and on the disk: a fragment that could not be written is a gap of its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile

import msgspec

from pypackager.timeline.order import awaited_until_ns
from pypackager.timeline.pending import RECONNECT_NS, RESENT, STUBBORN, Fragment, TrackLine
from pypackager.timeline.periods import alike
from pypackager.timeline.times import SECOND_NS

MISALIGNED_NS = SECOND_NS // 10
"""A layer whose fragment starts so far from the leader's does not align."""
JITTER_NS = SECOND_NS // 2
"""Sound that fills a hole may be the beginning of another source's next fragment: that comes a fragment later, give or take this. So much
has a track that is late and a moment behind the others, too."""
UNUSUAL = 3
"""A fragment longer than so many intervals of the channel is no measure for the others."""


class Slot(msgspec.Struct):
    """What is published in one step."""

    start_ns: int
    end_ns: int
    leader: TrackLine
    head: Fragment
    members: dict[int, list[Fragment]]
    """Fragments of each track, by track number."""
    missing: list[TrackLine]
    """Tracks that reach the slot and have nothing in it."""


class Held(msgspec.Struct):
    """Nothing can be published before `until_ns`, unless more arrives."""

    until_ns: int


def next_slot(
    lines: Iterable[TrackLine],
    now_ns: int,
    limit_ns: int,
    last_ns: int,
    until_ns: int | None = None,
    *,
    reorder: int = 0,
    merge_ns: int = 0,
    at_once: bool = False,
) -> Slot | Held | None:
    """The next slot to publish, or how long to wait for the tracks that are behind, or None when nothing waits.

    Args:
        lines: all tracks of the channel; those that miss the deadline are marked late.
        now_ns: monotonic time of the call, on the same clock as `Fragment.arrived_ns`.
        limit_ns: the configured shortest deadline.
        last_ns: monotonic time of the last publication: a track that sends faster than real time does not use up the time of the others.
        until_ns: media time up to which is published now (pace.py); None: all of it.
        reorder: so many fragments late may one come that its connection has passed over.
        merge_ns: how much longer than the deadline a hole waits for another source that may fill it.
        at_once: nobody waits for an encoder that is gone.
    """
    lines = list(lines)
    leading = _leading(lines, now_ns, limit_ns, last_ns)
    if leading is None or isinstance(leading, Held):
        return leading
    leader, head = leading
    start_ns, end_ns = leader.ns(head.time), leader.ns(head.end)
    if until_ns is not None and (early_ns := _reach(lines, end_ns) - until_ns) > 0:
        return Held(now_ns + early_ns)
    grace_ns = _grace(end_ns - start_ns, limit_ns)
    late_ns = [until for line in lines if (until := awaited_until_ns(line, end_ns, reorder, grace_ns)) is not None and now_ns < until]
    if late_ns:
        # Of the others nobody has missed anything: the slot may be another one.
        return Held(min(late_ns))
    begun_of = [(line, line.begun_before(end_ns)) for line in lines]
    # What is left of the slot before says nothing of when this one began to come.
    arrived_ns = min(f.arrived_ns for line, begun in begun_of for f in begun if line.ns(f.time) + line.ns(f.end) >= 2 * start_ns)
    back_ns = None if at_once else _back_ns(lines)
    deadline = max(arrived_ns + grace_ns, back_ns or 0)
    held: list[int] = []
    for line, begun in begun_of:
        grows_until = _grows_until(begun, now_ns, grace_ns)
        if grows_until is not None:
            if line is leader or _is_waited_for(line, lines, limit_ns):
                held.append(grows_until)
            continue
        if line.vain < STUBBORN and (since_ns := line.lacks_ns(end_ns)) is not None:
            # What showed it may have waited for this slot itself.
            until = max(since_ns, head.arrived_ns) + grace_ns + merge_ns + (JITTER_NS if line.info.kind == "audio" else 0)
            if now_ns < until:
                held.append(until)
                continue
            line.waited_in_vain(since_ns)
        if not _behind(line, begun, start_ns, end_ns, now_ns, grace_ns if back_ns is None else max(grace_ns, RECONNECT_NS)):
            continue
        until = max(deadline, last_ns + 2 * grace_ns) if line.is_steady() else deadline
        if line.awaited_ns is not None:
            until = max(until, line.awaited_ns + RESENT * grace_ns)
        if line.late:
            until = head.arrived_ns + min(JITTER_NS, grace_ns // 4)
        if now_ns < until:
            held.append(until)
        elif line.late:
            line.follows = False
        elif line.awaited_ns is None or arrived_ns >= line.awaited_ns:
            # What an encoder left when it went away says nothing of the one that came back.
            line.missed()
    if held:
        return Held(min(held))
    if alone := _sound_alone(lines, start_ns):
        leader, head = alone
        picture_ns, start_ns, end_ns = start_ns, leader.ns(head.time), leader.ns(head.end)
        # What is left before the picture is too short for a gap of its own.
        end_ns = picture_ns if abs(picture_ns - end_ns) <= MISALIGNED_NS else end_ns
    members: dict[int, list[Fragment]] = {}
    missing: list[TrackLine] = []
    for line in lines:
        complete = takewhile(lambda f: not _grows(f, now_ns, grace_ns), line.begun_before(end_ns))
        inside = [f for f in complete if line.ns(f.time) + line.ns(f.end) < 2 * end_ns]
        if inside:
            # Where the clock or the configuration changes inside the slot, the new part is the next slot's: a period may open between them.
            members[line.info.number] = alike(inside)
        elif _misses(line, start_ns, end_ns):
            missing.append(line)
    return Slot(start_ns, end_ns, leader, head, members, missing)


def settle(slot: Slot, lines: Iterable[TrackLine]) -> None:
    """A slot is about to be published: takes note of who was in time, and whose holes were filled."""
    for line in lines:
        inside = slot.members.get(line.info.number)
        if inside is None:
            continue
        if line.vain and line.lacks_ns(slot.end_ns) is None:
            line.vain = 0
        if not all(fragment.partial for fragment in inside):
            line.was_in_time()
    for line in slot.missing:
        line.proven = 0


def _back_ns(lines: list[TrackLine]) -> int | None:
    """Until when an encoder may come back that was cut off inside the slot; None when one is there, or has brought more since."""
    if any(line.feeds or len(line.waiting) > 1 for line in lines):
        return None
    return max((line.left_ns + RECONNECT_NS for line in lines if line.left_ns is not None), default=None)


def _reach(lines: Iterable[TrackLine], end_ns: int) -> int:
    """Where the last fragment of a slot ends: of layers that are not aligned, behind the slot."""
    waiting = ((line, f) for line in lines for f in line.begun_before(end_ns))
    return max((line.ns(f.end) for line, f in waiting if line.ns(f.time) + line.ns(f.end) < 2 * end_ns), default=end_ns)


def _grace(slot_ns: int, limit_ns: int) -> int:
    """How long the others are waited for: as long as the fragment, but one of unusual length, or a lie about it, does not count."""
    return min(max(slot_ns, limit_ns), UNUSUAL * limit_ns)


def _grows(fragment: Fragment, now_ns: int, grace_ns: int) -> bool:
    """Whether a fragment may still grow: its sender cuts GOPs, and the next chunk is not overdue."""
    return bool(fragment.held) and now_ns < fragment.arrived_ns + 2 * grace_ns


def _grows_until(begun: Sequence[Fragment], now_ns: int, grace_ns: int) -> int | None:
    """Until when one of the fragments that start before the slot's end may grow at most."""
    growing = (f for f in begun if _grows(f, now_ns, grace_ns))
    return next((f.arrived_ns + 2 * grace_ns for f in growing), None)


def _is_waited_for(line: TrackLine, lines: Iterable[TrackLine], limit_ns: int) -> bool:
    """Whether the others wait until a fragment of this track has grown: not for one that joins, goes its own way, or is very long."""
    joins = line.segment is None and any(other.segment is not None for other in lines)
    longest_ns = max(line.ns(f.duration) for f in line.waiting)
    return not (joins or line.late or line.misaligned or longest_ns > UNUSUAL * limit_ns)


def _leading(lines: list[TrackLine], now_ns: int, limit_ns: int, last_ns: int) -> tuple[TrackLine, Fragment] | Held | None:
    heads = [(line, line.waiting[0]) for line in lines if line.waiting]
    video = [(line, head) for line, head in heads if line.info.kind == "video"]
    if not heads:
        return None
    if not video:
        # Audio came first: it must not open the timeline alone while video is about to come.
        grace_ns = 2 * _grace(max(line.ns(head.duration) for line, head in heads), limit_ns)
        until = min(head.arrived_ns for _, head in heads) + grace_ns
        expected = [line for line in lines if line.info.kind == "video" and not line.late and line.live(now_ns, grace_ns)]
        if any(line.is_steady() for line in expected):
            until = max(until, last_ns + grace_ns)
        if expected and now_ns < until:
            return Held(until)
        for line in expected:
            line.missed()
    leaders = [line for line in lines if line.info.kind == "video" and not line.late and line.live(now_ns, limit_ns)]
    # A fragment of unusual length is listed where its middle lies, but makes no slot while another layer can.
    odd = [item for item in video if item[0].ns(item[1].duration) > UNUSUAL * limit_ns]
    if odd and any(line not in [other for other, _ in odd] for line in leaders):
        leaders = [line for line in leaders if line not in [other for other, _ in odd]]
        video = [item for item in video if item not in odd] or odd
    line, head = min(video or heads, key=lambda item: (item[0].ns(item[1].time), item[0].info.number))
    start_ns, half_ns = line.ns(head.time), line.ns(head.duration) // 2
    grace_ns = _grace(2 * half_ns, limit_ns)
    reference = min(leaders, key=lambda other: other.info.number, default=line)
    if line.info.kind != "video" or reference is line:
        return line, head
    if reference.waiting:
        first = reference.waiting[0]
        joins = reference.edge is not None and reference.ns(first.time) - reference.ns(reference.edge) < MISALIGNED_NS
        return (reference, first) if joins or reference.ns(first.time) - start_ns <= half_ns else (line, head)
    if reference.edge is not None:
        # It is listed with the reference's next fragment: slots of both would break segments up.
        until = head.arrived_ns + grace_ns
        if reference.is_steady():
            # A head that has been there for long, or is a lie, says nothing of the reference.
            until = max(until, last_ns + 2 * grace_ns)
        until = max(until, reference.back_ns(grace_ns))
        if now_ns < until:
            return Held(until)
        reference.missed()
    return line, head


def _sound_alone(lines: Iterable[TrackLine], start_ns: int) -> tuple[TrackLine, Fragment] | None:
    """Sound that goes on behind a hole of all tracks, before the first picture that can be decoded: it makes slots in the pictures' gap."""
    known = [line for line in lines if line.segment is not None]
    pictures = [line for line in known if line.info.kind == "video" and not line.retired]
    heads = [(line, line.waiting[0]) for line in lines if line.info.kind == "audio" and line.waiting]
    if not heads or not pictures:
        return None
    line, head = min(heads, key=lambda item: item[0].ns(item[1].time))
    reach_ns = max(other.ns(other.edge or 0) for other in known)
    in_gap = line.ns(head.time) - reach_ns > MISALIGNED_NS or all(other.gap for other in pictures)
    before = start_ns - line.ns(head.time) > MISALIGNED_NS and line.ns(head.end) - start_ns <= MISALIGNED_NS
    return (line, head) if in_gap and before else None


def _behind(line: TrackLine, begun: Sequence[Fragment], start_ns: int, end_ns: int, now_ns: int, grace_ns: int) -> bool:
    """Whether the slot has to wait for this track, of which some fragments start before its end."""
    if (line.late and not line.follows) or not line.live(now_ns, grace_ns):
        return False
    if any(fragment.partial for fragment in begun):
        return True
    if line.waiting and line.ns(line.waiting[0].time) >= end_ns:
        # It is past the slot: only a second source can still fill the hole.
        return len(line.feeds) > 1
    reach = line.ns(line.waiting[-1].end if line.waiting else line.edge or 0)
    return reach + line.patience_ns(end_ns - start_ns) < end_ns


def _misses(line: TrackLine, start_ns: int, end_ns: int) -> bool:
    """Whether a track with nothing in the slot has a hole there (and not a longer fragment over it, or one that is still to come)."""
    if line.retired or line.edge is None or line.segment is None:
        return False
    if line.waiting and line.ns(line.waiting[0].time) - line.ns(line.edge) < MISALIGNED_NS:
        return False
    return line.ns(line.edge) + line.patience_ns(end_ns - start_ns) < end_ns
