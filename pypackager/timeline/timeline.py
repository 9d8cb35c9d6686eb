"""The timeline of one channel: chunks of all its sources in, one published order per track out.

Theory of operation. `track_found`, `admit` and `place` say where a connection's tracks and times belong (tracks.py, sessions.py,
clocks.py). `chunk` rebases a chunk, drops what is there already and hands the rest to the store. `advance` moves the published edge
(publisher.py, edge.py). Everything decided by arrival is handed to the store as a record and read back from there after a restart. Time is
an argument.
"""

from __future__ import annotations

from collections.abc import Mapping

from pypackager._core import Chunk, CoreError, TrackHeader
from pypackager.model.errors import PackagerError
from pypackager.model.records import FLAG_PARTIAL, FLAG_SYNC, Anchored, ClockPlaced
from pypackager.timeline.clocks import Clock, anchor_ns
from pypackager.timeline.feeds import Clocks, Feed, Now, others_alive
from pypackager.timeline.pending import TAKEN, Fragment, TrackLine
from pypackager.timeline.ports import Alert, Options, Store
from pypackager.timeline.publisher import Publisher
from pypackager.timeline.sessions import Sight, check_times, goes_on, jumped, leaps, leaps_alone, stuck
from pypackager.timeline.times import rescale, sequence_of, to_ns
from pypackager.timeline.tracks import Tracks


