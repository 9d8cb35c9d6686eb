"""What one track has taken and not yet published, and whether it is waited for."""

from __future__ import annotations

from collections import deque

import msgspec

from pypackager._core import Chunk
from pypackager.model.track import TrackInfo
from pypackager.timeline.identity import Configured
from pypackager.timeline.times import SECOND_NS, from_ns, to_ns

RECONNECT_NS = 10 * SECOND_NS
"""While no connection is left nothing newer is kept from anybody: what the last one broke off in waits so long for it to be sent again."""
RESENT = 3
"""Fragments that an encoder that is back may need the time for, at any pace: two that it sends again, and the one that broke off."""
TOLERANCE_NS = 50_000_000
"""Times closer than this are one border: sources round differently, frames are at least a few ms long."""

STUMP_NS = 100_000_000
"""A fragment that is shorter than usual by so much, of a source that is gone, is what that one left of it."""
ROUNDING_NS = 10_000_000
"""Less than a frame of sound: sources that count in other timescales, or in milliseconds, round by less."""
REMEMBERED = 8
"""Of so many fragments of a track is it known what another source numbers them."""
TRUSTED = 30
"""After so many slots in time, missed deadlines are forgotten."""
STUBBORN = 2
"""Missed deadlines from which on a track gets no more time than the deadline."""


