"""Encoders that are not synchronised: one of them is active, the others are dropped until it fails (docs/design/time.md).

In: chunks of clocks of both sides. Out: which of them are dropped. Never: a mixture of two encoders' GOPs, or of one's pictures and
another's sound.

Theory of operation. Two live clocks of different sides that bring one track are *rivals* when they have different offsets, or when their
pictures clash (fragments that overlap and do not agree) several times in a row. The one that was there first stays active; the other is
*passive*. It becomes active at its next key frame when nothing comes on the active one any more, or, where the operator prefers the
primary side, when it is that and has delivered steadily. A passive clock whose fragments stand where the active one's do is none any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pypackager._core import Chunk
from pypackager.timeline.clocks import Clock
from pypackager.timeline.feeds import Clocks, Feed
from pypackager.timeline.pending import ROUNDING_NS, TOLERANCE_NS, TrackLine
from pypackager.timeline.ports import Alert
from pypackager.timeline.sessions import FAR_NS, Sight, Stored, falls_behind
from pypackager.timeline.times import SECOND_NS, from_ns, rescale, to_ns

CLASHES = 2
"""So often in a row do the pictures of two sources have to clash in one layer: one fragment alone may have broken off."""
AGREED = 3
"""So many fragments in a row have to stand where the active encoder's do."""
STEADY_NS = 5 * SECOND_NS
"""So long has the preferred side to deliver before it is gone back to."""


