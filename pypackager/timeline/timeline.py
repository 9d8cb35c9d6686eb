"""The timeline of one channel: chunks of all its sources in, one published order per track out.

Theory of operation. `track_found`, `admit` and `place` say where a connection's tracks and times belong (tracks.py, sessions.py,
clocks.py). `chunk` rebases a chunk, drops what is there already or cannot be decoded (gops.py) and hands the rest over (writing.py).
`advance` moves the published edge (publisher.py, edge.py). Everything decided by arrival is handed to the store as a record and read back
from there after a restart. Time is an argument.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs

from pypackager._core import Chunk, SignalReady, SignalsFound, TrackHeader
from pypackager.model.records import Anchored, ClockPlaced
from pypackager.timeline.clocks import Clock, anchor_ns
from pypackager.timeline.feeds import Clocks, Feed, Now
from pypackager.timeline.fitting import fitted
from pypackager.timeline.gops import Kinship, kinship, sees_key, stays_blind
from pypackager.timeline.indexes import contradiction
from pypackager.timeline.merge import TAKEN, Verdict, judge
from pypackager.timeline.order import place
from pypackager.timeline.outage import sound_begins
from pypackager.timeline.pace import Pace
from pypackager.timeline.pending import ROUNDING_NS, Fragment, TrackLine
from pypackager.timeline.ports import Alert, Options, Store
from pypackager.timeline.publisher import Publisher
from pypackager.timeline.rivals import Rivals
from pypackager.timeline.sessions import Sight, check_times, goes_on, jumped, leaps, leaps_alone, stuck
from pypackager.timeline.signals import Signals
from pypackager.timeline.times import SECOND_NS, from_ns, rescale, to_ns
from pypackager.timeline.tracks import Tracks
from pypackager.timeline.writing import Writing

CLASHING = ("differs", "overlaps", "late")
"""What a chunk may be that is not what another source sent."""


class Timeline:
    """One channel's timeline.

    Args:
        options: the configuration.
        store: where fragments and decisions go.
        alert: called with (code, detail, track) for the operator.
    """

    def __init__(self, options: Options, store: Store, alert: Alert) -> None:
        self.options = options
        self.feeds: dict[int, Feed] = {}
        self.clocks = Clocks(options.mode, self._clock_placed)
        self.tracks = Tracks(options, store, alert)
        self._writing = Writing(store, alert, self.tracks, self.feeds, self._interval_ns)
        self.publisher = Publisher(options, store, alert, self.tracks.lines, self._writing.finish)
        prefer = options.prefer_primary
        self._rivals = Rivals(self.clocks, self.feeds, self.tracks.lines, alert, store.stored, prefer_primary=prefer)
        self.signals = Signals(store, alert, self.clocks, self.tracks.has, wraps=options.protocol == "rtmp")
        self._pace = Pace(alert)
        self.anchor_ns: int | None = None
        self.reach_ns: int | None = None
        """End of the newest fragment that was ever taken, of all tracks."""
        self.wake_ns: int | None = None
        """Monotonic time at which `advance` is due, when a slot waits for its deadline."""
        self._store = store
        self._alert = alert

    @property
    def lines(self) -> dict[str, TrackLine]:
        """The tracks by id."""
        return self.tracks.lines

    # --- connections

    def open_feed(self, conn: int, side: str, stream: str, now: Now) -> Feed:
        """A connection was admitted."""
        if not self.feeds:
            # The encoder is back: the first of its connections must not be published before the others had time to come, too.
            for line in self.lines.values():
                if not line.retired:
                    line.expect(now.mono_ns, resends=self.options.protocol == "fmp4")
        feed = self.feeds[conn] = Feed(conn, side, stream, now.mono_ns, now.mono_ns)
        return feed

    def close_feed(self, conn: int, now: Now) -> None:
        """A connection is gone; its tracks stay, also those that it has only announced."""
        feed = self.feeds.get(conn)
        if feed is None:
            return
        self._finish(feed)
        del self.feeds[conn]
        self.tracks.left(feed, now)
        self.clocks.leave(feed)
        self.signals.left(feed)
        for line in self.lines.values():
            if conn in line.feeds:
                line.feeds.discard(conn)
                if not line.feeds:
                    line.left_ns = now.mono_ns

    def complete(self, conn: int, now: Now) -> None:
        """A connection's body has ended: nothing that it brought goes on.

        Raises:
            PackagerError: as `admit`, when it was nothing but a header.
        """
        if feed := self.feeds.get(conn):
            self._finish(feed)
            self.tracks.admit(feed, self.feeds.values(), now, final=True)

    def _finish(self, feed: Feed) -> None:
        for line in self.lines.values():
            self._writing.complete(feed, line)

    def announced(self) -> dict[str, TrackHeader]:
        """What connections have announced, also some that are gone and brought nothing of it, by track id."""
        feeds = [*self.tracks.registered, *self.feeds.values()]
        return {name: feed.headers[number] for feed in feeds for number, name in feed.ids.items() if number not in feed.refused}

    def track_found(self, conn: int, header: TrackHeader) -> None:
        """A connection announced a track: first, again, or with another configuration. `admit` judges all that came together."""
        self.tracks.announce(self.feeds[conn], header)

    def admit(self, conn: int, now: Now) -> None:
        """Judges what a connection announced.

        Raises:
            PackagerError: HEADER_MISMATCH (400) while another source with the old configuration is live; TOO_MANY_TRACKS,
                BITRATE_EXCEEDED (403).
        """
        if conn in self.feeds:
            self.tracks.admit(self.feeds[conn], self.feeds.values(), now, final=False)

    def place(self, conn: int, time: int, timescale: int, now: Now) -> int:
        """The number of the source clock of a frame-wise (RTMP) connection whose first frame, or first after a jump, is at `time`."""
        feed = self.feeds[conn]
        # What comes after a jump follows what came before it.
        waited_ns = now.mono_ns - feed.opened_ns if feed.clock is None else 0
        self.clocks.leave(feed)
        source_ns = to_ns(time, timescale)
        known = self.clocks.match(feed, source_ns, self.media_now_ns(now), waited_ns)
        if known is not None:
            return self.clocks.join(feed, *known).number
        return self._new_clock(feed, source_ns, source_ns, now).number

    def signals_found(self, conn: int, found: SignalsFound) -> None:
        """A connection announced a track of signals."""
        self.signals.found(self.feeds[conn], found)

    def signal(self, conn: int, event: SignalReady, now: Now) -> None:
        """A connection sent a signal."""
        self.signals.ready(self.feeds[conn], event, now.mono_ns)

    # --- media

    def chunk(self, conn: int, chunk: Chunk, now: Now) -> None:
        """Takes a chunk of a connection: a duplicate is dropped, a new one goes to the store.

        Raises:
            PackagerError: as `admit`, for a track whose identity only its first chunk shows; BITRATE_EXCEEDED (403); TIME_RANGE,
                FRAGMENT_TOO_LONG.
        """
        feed = self.feeds[conn]
        header = feed.headers.get(chunk.track)
        if header is None:
            return
        start_ns, end_ns = check_times(chunk)
        if self._leaps_alone(feed, chunk, start_ns, end_ns, now):
            return
        self.tracks.admit(feed, self.feeds.values(), now, final=True)
        line = self.tracks.line(feed, header, chunk, self.feeds.values(), now, self.publisher.last_end_ns)
        if line is None:
            return
        sight = Sight(feed, line, chunk, start_ns, end_ns, now, self.media_now_ns(now), self.reach_ns, self.feeds)
        clock = self._clock(sight)
        if (clock.passive or self.clocks.contested or not clock.proved) and self._rivals.drops(clock, sight):
            if self.options.protocol == "fmp4" and clock.passive and self._rivals.lags(clock, sight):
                clock = self._place_anew(sight)
            self._delivered(clock, sight)
            return
        if clock.sounds:
            for number, sound in self._rivals.sounds(clock, sight):
                self.chunk(number, sound, now)
        time, end = self._span(clock, sight)
        if not self.tracks.weigh(feed, line, chunk, (time, end), now):
            self._delivered(clock, sight)
            return
        if end <= time:
            self._alert("FRAGMENT_WITHOUT_DURATION", f"the fragment at {time} is dropped", line.info.id)
            return
        whole, span = sight, (time, end)
        sight = self._fit(sight, time, end)
        time, end = self._span(clock, sight)
        verdict, kin, before = self._judge(clock, sight, time, end)
        if self.options.protocol == "fmp4" and verdict not in TAKEN:
            if verdict == "late" and self._rivals.lags(clock, whole):
                # It is no spare: when it is placed anew it is seen that the encoders are not synchronised.
                self._delivered(self._place_anew(whole), whole)
                return
            if stuck(clock, whole):
                sight, clock = whole, self._place_anew(whole)
                time, end = span = self._span(clock, sight)
                verdict, kin, before = self._judge(clock, sight, time, end)
        if verdict in CLASHING and self._rivals.clashes(clock, sight, verdict, time, end):
            verdict, kin, before = self._judge(clock, sight, time, end)
        before_ns = feed.ends_ns.get(chunk.track)
        self._delivered(clock, whole)
        if before_ns is not None and before_ns != start_ns and self._comes_too_late(whole, span[0], before_ns, taken=verdict in TAKEN):
            return
        if chunk.index is not None and (wrong := contradiction(line, *span, chunk.index)) is not None:
            self._alert("INDEX_MISMATCH", wrong, line.info.id)
        if line.late and line.edge is not None and span[0] < line.edge - line.tolerance <= span[1]:
            line.forgive()
        if verdict in TAKEN:
            line.stale = None
            self._take(clock, header, sight, before, continues=kin == "continues")
            return
        if verdict == "duplicate" and line.info.kind == "video":
            clock.clashes.clear()
        if verdict == "blind":
            self._alert("NO_KEY_FRAME", f"the fragment at {time} goes on within a GOP behind a hole: dropped", line.info.id)
            return
        line.stale = line.stale or (now.mono_ns, clock.out_ns(start_ns))
        self._writing.repeats(feed, line, chunk, time)
        if verdict in ("differs", "overlaps") or (verdict == "late" and self._differs(line, chunk, time, end)):
            self._alert("ENCODERS_OUT_OF_SYNC", f"fragment at {time} does not agree with what another source sent", line.info.id)

    def written(self, ticket: int, errno: int) -> bool:
        """The store finished a ticket; returns whether it was a fragment or a signal of ours."""
        return self._writing.written(ticket, errno) or self.signals.written(ticket, errno)

    def advance(self, now: Now, *, at_once: bool = False) -> None:
        """Publishes every slot that is complete or past its deadline, `at_once` also ahead of time; `wake_ns` says when to call again."""
        until_ns = None if at_once else self._pace.until_ns(now, self.anchor_ns, self.reach_ns)
        feeds = self.feeds.values() if self.publisher.rhythm is not None else [*self.feeds.values(), *self.tracks.registered]
        self.wake_ns = self.publisher.advance(feeds, now, until_ns, at_once=at_once)

    def behind(self) -> dict[str, int]:
        """Where the newest fragment that waits behind the published edge starts, by track id."""
        return {line.info.id: line.waiting[-1].time for line in self.lines.values() if line.waiting}

    def passed(self, marks: Mapping[str, int]) -> bool:
        """Whether the published edge has passed all that `behind` named: the deadline of the edge sees to it."""
        return not any(self.lines[name].waiting and self.lines[name].waiting[0].time <= time for name, time in marks.items())

    # --- inside

    def _judge(self, clock: Clock, sight: Sight, time: int, end: int) -> tuple[Verdict | Kinship, Kinship, Fragment | None]:
        """Whether a chunk is taken; what it is to what its track has; the fragment that it continues."""
        line, chunk = sight.line, sight.chunk
        if chunk.sync:
            sees_key(line)
        kin, before = kinship(line, chunk, time, end)
        if kin == "repeats":
            return "duplicate", kin, None
        self._writing.ends(sight.feed, line, but=before)
        if kin == "blind" and stays_blind(line, clock.out_ns(sight.start_ns), clock.out_ns(sight.end_ns)):
            return kin, kin, None
        return judge(line, time, end - time, partial=chunk.partial), kin, before

    def _differs(self, line: TrackLine, chunk: Chunk, time: int, end: int) -> bool:
        """Whether pictures are longer or shorter than those that were published at their time.

        What one source broke off says nothing, nor a part of a GOP. Sound is compared by frames: where it is cut makes no difference.
        """
        if line.info.kind != "video" or chunk.partial or not chunk.sync or line.joined:
            return False
        there = self._store.stored(line.info.number, time)
        return there is not None and there[2] and abs(there[0] - (end - time)) > from_ns(ROUNDING_NS, line.info.timescale)

    def _comes_too_late(self, sight: Sight, time: int, before_ns: int, *, taken: bool) -> bool:
        """Whether a chunk that does not start where its connection ended before is out of order by too much."""
        if self.options.protocol != "fmp4":
            return False
        line, back_ns, most = sight.line, before_ns - sight.start_ns, self.options.reorder
        if place(line, time, back_ns, most, self._store.stored, taken=taken) != "too late":
            return False
        detail = f"the fragment at {time} comes {back_ns / SECOND_NS:.3f} s behind one that ends later: dropped; at most {most} may"
        self._alert("TIME_NOT_RISING", detail, line.info.id)
        return True

    def _leaps_alone(self, feed: Feed, chunk: Chunk, start_ns: int, end_ns: int, now: Now) -> bool:
        if feed.clock is None or not leaps(feed.clock, start_ns, self.media_now_ns(now), self.reach_ns):
            return False
        if not leaps_alone(feed, chunk, start_ns, end_ns) and self.options.protocol == "fmp4":
            return False
        where = f"stream {feed.stream}, track {chunk.track}"
        self._alert("TIME_LEAP", f"{where}: a fragment at {chunk.time} is far ahead of all others: dropped")
        return True

    def _clock(self, sight: Sight) -> Clock:
        feed = sight.feed
        if feed.clock is not None and (self.options.protocol == "rtmp" or not jumped(feed.clock, sight, self.options.reorder)):
            return feed.clock
        if feed.clock is not None and (end_ns := feed.ends_ns.get(sight.chunk.track)) is not None and sight.start_ns < end_ns:
            back_s = (end_ns - sight.start_ns) / SECOND_NS
            self._alert("TIME_NOT_RISING", f"its times go back by {back_s:.3f} s within a connection", sight.line.info.id)
        self.clocks.leave(feed)
        for clock in self.clocks.by_side(feed.side):
            if goes_on(clock, sight, self._store.stored):
                return self.clocks.join(feed, clock)
        return self._new_clock(sight.feed, sight.start_ns, sight.end_ns, sight.now)

    def _fit(self, sight: Sight, time: int, end: int) -> Sight:
        """The part of a chunk of sound that is not there yet, in its place."""
        # Sound of encoders that are not synchronised would bridge the hole that tells of the turn.
        if any(clock.passive and clock.number == sight.line.clock for clock in self.clocks.all):
            return sight
        try:
            rhythm = self.publisher.rhythm
            least = None if rhythm is None else sound_begins(sight.line, time, rhythm)
            chunk = fitted(sight.line, sight.chunk, time, end, least)
        except OSError as error:
            self._alert("DISK_WRITE_FAILED", f"fragment at {time} cannot be read back: {error}", sight.line.info.id)
            return sight
        if chunk is sight.chunk:
            return sight
        start_ns, end_ns = check_times(chunk)
        return structs.replace(sight, chunk=chunk, start_ns=start_ns, end_ns=end_ns)

    def _place_anew(self, sight: Sight) -> Clock:
        """The clock of a source that was misjudged: one on which it goes on, which its other connections may have, else a new one."""
        self.clocks.leave(sight.feed)
        for clock in self.clocks.by_side(sight.feed.side):
            if sight.lag_ns(clock) <= 0 and goes_on(clock, sight, self._store.stored):
                return self.clocks.join(sight.feed, clock)
        return self._new_clock(sight.feed, sight.start_ns, sight.end_ns, sight.now)

    def _new_clock(self, feed: Feed, start_ns: int, end_ns: int, now: Now) -> Clock:
        self._pace.set(now)
        return self.clocks.start(feed, start_ns, end_ns, now.utc_ns, self.anchor_ns, self.reach_ns)

    def _span(self, clock: Clock, sight: Sight) -> tuple[int, int]:
        chunk, scale = sight.chunk, sight.line.info.timescale
        offset = clock.offset(scale)
        begin, end = (rescale(time, chunk.timescale, scale) + offset for time in (chunk.time, chunk.time + chunk.duration))
        return begin, end

    def _delivered(self, clock: Clock, sight: Sight) -> None:
        sight.feed.delivers(sight.chunk, sight.start_ns, sight.end_ns, sight.now.mono_ns)
        clock.reach(sight.feed.stream, sight.end_ns)

    def _take(self, clock: Clock, header: TrackHeader, sight: Sight, before: Fragment | None, *, continues: bool) -> None:
        feed, line, chunk, now = sight.feed, sight.line, sight.chunk, sight.now
        if self.anchor_ns is None:
            self._anchor(anchor_ns(self.options.mode, clock.out_ns(sight.start_ns), clock.out_ns(sight.end_ns), now.utc_ns))
        line.clock = clock.number
        span, end_ns = self._span(clock, sight), clock.out_ns(sight.end_ns)
        self.reach_ns = end_ns if self.reach_ns is None else max(self.reach_ns, end_ns)
        # Who sends frames cuts GOPs here, where they get too long.
        if continues and self.options.protocol == "fmp4" and self._writing.go_on(feed, line, header, chunk, span, before, now):
            return
        self._writing.take(feed, line, header, chunk, span, clock, now)

    def _interval_ns(self) -> int | None:
        rhythm = self.publisher.rhythm
        return self.options.interval_ns if rhythm is None else rhythm.rhythm.interval_ns

    def _anchor(self, utc_ns: int) -> None:
        self.anchor_ns = utc_ns
        self.clocks.anchored(utc_ns)
        self._store.append(Anchored(utc_ns))

    def media_now_ns(self, now: Now) -> int:
        """Media time of the wall clock."""
        return now.utc_ns - (self.anchor_ns or 0)

    def _clock_placed(self, clock: Clock) -> None:
        self._store.append(ClockPlaced(clock.number, clock.side, clock.offset_s))
        self.signals.settle()