class Fragment(msgspec.Struct):
    """A fragment on its way to the published edge."""

    time: int
    duration: int
    config: int
    flags: int
    size: int
    offset_s: int | None
    """Offset of the clock it came by: a change opens a period. None when that was before a restart of the daemon."""
    partial: bool
    arrived_ns: int
    """When it came, or what it grew by last."""
    index: int = -1
    """What its source numbers it; -1 without an index."""
    conn: int = -1
    """The connection that brought it."""
    held: list[Chunk] = msgspec.field(default_factory=list)
    """What it is made of, as long as it may grow: it is not written yet."""
    offset: int = 0
    """Its times minus those of what it is made of."""
    peers: set[int] = msgspec.field(default_factory=set)
    """Other connections that brought the same."""
    owed: set[int] = msgspec.field(default_factory=set)
    """Connections that brought a part of it otherwise, which was dropped as a duplicate."""
    unwritten: bool = False
    """The store has it, and has not said yet what became of it."""
    lost: bool = False
    """The disk did not take it: it is a gap, unless it comes again before it is published."""

    def covers(self, time: int, slack: int) -> bool:
        """Whether what starts at a time is in it."""
        return self.time - slack <= time < self.end - min(slack, self.duration // 2)

    @property
    def end(self) -> int:
        """First tick after it."""
        return self.time + self.duration


class TrackLine(msgspec.Struct):
    """The timeline of one track: its published edge and what waits behind it."""

    info: TrackInfo
    edge: int | None = None
    """End of the last published row; of a track that joins, end of what is published. None while nothing is."""
    last_time: int = -1
    """Start of the last published row."""
    last_size: int = 0
    """Its bytes, none of a gap."""
    begun: int | None = None
    """Start of the last published fragment."""
    clock: int = -1
    """Number of the clock that its newest fragment came by; -1 when that was before a restart of the daemon."""
    config: int | None = None
    """Configuration of the last published fragment."""
    offset_s: int | None = None
    """Clock offset of the last published fragment, when it is known."""
    held_ns: int = 0
    """Media time that was published with `config` since it changed."""
    candidate: int | None = None
    """Another configuration that it brings and that the open period cannot have."""
    candidate_ns: int = 0
    """Media time that it brought with the candidate."""
    newest_config: int | None = None
    """Configuration of the last fragment that was taken."""
    header: Configured | None = None
    """What that says."""
    changed: str = ""
    """What the one before it said otherwise, and what to do about it."""
    last_ns: int | None = None
    """Duration of the last published whole fragment."""
    usual_ns: int | None = None
    """The shorter one of the last two: a single long GOP says nothing of the next. Of sound the longer one: two sources leave pieces."""
    cut: int = 1
    """How many fragments are still watched for a chunk that continues them: 1 until the sender is known, many when it cut a GOP."""
    joined: bool = False
    """A chunk has continued a fragment: another may be a part of one, too."""
    blind: tuple[int, int] | None = None
    """From when to when, behind a hole, it has gone on without a key frame (output time in nanoseconds)."""
    keyless: bool = False
    """It has had no key frame for long, and is taken as it is."""
    frame: int = 0
    """Ticks of a frame of sound, as far as it is known; 0 of pictures."""
    misaligned: bool = False
    """Its fragments start elsewhere than the reference's: it is never waited for."""
    stale: tuple[int, int] | None = None
    """Since when (monotonic) sources send only what is there already, and from which output time on (nanoseconds)."""
    period: int = -1
    """Period of the last published row."""
    segment: int | None = None
    """HLS media sequence number of the last published row."""
    place: int = 0
    """The channel's segment that it was opened in: where the track has fewer or more segments, not the same number."""
    opened_ns: int = 0
    """Where it starts."""
    closed: bool = False
    """Nothing more comes into it."""
    gap: bool = False
    """The last published row is a gap."""
    peak_bps: int = 0
    configs: dict[str, int] = msgspec.field(default_factory=dict)
    """Configuration numbers by what makes a difference (identity.py)."""
    waiting: list[Fragment] = msgspec.field(default_factory=list)
    """Unpublished fragments, by time."""
    indexes: deque[tuple[int, int, int]] = msgspec.field(default_factory=lambda: deque(maxlen=REMEMBERED))
    """(start, end, index) of the last fragments, in the order in which they came first, where the sources number them."""
    feeds: set[int] = msgspec.field(default_factory=set)
    """Connections that announced this track."""
    left_ns: int | None = None
    """When the last of them went."""
    awaited_ns: int | None = None
    """When its encoder came back with another connection, so that it is expected, too."""
    again: bool = False
    """Whether it was cut off a moment before that, and sends again what it sent last."""
    late: bool = False
    """It missed a deadline: nobody waits for it until it delivers again."""
    follows: bool = False
    """Late as it is, it comes a moment behind the others: they wait that long, or it would never be in time again."""
    misses: int = 0
    """How many deadlines it missed, until it has been in time for long."""
    proven: int = 0
    """How many slots in a row it was in time for since it missed one."""
    retired: bool = False
    """Its source was gone when a period opened: no gaps are listed for it."""
    skipped: int | None = None
    """Start of the newest fragment that came in front of one that its connection has passed over (order.py)."""
    unfilled: int = 0
    """How many such holes there were since a fragment last came late."""
    vain: int = 0
    """How many holes in a row were waited for to be filled, and nobody did."""
    vain_ns: int | None = None
    """When the last of them showed."""

    def lacks_ns(self, end_ns: int) -> int | None:
        """Since when it shows that frames are missing before the end of a slot that another source than the one without them may bring.

        That is so before a fragment that does not join what was published or waits, and behind a stump: its source may have left there, in
        order and within a GOP, which shows only a moment later. Who brings the same, or more of it, says that it is none.
        """
        edge = self.edge if self.segment is not None and not self.gap else None
        last: Fragment | None = None
        for fragment in self.waiting:
            if self.ns(fragment.time) >= end_ns:
                break
            if edge is not None and self.ns(fragment.time - edge) > ROUNDING_NS and self.feeds - {fragment.conn}:
                # What lies before it may have come later, and said only then that it ends there.
                return max(fragment.arrived_ns, last.arrived_ns if last is not None else 0)
            edge, last = fragment.end, fragment
        if last is None or last is not self.waiting[-1]:
            return None
        return last.arrived_ns if self.is_short(last) and self.feeds - {last.conn} - last.peers else None

    def is_short(self, fragment: Fragment) -> bool:
        """Whether a fragment is so much shorter than usual that it may be what a source left of one."""
        return self.usual_ns is not None and self.ns(fragment.duration) < self.usual_ns - STUMP_NS

    def waited_in_vain(self, since_ns: int) -> None:
        """Nobody filled the hole that showed then."""
        self.vain += self.vain_ns != since_ns
        self.vain_ns = since_ns

    def ns(self, ticks: int) -> int:
        """Ticks of this track as nanoseconds."""
        return to_ns(ticks, self.info.timescale)

    @property
    def tolerance(self) -> int:
        """TOLERANCE_NS in ticks."""
        return from_ns(TOLERANCE_NS, self.info.timescale)

    def begun_before(self, time_ns: int) -> list[Fragment]:
        """Unpublished fragments that start before a time: the first few, of however many wait."""
        found: list[Fragment] = []
        scale = self.info.timescale
        for fragment in self.waiting:
            if to_ns(fragment.time, scale) >= time_ns:
                break
            found.append(fragment)
        return found

    def newest_ns(self) -> int | None:
        """End of the newest fragment, published or waiting."""
        ends = [fragment.end for fragment in self.waiting] + ([self.edge] if self.edge is not None else [])
        return self.ns(max(ends)) if ends else None

    def is_fresh(self) -> bool:
        """Whether nothing of it was published or waits."""
        return self.segment is None and not self.waiting

    def patience_ns(self, slot_ns: int) -> int:
        """How far behind the end of a slot it may be and yet have nothing to do in it: half a fragment, by whose middle it belongs.

        A misaligned track's fragment may end as much later as it likes: it is listed one slot later.
        """
        usual_ns = self.usual_ns or (self.ns(self.waiting[-1].duration) if self.waiting else slot_ns)
        return usual_ns // 2 + (usual_ns if self.misaligned else 0)

    def reaching(self, time: int, duration: int) -> list[Fragment]:
        """Those that reach [time, time + duration]: only they can stand at its time, overlap or cover it."""
        end = time + duration
        return [f for f in self.waiting if f.time <= end and f.time + f.duration >= time]

    def remove(self, fragment: Fragment) -> None:
        """Takes a fragment out: it was published, or it could not be written."""
        self.waiting = [other for other in self.waiting if other is not fragment]

    def published(self, fragment: Fragment) -> None:
        """Moves the edge past a fragment."""
        self.remove(fragment)
        self.begun = fragment.time
        self.last_time, self.edge, self.last_size = fragment.time, fragment.end, fragment.size
        if fragment.config != self.config:
            self.held_ns, self.candidate, self.candidate_ns = 0, None, 0
        self.held_ns += self.ns(fragment.duration)
        self.config, self.offset_s = fragment.config, fragment.offset_s
        if not fragment.partial:
            self.went_on(self.ns(fragment.duration))

    def went_on(self, duration_ns: int) -> None:
        """Takes note of how long a published whole fragment was: a single long GOP is not usual, nor a piece of sound."""
        shorter_or_longer = max if self.info.kind == "audio" else min
        self.usual_ns = shorter_or_longer(duration_ns, self.last_ns or duration_ns)
        self.last_ns = duration_ns

    def missed(self) -> None:
        """A deadline passed, and it was waited for."""
        self.late, self.follows, self.proven = True, False, 0
        self.misses += 1

    def was_in_time(self) -> None:
        """A slot was published with a whole fragment of it.

        One that missed a deadline is waited for again after one such slot, then two, four, …: otherwise one that comes and goes would hold
        the edge at every turn.
        """
        self.proven += 1
        if self.proven >= (TRUSTED if not self.late else 1 << min(max(0, self.misses - 1), 5)):
            self.misses = self.misses if self.late else 0
            self.late, self.proven = False, 0

    def forgive(self) -> None:
        """It brings what was published last, only a little later than the others: it is waited for again.

        One that missed several deadlines gets no more than a moment.
        """
        self.follows = True
        if self.misses < STUBBORN:
            self.late = False

    def is_steady(self) -> bool:
        """Whether the others may come to wait for it longer than a fragment: it delivers, at its own pace."""
        return self.misses < STUBBORN and self.usual_ns is not None

    def live(self, now_ns: int, grace_ns: int) -> bool:
        """Whether a source feeds it, or may come back: one did, or its encoder came back, a moment ago."""
        return now_ns < self.back_ns(grace_ns) or self.fed(now_ns, grace_ns)

    def back_ns(self, grace_ns: int) -> int:
        """Until when it may be back as its encoder is, which has another connection already; 0 where none is.

        One that was cut off tries each of its connections again after a pause of that one's own, and sends again what it sent last.
        """
        return 0 if self.awaited_ns is None else self.awaited_ns + (RESENT if self.again else 1) * grace_ns

    def expect(self, now_ns: int, *, resends: bool) -> None:
        """Takes note that its encoder is back; `resends` where encoders send again what a broken connection may have lost."""
        self.awaited_ns, self.late, self.misses = now_ns, False, 0
        self.again = resends and self.left_ns is not None and now_ns - self.left_ns < RECONNECT_NS

    def fed(self, now_ns: int, grace_ns: int) -> bool:
        """Whether a source feeds it, or did a moment ago."""
        return bool(self.feeds) or (self.left_ns is not None and now_ns - self.left_ns < grace_ns)
