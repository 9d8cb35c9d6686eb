"""What packaging reads: a frozen view of the published part of a journal, clipped to a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pypackager.model.column import Column
from pypackager.model.signal import SignalWindow
from pypackager.model.track import TrackConfig, TrackInfo


class Member(msgspec.Struct, frozen=True, array_like=True):
    """A track that a part of a period lists in DASH."""

    track: int
    """TrackInfo.number."""
    group: int
    """Number of the first track that players could switch to it from, in this period: DASH AdaptationSet@id."""
    since: int
    """Part that it joined with."""


class Period(msgspec.Struct, frozen=True):
    """A stretch of the presentation with one source timeline and compatible configurations, or a part of one.

    A period has more than one part where a track joined or left it: each is a Period in DASH, whose Representations cover it whole. No
    other format knows of parts.
    """

    number: int
    """0, 1, 2, … over the life of the channel; stable in DASH Period@id."""
    start_ns: int
    """Media time of its start."""
    part: int = 0
    members: tuple[Member, ...] | None = None
    """Those that cover the part, in the order in which they came; None: all that have rows."""


class TrackWindow(msgspec.Struct, frozen=True):
    """The published rows of one track inside a window: parallel columns, oldest first, immutable.

    Row `i` here is row `first + i` of the track's life, so that what is rendered of a row can be cached by its absolute number.
    """

    info: TrackInfo
    configs: Mapping[int, TrackConfig]
    first: int
    time: Column
    duration: Column
    size: Column
    """Bytes of the stored fragment (moof + mdat); 0 in a gap."""
    segment: Column
    """HLS media sequence number of the row's segment."""
    flags: Column
    """FLAG_* of pypackager.model.records."""
    config: Column
    period: Column
    """Period number of the row."""
    discontinuity: Column
    """HLS discontinuity sequence number of the row."""
    blob: Column
    offset: Column
    peak_bps: int
    average_bps: int


class Presentation(msgspec.Struct, frozen=True):
    """One presentation at one version: what the manifests of one moment say.

    The same presentation gives the same bytes everywhere: packaging is a pure function of it.
    """

    name: str
    version: int
    """Rises with each change of the published content, on this node."""
    tracks: tuple[TrackWindow, ...]
    """In the order of TrackInfo.number."""
    periods: tuple[Period, ...]
    """Those with rows in the window, oldest first."""
    anchor_ns: int
    """UTC of media time zero, in nanoseconds since 1970."""
    interval_ns: int
    """Key frame interval: the usual fragment duration."""
    fragments_per_segment: int
    target_duration_s: int
    window_ns: int
    """Depth of the DVR window."""
    ended: bool
    """The program ended: this is video on demand from now on."""
    published_ns: int
    """UTC at which this version was published (DASH @publishTime)."""
    blob_paths: Mapping[int, str]
    """Blob number to absolute path."""
    caches: dict[Any, Any]
    """Scratch space that all versions of one presentation share, for what packaging renders once; never part of the meaning."""
    signals: tuple[SignalWindow, ...] = ()
    """Tracks of signals, in the order of SignalInfo.number; also those of which nothing is shown yet."""
    lately: Callable[[], Presentation] | None = None
    """Of a live presentation: the same with what left the window a moment ago. Manifests list nothing of it, segments are served from it;
    few are asked for, so it is made when one is."""
