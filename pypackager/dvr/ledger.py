"""The state of a channel's DVR as a fold of its journal: nothing else is remembered.

In: journal records, one by one, live or from replay. Out: the tracks with their columns and pending fragments, and snapshots.
Never: I/O, a clock. The same records give the same state, whoever folds them.

The fold is total. A record that refers to something unknown is refused and changes nothing; a published row whose fragment is not
there becomes a gap. Both happen alike live and on replay (a write can fail while those queued behind it succeed).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pypackager.dvr import lineup
from pypackager.dvr.records import Checkpoint, FragmentLost, JournalRecord, Snapshot
from pypackager.dvr.signals import Signals
from pypackager.dvr.track import Track
from pypackager.model.presentation import Period
from pypackager.model.records import (
    Anchored,
    BlobOpened,
    ClockPlaced,
    ConfigAdded,
    Event,
    FragmentWritten,
    Measured,
    Peak,
    PeriodOpened,
    Published,
    Reset,
    SignalReceived,
    SignalsAdded,
    TargetRaised,
    TrackAdded,
    TrackPlaced,
)

FOR_EVER_NS = 1 << 63
KEPT_CLOCKS = 16
KEPT_EVENTS = 64


class RefusedError(Exception):
    """The record contradicts the ledger; nothing was changed."""


class Blob:
    """A blob file and the newest journal file that points into it."""

    __slots__ = ("last_file", "opened")

    def __init__(self, opened: BlobOpened, last_file: int) -> None:
        self.opened = opened
        self.last_file = last_file


class File:
    """A journal file and the row number at which each track stood when it began."""

    __slots__ = ("number", "rows")

    def __init__(self, number: int, rows: dict[int, int]) -> None:
        self.number = number
        self.rows = rows


class Ledger:
    """The fold. `version` rises with everything that can change what is published."""

    def __init__(self) -> None:
        self.tracks: dict[int, Track] = {}
        self.blobs: dict[int, Blob] = {}
        self.files: deque[File] = deque()
        self._file = 0
        self.next_blob = 1
        self.anchor_ns: int | None = None
        self.clocks: dict[int, ClockPlaced] = {}
        self.places: dict[tuple[str, int, str, str], TrackPlaced] = {}
        """By what the stream says of the track."""
        self.measured: Measured | None = None
        self.target_duration_s = 0
        self.periods: tuple[Period, ...] = ()
        self.events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self.reset_ns: int | None = None
        """Of the last reset."""
        self.since: Mapping[int, int] = {}
        """Rows that each track had by then: what the channel shows of itself begins behind them."""
        self.fresh = False
        """No period has been opened since: the rhythm is to be measured anew."""
        self.signals = Signals()
        self.version = 0
        self.blobs_version = 0
        """Rises when `blobs` changes."""
        self._fold: dict[type, Callable[[Any], None]] = {
            TrackAdded: self._track_added,
            ConfigAdded: self._config_added,
            Anchored: self._anchored,
            ClockPlaced: self._clock_placed,
            TrackPlaced: self._track_placed,
            Measured: self._measured,
            BlobOpened: self._blob_opened,
            FragmentWritten: self._fragment_written,
            PeriodOpened: self._period_opened,
            Published: self._published,
            TargetRaised: self._target_raised,
            Peak: self._peak,
            SignalsAdded: self._signals_added,
            SignalReceived: self._signal_received,
            Reset: self._reset,
            Event: self.events.append,
            Snapshot: self.resume,
            Checkpoint: lambda _: None,
            FragmentLost: self._fragment_lost,
        }

    def apply(self, record: JournalRecord) -> None:
        """Folds one record in.

        Raises:
            RefusedError: the record contradicts what is known.
        """
        self._fold[type(record)](record)

    def begin_file(self, number: int) -> None:
        """Records from here on are in journal file `number`."""
        self._file = number
        self.files.append(File(number, {n: track.columns.end for n, track in self.tracks.items()}))

    def snapshot(self) -> Snapshot:
        """What a journal file opens with: all that later records may refer to."""
        tracks = tuple(track.state() for track in self.tracks.values())
        used = {fragment.blob for track in tracks for fragment in track.pending}
        return Snapshot(
            tracks,
            tuple(blob.opened for number, blob in self.blobs.items() if number in used),
            self.next_blob,
            self.anchor_ns,
            tuple(self.clocks.values()),
            self.measured,
            self.target_duration_s,
            self.periods[-1:],
            tuple(self.events),
            self.version,
            tuple(self.places.values()),
            self.reset_ns,
            self.since,
            self.fresh,
            self.signals.infos(),
            self.signals.ahead(max((track.last_ns() for track in self.tracks.values()), default=0)),
        )

    def resume(self, snapshot: Snapshot) -> None:
        """Takes a snapshot as the truth about everything but the rows before it."""
        number = self._file
        for state in snapshot.tracks:
            track = self.tracks.setdefault(state.info.number, Track(state.info, state.rows))
            track.resume(state)
            if self.files:
                self.files[-1].rows[state.info.number] = state.rows
        for opened in snapshot.blobs:
            self.blobs[opened.blob] = Blob(opened, number)
        self.blobs_version += 1
        self.next_blob = snapshot.next_blob
        self.anchor_ns = snapshot.anchor_ns
        self.clocks = {clock.clock: clock for clock in snapshot.clocks}
        self.places = {_place(place): place for place in snapshot.places}
        self.measured = snapshot.measured
        self.target_duration_s = snapshot.target_duration_s
        self.reset_ns, self.since, self.fresh = snapshot.reset_ns, snapshot.since, snapshot.fresh
        known = {(period.number, period.part) for period in self.periods}
        self.periods += tuple(period for period in snapshot.periods if (period.number, period.part) not in known)
        self.events.clear()
        self.events.extend(snapshot.events)
        for info in snapshot.signal_tracks:
            self.signals.add(SignalsAdded(info))
        for signal in snapshot.signals:
            self.signals.put(signal)
        self.version = snapshot.version

    def line_up(self, media: Sequence[tuple[int, int]], before_ns: int) -> None:
        """Begins a part of the open period with the rows just published, if one begins; see `lineup.after_rows`."""
        usual_ns = self.measured.interval_ns if self.measured is not None else 0
        parts = lineup.after_rows(self.periods[-1], self.tracks, media, before_ns, usual_ns)
        if parts[-1] is not self.periods[-1]:
            self.periods = (*self.periods[:-1], *parts)

    def frozen(self) -> Ledger:
        """A copy for readers: it stays as it is, and costs no rows, while this ledger goes on and is trimmed."""
        copy = Ledger()
        copy.resume(self.snapshot())
        for number, track in self.tracks.items():
            copy.tracks[number].columns = track.columns.frozen()
            copy.tracks[number].configs = track.configs
        copy.blobs = dict(self.blobs)
        copy.files = self.files.copy()
        copy.periods = self.periods
        copy.signals = self.signals.copied()
        return copy

    def forget_file(self) -> tuple[int, list[str]]:
        """Forgets the oldest journal file, the rows published in it, and the blobs that nothing else points into.

        Returns:
            The file's number and the names of the blobs.
        """
        oldest = self.files.popleft()
        for number, row in self.files[0].rows.items():
            self.tracks[number].columns.trim(row)
        pending = {fragment.blob for track in self.tracks.values() for fragment in track.pending.values()}
        gone = [n for n, blob in self.blobs.items() if blob.last_file <= oldest.number and n not in pending]
        names = [self.blobs.pop(number).opened.name for number in gone]
        self.blobs_version += 1
        # For presentations whose window is deeper than what is left.
        self.version += 1
        shown = [track for track in self.tracks.values() if len(track.columns)]
        if shown and self.periods:
            numbers = range(min(track.first_period() for track in shown), self.periods[-1].number + 1)
            first_ns = min(track.first_ns() for track in shown)
            self.periods = lineup.shown(self.periods, numbers, first_ns, FOR_EVER_NS)
            self.signals.forget_before(first_ns)
        return oldest.number, names

    def _track(self, number: int) -> Track:
        track = self.tracks.get(number)
        if track is None:
            raise RefusedError(f"track {number} is unknown")
        return track

    def _track_added(self, record: TrackAdded) -> None:
        if record.info.number in self.tracks:
            raise RefusedError(f"track {record.info.number} exists")
        self.tracks[record.info.number] = Track(record.info)
        self.version += 1

    def _config_added(self, record: ConfigAdded) -> None:
        # Nothing that is published is of it yet: manifests stay as they are.
        self._track(record.track).add_config(record.config, record.value)

    def _anchored(self, record: Anchored) -> None:
        if self.anchor_ns is not None:
            raise RefusedError("the anchor is decided once")
        self.anchor_ns = record.utc_ns
        self.version += 1

    def _clock_placed(self, record: ClockPlaced) -> None:
        self.clocks.pop(record.clock, None)
        self.clocks[record.clock] = record
        while len(self.clocks) > KEPT_CLOCKS:
            del self.clocks[next(iter(self.clocks))]

    def _track_placed(self, record: TrackPlaced) -> None:
        self._track(record.track)
        self.places[_place(record)] = record

    def _measured(self, record: Measured) -> None:
        self.measured = record
        self.target_duration_s = max(0 if self.fresh else self.target_duration_s, record.target_duration_s)
        self.version += 1

    def _target_raised(self, record: TargetRaised) -> None:
        self.target_duration_s = max(self.target_duration_s, record.target_duration_s)
        self.version += 1

    def _peak(self, record: Peak) -> None:
        track = self._track(record.track)
        track.peak_bps = max(track.peak_bps, record.bps)
        self.version += 1

    def _signals_added(self, record: SignalsAdded) -> None:
        if not self.signals.add(record):
            raise RefusedError(f"signals {record.info.number} or {record.info.id!r} exist")
        self.version += 1

    def _signal_received(self, record: SignalReceived) -> None:
        if not self.signals.put(record):
            raise RefusedError(f"signals {record.track} are unknown, or have one at {record.signal.time}")
        self.version += 1

    def _reset(self, record: Reset) -> None:
        self.clocks, self.places = {}, {}
        self.reset_ns, self.since, self.fresh = record.utc_ns, {n: track.columns.end for n, track in self.tracks.items()}, True
        for track in self.tracks.values():
            track.pending = {}
        self.version += 1

    def _blob_opened(self, record: BlobOpened) -> None:
        self._track(record.track)
        self.blobs[record.blob] = Blob(record, self._file)
        self.blobs_version += 1
        self.next_blob = max(self.next_blob, record.blob + 1)

    def _fragment_written(self, record: FragmentWritten) -> None:
        track = self._track(record.track)
        blob = self.blobs.get(record.blob)
        time = record.time
        if blob is None:
            raise RefusedError(f"blob {record.blob} is unknown")
        if record.config not in track.configs:
            raise RefusedError(f"configuration {record.config} of track {record.track} is unknown")
        if time <= track.last_time:
            raise RefusedError(f"time {time} of track {record.track} is behind the published edge {track.last_time}")
        blob.last_file = self._file
        track.pending[time] = record

    def _period_opened(self, record: PeriodOpened) -> None:
        if self.periods and record.period <= self.periods[-1].number:
            raise RefusedError(f"period {record.period} is not after {self.periods[-1].number}")
        self.periods += (Period(record.period, record.start_ns, members=()),)
        self.fresh = False
        for track in self.tracks.values():
            track.open_period()
        self.version += 1

    def _published(self, record: Published) -> None:
        period = self.periods[-1].number if self.periods else 0
        file = self._file
        media: list[tuple[int, int]] = []
        before_ns = max((track.last_ns() for track in self.tracks.values()), default=-1)
        for row in record.rows:
            track = self.tracks.get(row.track)
            if track is None or row.time <= track.last_time:
                continue
            if (fragment := track.list(row, period)) is not None:
                self.blobs[fragment.blob].last_file = file
                media.append((row.track, row.time))
        if self.periods:
            self.line_up(media, before_ns)
        self.version += 1

    def _fragment_lost(self, record: FragmentLost) -> None:
        self._track(record.track).lose(record.time)
        self.version += 1


def _place(record: TrackPlaced) -> tuple[str, int, str, str]:
    return record.stream, record.number, record.kind, record.name
