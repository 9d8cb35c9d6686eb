"""What a channel's journal can say (docs/design/journal.md). The index is a fold of these; nothing else is remembered.

Times are ticks of the track's timescale unless the name ends in `_ns`. `track` is TrackInfo.number.
"""

from __future__ import annotations

import msgspec

from pypackager.model.signal import Signal, SignalInfo
from pypackager.model.track import TrackConfig, TrackInfo

FLAG_SYNC = 1
"""The fragment starts with a key frame."""
FLAG_PARTIAL = 2
"""The source broke off inside the fragment."""
FLAG_GAP = 4
"""Nothing is stored for this row: a hole that was frozen at the published edge."""
FLAG_OPENS = 8
"""The row opens an HLS segment."""
FLAG_PERIOD = 16
"""The row is the first of its track in a period (HLS discontinuity)."""
FLAG_CLOSES = 32
"""The row is its track's last in an HLS segment that has all its fragments: nothing more comes into it."""

FLAG_ENDS = 64
"""The row is its track's last in a run of a program that was started again: it was served as the last of all. Never in a journal."""


class Record(msgspec.Struct, frozen=True, array_like=True, tag_field="_"):
    """Base of all journal records: MessagePack arrays whose first element is the tag."""


class TrackAdded(Record, frozen=True, tag="track"):
    """A track joined the channel."""

    info: TrackInfo


class ConfigAdded(Record, frozen=True, tag="config"):
    """A configuration that fragments may refer to by (track, config)."""

    track: int
    config: int
    value: TrackConfig


class Anchored(Record, frozen=True, tag="anchor"):
    """UTC of media time zero in nanoseconds since 1970; decided once, with the first fragment."""

    utc_ns: int


class ClockPlaced(Record, frozen=True, tag="clock"):
    """A source clock got its offset: output time = source time + offset (whole seconds, exact in every timescale)."""

    clock: int
    side: str
    offset_s: int


class TrackPlaced(Record, frozen=True, tag="place"):
    """Which track a stream's track is: an encoder that comes back with another bit rate sends the same one."""

    stream: str
    number: int
    """Of the track in its stream."""
    kind: str
    name: str
    """What the stream calls it."""
    track: int


class Measured(Record, frozen=True, tag="measured"):
    """The channel's rhythm, frozen when it was first known: rules HLS segments and TARGETDURATION."""

    interval_ns: int
    """Key frame interval in media time."""
    fragments_per_segment: int
    target_duration_s: int


class BlobOpened(Record, frozen=True, tag="blob"):
    """A new blob file of a track, relative to the channel's directory; it starts with the CMAF header."""

    blob: int
    track: int
    name: str
    config: int


class FragmentWritten(Record, frozen=True, gc=False, tag="fragment"):
    """A fragment's bytes are in the blob at [offset, offset + size); not published yet."""

    track: int
    time: int
    duration: int
    blob: int
    offset: int
    size: int
    config: int
    flags: int
    crc: int
    """CRC32C of the bytes."""
    samples: int
    index: int = -1
    """What the encoder numbers it (`tfxd` version 2): rules which segment it goes to. -1 without, as in older journals."""


class PeriodOpened(Record, frozen=True, tag="period"):
    """What is published from here on belongs to a new period."""

    period: int
    start_ns: int
    """Media time of its start: the earliest first fragment of its tracks."""


class Row(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One published fragment or gap."""

    track: int
    time: int
    duration: int
    segment: int
    """HLS media sequence number of the segment that the row belongs to, in its track's playlists."""
    flags: int


class Published(Record, frozen=True, tag="edge"):
    """The published edge moved: these rows are listed from now on and frozen. A row without FLAG_GAP names a written fragment."""

    rows: tuple[Row, ...]


class TargetRaised(Record, frozen=True, tag="target"):
    """A single longer GOP raised TARGETDURATION, with an alert."""

    target_duration_s: int


class Peak(Record, frozen=True, tag="peak"):
    """The measured peak bit rate of a track rose (bits per second over one fragment, container included)."""

    track: int
    bps: int


class SignalsAdded(Record, frozen=True, tag="signals"):
    """A track of signals joined the channel."""

    info: SignalInfo


class SignalReceived(Record, frozen=True, tag="signal"):
    """A signal came. It is shown when its track's parent has a row at its time or later."""

    track: int
    """SignalInfo.number."""
    signal: Signal


class Reset(Record, frozen=True, tag="reset"):
    """The operator reset the channel: what encoders said of themselves is forgotten, and the preview begins anew. Times go on."""

    utc_ns: int
    """When it was told to: names the command."""


class Event(Record, frozen=True, tag="event"):
    """Something an operator wants to know: an alert raised or cleared."""

    utc_ns: int
    code: str
    detail: str


AnyRecord = (
    TrackAdded
    | ConfigAdded
    | Anchored
    | ClockPlaced
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
)
