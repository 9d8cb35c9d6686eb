"""Fragments on their way to the store: those that may still grow are held, the others written at once.

In: chunks with their place on the timeline. Out: fragments in their lines, tickets of the store. Never: which chunk is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pypackager._core import Chunk, CoreError, TrackHeader
from pypackager.model.errors import PackagerError
from pypackager.model.records import FLAG_PARTIAL, FLAG_SYNC
from pypackager.timeline.clocks import Clock
from pypackager.timeline.feeds import Feed, Now
from pypackager.timeline.gops import is_grown, may_grow, was_continued
from pypackager.timeline.indexes import index_of
from pypackager.timeline.merge import insert
from pypackager.timeline.pending import ROUNDING_NS, Fragment, TrackLine
from pypackager.timeline.ports import Alert, Store
from pypackager.timeline.times import sequence_of, to_ns
from pypackager.timeline.tracks import Tracks


class Writing:
    """The fragments of one channel between the connections and the store.

    Args:
        store: takes what is complete.
        alert: called with (code, detail, track) for the operator.
        tracks: know the configurations.
        feeds: the connections by number.
        interval_ns: says the channel's key frame interval, as soon as it is known.
    """

    def __init__(
        self, store: Store, alert: Alert, tracks: Tracks, feeds: Mapping[int, Feed], interval_ns: Callable[[], int | None]
    ) -> None:
        self._store = store
        self._alert = alert
        self._tracks = tracks
        self._feeds = feeds
        self._interval_ns = interval_ns
        self._tickets: dict[int, tuple[TrackLine, Fragment]] = {}

    def take(self, feed: Feed, line: TrackLine, header: TrackHeader, chunk: Chunk, span: tuple[int, int], clock: Clock, now: Now) -> None:
        """A chunk at [start, end) begins a fragment of a line."""
        time, end = span
        try:
            config = self._tracks.config(feed, line, header)
        except (PackagerError, CoreError) as error:
            self._not_taken(line, time, error, feed.conn)
            return
        # Of sound every frame is whole: what is missing behind the last shows by its length.
        partial = chunk.partial and header.kind == "video"
        flags = (FLAG_SYNC if chunk.sync else 0) | (FLAG_PARTIAL if partial else 0)
        what = time, end - time, config, flags, chunk.size, clock.offset_s, partial, now.mono_ns, index_of(chunk.index), feed.conn, [chunk]
        fragment = Fragment(*what, offset=clock.offset(line.info.timescale))
        insert(line, fragment)
        if header.kind != "video" or not may_grow(line, fragment, self._interval_ns()):
            self.finish(line, fragment)

    def go_on(
        self, feed: Feed, line: TrackLine, header: TrackHeader, chunk: Chunk, span: tuple[int, int], before: Fragment | None, now: Now
    ) -> bool:
        """A chunk at [start, end) continues a waiting fragment, or one that is listed; returns whether that is all that becomes of it."""
        interval_ns, name = self._interval_ns(), line.info.id
        was_continued(line, before, interval_ns, layers=feed.layers)
        if before is None or not before.held:
            detail = f"the fragment at {span[0]} continues one that is stored: it is listed as it is"
            self._alert("FRAGMENT_WITHOUT_KEY_FRAME", detail, name)
            return False
        if not self._is_of(before, feed, line, header, chunk):
            self._alert("ENCODERS_OUT_OF_SYNC", f"the fragment at {span[0]} continues what another source sends", name)
            return True
        before.held.append(chunk)
        before.duration = span[1] - before.time
        before.size += chunk.size
        before.arrived_ns = now.mono_ns
        before.partial |= chunk.partial
        before.flags |= FLAG_PARTIAL if chunk.partial else 0
        if before.partial or is_grown(line, before, interval_ns):
            self.finish(line, before)
        return True

    def repeats(self, feed: Feed, line: TrackLine, chunk: Chunk, time: int) -> None:
        """The connection sent a chunk that is there: it is stored for this one as well, or lost for both.

        What may still grow may grow by either, if it is the same so far.
        """
        what, start_ns = (chunk.samples, chunk.size), to_ns(chunk.time, chunk.timescale)
        length_ns = to_ns(chunk.duration, chunk.timescale)
        for fragment in line.waiting:
            if fragment.held and fragment.covers(time, line.tolerance):
                alike = (c for c in fragment.held if (c.samples, c.size) == what)
                same = any(abs(to_ns(c.time, c.timescale) - start_ns) <= ROUNDING_NS for c in alike)
                (fragment.peers if same else fragment.owed).add(feed.conn)
            elif abs(fragment.time - time) <= line.tolerance and abs(line.ns(fragment.duration) - length_ns) <= ROUNDING_NS:
                fragment.peers.add(feed.conn)
        feed.unwritten.update(t for t, (other, f) in self._tickets.items() if other is line and f.covers(time, line.tolerance))

    def complete(self, feed: Feed, line: TrackLine) -> None:
        """The connection's body has ended: what is held of it, or of what it sent as another had, is written."""
        self.ends(feed, line)
        for fragment in [f for f in line.waiting if f.held and feed.conn in f.owed]:
            self.finish(line, fragment)

    def ends(self, feed: Feed, line: TrackLine, but: Fragment | None = None) -> None:
        """The connection goes on with another fragment of the line: what it brought before is complete."""
        for fragment in [f for f in line.waiting if f.held and f is not but and _brings(feed, f)]:
            if len(fragment.held) == 1 and line.cut:
                line.cut -= 1
            self.finish(line, fragment)

    def finish(self, line: TrackLine, fragment: Fragment) -> None:
        """Writes a fragment that was held; one that cannot be written leaves its line."""
        chunks, fragment.held = fragment.held, []
        if not chunks:
            return
        scale = line.info.timescale
        try:
            chunk = chunks[0].join(chunks[1:]) if len(chunks) > 1 else chunks[0]
            muxed = chunk.mux(line.info.number, sequence_of(fragment.time, scale), scale, fragment.offset)
            ticket = self._store.put_fragment(line.info.number, muxed, fragment.config, fragment.flags, fragment.index)
        except (PackagerError, CoreError, OSError) as error:
            # One fragment less harms no other track or source.
            line.remove(fragment)
            self._not_taken(line, fragment.time, error, fragment.conn, *fragment.peers, *fragment.owed)
            return
        fragment.size, fragment.unwritten = muxed.size, True
        self._tickets[ticket] = (line, fragment)
        for conn in {fragment.conn, *fragment.peers, *fragment.owed} & self._feeds.keys():
            self._feeds[conn].unwritten.add(ticket)

    def written(self, ticket: int, errno: int) -> bool:
        """The store finished a ticket; returns whether it was a fragment of ours."""
        if ticket not in self._tickets:
            return False
        line, fragment = self._tickets.pop(ticket)
        for feed in self._feeds.values():
            feed.unwritten.discard(ticket)
        fragment.unwritten, fragment.lost = False, bool(errno)
        if errno:
            self._alert("DISK_WRITE_FAILED", f"fragment at {fragment.time} could not be written (errno {errno})", line.info.id)
        return True

    def _is_of(self, before: Fragment, feed: Feed, line: TrackLine, header: TrackHeader, chunk: Chunk) -> bool:
        """Whether a chunk and a fragment that may grow are of one sender, or of two that sent the same so far, and of one configuration."""
        if not _brings(feed, before) or before.partial:
            return False
        first = before.held[0]
        if (first.track, first.timescale) != (chunk.track, chunk.timescale):
            return False
        try:
            return self._tracks.config(feed, line, header) == before.config
        except (PackagerError, CoreError):
            # Whoever takes the chunk by itself tells why.
            return False

    def _not_taken(self, line: TrackLine, time: int, error: Exception, *conns: int) -> None:
        for conn in set(conns) & self._feeds.keys():
            self._feeds[conn].lossy |= not isinstance(error, CoreError)
        code = "DISK_WRITE_FAILED" if isinstance(error, OSError) else getattr(error, "code", "FRAGMENT_INVALID")
        if code in ("CONFIG_UNKNOWN", "TRACK_UNKNOWN"):
            self._tracks.forget_configs(line, track=code == "TRACK_UNKNOWN")
        self._alert(code, f"fragment at {time} is not taken: {error}", line.info.id)


def _brings(feed: Feed, fragment: Fragment) -> bool:
    return feed.conn == fragment.conn or feed.conn in fragment.peers
