"""Connections of one channel: which tracks they carry, on which source clock they run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from pypackager._core import Chunk, TrackHeader
from pypackager.model.errors import PackagerError
from pypackager.timeline.clocks import COUNTER_NS, Clock, Mode, first_offset_s, keeps_time, matching, next_offset_s
from pypackager.timeline.times import SECOND_NS

KEPT_CLOCKS = 8
"""Clocks that nobody runs on and that an encoder may come back to."""
SILENT_NS = 5 * SECOND_NS
"""A connection that delivered nothing for so long, and for two of its fragments, is taken for dead: half-open ones never say so."""


class Now(msgspec.Struct, frozen=True):
    """The instant of a call: wall clock for placing, monotonic clock for waiting."""

    utc_ns: int
    mono_ns: int


class Feed(msgspec.Struct):
    """One ingest connection."""

    conn: int
    side: str
    stream: str
    opened_ns: int
    delivered_ns: int
    """When its newest chunk came."""
    clock: Clock | None = None
    headers: dict[int, TrackHeader] = msgspec.field(default_factory=dict)
    ids: dict[int, str] = msgspec.field(default_factory=dict)
    """Track ids by the source's track number, where they are decided."""
    placed: set[int] = msgspec.field(default_factory=set)
    """Tracks that delivered under their id: their places are remembered."""
    refused: dict[int, PackagerError] = msgspec.field(default_factory=dict)
    """Tracks that are not taken, and why."""
    identities: dict[int, str] = msgspec.field(default_factory=dict)
    """Names of the configurations, by track number: headers are long and change rarely."""
    ends_ns: dict[int, int] = msgspec.field(default_factory=dict)
    """Source time of the newest chunk's end, by track number."""
    leaps_ns: dict[int, int] = msgspec.field(default_factory=dict)
    """Source time of the end of a chunk that leapt ahead, by track number: the next one confirms it or not."""
    backs_ns: dict[int, int] = msgspec.field(default_factory=dict)
    """The same of a chunk that went back."""
    longest_ns: int = 0
    """Its longest fragment."""
    unwritten: set[int] = msgspec.field(default_factory=set)
    """Tickets of its fragments that are not in the journal yet."""
    lossy: bool = False
    """The store refused one of its fragments."""

    @property
    def has_video(self) -> bool:
        """Whether it carries video."""
        return any(header.kind == "video" for header in self.headers.values())

    @property
    def layers(self) -> int:
        """How many video tracks it carries."""
        return sum(header.kind == "video" for header in self.headers.values())

    def alive(self, now_ns: int) -> bool:
        """Whether it delivered of late."""
        return now_ns - self.delivered_ns < max(SILENT_NS, 2 * self.longest_ns)

    def delivers(self, chunk: Chunk, start_ns: int, end_ns: int, now_ns: int) -> None:
        """Takes note of a chunk."""
        self.delivered_ns = now_ns
        self.longest_ns = max(self.longest_ns, end_ns - start_ns)
        self.ends_ns[chunk.track] = max(end_ns, self.ends_ns.get(chunk.track, end_ns))


class Clocks:
    """The source clocks of a channel, newest last, and the decision which of them a connection runs on."""

    def __init__(self, mode: Mode, placed: Callable[[Clock], None]) -> None:
        self.mode: Mode = mode
        self.all: list[Clock] = []
        self.contested = False
        """Whether connections of both sides run on clocks of different offsets."""
        self._placed = placed

    def by_side(self, side: str) -> list[Clock]:
        """Candidates for a connection on a side: that side's newest first, then the other side's (synchronised encoders)."""
        own = [clock for clock in reversed(self.all) if clock.side == side]
        other = [clock for clock in reversed(self.all) if clock.side != side]
        return own[:4] + other[:4]

    def join(self, feed: Feed, clock: Clock, wraps: int = 0) -> Clock:
        """Puts a connection on a clock; on the other side's, a clock of its own with the same offset.

        So it is where its counter has wrapped since, as often as `wraps`, unless connections are there that it is cut with: then its times
        are counted on from theirs.
        """
        self.leave(feed)
        alone = not clock.feeds
        if clock.side != feed.side or (wraps and alone):
            known, gone_ns = clock, wraps * COUNTER_NS
            first_ns = known.first_source_ns
            clock = self._add(
                feed.side, known.offset_s, known.lead_ns, known.last_source_ns - gone_ns, None if first_ns is None else first_ns - gone_ns
            )  # fmt: skip
            clock.wraps, clock.began_ns, clock.left_ns = known.wraps + wraps, known.began_ns, known.left_ns
        clock.feeds[feed.conn] = feed.stream
        feed.clock = clock
        self._look()
        return clock

    def leave(self, feed: Feed) -> None:
        """Takes a connection off its clock."""
        if feed.clock is not None:
            feed.clock.feeds.pop(feed.conn, None)
            # One that comes and goes would fill the memory.
            feed.clock.sounds = {key: sound for key, sound in feed.clock.sounds.items() if key[0] != feed.conn}
            feed.clock.left_ns = max(feed.clock.left_ns or 0, feed.delivered_ns)
            feed.clock = None
            self._look()
        feed.ends_ns.clear()

    def _look(self) -> None:
        running = [clock for clock in self.all if clock.feeds]
        self.contested = len({clock.side for clock in running}) > 1 and len({clock.offset_s for clock in running}) > 1

    def match(self, feed: Feed, source_ns: int, media_now_ns: int, waited_ns: int) -> tuple[Clock, int] | None:
        """The clock of a frame-wise connection whose first frame is at `source_ns`, if it is one we know; how often its counter wrapped."""
        return matching(self.by_side(feed.side), feed.stream, source_ns, media_now_ns, waited_ns)

    def start(self, feed: Feed, source_ns: int, end_ns: int, utc_ns: int, anchor_ns: int | None, published_end_ns: int | None) -> Clock:
        """A new clock for a connection that fits none."""
        if published_end_ns is None or anchor_ns is None:
            offset = first_offset_s(self.mode, source_ns, end_ns, utc_ns, published_end_ns)
        elif not self.all and self.mode == "source" and keeps_time(source_ns, end_ns, published_end_ns, utc_ns - anchor_ns):
            # The first one since a reset: two data centres go on alike.
            offset = 0
        else:
            offset = next_offset_s(source_ns, end_ns, published_end_ns, utc_ns - anchor_ns)
        lead = source_ns + offset * SECOND_NS - (utc_ns - (anchor_ns or 0))
        clock = self._add(feed.side, offset, lead, source_ns, source_ns)
        clock.began_ns = feed.opened_ns
        return self.join(feed, clock)

    def anchored(self, anchor_ns: int) -> None:
        """The anchor is known: what was compared with UTC is compared with media time from now on."""
        for clock in self.all:
            clock.lead_ns += anchor_ns

    def _add(self, side: str, offset_s: int, lead_ns: int, last_source_ns: int, first_source_ns: int | None) -> Clock:
        number = self.all[-1].number + 1 if self.all else 0
        clock = Clock(number, side, offset_s, lead_ns, last_source_ns, first_source_ns)
        self.all = [old for old in self.all if old.feeds or old.number >= number - KEPT_CLOCKS] + [clock]
        self._placed(clock)
        return clock


def others_alive(feeds: Iterable[Feed], feed: Feed, now_ns: int) -> list[Feed]:
    """The other connections that delivered of late."""
    return [other for other in feeds if other is not feed and other.alive(now_ns)]
