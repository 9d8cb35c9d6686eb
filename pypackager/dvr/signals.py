"""The signals of a channel as its journal tells them, and which of them a presentation shows.

In: records, the windows of a presentation's tracks. Out: SignalWindows. Never: a row, a file, a wait.

A signal at t is shown from the moment on when its parent has a row at t or later (fragmented MP4 ingest, sparse tracks): a function of
what is published, so a restart and another node show the same. A parent that nobody knows is stood in for by the first video track.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from pypackager.model.presentation import TrackWindow
from pypackager.model.records import SignalReceived, SignalsAdded
from pypackager.model.signal import ANY, TIMESCALE, Signal, SignalInfo, SignalWindow

NS = 1_000_000_000
KEPT_BYTES = 4 << 20
"""Of payloads of a channel: manifests carry them, and hold what the longest window of ads takes. Beyond it the oldest are forgotten."""


class SignalLine:
    """The signals of one track, by time."""

    __slots__ = ("info", "signals", "size")

    def __init__(self, info: SignalInfo, signals: Iterable[Signal] = ()) -> None:
        self.info = info
        self.signals = list(signals)
        self.size = sum(len(signal.data) for signal in self.signals)
        """Bytes of their payloads."""

    def at(self, time: int) -> Signal | None:
        """The signal at exactly this time."""
        place = self._place(time)
        return self.signals[place] if place < len(self.signals) and self.signals[place].time == time else None

    def put(self, signal: Signal) -> bool:
        """Takes a signal; false when there is one at its time."""
        if self.at(signal.time) is not None:
            return False
        self.signals.insert(self._place(signal.time), signal)
        self.size += len(signal.data)
        return True

    def between(self, first: int, last: int) -> Sequence[Signal]:
        """Those from `first` to `last`, both included."""
        return self.signals[self._place(first) : self._place(last + 1)]

    def forget_before(self, time: int) -> None:
        """Forgets those before a time."""
        self.forget(self._place(time))

    def forget(self, count: int) -> None:
        """Forgets the first ones."""
        self.size -= sum(len(signal.data) for signal in self.signals[:count])
        del self.signals[:count]

    def _place(self, time: int) -> int:
        return bisect_left(self.signals, time, key=lambda signal: signal.time)


class Signals:
    """All tracks of signals of a ledger, by number."""

    def __init__(self) -> None:
        self.lines: dict[int, SignalLine] = {}
        self.changes = 0
        """Rises with each signal and track."""

    def add(self, record: SignalsAdded) -> bool:
        """A track joined; false when its number or id is taken."""
        info = record.info
        if any(info.number == line.info.number or info.id == line.info.id for line in self.lines.values()):
            return False
        self.lines[info.number] = SignalLine(info)
        self.changes += 1
        return True

    def put(self, record: SignalReceived) -> bool:
        """A signal came; false when its track is unknown or has one at that time."""
        line = self.lines.get(record.track)
        if line is None or not line.put(record.signal):
            return False
        self.changes += 1
        self._bound()
        return True

    def merge(self, other: Signals) -> None:
        """Takes over what another ledger of the same channel has."""
        for number, line in other.lines.items():
            own = self.lines.setdefault(number, SignalLine(line.info))
            for signal in line.signals:
                own.put(signal)
        self.changes = other.changes
        self._bound()

    def copied(self) -> Signals:
        """A copy that goes its own way."""
        copy = Signals()
        copy.lines = {number: SignalLine(line.info, line.signals) for number, line in self.lines.items()}
        copy.changes = self.changes
        return copy

    def infos(self) -> tuple[SignalInfo, ...]:
        """The tracks, for a snapshot."""
        return tuple(line.info for line in self.lines.values())

    def ahead(self, edge_ns: int) -> tuple[SignalReceived, ...]:
        """The signals that lie behind the published edge, for a snapshot: the files before it may be given up before they are shown."""
        first = _ticks(edge_ns)
        found = ((line.info.number, signal) for line in self.lines.values() for signal in line.signals if signal.time >= first)
        return tuple(SignalReceived(number, signal) for number, signal in found)

    def forget_before(self, time_ns: int) -> None:
        """Forgets the signals before a media time."""
        for line in self.lines.values():
            line.forget_before(_ticks(time_ns))

    def _bound(self) -> None:
        """Forgets the oldest of who has most, as long as there is too much."""
        while sum(line.size for line in self.lines.values()) > KEPT_BYTES:
            max(self.lines.values(), key=lambda line: line.size).forget(1)

    def shown(self, tracks: Sequence[TrackWindow]) -> tuple[SignalWindow, ...]:
        """What a presentation of these tracks shows."""
        if not self.lines or not tracks:
            return ()
        first = min(int(track.time[0]) * TIMESCALE // track.info.timescale for track in tracks)
        windows: list[SignalWindow] = []
        for line in self.lines.values():
            named = _named(tracks, line.info.parent)
            parent = named or next((track for track in tracks if track.info.kind == "video"), tracks[0])
            newest = _newest(parent)
            windows.append(SignalWindow(line.info, named.info.number if named else None, tuple(line.between(first, newest))))
        return tuple(windows)


def _named(tracks: Sequence[TrackWindow], name: str) -> TrackWindow | None:
    if name == ANY:
        # Pictures, where there are any; layers come and go.
        return max(tracks, key=lambda track: (track.info.kind == "video", _newest(track)))
    return next((track for track in tracks if name and name in (track.info.name, track.info.id)), None)


def _newest(track: TrackWindow) -> int:
    return int(track.time[-1]) * TIMESCALE // track.info.timescale


def _ticks(time_ns: int) -> int:
    return -(-time_ns * TIMESCALE // NS)
