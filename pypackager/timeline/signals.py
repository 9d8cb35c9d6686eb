"""Tracks that are neither pictures nor sound: sparse tracks of fragmented MP4 (ingest specification, sparse tracks).

In: what connections announce and send of them. Out: records, and the tickets that a POST's last answer waits for. Never: a wait of
pictures or sound for a signal, a look at a payload.

A signal's time is the encoder's, moved as its media is. One that comes before any media is held until the first fragment says where the
encoder's times go, and its POST is not acknowledged until then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from pypackager._core import SignalReady, SignalsFound
from pypackager.model.records import SignalReceived, SignalsAdded
from pypackager.model.signal import ANY, TIMESCALE, Signal, SignalInfo
from pypackager.timeline.clocks import COUNTER_NS, Clock
from pypackager.timeline.feeds import Clocks, Feed
from pypackager.timeline.naming import clean
from pypackager.timeline.ports import Alert
from pypackager.timeline.times import SECOND_NS, from_ns, rescale

TRACKS = 16
"""Tracks of signals that a channel may see in its life: each stays in its journal."""
HELD_BYTES = 1 << 20
"""Of signals that no media says the place of yet."""
SPAN_NS = 30 * SECOND_NS
SPAN_BYTES = 1 << 20
SPAN_COUNT = 300
"""So much is taken in that time; more is no signalling, would fill the journal and make manifests anew all the time."""


class Keeper(Protocol):
    """What signals need of the DVR."""

    def append(self, record: SignalsAdded | SignalReceived) -> int:
        """Journals a record and returns its ticket."""
        ...

    def signal_at(self, track: int, time: int) -> Signal | None:
        """The signal of a track at exactly this time that is still kept."""
        ...


class _Held(msgspec.Struct):
    feed: Feed
    info: SignalInfo
    event: SignalReady
    token: int
    """Stands for a ticket."""


class Signals:
    """The tracks of signals of one channel.

    Args:
        store: takes what came.
        alert: called with (code, detail) for the operator.
        clocks: say where the times of a side go.
        known: whether a track of pictures or sound has a name or id.
        wraps: whether the times are RTMP's, whose counter starts again at zero: a connection's own frames may have been counted on since.
    """

    def __init__(self, store: Keeper, alert: Alert, clocks: Clocks, known: Callable[[str], bool], *, wraps: bool) -> None:
        self.infos: list[SignalInfo] = []
        self._store = store
        self._alert = alert
        self._clocks = clocks
        self._known = known
        self._wraps = wraps
        self._announced: dict[tuple[int, int], SignalInfo] = {}
        """By connection and number in it."""
        self._underway: dict[int, tuple[SignalReceived, list[Feed]]] = {}
        """By ticket."""
        self._held: deque[_Held] = deque()
        self._tokens = 0
        self._taken: deque[tuple[int, int]] = deque()
        """(monotonic time, bytes) of the last SPAN_NS."""

    def found(self, feed: Feed, found: SignalsFound) -> None:
        """A connection announced a track of signals: a known one again, or another."""
        info = self._info(feed, found)
        if info is None:
            return
        self._announced[feed.conn, found.number] = info
        if not info.parent:
            self._alert("SIGNALS_WITHOUT_PARENT", "the live manifest names no parentTrackName", info.id)
        if not info.output:
            self._alert("SIGNALS_NOT_IN_MANIFEST", "manifestOutput is not true, so payloads are not in manifests", info.id)

    def ready(self, feed: Feed, event: SignalReady, mono_ns: int) -> None:
        """A connection sent a signal of a track that it announced."""
        info = self._announced.get((feed.conn, event.track))
        if info is None:
            return
        if info.parent not in ("", ANY) and not self._known(info.parent) and self._clocks.all:
            self._alert("SIGNALS_PARENT_UNKNOWN", f"no track is named {info.parent[:64]!r}", info.id)
        if (clock := self._clock(feed)) is not None:
            self._keep(feed, info, event, clock, mono_ns)
            return
        if not self._has_room(info, len(event.data), mono_ns):
            return
        if sum(len(held.event.data) for held in self._held) + len(event.data) > HELD_BYTES:
            self._alert("SIGNALS_TOO_MANY", "too many came before any media: dropped", info.id)
            return
        self._tokens -= 1
        self._held.append(_Held(feed, info, event, self._tokens))
        feed.unwritten.add(self._tokens)

    def settle(self) -> None:
        """A clock was placed: what waited for one finds its place."""
        held, self._held = self._held, deque()
        for each in held:
            if (clock := self._clock(each.feed)) is None:
                self._held.append(each)
                continue
            self._keep(each.feed, each.info, each.event, clock, None)
            each.feed.unwritten.discard(each.token)

    def written(self, ticket: int, errno: int) -> bool:
        """The store finished a ticket; returns whether it was a signal's."""
        underway = self._underway.pop(ticket, None)
        if underway is None:
            return False
        for feed in underway[1]:
            feed.unwritten.discard(ticket)
            feed.lossy |= bool(errno)
        return True

    def left(self, feed: Feed) -> None:
        """A connection is gone."""
        self._announced = {key: info for key, info in self._announced.items() if key[0] != feed.conn}

    def resume(self, infos: Iterable[SignalInfo]) -> None:
        """Takes over the tracks that were known before a restart."""
        self.infos = list(infos)

    # --- inside

    def _info(self, feed: Feed, found: SignalsFound) -> SignalInfo | None:
        name = found.name or feed.stream
        said = (name, found.parent, found.output, found.subtype, found.scheme, found.format, found.language)
        # An unequal entry in the live manifest is a track of its own.
        for info in self.infos:
            if said == (info.name, info.parent, info.output, info.subtype, info.scheme, info.format, info.language):
                return info
        if len(self.infos) >= TRACKS:
            self._alert("TOO_MANY_TRACKS", f"signals {name[:64]!r}: the channel has {TRACKS} tracks of signals already")
            return None
        taken, stem, number = {info.id for info in self.infos}, clean(name) or "signals", len(self.infos) + 1
        info = SignalInfo(number, stem if stem not in taken else f"{stem[:60]}-{number}", *said)
        self.infos.append(info)
        self._store.append(SignalsAdded(info))
        return info

    def _clock(self, feed: Feed) -> Clock | None:
        """That of the encoder's media: the connection's own, or one of its side."""
        if feed.clock is not None:
            return feed.clock
        clocks = self._clocks.by_side(feed.side)
        return next((clock for clock in clocks if clock.feeds), clocks[0] if clocks else None)

    def _moved(self, clock: Clock, time: int) -> int:
        """Where a time of an encoder is on the channel's timeline: as its media is, and as often as its counter has wrapped."""
        shift = clock.offset(TIMESCALE)
        if self._wraps:
            counter, newest = from_ns(COUNTER_NS, TIMESCALE), from_ns(clock.last_source_ns, TIMESCALE)
            shift += (newest - time + counter // 2) // counter * counter
        return time + shift

    def _keep(self, feed: Feed, info: SignalInfo, event: SignalReady, clock: Clock, mono_ns: int | None) -> None:
        """Journals a signal that is new. `mono_ns`: now, for one that does not count yet against what is taken in a time."""
        begin, end = (rescale(time, event.timescale, TIMESCALE) for time in (event.time, event.time + event.duration))
        time = self._moved(clock, begin)
        if time < 0:
            self._alert("TIME_NEGATIVE", f"one at {event.time} is before the channel's zero: dropped", info.id)
            return
        record = SignalReceived(info.number, Signal(time, end - begin, event.data))
        for ticket, (other, feeds) in self._underway.items():
            if (other.track, other.signal.time) == (record.track, time):
                feed.unwritten.add(ticket)
                feeds.append(feed)
                self._compare(info, other.signal, record.signal)
                return
        if (there := self._store.signal_at(info.number, time)) is not None:
            self._compare(info, there, record.signal)
            return
        # What each layer or encoder repeats takes no room.
        if mono_ns is not None and not self._has_room(info, len(event.data), mono_ns):
            return
        ticket = self._store.append(record)
        self._underway[ticket] = (record, [feed])
        feed.unwritten.add(ticket)

    def _compare(self, info: SignalInfo, there: Signal, came: Signal) -> None:
        if there != came:
            self._alert("SIGNALS_DIFFER", f"another one came at {came.time} before; the first counts", info.id)

    def _has_room(self, info: SignalInfo, size: int, mono_ns: int) -> bool:
        taken = self._taken
        while taken and taken[0][0] <= mono_ns - SPAN_NS:
            taken.popleft()
        if len(taken) >= SPAN_COUNT or sum(each for _, each in taken) + size > SPAN_BYTES:
            self._alert("SIGNALS_TOO_MANY", f"more than {SPAN_BYTES >> 20} MiB or {SPAN_COUNT} in 30 s: dropped", info.id)
            return False
        taken.append((mono_ns, size))
        return True
