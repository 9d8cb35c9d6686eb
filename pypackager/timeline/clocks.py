"""Source clocks: where an encoder session's times go on the channel's one timeline (docs/design/time.md).

A source clock is one encoder session on one ingest side; all its connections share it. Output time = source time + offset; the offset is a
whole number of seconds, exact in every timescale, decided once and journalled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from pypackager._core import Chunk
from pypackager.timeline.times import SECOND_NS, rescale

Mode = Literal["utc", "source"]

LEAD_TOLERANCE_NS = 3 * SECOND_NS
"""How far a new connection may be off its clock's distance to UTC and still be of the same encoder session."""
LATEST_NS = 10 * SECOND_NS
"""How late the first frame of a frame-wise connection may come and still be told from one of another encoder."""
NEAR_NS = 10 * SECOND_NS
"""Times so near to the wall clock's are an encoder's that keeps it: a fragment arrives when it has ended, or a few seconds later."""
GUARD_NS = SECOND_NS // 2
"""Audio of a restarted encoder may start this much before its video."""
COUNTER_NS = (1 << 31) * 1_000_000
"""Where the counters of frame-wise (RTMP) connections wrap: ffmpeg's have 31 bits, and 32-bit ones repeat there as well."""
EPOCH_TOLERANCE_NS = 86_400 * SECOND_NS
"""Source times within a day of UTC are UTC: the anchor of such a source is 1970 on every node."""


class Clock(msgspec.Struct):
    """One encoder session's clock."""

    number: int
    side: str
    offset_s: int
    lead_ns: int
    """Output time minus UTC when it was placed: how far its first frame was from the wall clock."""
    last_source_ns: int
    """Source time of the end of the newest chunk."""
    first_source_ns: int | None = None
    """Source time of the first chunk; None when that was before a restart of the daemon."""
    wraps: int = 0
    """How often the counter of its frame-wise connections had wrapped before they began, as counted by the clock that it goes on with."""
    began_ns: int | None = None
    """When (monotonic) it was placed; None when that was before a restart of the daemon."""
    left_ns: int | None = None
    """When (monotonic) the last connection that has gone delivered last."""
    passive: bool = False
    """Another encoder is active, and it is not synchronised with that: what comes on it is dropped (rivals.py)."""
    proved: bool = False
    """It is alone, or its pictures stand where another encoder's do."""
    lagging: tuple[int, int] | None = None
    """Since when (monotonic) it is far behind another encoder's, and from which output time on (nanoseconds)."""
    steady_ns: int = 0
    """Since when (monotonic) it has delivered without a break while it was passive."""
    heard_ns: int = 0
    """When (monotonic) a passive one delivered last."""
    clashes: dict[str, int] = msgspec.field(default_factory=dict)
    """How often in a row what it brings of a track was not what another encoder's was."""
    agreed: int = 0
    """How often in a row, while it was passive, they were."""
    before: dict[tuple[int, int], tuple[int, int]] = msgspec.field(default_factory=dict)
    """Where the last fragment stood of a passive one, by the active one's clock: by connection and track, in ticks."""
    sounds: dict[tuple[int, int], Chunk] = msgspec.field(default_factory=dict)
    """The newest sound that was dropped of a passive one, by connection and track."""
    feeds: dict[int, str] = msgspec.field(default_factory=dict)
    """Connections that run on it now, and their streams."""
    ends_ns: dict[str, int] = msgspec.field(default_factory=dict)
    """Source time that each stream reached."""

    def out_ns(self, source_ns: int) -> int:
        """Output time of a source time."""
        return source_ns + self.offset_s * SECOND_NS + self.wraps * COUNTER_NS

    def offset(self, timescale: int) -> int:
        """Output time minus source time in ticks: exact, but for a counter that wrapped, which is rounded."""
        return self.offset_s * timescale + rescale(self.wraps * COUNTER_NS, SECOND_NS, timescale)

    def was_paced(self) -> bool:
        """Whether what came on it needed its time: a file that is sent as fast as it goes needs less."""
        if self.first_source_ns is None or self.began_ns is None or self.left_ns is None:
            return False
        return 2 * (self.left_ns - self.began_ns) >= self.last_source_ns - self.first_source_ns

    def reach(self, stream: str, end_ns: int) -> None:
        """Takes note of how far a stream came."""
        self.last_source_ns = max(self.last_source_ns, end_ns)
        self.ends_ns[stream] = max(end_ns, self.ends_ns.get(stream, end_ns))


