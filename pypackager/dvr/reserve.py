"""What a store knows of its tracks ahead of its ledger: numbers, times and rows that its calls gave out.

In: calls of the store, the writer's answers, the ledger. Out: whether a call may stand; refusals. Never: I/O, a record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pypackager.dvr.ledger import Ledger
from pypackager.dvr.records import JournalRecord
from pypackager.model.errors import PackagerError
from pypackager.model.records import FLAG_GAP, FLAG_PARTIAL, ConfigAdded, FragmentWritten, Row, TrackAdded
from pypackager.model.track import TrackConfig, TrackInfo


class Reserved:
    """What calls have reserved for a track ahead of the ledger."""

    __slots__ = ("configs", "halves", "info", "last_time", "listed", "next_config", "segment", "times")

    def __init__(self, info: TrackInfo) -> None:
        self.info = info
        self.configs: dict[int, TrackConfig] = {}
        self.next_config = 1
        self.last_time = -1
        self.segment = -1
        self.times: dict[int, list[int]] = {}
        """Durations of whole fragments on their way, by time: each longer than the one before."""
        self.halves: set[int] = set()
        """Times of those on their way that their source left unfinished."""
        self.listed: deque[int] = deque()
        """Times of fragments, in order, whose rows are on their way."""

    def may_put(self, time: int, duration: int, *, partial: bool) -> bool:
        """Whether a fragment adds to what is on its way at its time: a whole one replaces what is unfinished or shorter."""
        return all(duration > other for other in self.times.get(time, ())) and not (partial and self.on_its_way(time))

    def on_its_way(self, time: int) -> bool:
        """Whether a fragment at this time has been put and not answered for."""
        return time in self.times or time in self.halves

    def put(self, time: int, duration: int, *, partial: bool) -> None:
        """A fragment at this time is on its way."""
        if partial:
            self.halves.add(time)
        else:
            self.times.setdefault(time, []).append(duration)

    def answered(self, time: int, *, partial: bool) -> None:
        """The writer has answered for it: for the first of those at this time."""
        if partial:
            self.halves.discard(time)
        elif len(self.times.get(time, ())) > 1:
            self.times[time].pop(0)
        else:
            self.times.pop(time, None)


class Reservations:
    """All tracks of a store."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._tracks: dict[int, Reserved] = {}
        for track in ledger.tracks.values():
            reserved = self._tracks[track.info.number] = Reserved(track.info)
            reserved.configs = dict(track.configs)
            reserved.next_config = track.next_config
            reserved.last_time = track.last_time
            reserved.segment = track.segment

    def track(self, number: int) -> Reserved:
        """What is reserved for a track.

        Raises:
            PackagerError: TRACK_UNKNOWN.
        """
        reserved = self._tracks.get(number)
        if reserved is None:
            raise _misuse("TRACK_UNKNOWN", f"the channel has no track {number}")
        return reserved

    def add_track(self, info: TrackInfo) -> None:
        """Takes a track's number and id.

        Raises:
            PackagerError: TRACK_EXISTS when one of them is taken.
        """
        if any(other.info.number == info.number or other.info.id == info.id for other in self._tracks.values()):
            raise _misuse("TRACK_EXISTS", f"track {info.number} or id {info.id!r} is taken")
        self._tracks[info.number] = Reserved(info)

    def add_config(self, track: int, value: TrackConfig) -> tuple[int, bool]:
        """Number of a track's configuration, and whether it is new."""
        reserved = self.track(track)
        for number, known in reserved.configs.items():
            if known.hash == value.hash:
                return number, False
        number = reserved.next_config
        reserved.next_config += 1
        reserved.configs[number] = value
        return number, True

    def may_put(self, track: int, time: int, duration: int, config: int, *, partial: bool) -> Reserved:
        """The track of a fragment that may be put.

        Raises:
            PackagerError: TIME_USED when the track has as much at that time, or had anything; CONFIG_UNKNOWN, TRACK_UNKNOWN.
        """
        reserved = self.track(track)
        if config not in reserved.configs:
            raise _misuse("CONFIG_UNKNOWN", f"track {track} has no configuration {config}")
        if time <= reserved.last_time or not reserved.may_put(time, duration, partial=partial) or self._has_whole(track, time, duration):
            raise _misuse("TIME_USED", f"track {track} has something at {time} already")
        return reserved

    def list_rows(self, rows: Sequence[Row]) -> None:
        """Moves the edge of the rows' tracks; when it can't move for one row, it does not move at all.

        Raises:
            PackagerError: EDGE_BACKWARDS when times or segment numbers of a track do not rise, FRAGMENT_UNKNOWN, TRACK_UNKNOWN.
        """
        last: dict[int, tuple[int, int]] = {}
        for row in rows:
            reserved = self.track(row.track)
            time, segment = last.get(row.track, (reserved.last_time, reserved.segment))
            if row.time <= time or row.segment < segment:
                detail = f"track {row.track}: row at {row.time}, segment {row.segment} after {time}, {segment}"
                raise _misuse("EDGE_BACKWARDS", detail)
            if not row.flags & FLAG_GAP and not reserved.on_its_way(row.time) and not self._is_pending(row.track, row.time):
                raise _misuse("FRAGMENT_UNKNOWN", f"track {row.track} has no fragment at {row.time}")
            last[row.track] = (row.time, row.segment)
        for track, (time, segment) in last.items():
            reserved = self._tracks[track]
            reserved.last_time, reserved.segment = time, segment
        for row in rows:
            if not row.flags & FLAG_GAP:
                self._tracks[row.track].listed.append(row.time)

    def were_listed(self, rows: Sequence[Row]) -> None:
        """The ledger has rows, which come to it in order."""
        for row in rows:
            if not row.flags & FLAG_GAP:
                self._tracks[row.track].listed.popleft()

    def listed(self, track: int, begin: int, end: int) -> FragmentWritten | None:
        """The fragment of a track from [begin, end] whose row is on its way to the ledger."""
        reserved, known = self._tracks.get(track), self._ledger.tracks.get(track)
        if reserved is None or known is None:
            return None
        return next((known.pending.get(time) for time in reserved.listed if begin <= time <= end), None)

    def answered(self, record: FragmentWritten) -> None:
        """The writer has answered for a fragment."""
        self._tracks[record.track].answered(record.time, partial=bool(record.flags & FLAG_PARTIAL))

    def undo(self, record: JournalRecord) -> None:
        """Takes back what the call of a failed record reserved."""
        match record:
            case TrackAdded() if record.info.number not in self._ledger.tracks:
                self._tracks.pop(record.info.number, None)
            case ConfigAdded() if record.track in self._tracks:
                self._tracks[record.track].configs.pop(record.config, None)
            case _:
                pass

    def _is_pending(self, track: int, time: int) -> bool:
        known = self._ledger.tracks.get(track)
        return known is not None and time in known.pending

    def _has_whole(self, track: int, time: int, duration: int) -> bool:
        # A fragment that its source left unfinished, or that is shorter, may be replaced until the edge has passed it.
        if not self._is_pending(track, time):
            return False
        pending = self._ledger.tracks[track].pending[time]
        return not pending.flags & FLAG_PARTIAL and pending.duration >= duration


def _misuse(code: str, detail: str) -> PackagerError:
    return PackagerError(code, detail, status=500, fault="us")
