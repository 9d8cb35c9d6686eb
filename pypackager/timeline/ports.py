"""What the timeline needs of others: the store that it writes to, the operator's names, its options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from pypackager._core import MuxedFragment
from pypackager.model.records import (
    Anchored,
    ClockPlaced,
    Measured,
    Peak,
    Row,
    SignalReceived,
    SignalsAdded,
    TargetRaised,
    TrackPlaced,
)
from pypackager.model.signal import Signal
from pypackager.model.track import TrackConfig, TrackInfo
from pypackager.timeline.clocks import Mode
from pypackager.timeline.naming import Rule
from pypackager.timeline.times import SECOND_NS

Decision = Anchored | ClockPlaced | TrackPlaced | Measured | TargetRaised | Peak | SignalsAdded | SignalReceived


class Alert(Protocol):
    """Tells the operator."""

    def __call__(self, code: str, detail: str, track: str = "", /) -> None:
        """Something is wrong, with one track or with all."""
        ...


class Naming(Rule, Protocol):
    """A [[channel.track]] table."""

    @property
    def language(self) -> str | None:
        """Language that the operator states."""
        ...

    @property
    def role(self) -> str:
        """DASH role."""
        ...


class Store(Protocol):
    """What the timeline needs of the DVR. Everything is queued, written in order and listed once it is written; numbers are tickets."""

    def add_track(self, info: TrackInfo) -> int:
        """Journals a new track."""
        ...

    def add_config(self, track: int, value: TrackConfig) -> int:
        """Journals a configuration and returns its number within the track."""
        ...

    def put_fragment(self, track: int, fragment: MuxedFragment, config: int, flags: int, index: int) -> int:
        """Writes a fragment and its record."""
        ...

    def append(self, record: Decision) -> int:
        """Journals a decision."""
        ...

    def open_period(self, start_ns: int) -> int:
        """Journals that what is published from here on belongs to a new period."""
        ...

    def publish(self, rows: Sequence[Row]) -> int:
        """Journals that the edge moved."""
        ...

    def roll_due(self, now_ns: int) -> bool:
        """Whether files are to roll over at the next segment start."""
        ...

    def roll(self, now_ns: int) -> None:
        """Rolls the files over."""
        ...

    def stored(self, track: int, time: int, slack_ns: int = 10_000_000) -> tuple[int, int, bool] | None:
        """Of the fragment that was published at this time, give or take so much, and is kept: duration, bytes, whether it is whole."""
        ...

    def signal_at(self, track: int, time: int) -> Signal | None:
        """The signal of a track of signals at exactly this time that is still kept."""
        ...


class Options(msgspec.Struct, frozen=True):
    """What the configuration says of the timeline."""

    protocol: str
    mode: Mode
    rules: Sequence[Naming] = ()
    interval_ns: int | None = None
    fragments_per_segment: int | None = None
    limit_ns: int = SECOND_NS
    """Shortest deadline of the published edge."""
    reorder: int = 2
    """So many fragments late may a fragment of fragmented MP4 come on its connection."""
    merge_ns: int = 0
    """How much longer it waits for another source to fill a hole."""
    prefer_primary: bool = False
    """Whether, of two encoders that are not synchronised, the primary one is gone back to."""
    video_layers: int = 10
    audio_tracks: int = 5
    layer_bps: int = 10_000_000
    channel_bps: int = 25_000_000
