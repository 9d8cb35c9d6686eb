"""The records that only the DVR writes: they let replay start at any journal file and tell it what it may trust."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

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
    Record,
    Reset,
    SignalReceived,
    SignalsAdded,
    TargetRaised,
    TrackAdded,
    TrackPlaced,
)
from pypackager.model.signal import SignalInfo
from pypackager.model.track import TrackConfig, TrackInfo


class TrackState(msgspec.Struct, frozen=True, array_like=True):
    """What a fold needs to know of a track to go on without its earlier rows."""

    info: TrackInfo
    rows: int
    """Rows published so far in the track's life."""
    configs: dict[int, TrackConfig]
    next_config: int
    config: int
    """Configuration of the last row."""
    segment: int
    """Segment number of the last row; -1 before the first."""
    discontinuity: int
    last_time: int
    """Start of the last row; -1 before the first."""
    last_end: int
    peak_bps: int
    pending: tuple[FragmentWritten, ...]
    """Written and not published."""
    begun: int = -1
    """Where the media of the open period that goes up to the last row without a hole begins; -1 in a gap."""
    reached: int = 0
    """End of the last row that has media."""
    absences: int = 0
    """How often the track left the open period."""


class Snapshot(Record, frozen=True, tag="snapshot"):
    """The fold of everything before this journal file, but the published rows themselves."""

    tracks: tuple[TrackState, ...]
    blobs: tuple[BlobOpened, ...]
    """Those that a later record of this file may point to."""
    next_blob: int
    anchor_ns: int | None
    clocks: tuple[ClockPlaced, ...]
    measured: Measured | None
    target_duration_s: int
    periods: tuple[Period, ...]
    """The open part of the open period; empty before the first."""
    events: tuple[Event, ...]
    version: int
    places: tuple[TrackPlaced, ...] = ()
    reset_ns: int | None = None
    """Of the last reset."""
    since: Mapping[int, int] = {}
    """Rows that each track had by then."""
    fresh: bool = False
    """No period has been opened since."""
    signal_tracks: tuple[SignalInfo, ...] = ()
    signals: tuple[SignalReceived, ...] = ()
    """Those behind the published edge."""


class Checkpoint(Record, frozen=True, tag="checkpoint"):
    """The first `offset` bytes of this journal file, and every blob byte that they and earlier files point to, are on the disk."""

    offset: int


class FragmentLost(Record, frozen=True, tag="lost"):
    """Recovery found the bytes of a fragment missing or changed (power loss): it is no longer pending, or its row is a gap."""

    track: int
    time: int


JournalRecord = (
    TrackAdded
    | ConfigAdded
    | Anchored
    | ClockPlaced
    | TrackPlaced
    | Measured
    | BlobOpened
    | FragmentWritten
    | PeriodOpened
    | Published
    | TargetRaised
    | Peak
    | SignalsAdded
    | SignalReceived
    | Reset
    | Event
    | Snapshot
    | Checkpoint
    | FragmentLost
)
