"""Presentations against each other: the same frames, at the same times but for one constant per presentation.

Frames are found by their digests, so tracks find their counterparts by content (`match.py`), never by name. Only frames that occur once on
both sides say where they are (silence repeats); what lies between the first and the last of them must be on both sides.
"""

from __future__ import annotations

import numpy as np

from pypackager.check.finding import Report, Scope
from pypackager.check.judge.borders import borders_to_judge, check_borders
from pypackager.check.judge.match import NS, Stream, match, streams
from pypackager.check.judge.stand_in import in_step, own, without_stand_ins
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
LAYER = rule(
    "SYNC-LAYER", "error", "none", "each layer has a counterpart in a presentation that has room for it", verified=True,
    example="HLS has 720p, 360p and 240p, DASH lacks 240p",
)  # fmt: skip


def check_same(one: Presentation, other: Presentation, report: Report, *, whole: bool) -> None:
    """Compares `other` with `one`; `whole`: every segment was loaded, so that a frame that is not there is missing."""
    scope = report.scope(presentation=other.label, url=other.url)
    ours, theirs = streams(one), streams(other)
    shifts: list[tuple[str, int, int]] = []
    pairs: dict[int, list[tuple[Stream, Stream, int]]] = {}
    matched: set[int] = set()
    for stream, best in zip(theirs, match(_own(one, ours), _own(other, theirs)), strict=True):
        here = scope.at(track=stream.label)
        if best is None:
            here.breach(FRAMES, f"no frame of this {stream.kind} is in {one.label}", "a track with the same frames")
            continue
        matched.add(best)
        mine = without_stand_ins(ours[best], ours, stream) if one.format == "smooth" else ours[best]
        its = without_stand_ins(stream, theirs, ours[best]) if other.format == "smooth" else stream
        shift = _check_pair(mine, its, one.label, here, whole=whole)
        if shift is not None:
            shifts.append((stream.label, shift, max(mine.tick, its.tick)))
            pairs.setdefault(best, []).append((mine, its, shift))
    _check_all_there(ours, matched, one, other, scope)
    if whole:
        heads, tails = borders_to_judge(one, other)
        for n, same in pairs.items():
            # Of a level that others stand in for, what is its own beside each of its counterparts is the same.
            others = [(its, shift) for _, its, shift in same]
            check_borders(same[0][0], others, f"{one.label} {ours[n].label}", scope.at(track=same[0][1].label), heads=heads, tails=tails)
    for label, shift, tick in shifts[1:]:
        if abs(shift - shifts[0][1]) > tick + shifts[0][2]:
            found = f"{(shift - shifts[0][1]) / 1e6:+.3f} ms against {shifts[0][0]}"
            scope.at(track=label).breach(SHIFT, found, f"the shift of {shifts[0][1] / 1e6:.3f} ms, to a tick")


def _own(presentation: Presentation, layers: list[Stream]) -> list[Stream]:
    """The streams of a presentation by what is theirs alone, where one may stand in for another."""
    return [own(each, layers) for each in layers] if presentation.format == "smooth" else layers


def _check_all_there(ours: list[Stream], matched: set[int], one: Presentation, other: Presentation, scope: Scope) -> None:
    """Checks that no stream is missing."""
    layers = [ours[n] for n in sorted(matched) if ours[n].kind == "video"]
    for n, stream in enumerate(ours):
        # Of two that are the same the first is found.
        if n in matched or any(stream.likeness(ours[m]) == 1 for m in matched):
            continue
        found = f"{one.label} {stream.label} ({stream.kind}) is not in it"
        # A media playlist by itself is one rendition.
        alone = other.format == "hls" and [track.url for track in other.tracks] == [other.url]
        # Smooth knows of no newer codec (MS-SSTR 2.2.2.5), and all layers share one list of chunks: what is cut elsewhere has no place.
        room = other.format != "smooth" or (stream.codec.startswith("avc") and any(in_step(stream, layer) for layer in layers))
        lost = stream.kind == "video" and room and not alone
        scope.breach(LAYER if lost else MISSING, found, "a counterpart")


def _check_pair(ours: Stream, theirs: Stream, label: str, scope: Scope, *, whole: bool) -> int | None:
    """Compares two streams of the same frames; returns their shift."""
    here, there = ours.anchors(theirs)
    if not len(here):
        return None
    apart = theirs.time[there] - ours.time[here]
    shift = int(np.median(apart))
    tick = max(ours.tick, theirs.tick)
    wrong = np.flatnonzero(np.abs(apart - shift) > tick)
    if len(wrong):
        worst = int(wrong[np.argmax(np.abs(apart[wrong] - shift))])
        found = f"{len(wrong)} of {len(here)} frames are elsewhere than in {label}, one by {int(apart[worst] - shift) / 1e6:+.3f} ms"
        scope.breach(TIMES, found, f"the shift of {shift / 1e6:.3f} ms, to {tick / 1e6:.3f} ms")
    if whole:
        pairs = ((theirs, there, ours, -shift, f"that {label} lacks"), (ours, here, theirs, shift, f"fewer than {label}"))
        for stream, places, against, apart_ns, words in pairs:
            span = slice(places.min(), places.max() + 1)
            lacks = ~np.isin(stream.digest[span], against.digest) & ~against.admits_gap(stream.time[span] + apart_ns)
            lacking = np.flatnonzero(lacks)
            if len(lacking):
                time = stream.time[places.min() + int(lacking[0])] / NS
                scope.breach(FRAMES, f"{len(lacking)} frames {words}, the first at {time:.3f} s", f"the same {len(lacks)} frames")
    return shift
