"""What a walk has seen, the same for every format: the rules on media and liveness are written on this, once.

In: what walkers note. Out: tracks, their segments as declared and as loaded, and every look at a manifest. Never: bytes.

All declared times are exact seconds on the presentation's own timeline (`Fraction`): in HLS the date of PROGRAM-DATE-TIME, or the sum
of EXTINF from zero where there is none; in DASH the presentation time; in Smooth and HDS the time in the manifest. Media times are the
samples'.
A `continuity` numbers stretches whose media times go on from one segment to the next (HLS discontinuity sequence, DASH period).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction

import msgspec

from pypackager.check.media.samples import Media, Samples

SHORT_HOLE = Fraction(1, 10)
"""Seconds. Less is missing between two segments where a frame was left out, and no segment; players go on (hls.js by maxBufferHole)."""


class Listing(msgspec.Struct, frozen=True):
    """A segment as a manifest lists it."""

    url: str
    start: Fraction
    duration: Fraction
    name: str
    """Number or time, as a person would look for it."""
    key: str
    """The segment's for ever, among those of its track."""
    continuity: int = 0
    byte_range: tuple[int, int] | None = None
    """First byte and length."""
    init: str = ""
    """URL of its header; empty when it has none."""
    init_range: tuple[int, int] | None = None
    gap: bool = False
    """It is listed as missing: nobody may ask for it."""
    line: int | None = None
    media_start: Fraction | None = None
    """What the manifest says of the media time of its first sample (DASH S@t, Smooth c@t); None where it does not."""
    missing: Fraction = Fraction(0)
    """So much of its duration, at its end, is said to have no media (DASH: FailoverContent; Smooth: what `tfxd` leaves of it)."""
    exact: Fraction = Fraction(0)
    """The manifest rounds times and durations to this (HLS: half a unit of the last decimal; DASH: 0)."""


@dataclass
class Loaded:
    """A segment that was fetched and read."""

    listing: Listing
    media: Media
    size: int
    crc: int

    def begin(self, stream: Samples) -> int:
        """The time in a stream of it that the manifest's time stands for: when the first sample is decoded, or when the first is shown."""
        stated = self.listing.media_start
        if stated is None or not len(stream):
            return stream.begin
        return min((stream.begin, int(stream.pts.min())), key=lambda tick: abs(stated * stream.timescale - tick))


class Look(msgspec.Struct, frozen=True):
    """One look at a live manifest."""

    asked: float
    answered: float
    """Seconds UTC."""
    start: Fraction
    """Of the first listed segment."""
    end: Fraction
    """Of the last listed segment."""
    changed: bool
    """It lists something that the look before did not."""
    ended: bool
    """It says that nothing will follow."""


class Claims(msgspec.Struct, frozen=True):
    """What manifests say of a track; None or empty where they don't."""

    bandwidth: int | None = None
    """Peak, in bit/s."""
    average_bandwidth: int | None = None
    codecs: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None
    frame_rate: Fraction | None = None
    sample_rate: int | None = None
    channels: int | None = None
    language: str = ""
    target_duration: Fraction | None = None
    """No segment may be longer (HLS)."""
    independent: bool = False
    """Each segment is said to start with a key frame."""
    default_kind: str = ""
    """video | audio | text, where the manifest says so."""


@dataclass
class Track:
    """A track of one presentation: what one playlist, Representation or QualityLevel stands for. TS and HLS may mux several streams."""

    label: str
    url: str
    """Of its own manifest, or of the presentation's."""
    claims: Claims = field(default_factory=Claims)
    listings: dict[str, Listing] = field(default_factory=dict)
    """Everything that was ever listed, by key, in order."""
    loaded: list[Loaded] = field(default_factory=list)
    """In the order of `listings` once the walk is over."""
    looks: list[Look] = field(default_factory=list)
    group: str = ""
    """Tracks of one group can be switched between: their segments must be aligned."""

    def take(self, listings: Iterable[Listing]) -> list[Listing]:
        """Notes what a copy of a manifest lists; gives back what none listed before."""
        new = [listing for listing in listings if listing.key not in self.listings]
        self.listings.update((listing.key, listing) for listing in new)
        return new

    def sort(self) -> None:
        """Puts the loaded segments in order."""
        order = {key: n for n, key in enumerate(self.listings)}
        self.loaded.sort(key=lambda loaded: order[loaded.listing.key])


def url_key(url: str, byte_range: tuple[int, int] | None) -> str:
    """The key of a segment that its place on the server tells from all others."""
    return f"{url}@{byte_range[0]}" if byte_range else url


@dataclass
class Presentation:
    """One URL, walked."""

    label: str
    format: str
    url: str
    live: bool
    """It was still going on at the last look."""
    tracks: list[Track] = field(default_factory=list)
    absolute: bool = False
    """Declared times are UTC: seconds since 1970."""
