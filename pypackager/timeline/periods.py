"""When a period opens (docs/design/time.md): for what happens to the channel, never for what one layer does alone.

Theory of operation. A hole in all tracks is a period. So is a change of clock or configuration of the reference (the first video layer that
goes on) when at least half of the tracks that go on change with it: the encoder restarted. A track that has no row yet in the open period
joins it whatever it brings. Where a lone layer changes its clock, its times go on after a gap: no format needs a period for that. Where it
changes its configuration, what it brings is listed from the next period on, because a DASH Representation has one configuration; a layer
that has been true to its old or its new configuration for `PROVEN_NS` opens that period itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Protocol

from pypackager.timeline.pending import Fragment, TrackLine
from pypackager.timeline.times import SECOND_NS

BREAK_NS = SECOND_NS // 10
"""A hole in all tracks from here on is a discontinuity: a period opens."""
PROVEN_NS = 30 * SECOND_NS
"""A lone layer's configuration that held for so long is not a fault of a few bytes."""


class Slot(Protocol):
    """What is about to be published."""

    @property
    def start_ns(self) -> int:
        """Where its leading fragment starts."""
        ...

    @property
    def members(self) -> Mapping[int, Sequence[Fragment]]:
        """Fragments by track number."""
        ...


def differ(one: int | None, other: int | None) -> bool:
    """Whether two clock offsets are of two clocks; what came before a restart of the daemon has none, and starts behind a hole."""
    return one is not None and other is not None and one != other


def alike(fragments: Sequence[Fragment]) -> list[Fragment]:
    """The first ones, as far as they are of one clock and configuration: where that changes, the rest is the next slot's."""
    first = fragments[0]
    return list(takewhile(lambda f: f.config == first.config and not differ(f.offset_s, first.offset_s), fragments))


def opens_period(slot: Slot, last_end_ns: int | None, lines: Iterable[TrackLine], period: int) -> bool:
    """Whether the slot starts a new period: the first one, a hole in everything, a restart of the encoder, a proven change."""
    lines = list(lines)
    if last_end_ns is None or hole_ns(slot, last_end_ns, lines) is not None:
        return True
    lines = [line for line in lines if line.config is not None and line.period == period]
    changed = [line for line in lines if _changes(line, slot)]
    if not changed:
        return False
    # Who is not in the slot and could be goes on, too: it is late by less than anyone waits.
    going = [line for line in lines if line.info.number in slot.members or (line.feeds and not line.late)]
    reference = min((line for line in going if line.info.kind == "video"), key=lambda line: line.info.number, default=changed[0])
    if reference in changed and 2 * len(changed) >= len(going):
        return True
    return any(_new_config(line, slot) and _is_proven(line, slot) for line in changed)


def hole_ns(slot: Slot, last_end_ns: int, lines: Iterable[TrackLine]) -> int | None:
    """Where all tracks have nothing for longer than `BREAK_NS`, between what is published and the slot's leading fragment."""
    reach = last_end_ns
    spans = [(line.ns(f.time), line.ns(f.end)) for line in lines for f in slot.members.get(line.info.number, ())]
    for start_ns, end_ns in sorted(span for span in spans if span[0] < slot.start_ns):
        if start_ns - reach > BREAK_NS:
            return reach
        reach = max(reach, end_ns)
    return reach if slot.start_ns - reach > BREAK_NS else None


def held_back(slot: Slot, lines: Iterable[TrackLine], period: int) -> list[TrackLine]:
    """The lone layers whose new configuration cannot be listed in the open period; their fragments are counted."""
    found: list[TrackLine] = []
    for line in lines:
        if line.config is None or line.period != period or not _new_config(line, slot):
            continue
        found.append(line)
        for fragment in slot.members[line.info.number]:
            if fragment.config != line.candidate:
                line.candidate, line.candidate_ns = fragment.config, 0
            line.candidate_ns += line.ns(fragment.duration)
    return found


def _changes(line: TrackLine, slot: Slot) -> bool:
    members = slot.members.get(line.info.number, ())
    return bool(members) and (_new_config(line, slot) or differ(members[0].offset_s, line.offset_s))


def _new_config(line: TrackLine, slot: Slot) -> bool:
    members = slot.members.get(line.info.number, ())
    return bool(members) and members[0].config != line.config


def _is_proven(line: TrackLine, slot: Slot) -> bool:
    config = slot.members[line.info.number][0].config
    return line.held_ns >= PROVEN_NS or (line.candidate == config and line.candidate_ns >= PROVEN_NS)