def first_offset_s(mode: Mode, source_ns: int, end_ns: int, utc_ns: int, past_end_ns: int | None = None) -> int:
    """Offset of a channel's first clock, for a first chunk [source, end).

    `utc`: the chunk ends at or before now. `source`: zero, the encoder's own times; an encoder that counts from zero starts its audio
    before zero (AAC priming), which a `tfdt` cannot say, so a session that starts in the first second is moved by one.
    Behind what an earlier channel of the name has published up to `past_end_ns`, in any mode.
    """
    offset = (utc_ns - end_ns) // SECOND_NS if mode == "utc" else max(0, 1 - source_ns // SECOND_NS)
    return offset if past_end_ns is None else max(offset, _behind_s(source_ns, past_end_ns))


def next_offset_s(source_ns: int, end_ns: int, published_end_ns: int, media_now_ns: int) -> int:
    """Offset of a later clock: after everything published, and as late as the wall clock says without ending in the future."""
    after_published = _behind_s(source_ns, published_end_ns)
    by_wall_clock = (media_now_ns - end_ns) // SECOND_NS
    return max(after_published, by_wall_clock)


def _behind_s(source_ns: int, published_end_ns: int) -> int:
    return -((source_ns - GUARD_NS - published_end_ns) // SECOND_NS)


def keeps_time(source_ns: int, end_ns: int, published_end_ns: int, media_now_ns: int) -> bool:
    """Whether a source's own times lie behind everything published, and where the wall clock is: it needs no offset."""
    return source_ns - GUARD_NS >= published_end_ns and abs(end_ns - media_now_ns) <= NEAR_NS


def matching(clocks: Iterable[Clock], stream: str, source_ns: int, media_now_ns: int, waited_ns: int = 0) -> tuple[Clock, int] | None:
    """The clock on which a new frame-wise (RTMP) connection runs, newest first: its distance to the wall clock is the clock's.

    And how often its counter has wrapped since the clock's connections began: RTMP starts again at zero every 24.8 days.

    A connection that starts before what its stream already brought, and that nobody brings now, is a restarted encoder: RTMP sends
    nothing again.

    Its first frame was sent at any instant since it opened, `waited_ns` ago: a network that fails in between delivers it late, and so do
    the distance and what the stream brought meanwhile look.
    """
    begins_ns, waited_ns = source_ns, min(waited_ns, LATEST_NS)
    for clock in clocks:
        lead = clock.out_ns(begins_ns) - media_now_ns
        wraps = (clock.lead_ns - lead + COUNTER_NS // 2) // COUNTER_NS
        source_ns = begins_ns + wraps * COUNTER_NS
        lead += wraps * COUNTER_NS
        running = clock.out_ns(clock.last_source_ns) - media_now_ns
        off_ns = min(_off_ns(lead, waited_ns, of) for of in (clock.lead_ns, running))
        reached = clock.ends_ns.get(stream)
        if reached is None and not clock.feeds:
            reached = clock.last_source_ns
        abandoned = stream not in clock.feeds.values()
        late = waited_ns > GUARD_NS and _off_ns(lead, waited_ns, clock.lead_ns) <= GUARD_NS
        restarted = abandoned and reached is not None and source_ns < reached - SECOND_NS // 2 and not late
        if off_ns <= LEAD_TOLERANCE_NS and not restarted:
            return clock, wraps
    return None


def _off_ns(lead_ns: int, waited_ns: int, of_ns: int) -> int:
    """How far a frame's distance to the wall clock was off one when it was sent, at the instant that fits best."""
    return max(lead_ns - of_ns, of_ns - lead_ns - waited_ns, 0)


def anchor_ns(mode: Mode, out_start_ns: int, out_end_ns: int, utc_ns: int) -> int:
    """UTC of media time zero, to the millisecond, such that the first chunk does not end in the future."""
    if mode == "utc" or abs(out_start_ns - utc_ns) < EPOCH_TOLERANCE_NS:
        return 0
    return (utc_ns - out_end_ns) // 1_000_000 * 1_000_000
