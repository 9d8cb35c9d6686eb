"""Publishes slots: the rhythm, periods, segments and peaks that go with the rows (docs/design/chunk.md, publication.md)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from pypackager.model.records import FLAG_GAP, Peak, Row, TargetRaised
from pypackager.timeline.edge import MISALIGNED_NS, Held, Slot, next_slot, settle
from pypackager.timeline.feeds import Feed, Now
from pypackager.timeline.gops import may_grow
from pypackager.timeline.outage import slots_of
from pypackager.timeline.pending import Fragment, TrackLine
from pypackager.timeline.periods import differ, held_back, hole_ns, opens_period
from pypackager.timeline.ports import Alert, Options, Store
from pypackager.timeline.rhythm import UTC_NS, Segmenter, measure
from pypackager.timeline.rows import flags_of, row_of, rows_of, turns
from pypackager.timeline.sessions import MAX_TIME_NS
from pypackager.timeline.start import LONGEST_NS, SHORTEST_NS, held_until_ns, surely_whole
from pypackager.timeline.times import SECOND_NS


class Publisher:
    """The published edge of one channel.

    Args:
        options: the configuration.
        store: where rows and decisions go.
        alert: called with (code, detail, track) for the operator.
        lines: the tracks by id.
        finish: writes a fragment that was held because it might grow; one that cannot be written leaves its line.
    """

    def __init__(
        self, options: Options, store: Store, alert: Alert, lines: Mapping[str, TrackLine], finish: Callable[[TrackLine, Fragment], None]
    ) -> None:
        self.rhythm: Segmenter | None = None
        """None until the first publication, of all or since a reset."""
        self.first_segment = 0
        """The number of the first segment is not below this."""
        self.period = -1
        self.last_end_ns: int | None = None
        """End of what is published, of all tracks."""
        self._unusual = self._varying = 0
        """Fragments in a row whose length is outside the specification, or not the channel's."""
        self._last_ns = -MAX_TIME_NS
        """Monotonic time of the last publication."""
        self._options = options
        self._store = store
        self._alert = alert
        self._lines = lines
        self._finish = finish

    def advance(self, feeds: Collection[Feed], now: Now, until_ns: int | None, *, at_once: bool = False) -> int | None:
        """Publishes every slot that is complete or past its deadline; says (monotonic) when to try again though nothing came.

        Args:
            feeds: all connections.
            now: the instant of the call.
            until_ns: media time up to which is published now (pace.py); None: all of it.
            at_once: nobody waits for an encoder that is gone.
        """
        if self.rhythm is None:
            waiting = [line for line in self._lines.values() if line.waiting]
            if (until := held_until_ns(waiting, feeds, self._options)) is not None and now.mono_ns < until:
                return until
            for line in surely_whole(waiting):
                self._finish(line, line.waiting[0])
        while True:
            # A fragment that broke off is short: the deadline is one usual fragment all the same.
            usual_ns = self.rhythm.rhythm.interval_ns if self.rhythm is not None else 0
            limit_ns = max(self._options.limit_ns, usual_ns)
            slot = next_slot(
                self._lines.values(),
                now.mono_ns,
                limit_ns,
                self._last_ns,
                until_ns,
                reorder=self._options.reorder,
                merge_ns=self._options.merge_ns,
                at_once=at_once,
            )
            if not isinstance(slot, Slot):
                return slot.until_ns if isinstance(slot, Held) else None
            # What is listed is written, and where that fails the slot is another one.
            if self._finish_all(slot):
                continue
            if any(fragment.unwritten for fragments in slot.members.values() for fragment in fragments):
                # Only the disk knows whether it is a fragment or a gap; when it has said so we are called.
                return None
            self._publish(slot, now)

    def _finish_all(self, slot: Slot) -> bool:
        held = [(line, f) for line in self._lines.values() for f in slot.members.get(line.info.number, ()) if f.held]
        for line, fragment in held:
            self._finish(line, fragment)
        return bool(held)

    def _finish_usual(self, interval_ns: int) -> None:
        """The rhythm is known: what was held for want of it, and is as long, does not wait for what might continue it.

        A layer whose first key frame is the second one of the others' joins them with it, in its own slot.
        """
        for line in self._lines.values():
            for fragment in [f for f in line.waiting if f.held and not may_grow(line, f, interval_ns)]:
                self._finish(line, fragment)

    def _publish(self, slot: Slot, now: Now) -> None:
        lines = list(self._lines.values())
        settle(slot, lines)
        new_period = self.rhythm is None or opens_period(slot, self.last_end_ns, lines, self.period)
        if new_period and self.rhythm is not None and self.last_end_ns is not None:
            gaps = slots_of(slot, self.last_end_ns, lines, self.rhythm, self.period)
            for gap in gaps:
                self._list(gap, lines, self.rhythm, now, new_period=False)
            new_period = not gaps
        if not new_period and not self._hold_back(slot, lines):
            return
        if self.rhythm is None:
            self.rhythm = self._measure(slot)
            self._finish_usual(self.rhythm.rhythm.interval_ns)
        self._habits(slot, self.rhythm.rhythm.interval_ns)
        if new_period:
            if self.last_end_ns is not None and self.period >= 0:
                hole_s = max(0, slot.start_ns - self.last_end_ns) / SECOND_NS
                self._alert("DISCONTINUITY", f"a period opens at {slot.start_ns / SECOND_NS:.3f} s, {hole_s:.3f} s behind the one before")
            self._finish_period(slot, self.rhythm)
            self.period += 1
            first = min(line.ns(slot.members[n][0].time) for line in lines if (n := line.info.number) in slot.members)
            # A track that changes its clock or configuration within what the others have published does not pull the period back over it.
            self._store.open_period(max(first, (self.last_end_ns or first) - MISALIGNED_NS))
            for line in slot.missing:
                line.retired = not line.feeds
            slot.missing = [line for line in slot.missing if not line.retired]
        self._list(slot, lines, self.rhythm, now, new_period=new_period)

    def _list(self, slot: Slot, lines: Sequence[TrackLine], rhythm: Segmenter, now: Now, *, new_period: bool) -> None:
        """Publishes the rows of a slot, in a period that is open."""
        index = slot.head.index if slot.members else -1
        opens, closes = rhythm.place(slot.start_ns, slot.end_ns, index, period=new_period, turns=turns(slot, lines))
        if slot.members:
            self._raise_target(rhythm, slot)
            self._measure_peaks(slot, rhythm.rhythm.target_duration_s * SECOND_NS)
        rows = rows_of(slot, lines, rhythm, self.period, closes=closes, new_period=new_period)
        self._warn(slot, rows)
        if opens and self._store.roll_due(now.utc_ns):
            self._store.roll(now.utc_ns)
        self._publish_rows(rows)
        edges = [line.ns(line.edge) for line in lines if line.edge is not None and line.period == self.period]
        self.last_end_ns = max([slot.end_ns, *edges])
        self._last_ns = now.mono_ns

    def _hold_back(self, slot: Slot, lines: Sequence[TrackLine]) -> bool:
        """Takes out of the slot what the open period cannot have; returns whether something is left."""
        for line in held_back(slot, lines, self.period):
            for fragment in slot.members.pop(line.info.number):
                line.remove(fragment)
            slot.missing.append(line)
            why = line.changed or "another configuration came"
            self._alert("HEADER_MISMATCH", f"{why}; it is not listed before the next period", line.info.id)
        return bool(slot.members)

    def _publish_rows(self, rows: Sequence[Row]) -> None:
        if rows:
            self._store.publish(rows)

    def _measure(self, slot: Slot) -> Segmenter:
        """The rhythm by the longer one of the leader's first two fragments: encoders, and audio grids, often start with a short one."""
        whole = [fragment for fragment in slot.leader.waiting[:2] if not fragment.partial] or [slot.head]
        longest = max(slot.leader.ns(fragment.duration) for fragment in whole)
        measured = measure(longest, self._options.interval_ns, self._options.fragments_per_segment)
        self._store.append(measured)
        return Segmenter(measured, self.first_segment, shared=self._options.mode == "source" and slot.start_ns >= UTC_NS)

    def _raise_target(self, rhythm: Segmenter, slot: Slot) -> None:
        lengths = [line.ns(f.duration) for line in self._lines.values() for f in slot.members.get(line.info.number, [])]
        raised = rhythm.raised_target(slot.end_ns, max(lengths))
        if raised is None:
            return
        self._store.append(TargetRaised(raised))
        rhythm.rhythm = msgspec.structs.replace(rhythm.rhythm, target_duration_s=raised)
        length_s = max(*lengths, slot.end_ns - slot.start_ns) / SECOND_NS
        self._alert("KEY_FRAME_INTERVAL_TOO_LONG", f"a GOP of {length_s:.3f} s raised TARGETDURATION to {raised}")

    def _finish_period(self, slot: Slot, rhythm: Segmenter) -> None:
        """Lists what of the period before still waits (audio that ends after its video) in that period."""
        rows: list[Row] = []
        hole = None if self.last_end_ns is None else hole_ns(slot, self.last_end_ns, self._lines.values())
        # What starts with the slot, or behind a hole in all tracks, is the new period's, however short it is.
        border_ns = slot.start_ns if hole is None else hole
        for line in self._lines.values():
            inside = slot.members.get(line.info.number, [])
            before = [f for f in inside if line.segment is not None and line.ns(f.time) < border_ns]
            rest = [f for f in before if line.ns(f.end) <= slot.start_ns + MISALIGNED_NS]
            # And what came by another clock, behind a hole, or of a track that the period before has nothing of.
            if rest and (line.period != self.period or differ(rest[0].offset_s, line.offset_s) or not _joins(line, rest[0])):
                rest = []
            for fragment in rest:
                rows.append(row_of(line, rhythm, line.period, fragment.time, fragment.duration, flags_of(fragment)))
                line.published(fragment)
            if rest:
                slot.members[line.info.number] = inside[len(rest) :]
                if len(rest) == len(inside):
                    del slot.members[line.info.number]
                    slot.missing.append(line)
        self._publish_rows(rows)

    def _measure_peaks(self, slot: Slot, target_ns: int) -> None:
        for line in self._lines.values():
            begin, end, size = line.last_time, line.edge, line.last_size
            for fragment in slot.members.get(line.info.number, []):
                if fragment.lost:
                    continue
                length_ns = line.ns(fragment.duration)
                bps = _rate(fragment.size, length_ns)
                if fragment.partial:
                    # A key frame and little more: it counts as far as a peak is taken over it, with the fragment before or without.
                    bps = bps if 2 * length_ns >= target_ns else 0
                    if end is not None and abs(fragment.time - end) <= line.tolerance:
                        bps = max(bps, _rate(size + fragment.size, max(line.ns(fragment.end - begin), target_ns // 2)))
                begin, end, size = fragment.time, fragment.end, fragment.size
                # A twentieth above keeps the manifest from changing at every fragment.
                if bps > line.peak_bps:
                    line.peak_bps = bps + bps // 20
                    self._store.append(Peak(line.info.number, line.peak_bps))

    def _habits(self, slot: Slot, interval_ns: int) -> None:
        """Counts the fragments in a row that are not as encoders should send them: one alone may be the last of a session, or a stump."""
        length_ns = slot.leader.ns(slot.head.duration)
        if slot.leader.info.kind != "video" or slot.head.partial:
            return
        self._unusual = 0 if SHORTEST_NS <= length_ns <= LONGEST_NS else self._unusual + 1
        self._varying = 0 if abs(length_ns - interval_ns) <= interval_ns // 10 else self._varying + 1
        if self._unusual > 1 and self._options.protocol == "fmp4":
            detail = f"fragments of {length_ns / SECOND_NS:.3f} s; players and caches want 2 to 6 s"
            self._alert("FRAGMENT_DURATION", detail, slot.leader.info.id)
        if self._varying > 1:
            detail = f"a GOP of {length_ns / SECOND_NS:.3f} s; the first ones had {interval_ns / SECOND_NS:.3f} s"
            self._alert("KEY_FRAME_INTERVAL_VARIES", detail, slot.leader.info.id)

    def _warn(self, slot: Slot, rows: Sequence[Row]) -> None:
        by_number = {line.info.number: line for line in self._lines.values()}
        for row in rows:
            line = by_number[row.track]
            if row.flags & FLAG_GAP:
                self._alert("TRACK_GAP", f"nothing at {row.time}, {row.duration / line.info.timescale:.3f} s", line.info.id)
            elif line.info.kind == "video" and abs(line.ns(row.time) - slot.start_ns) > MISALIGNED_NS:
                self._alert("GOPS_MISALIGNED", f"key frame at {row.time} is off {slot.leader.info.id}'s", line.info.id)


def _rate(size: int, duration_ns: int) -> int:
    """Bits in a second."""
    return size * 8 * SECOND_NS // max(1, duration_ns)


def _joins(line: TrackLine, fragment: Fragment) -> bool:
    """Whether a fragment begins where what is published of its track ends."""
    return line.edge is not None and line.ns(fragment.time) - line.ns(line.edge) < MISALIGNED_NS
