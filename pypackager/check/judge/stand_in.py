"""What the levels of a Smooth stream share: one list of chunks, of one duration each (MS-SSTR 2.2.2.5).

In: streams of presentations that are compared. Out: which layers can share a list, and what a level has of its own. Never: a finding.

A layer whose encoder was killed, or lost its connection, has a last fragment of another length than the others', or none. Then another
layer stands in for it, under its name, and nobody may miss those frames of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pypackager.check.judge.match import NS, Stream

_SLACK = 2 * NS // 1000


def in_step(one: Stream, other: Stream) -> bool:
    """No picture of either that decoding can start at lies within what the other has from one such picture to the next, or to a hole."""
    return not (_cut_within(one, other) or _cut_within(other, one))


def _cut_within(one: Stream, other: Stream) -> bool:
    begins, ends = (np.sort(np.array(times, np.int64)) for times in zip(*other.groups, strict=True))
    cuts = np.array([begin for begin, _ in one.groups], np.int64)
    at = np.searchsorted(begins, cuts + _SLACK, "right") - 1
    return bool(np.any((at >= 0) & (cuts > begins[at] + _SLACK) & (cuts < ends[at] - _SLACK)))


def without_stand_ins(stream: Stream, beside: Sequence[Stream], counterpart: Stream) -> Stream:
    """A level without what another stands in for, which is a gap then.

    Args:
        stream: the level.
        beside: all of its presentation.
        counterpart: the same in the other presentation; where it has as many frames no other level may stand in.
    """
    here, there = stream.anchors(counterpart)
    if not len(here):
        return stream
    apart = int(np.median(counterpart.time[there] - stream.time[here]))
    foreign = ~np.isin(stream.digest, counterpart.known)
    dropped, gaps = np.zeros(len(stream.time), np.bool_), list(stream.gaps)
    for part in stream.parts:
        digests, times = stream.digest[part], stream.time[part]
        if not foreign[part].all() or not any(_has(other, digests, times) for other in beside if other is not stream):
            continue
        first, last = int(times.min()), int(times.max())
        own = (counterpart.time >= first + apart - _SLACK) & (counterpart.time <= last + apart + _SLACK)
        if int(own.sum()) != len(times):
            dropped[part] = True
            gaps.append((first, last + 1))
    if not dropped.any():
        return stream
    return replace(stream, digest=stream.digest[~dropped], time=stream.time[~dropped], gaps=gaps, parts=[])


def own(stream: Stream, beside: Sequence[Stream]) -> Stream:
    """A level by what no other level has at the same times; the whole of one that has nothing of its own.

    One that joined late and left early has more of those that stand in for it than of itself.
    """
    kept = np.ones(len(stream.time), np.bool_)
    for part in stream.parts:
        kept[part] = not any(_has(other, stream.digest[part], stream.time[part]) for other in beside if other is not stream)
    return replace(stream, digest=stream.digest[kept], time=stream.time[kept], parts=[]) if kept.any() else stream


def _has(other: Stream, digests: np.ndarray, times: np.ndarray) -> bool:
    """It has the same frames in a segment at the same times."""
    return any(np.array_equal(other.digest[part], digests) and np.array_equal(other.time[part], times) for part in other.parts)