class Timeline:
    """One channel's timeline.

    Args:
        options: the configuration.
        store: where fragments and decisions go.
        alert: called with (code, detail) for the operator.
    """

    def __init__(self, options: Options, store: Store, alert: Alert) -> None:
        self.options = options
        self.feeds: dict[int, Feed] = {}
        self.clocks = Clocks(options.mode, self._clock_placed)
        self.tracks = Tracks(options, store, alert)
        self.publisher = Publisher(options, store, alert, self.tracks.lines)
        self.anchor_ns: int | None = None
        self.wake_ns: int | None = None
        """Monotonic time at which `advance` is due, when a slot waits for its deadline."""
        self._store = store
        self._alert = alert
        self._tickets: dict[int, tuple[TrackLine, Fragment, int]] = {}

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
                    line.awaited_ns, line.late, line.misses = now.mono_ns, False, 0
        feed = self.feeds[conn] = Feed(conn, side, stream, now.mono_ns, now.mono_ns)
        return feed

    def close_feed(self, conn: int, now: Now) -> None:
        """A connection is gone; its tracks stay."""
        feed = self.feeds.pop(conn, None)
        if feed is None:
            return
        self.clocks.leave(feed)
        for line in self.lines.values():
            if conn in line.feeds:
                line.feeds.discard(conn)
                if not line.feeds:
                    line.left_ns = now.mono_ns

    def track_found(self, conn: int, header: TrackHeader) -> None:
        """A connection announced a track: first, again, or with another configuration. `admit` judges all that came together."""
        self.tracks.announce(self.feeds[conn], header)

    def admit(self, conn: int, now: Now) -> None:
        """Judges what a connection announced.

        Raises:
            PackagerError: HEADER_MISMATCH (400) while another source with the old configuration is live; TOO_MANY_TRACKS (403).
        """
        if conn in self.feeds:
            self.tracks.admit(self.feeds[conn], self.feeds.values(), now, final=False)

    def place(self, conn: int, time: int, timescale: int, now: Now) -> int:
        """The number of the source clock of a frame-wise (RTMP) connection whose first frame, or first after a jump, is at `time`."""
        feed = self.feeds[conn]
        self.clocks.leave(feed)
        source_ns = to_ns(time, timescale)
        known = self.clocks.match(feed, source_ns, self._media_now_ns(now))
        if known is not None:
            return self.clocks.join(feed, known).number
        return self.clocks.start(feed, source_ns, source_ns, now.utc_ns, self.anchor_ns, self._end_ns()).number

    # --- media

    def chunk(self, conn: int, chunk: Chunk, now: Now) -> None:
        """Takes a chunk of a connection: a duplicate is dropped, a new one goes to the store.

        Raises:
            PackagerError: as `admit`, for a track whose identity only its first chunk shows; TIME_RANGE, FRAGMENT_TOO_LONG.
        """
        feed = self.feeds[conn]
        header = feed.headers.get(chunk.track)
        if header is None:
            return
        start_ns, end_ns = check_times(chunk)
        newest_ns = self._end_ns()
        if self._leaps_alone(feed, chunk, start_ns, end_ns, newest_ns, now):
            return
        self.tracks.admit(feed, self.feeds.values(), now, final=True)
        line = self.tracks.line(feed, header, chunk, now, self.publisher.last_end_ns)
        if line is None:
            return
        shared = any(other.conn in line.feeds for other in others_alive(self.feeds.values(), feed, now.mono_ns))
        sight = Sight(feed, line, chunk, start_ns, end_ns, now, self._media_now_ns(now), newest_ns, shared)
        clock = self._clock(sight)
        time, end = self._span(clock, sight)
        if end <= time:
            self._alert("FRAGMENT_WITHOUT_DURATION", f"track {line.info.id}: the fragment at {time} is dropped")
            return
        newest_ns = line.newest_ns()
        if feed.headless(chunk, sight.start_ns) and (newest_ns is None or line.ns(time - line.tolerance) > newest_ns):
            # An encoder that lost its connection goes on in the middle of a GOP: without a key frame nobody can begin there.
            feed.delivers(chunk, sight.start_ns, sight.end_ns, now.mono_ns)
            clock.reach(feed.stream, sight.end_ns)
            return
        verdict = line.judge(time, end - time, partial=chunk.partial)
        if self.options.protocol == "fmp4" and verdict not in TAKEN and stuck(clock, sight):
            clock = self._place_anew(sight)
            time, end = self._span(clock, sight)
            verdict = line.judge(time, end - time, partial=chunk.partial)
        feed.delivers(chunk, sight.start_ns, sight.end_ns, now.mono_ns)
        clock.reach(feed.stream, sight.end_ns)
        if verdict in TAKEN:
            line.stale_ns = None
            self._take(clock, header, sight)
            return
        line.stale_ns = line.stale_ns or now.mono_ns
        if verdict == "late" and line.edge is not None and clock.out_ns(end_ns) >= line.ns(line.edge - line.tolerance):
            line.forgive()
        if verdict in ("differs", "overlaps"):
            self._alert("ENCODERS_OUT_OF_SYNC", f"track {line.info.id}: fragment at {time} does not agree with what another source sent")

    def written(self, ticket: int, errno: int) -> bool:
        """The store finished a ticket; returns whether it was a fragment of ours."""
        if ticket not in self._tickets:
            return False
        line, fragment, conn = self._tickets.pop(ticket)
        if conn in self.feeds:
            self.feeds[conn].unwritten.discard(ticket)
        if errno:
            line.remove(fragment)
            self._alert("DISK_WRITE_FAILED", f"track {line.info.id}: fragment at {fragment.time} could not be written (errno {errno})")
        return True

    def advance(self, now: Now) -> None:
        """Publishes every slot that is complete or past its deadline; `wake_ns` says when to call again."""
        self.wake_ns = self.publisher.advance(self.feeds.values(), now)

    def behind(self) -> dict[str, int]:
        """Where the newest fragment that waits behind the published edge starts, by track id."""
        return {line.info.id: line.waiting[-1].time for line in self.lines.values() if line.waiting}

    def passed(self, marks: Mapping[str, int]) -> bool:
        """Whether the published edge has passed all that `behind` named: the deadline of the edge sees to it."""
        return not any(self.lines[name].waiting and self.lines[name].waiting[0].time <= time for name, time in marks.items())

    # --- inside

    def _leaps_alone(self, feed: Feed, chunk: Chunk, start_ns: int, end_ns: int, newest_ns: int | None, now: Now) -> bool:
        if feed.clock is None or not leaps(feed.clock, start_ns, self._media_now_ns(now), newest_ns):
            return False
        if not leaps_alone(feed, chunk, start_ns, end_ns) and self.options.protocol == "fmp4":
            return False
        where = f"stream {feed.stream}, track {chunk.track}"
        self._alert("TIME_LEAP", f"{where}: a fragment at {chunk.time} is far ahead of all others: dropped")
        return True

    def _clock(self, sight: Sight) -> Clock:
        feed = sight.feed
        if feed.clock is not None and (self.options.protocol == "rtmp" or not jumped(feed.clock, sight)):
            return feed.clock
        self.clocks.leave(feed)
        for clock in self.clocks.by_side(feed.side):
            if goes_on(clock, sight, self._store.knows):
                return self.clocks.join(feed, clock)
        return self._new_clock(sight)

    def _place_anew(self, sight: Sight) -> Clock:
        """The clock of a source that was misjudged: one on which it goes on, which its other connections may have, else a new one."""
        self.clocks.leave(sight.feed)
        for clock in self.clocks.by_side(sight.feed.side):
            if sight.lag_ns(clock) <= 0 and goes_on(clock, sight, self._store.knows):
                return self.clocks.join(sight.feed, clock)
        return self._new_clock(sight)

    def _new_clock(self, sight: Sight) -> Clock:
        now_ns = sight.now.utc_ns
        return self.clocks.start(sight.feed, sight.start_ns, sight.end_ns, now_ns, self.anchor_ns, self._end_ns())

    def _span(self, clock: Clock, sight: Sight) -> tuple[int, int]:
        chunk, scale = sight.chunk, sight.line.info.timescale
        offset = clock.offset_s * scale
        begin, end = (rescale(time, chunk.timescale, scale) + offset for time in (chunk.time, chunk.time + chunk.duration))
        return begin, end

    def _take(self, clock: Clock, header: TrackHeader, sight: Sight) -> None:
        feed, line, chunk, now = sight.feed, sight.line, sight.chunk, sight.now
        if self.anchor_ns is None:
            self._anchor(anchor_ns(self.options.mode, clock.out_ns(sight.start_ns), clock.out_ns(sight.end_ns), now.utc_ns))
        scale = line.info.timescale
        time, _ = self._span(clock, sight)
        flags = (FLAG_SYNC if chunk.sync else 0) | (FLAG_PARTIAL if chunk.partial else 0)
        try:
            muxed = chunk.mux(line.info.number, sequence_of(time, scale), scale, clock.offset_s * scale)
            config = self.tracks.config(feed, line, header)
            ticket = self._store.put_fragment(line.info.number, muxed, config, flags)
        except (PackagerError, CoreError, OSError) as error:
            # One fragment less harms no other track or source.
            self._not_taken(line, time, error)
            return
        fragment = Fragment(muxed.time, muxed.duration, config, flags, muxed.size, clock.offset_s, chunk.partial, now.mono_ns)
        line.insert(fragment)
        self._tickets[ticket] = (line, fragment, feed.conn)
        feed.unwritten.add(ticket)

    def _not_taken(self, line: TrackLine, time: int, error: Exception) -> None:
        code = "DISK_WRITE_FAILED" if isinstance(error, OSError) else getattr(error, "code", "FRAGMENT_INVALID")
        if code in ("CONFIG_UNKNOWN", "TRACK_UNKNOWN"):
            self.tracks.forget_configs(line, track=code == "TRACK_UNKNOWN")
        self._alert(code, f"track {line.info.id}: fragment at {time} is not taken: {error}")

    def _anchor(self, utc_ns: int) -> None:
        self.anchor_ns = utc_ns
        self.clocks.anchored(utc_ns)
        self._store.append(Anchored(utc_ns))

    def _media_now_ns(self, now: Now) -> int:
        return now.utc_ns - (self.anchor_ns or 0)

    def _end_ns(self) -> int | None:
        return max((end for line in self.lines.values() if (end := line.newest_ns()) is not None), default=None)

    def _clock_placed(self, clock: Clock) -> None:
        self._store.append(ClockPlaced(clock.number, clock.side, clock.offset_s))
