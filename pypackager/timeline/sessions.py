"""Whether a fragmented MP4 connection goes on with a known encoder session, sends again, or is a restarted encoder.

All three show times. What is at or after the newest fragment goes on, unless it leaps far ahead of everything. What is just behind it
was sent again (encoders repeat two fragments; ingest specification, encoder fail-over), however slowly, but where the session began: what
comes from there at the pace of an encoder is an encoder that was started again after a few seconds. Farther behind, however far, it was
sent again when the journal has it: at this time, with this length and as many bytes (or, from another encoder, faster than anyone encodes).
From where the session began only what comes fast says so, and of a session that came at its own pace: a file that is played again looks the
same. Else the encoder restarted. A source that after all delivers nothing new for seconds, far behind and not catching up, while nobody
else does, is placed anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from pypackager._core import Chunk, CoreError
from pypackager.model.errors import PackagerError
from pypackager.timeline.clocks import LEAD_TOLERANCE_NS, Clock
from pypackager.timeline.feeds import Feed, Now
from pypackager.timeline.pending import ROUNDING_NS, TrackLine
from pypackager.timeline.times import SECOND_NS, from_ns, rescale, to_ns

BURST = 2
"""A fragment that arrives in less than its duration divided by this is sent again, not encoded now."""
RESENT = 3
"""So many fragments behind the newest one may be repeated at any pace: two that are sent again, one that was lost."""
REACH_NS = 60 * SECOND_NS
"""What another source delivers, too, is a repetition up to here, whatever it is."""
CATCHES_UP = 4
"""A source that gains a second on the clock in so many is catching up."""
STUCK_NS = 6 * SECOND_NS
"""After so long without anything new a source that is far behind was misjudged."""
FAR_NS = 10 * SECOND_NS
"""Nearer sources catch up sooner than a new clock is worth."""
MAX_TIME_NS = 1 << 62
"""146 years: times of the journal and sums of two of them fit 64 bits."""
MAX_FRAGMENT_NS = 60 * SECOND_NS
"""Far above any GOP; one fragment must not take the timeline away from the other tracks."""
LEAP_NS = 10 * SECOND_NS
"""Further ahead of everything, a time is a fault of the sender or a new source clock."""


class Sight(msgspec.Struct, frozen=True):
    """A chunk as it is judged: by whom, for which track, when."""

    feed: Feed
    line: TrackLine
    chunk: Chunk
    start_ns: int
    end_ns: int
    now: Now
    media_now_ns: int
    newest_ns: int | None
    """End of the newest fragment of all tracks."""
    feeds: Mapping[int, Feed]
    """All connections by number."""

    @property
    def shared(self) -> bool:
        """Whether another connection that is alive delivers the track."""
        others = (self.feeds[conn] for conn in self.line.feeds if conn in self.feeds)
        return any(other is not self.feed and other.alive(self.now.mono_ns) for other in others)

    def lag_ns(self, clock: Clock) -> int:
        """How far it starts before the end of the newest fragment of its track; negative when it is ahead."""
        newest = self.line.newest_ns()
        return 0 if newest is None else newest - clock.out_ns(self.start_ns)


class Stored(Protocol):
    """Of a store: what was published of a track at a time."""

    def __call__(self, track: int, time: int, slack_ns: int = 10_000_000) -> tuple[int, int, bool] | None:
        """Its duration and bytes, if it is still kept, and whether its source left it whole."""
        ...


def goes_on(clock: Clock, sight: Sight, stored: Stored) -> bool:
    """Whether the chunk goes on, or repeats, what this clock carried."""
    line = sight.line
    if leaps(clock, sight.start_ns, sight.media_now_ns, sight.newest_ns):
        return False
    if line.is_fresh():
        back_ns = REACH_NS if clock.feeds else _repeated_ns(sight)
        near = clock.last_source_ns - back_ns <= sight.start_ns < clock.last_source_ns + REACH_NS
        return near or abs(clock.out_ns(sight.start_ns) - sight.media_now_ns - clock.lead_ns) <= LEAD_TOLERANCE_NS
    lag_ns = sight.lag_ns(clock)
    quick = (sight.now.mono_ns - sight.feed.opened_ns) * BURST < sight.end_ns - sight.start_ns
    if lag_ns <= _repeated_ns(sight):
        return quick or not _begins_again(clock, sight)
    if sight.shared and lag_ns <= REACH_NS:
        return True
    known = _known(clock, sight, stored)
    if clock.first_source_ns is not None and sight.start_ns >= clock.first_source_ns + SECOND_NS:
        return known == "same" or (known == "other" and quick)
    return known == "same" and quick and (lag_ns <= REACH_NS or clock.was_paced())


def _known(clock: Clock, sight: Sight, stored: Stored) -> Literal["same", "other", "no"]:
    """Whether a fragment stands where the chunk does, as long as it; and whether it is the same by its size."""
    line, chunk = sight.line, sight.chunk
    scale = line.info.timescale
    offset = clock.offset(scale)
    time, end = (rescale(at, chunk.timescale, scale) + offset for at in (chunk.time, chunk.time + chunk.duration))
    slack = from_ns(ROUNDING_NS, scale)
    if any(abs(f.time - time) <= slack and abs(f.end - end) <= slack for f in line.waiting):
        return "same"
    there = stored(line.info.number, time)
    if there is None or there[0] < end - time - slack:
        return "no"
    try:
        size = chunk.mux(line.info.number, 0, scale, offset).size
    except CoreError:
        return "no"
    # One that was cut has grown.
    return "same" if size == there[1] or (there[0] > end - time + slack and there[1] > size) else "other"


def _begins_again(clock: Clock, sight: Sight) -> bool:
    """Whether it comes from where the session began, of which nothing is connected any more."""
    alone = not clock.feeds and not sight.shared and sight.lag_ns(clock) > 0
    return alone and clock.first_source_ns is not None and sight.start_ns < clock.first_source_ns + SECOND_NS


def check_times(chunk: Chunk) -> tuple[int, int]:
    """Source times of a chunk's start and end in nanoseconds.

    Raises:
        PackagerError: TIME_RANGE, FRAGMENT_TOO_LONG: times that are none.
    """
    start_ns, end_ns = to_ns(chunk.time, chunk.timescale), to_ns(chunk.time + chunk.duration, chunk.timescale)
    if max(-start_ns, end_ns) > MAX_TIME_NS:
        raise PackagerError("TIME_RANGE", f"track {chunk.track}: a fragment at {chunk.time} ticks of 1/{chunk.timescale} s")
    if end_ns - start_ns > MAX_FRAGMENT_NS:
        seconds = (end_ns - start_ns) / SECOND_NS
        raise PackagerError("FRAGMENT_TOO_LONG", f"track {chunk.track}: a fragment of {seconds:.0f} s at {chunk.time}")
    return start_ns, end_ns


def leaps(clock: Clock, start_ns: int, media_now_ns: int, newest_ns: int | None) -> bool:
    """Whether a source time is ahead of all media and of the wall clock."""
    ahead_ns = clock.out_ns(start_ns) - LEAP_NS
    return newest_ns is not None and ahead_ns > newest_ns and ahead_ns > media_now_ns + max(0, clock.lead_ns)


def leaps_alone(feed: Feed, chunk: Chunk, start_ns: int, end_ns: int) -> bool:
    """Whether nothing before confirms a chunk that leapt: it would end the timeline for every other track."""
    before_ns = feed.leaps_ns.get(chunk.track)
    feed.leaps_ns[chunk.track] = end_ns
    return before_ns is None or abs(start_ns - before_ns) > LEAP_NS


def jumped(clock: Clock, sight: Sight, reorder: int) -> bool:
    """Whether the connection's own times went back for good, further than reordering explains, or far ahead."""
    end_ns = sight.feed.ends_ns.get(sight.chunk.track)
    if end_ns is not None and sight.start_ns < end_ns:
        reordered_ns = (reorder + 1) * (sight.end_ns - sight.start_ns) + SECOND_NS
        back = sight.start_ns < end_ns - max(_repeated_ns(sight), reordered_ns)
        return back and not _back_alone(sight)
    return leaps(clock, sight.start_ns, sight.media_now_ns, sight.newest_ns)