class Rivals:
    """Who is active.

    Args:
        clocks: all of the channel.
        feeds: its connections by number.
        lines: its tracks by id.
        alert: called with (code, detail, track) for the operator.
        stored: what was published.
        prefer_primary: whether the primary side is gone back to.
    """

    def __init__(
        self,
        clocks: Clocks,
        feeds: Mapping[int, Feed],
        lines: Mapping[str, TrackLine],
        alert: Alert,
        stored: Stored,
        *,
        prefer_primary: bool,
    ) -> None:
        self._clocks = clocks
        self._feeds = feeds
        self._lines = lines
        self._alert = alert
        self._stored = stored
        self._prefer_primary = prefer_primary
        self._active: Clock | None = None

    def drops(self, clock: Clock, sight: Sight) -> bool:
        """Whether a chunk of a clock, which has a rival or may have one, is dropped."""
        if not clock.passive:
            rival = self._rival(clock, sight)
            if rival is None:
                clock.proved = True
                return False
            if rival.offset_s != clock.offset_s:
                self._decide(clock, rival, sight)
            elif not clock.proved and not self._proves(clock, rival, sight):
                return True
            if not clock.passive:
                return False
        if self._becomes_active(clock, sight):
            return False
        sight.line.feeds.discard(sight.feed.conn)
        if sight.line.info.kind == "audio":
            clock.sounds[sight.feed.conn, sight.chunk.track] = sight.chunk
        self._agrees(clock, sight)
        detail = f"the {clock.side} encoder is not synchronised with the other one: what it sends is dropped as long as that delivers"
        self._alert("ENCODERS_OUT_OF_SYNC", detail, sight.line.info.id)
        return True

    def sounds(self, clock: Clock, sight: Sight) -> list[tuple[int, Chunk]]:
        """What was dropped of a clock that is active now and goes with its key frame: sound may come before its pictures."""
        held, clock.sounds = clock.sounds, {}
        return [
            (conn, chunk) for (conn, _), chunk in held.items() if to_ns(chunk.time + chunk.duration // 2, chunk.timescale) > sight.start_ns
        ]

    def clashes(self, clock: Clock, sight: Sight, verdict: str, time: int, end: int) -> bool:
        """Takes note that a chunk [time, end) is not what its track has, or is that; whether another has become passive by it."""
        line = sight.line
        if line.info.kind != "video":
            return False
        straddles = verdict == "late" and line.edge is not None and end > line.edge + line.tolerance
        if verdict not in ("differs", "overlaps") and not straddles:
            there = self._stored(line.info.number, time)
            if there is not None and abs(there[0] - (end - time)) <= line.tolerance:
                clock.clashes.clear()
            return False
        rival = self._rival(clock, sight)
        if rival is None:
            return False
        if not self._again(clock, sight):
            return False
        self._decide(clock, rival, sight)
        return rival.passive

    def lags(self, clock: Clock, sight: Sight) -> bool:
        """Whether a clock is for good behind one of the other side that brings the same track: by times alone they seem to be one."""
        if self._rival(clock, sight) is None or sight.lag_ns(clock) <= FAR_NS:
            clock.lagging = None
            return False
        now_ns, out_ns = sight.now.mono_ns, clock.out_ns(sight.start_ns)
        if clock.lagging is None:
            clock.lagging = now_ns, out_ns
        verdict = falls_behind(clock.lagging, sight, out_ns)
        if verdict is not None:
            clock.lagging = None
        return bool(verdict)

    # --- inside

    def _again(self, clock: Clock, sight: Sight) -> bool:
        """Takes note of a clash; whether it is not the first of its track in a row: what breaks off does so in all layers."""
        name = sight.line.info.id
        clock.clashes[name] = clock.clashes.get(name, 0) + 1
        return clock.clashes[name] >= CLASHES

    def _rival(self, clock: Clock, sight: Sight) -> Clock | None:
        """A clock of the other side that brings the same track."""
        others = (self._feeds[conn] for conn in sight.line.feeds if conn in self._feeds and conn != sight.feed.conn)
        for other in others:
            its = other.clock
            if its is not None and its.side != clock.side and not its.passive and other.alive(sight.now.mono_ns):
                return its
        return None

    def _proves(self, clock: Clock, rival: Clock, sight: Sight) -> bool:
        """Whether a chunk of a newcomer is looked at further: it begins at a border, or shows that the two are rivals."""
        place = self._place(clock, sight)
        if place == "border":
            clock.proved = sight.line.info.kind == "video" or not sight.feed.has_video
        elif place == "inside" and sight.line.info.kind == "video":
            self._decide(clock, rival, sight)
        elif place == "inside" and self._again(clock, sight):
            # Once is how sound over RTMP begins: with the connection.
            self._alert("ENCODERS_OUT_OF_SYNC", "its sound begins inside a fragment of the other encoder's: dropped", sight.line.info.id)
        return place == "border" or clock.passive or rival.passive

    def _place(self, clock: Clock, sight: Sight) -> Literal["border", "inside", "ahead"]:
        """Where the first chunk of a clock stands in what another brings: at a border, inside a fragment, or ahead of it all."""
        line, chunk = sight.line, sight.chunk
        scale = line.info.timescale
        time = rescale(chunk.time, chunk.timescale, scale) + clock.offset(scale)
        borders = [border for f in line.waiting for border in (f.time, f.end)] + ([line.edge] if line.edge is not None else [])
        if (
            any(abs(time - border) <= line.tolerance for border in borders)
            or self._stored(line.info.number, time, TOLERANCE_NS) is not None
        ):
            return "border"
        return "inside" if borders and time < max(borders) else "ahead"

    def _decide(self, clock: Clock, rival: Clock, sight: Sight) -> None:
        first, last = (clock, rival) if clock.number < rival.number else (rival, clock)
        if last is self._active:
            first, last = last, first
        self._become(first, last, sight, from_ns=None)

    def _become(self, active: Clock, passive: Clock, sight: Sight, from_ns: int | None) -> None:
        """Makes one active; what waits of the other from an output time on (None: all of it) is dropped."""
        self._active = active
        active.passive, passive.passive, passive.agreed = False, True, 0
        active.clashes.clear()
        passive.clashes.clear()
        passive.steady_ns = passive.heard_ns = sight.now.mono_ns
        passive.before.clear()
        for line in self._lines.values():
            for fragment in [f for f in line.waiting if f.conn in passive.feeds and not f.peers & active.feeds.keys()]:
                if (from_ns is None or line.ns(fragment.end) > from_ns) and not self._stands(line, sight, active, fragment.time):
                    line.remove(fragment)

    def _stands(self, line: TrackLine, sight: Sight, clock: Clock, time: int) -> bool:
        """Whether a fragment that waits starts where the chunk that is judged does: its time is used."""
        scale = line.info.timescale
        begin = rescale(sight.chunk.time, sight.chunk.timescale, scale) + clock.offset(scale)
        return line is sight.line and abs(time - begin) <= line.tolerance

    def _becomes_active(self, clock: Clock, sight: Sight) -> bool:
        """Whether a passive clock becomes active with this chunk."""
        now_ns, length_ns, active = sight.now.mono_ns, sight.end_ns - sight.start_ns, self._active
        if now_ns - clock.heard_ns > max(STEADY_NS, 3 * length_ns):
            clock.steady_ns = now_ns
        clock.heard_ns = now_ns
        pictures = any(self._feeds[conn].has_video for conn in clock.feeds)
        if pictures and not (sight.line.info.kind == "video" and sight.chunk.sync):
            return False
        if active is None or not self._lives(active, now_ns):
            clock.passive, self._active = False, clock
            clock.clashes.clear()
            if active is not None:
                active.passive, active.steady_ns = True, now_ns
            return True
        preferred = self._prefer_primary and clock.side == "primary" and active.side != "primary"
        if not preferred or now_ns - clock.steady_ns < STEADY_NS or sight.lag_ns(clock) > FAR_NS:
            return False
        self._become(clock, active, sight, from_ns=clock.out_ns(sight.start_ns))
        return True

    def _lives(self, clock: Clock, now_ns: int) -> bool:
        """Whether something comes on a clock."""
        return any(self._feeds[conn].alive(now_ns) for conn in clock.feeds if conn in self._feeds)

    def _agrees(self, clock: Clock, sight: Sight) -> None:
        """Looks whether what a passive connection brought before stands where the active one's does; then it goes on with that."""
        active, line, chunk = self._active, sight.line, sight.chunk
        if active is None or line.info.kind != "video":
            return
        scale = line.info.timescale
        slack = from_ns(ROUNDING_NS, scale)
        offset = clock.offset(scale) + (active.offset_s - clock.offset_s) * scale
        time, end = (rescale(at, chunk.timescale, scale) + offset for at in (chunk.time, chunk.time + chunk.duration))
        key = (sight.feed.conn, chunk.track)
        # By now the active one has brought it, too.
        before = clock.before.get(key)
        clock.before[key] = time, end
        newest_ns = line.newest_ns()
        if before is None or newest_ns is None:
            return
        near = newest_ns - line.ns(before[1]) <= 3 * (sight.end_ns - sight.start_ns)
        waits = any(abs(f.time - before[0]) <= slack and abs(f.end - before[1]) <= slack for f in line.waiting)
        there = self._stored(line.info.number, before[0])
        known = waits or (there is not None and abs(there[0] - (before[1] - before[0])) <= slack)
        clock.agreed = clock.agreed + 1 if near and known else 0
        if clock.agreed < AGREED:
            return
        clock.passive, clock.agreed = False, 0
        if clock.offset_s != active.offset_s:
            # Whoever comes back to the old one is not synchronised.
            clock.passive = True
            for conn in list(clock.feeds):
                active = self._clocks.join(self._feeds[conn], active, clock.wraps - active.wraps)
