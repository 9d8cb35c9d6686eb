"""Which stream of one presentation is which of another: by frames, and by their times where frames come again.

In: presentations. Out: streams over all their segments, and pairs of them. Never: a finding.

Frames alone do not tell: a loop, a slate or an advertisement may be in two tracks at different times. Between two presentations all times
differ by one shift, so the right pairs are those that agree under the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pypackager.check.judge.continuity import main_stream
from pypackager.check.media.samples import Kind, Samples
from pypackager.check.presentation import Presentation, Track

NS = 1_000_000_000
_US = 1000
_SLACK_US = 2000
"""Far less than a frame."""


@dataclass
class Stream:
    """A stream over all its segments."""

    label: str
    kind: Kind
    digest: NDArray[np.uint64]
    time: NDArray[np.int64]
    """Presentation times in nanoseconds."""
    tick: int
    """Nanoseconds of a tick, rounded up."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """Where its manifest says that it has none, in nanoseconds of presentation time."""
    codec: str = ""
    """As RFC 6381 writes it; empty where nothing says it."""
    parts: list[slice] = field(default_factory=list)
    """Which frames are of which segment."""
    groups: list[tuple[int, int]] = field(default_factory=list)
    """From a picture that decoding can start at to the next one of the segment or its end, in nanoseconds of decoding time."""

    def __post_init__(self) -> None:
        self.known, self.often = np.unique(self.digest, return_counts=True)
        """Each digest once, and how often it comes."""
        self.first_us = int(self.time.min()) // _US
        self.span_us = int(self.time.max()) // _US - self.first_us
        # A frame as one number, by its digest and then by its time.
        self.keys = np.sort(self._key(np.searchsorted(self.known, self.digest), self.time // _US - self.first_us))

    def likeness(self, other: Stream) -> float:
        """How much of what either has both have, as often as they have it."""
        if self.kind != other.kind:
            return 0.0
        _, here, there = np.intersect1d(self.known, other.known, assume_unique=True, return_indices=True)
        both = int(np.minimum(self.often[here], other.often[there]).sum())
        return both / (len(self.digest) + len(other.digest) - both)

    def anchors(self, other: Stream) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The places, in both, of the frames that come but once in either."""
        alone = np.intersect1d(self.known[self.often == 1], other.known[other.often == 1], assume_unique=True)
        here, there = (np.flatnonzero(np.isin(each.digest, alone)) for each in (self, other))
        return here[np.argsort(self.digest[here])], there[np.argsort(other.digest[there])]

    def shifts(self, other: Stream) -> list[int]:
        """By how many nanoseconds another may be later; where each frame comes again both ends are taken for the same."""
        here, there = self.anchors(other)
        if len(here):
            return [int(np.median(other.time[there] - self.time[here]))]
        ours, theirs = (one.time[np.isin(one.digest, two.known)] for one, two in ((self, other), (other, self)))
        return [int(theirs.min() - ours.min()), int(theirs.max() - ours.max())]

    def agreeing(self, other: Stream, shift: int) -> int:
        """How many frames of another are in this one, about so many nanoseconds earlier."""
        slack = max(self.tick, other.tick) // _US + _SLACK_US
        time = (other.time - shift) // _US - self.first_us
        rank = np.minimum(np.searchsorted(self.known, other.digest), len(self.known) - 1)
        there = (self.known[rank] == other.digest) & (time >= -slack) & (time <= self.span_us + slack)
        wanted = self._key(rank[there], time[there])
        at = np.minimum(np.searchsorted(self.keys, wanted - slack), len(self.keys) - 1)
        return int((np.abs(self.keys[at] - wanted) <= slack).sum())

    def admits_gap(self, time: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these times lie in a gap that is listed as one."""
        inside = np.zeros(len(time), np.bool_)
        for start, end in self.gaps:
            inside |= (time >= start - _SLACK_US * _US) & (time < end)
        return inside

    def _key(self, rank: NDArray[np.intp], time_us: NDArray[np.int64]) -> NDArray[np.int64]:
        # Digests lie further apart than any time with its slack.
        return rank.astype(np.int64) * (self.span_us + 10 * NS // _US) + time_us


def streams(presentation: Presentation) -> list[Stream]:
    """The streams of video and audio."""
    out: list[Stream] = []
    for track in presentation.tracks:
        gaps = _gaps(track)
        found: dict[tuple[Kind, int], list[Samples]] = {}
        for loaded in track.loaded:
            places: dict[Kind, int] = {}
            for stream in loaded.media.streams:
                nth = places[stream.kind] = places.get(stream.kind, -1) + 1
                if stream.kind in ("video", "audio") and len(stream):
                    found.setdefault((stream.kind, nth), []).append(stream)
        for (kind, nth), each in found.items():
            label = track.label if nth == 0 and len({key[0] for key in found}) == 1 else f"{track.label} ({kind})"
            digest = np.concatenate([part.digest for part in each])
            time = np.concatenate([_ns(part.pts, part.timescale) for part in each])
            tick = -(-NS // min(part.timescale for part in each))
            ends = np.cumsum([0, *map(len, each)]).tolist()
            codec = next((part.codec.name for part in each if part.codec is not None), "")
            groups = [group for part in each for group in _groups(part)]
            out.append(Stream(label, kind, digest, time, tick, gaps, codec, list(map(slice, ends, ends[1:])), groups))
    return out


def _ns(ticks: NDArray[np.int64], timescale: int) -> NDArray[np.int64]:
    # Whole seconds apart from the rest: ticks since 1970 times 10^9 pass 64 bits.
    whole, rest = np.divmod(ticks, timescale)
    out: NDArray[np.int64] = whole * NS + rest * NS // timescale
    return out


def _groups(part: Samples) -> list[tuple[int, int]]:
    if part.kind != "video":
        return []
    # The first is where the segment begins, whatever it is.
    starts = part.dts[np.flatnonzero(part.idr[1:]) + 1] - part.dts[0] + part.begin
    borders = _ns(np.array([part.begin, *starts, part.end], np.int64), part.timescale)
    return list(pairwise(borders.tolist()))


def _gaps(track: Track) -> list[tuple[int, int]]:
    """The segments that are listed as missing, in media time: that of the segments of their continuity."""
    shifts: dict[int, Fraction] = {}
    for loaded in track.loaded:
        if (main := main_stream(loaded)) is not None:
            shifts.setdefault(loaded.listing.continuity, loaded.listing.start - Fraction(loaded.begin(main), main.timescale))
    spans = [(gap.start - shifts[gap.continuity], gap.duration) for gap in track.listings.values() if gap.gap and gap.continuity in shifts]
    return [(int(start * NS), int((start + duration) * NS)) for start, duration in spans]


def match(ours: Sequence[Stream], theirs: Sequence[Stream]) -> list[int | None]:
    """For each of theirs the number of ours with the same frames; None where there is none."""
    alike = [[one.likeness(other) for one in ours] for other in theirs]
    shifts = [0]
    for other, row in zip(theirs, alike, strict=True):
        for one, likeness in zip(ours, row, strict=True):
            for shift in one.shifts(other) if likeness else ():
                if all(abs(shift - each) > _SLACK_US * _US // 2 for each in shifts):
                    shifts.append(shift)
    agreeing = [
        [
            [one.agreeing(other, shift) if likeness else 0 for one, likeness in zip(ours, row, strict=True)]
            for other, row in zip(theirs, alike, strict=True)
        ]
        for shift in shifts
    ]
    best = max(agreeing, key=lambda rows: sum(max(row, default=0) for row in rows))
    # What agrees with nothing is late, or early: then the more alike, the more likely.
    return [_first_of_most(row if any(row) else likeness) for row, likeness in zip(best, alike, strict=True)]


def _first_of_most(scores: Sequence[float]) -> int | None:
    return int(np.argmax(scores)) if any(scores) else None
