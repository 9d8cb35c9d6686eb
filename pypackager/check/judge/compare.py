"""Presentations against each other: the same frames, at the same times but for one constant per presentation.

Frames are found by their digests, so tracks find their counterparts by content, never by name. Only frames that occur once on both sides
say where they are (silence repeats); what lies between the first and the last of them must be on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypackager.check.finding import Report, Scope
from pypackager.check.media.samples import Kind
from pypackager.check.presentation import Presentation
from pypackager.check.rules import rule

FRAMES = rule(
    "SYNC-FRAMES", "error", "none", "presentations that are compared carry the same frames", verified=True,
    example="the transport stream lacks a picture that the CMAF track has",
)  # fmt: skip
TIMES = rule(
    "SYNC-TIMES", "error", "none", "after one shift per presentation frames have the same times, to a tick of the coarser timescale",
    example="a picture is shown 40 ms later in DASH than in HLS, its neighbours are not", verified=True,
)  # fmt: skip
SHIFT = rule(
    "SYNC-SHIFT", "error", "none", "the shift of a presentation against another is the same for all its tracks", verified=True,
    example="audio is 200 ms later in TS than in CMAF, video is not",
)  # fmt: skip
MISSING = rule(
    "SYNC-TRACK", "note", "none", "each track has a counterpart in the other presentation", verified=True,
    example="HDS carries the default audio only",
)  # fmt: skip

_NS = 1_000_000_000


@dataclass
class _Stream:
    """A stream over all its segments."""

    label: str
    kind: Kind
    digest: NDArray[np.uint64]
    time: NDArray[np.int64]
    """Presentation times in nanoseconds."""
    tick: int
    """Nanoseconds of a tick, rounded up."""


def check_same(one: Presentation, other: Presentation, report: Report, *, whole: bool) -> None:
    """Compares `other` with `one`; `whole`: every segment was loaded, so that a frame that is not there is missing."""
    scope = report.scope(presentation=other.label, url=other.url)
    ours, theirs = _streams(one), _streams(other)
    shifts: list[tuple[str, int, int]] = []
    matched: set[int] = set()
    for stream in theirs:
        here = scope.at(track=stream.label)
        counts = [len(np.intersect1d(stream.digest, each.digest)) if each.kind == stream.kind else 0 for each in ours]
        best = int(np.argmax(counts)) if counts else -1
        if best < 0 or not counts[best]:
            here.breach(FRAMES, f"no frame of this {stream.kind} is in {one.label}", "a track with the same frames")
            continue
        matched.add(best)
        shift = _check_pair(ours[best], stream, one.label, here, whole=whole)
        if shift is not None:
            shifts.append((stream.label, shift, max(ours[best].tick, stream.tick)))
    for n, stream in enumerate(ours):
        if n not in matched:
            scope.breach(MISSING, f"{one.label} {stream.label} ({stream.kind}) is not in it", "a counterpart")
    for label, shift, tick in shifts[1:]:
        if abs(shift - shifts[0][1]) > tick + shifts[0][2]:
            found = f"{(shift - shifts[0][1]) / 1e6:+.3f} ms against {shifts[0][0]}"
            scope.at(track=label).breach(SHIFT, found, f"the shift of {shifts[0][1] / 1e6:.3f} ms, to a tick")


def _check_pair(ours: _Stream, theirs: _Stream, label: str, scope: Scope, *, whole: bool) -> int | None:
    """Compares two streams of the same frames; returns their shift."""
    once, counts = np.unique(ours.digest, return_counts=True)
    twice, others = np.unique(theirs.digest, return_counts=True)
    anchors = np.intersect1d(once[counts == 1], twice[others == 1])
    if not len(anchors):
        return None
    here, there = (np.flatnonzero(np.isin(each.digest, anchors)) for each in (ours, theirs))
    by_digest = np.argsort(ours.digest[here]), np.argsort(theirs.digest[there])
    apart = theirs.time[there][by_digest[1]] - ours.time[here][by_digest[0]]
    shift = int(np.median(apart))
    tick = max(ours.tick, theirs.tick)
    wrong = np.flatnonzero(np.abs(apart - shift) > tick)
    if len(wrong):
        worst = int(wrong[np.argmax(np.abs(apart[wrong] - shift))])
        found = f"{len(wrong)} of {len(anchors)} frames are elsewhere than in {label}, one by {int(apart[worst] - shift) / 1e6:+.3f} ms"
        scope.breach(TIMES, found, f"the shift of {shift / 1e6:.3f} ms, to {tick / 1e6:.3f} ms")
    if whole:
        pairs = ((theirs, there, ours, f"that {label} lacks"), (ours, here, theirs, f"fewer than {label}"))
        for stream, places, against, words in pairs:
            span = stream.digest[places[0] : places[-1] + 1]
            lacking = np.flatnonzero(~np.isin(span, against.digest))
            if len(lacking):
                time = stream.time[places[0] + int(lacking[0])] / _NS
                scope.breach(FRAMES, f"{len(lacking)} frames {words}, the first at {time:.3f} s", f"the same {len(span)} frames")
    return shift


def _streams(presentation: Presentation) -> list[_Stream]:
    out: list[_Stream] = []
    for track in presentation.tracks:
        parts: dict[tuple[Kind, int], list[tuple[NDArray[np.uint64], NDArray[np.int64], int]]] = {}
        for loaded in track.loaded:
            places: dict[Kind, int] = {}
            for stream in loaded.media.streams:
                nth = places[stream.kind] = places.get(stream.kind, -1) + 1
                if stream.kind in ("video", "audio") and len(stream):
                    # Whole seconds apart from the rest: ticks since 1970 times 10^9 pass 64 bits.
                    whole, rest = np.divmod(stream.pts, stream.timescale)
                    part = stream.digest, whole * _NS + rest * _NS // stream.timescale, stream.timescale
                    parts.setdefault((stream.kind, nth), []).append(part)
        for (kind, nth), each in parts.items():
            label = track.label if nth == 0 and len({key[0] for key in parts}) == 1 else f"{track.label} ({kind})"
            digest, time = np.concatenate([part[0] for part in each]), np.concatenate([part[1] for part in each])
            out.append(_Stream(label, kind, digest, time, -(-_NS // min(part[2] for part in each))))
    return out