def _back_alone(sight: Sight) -> bool:
    """Whether nothing before confirms a chunk that went back: one that comes far too late is no restart."""
    before_ns = sight.feed.backs_ns.get(sight.chunk.track)
    sight.feed.backs_ns[sight.chunk.track] = sight.end_ns
    return before_ns is None or abs(sight.start_ns - before_ns) > sight.end_ns - sight.start_ns


def _repeated_ns(sight: Sight) -> int:
    return RESENT * (sight.end_ns - sight.start_ns) + SECOND_NS


def stuck(clock: Clock, sight: Sight) -> bool:
    """Whether a source that sends nothing new was misjudged: it does not catch up. One that does is looked at again later."""
    line, now_ns, out_ns = sight.line, sight.now.mono_ns, clock.out_ns(sight.start_ns)
    if line.stale is None or sight.lag_ns(clock) <= FAR_NS:
        return False
    verdict = falls_behind(line.stale, sight, out_ns)
    if verdict is not None:
        line.stale = now_ns, out_ns
    return bool(verdict)


def falls_behind(since: tuple[int, int], sight: Sight, out_ns: int) -> bool | None:
    """Whether a source that was at an output time at an instant has not caught up since; None as long as that is too short to tell."""
    began_ns, from_ns = since
    passed_ns = sight.now.mono_ns - began_ns
    if passed_ns <= max(STUCK_NS, 3 * to_ns(sight.chunk.duration, sight.chunk.timescale)):
        return None
    return CATCHES_UP * (out_ns - from_ns - passed_ns) < passed_ns
