"""A witness of one encoder that was cut off: which stretches of its material came out, in their order. Nothing here imports pypackager.

In: a track as it was sent, and as it came out, all periods of it. Out: stretches within which every frame is the next one that was sent,
at its time. What is doubled, swapped, changed or lost begins another one, so that they are as many as the sessions where nothing is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.helpers.frames import Track


@dataclass(frozen=True)
class Stretch:
    """Frames in a row as they were sent."""

    place: int
    """Number of the first of them in what was sent; -1: nobody sent it."""
    frames: int
    begin: float
    """When the first of them starts in the output; seconds."""
    end: float
    """When the frame behind the last one would start."""
    off: float
    """The most that a frame's time is off where it would stand by the first one's; seconds."""


def stretches(sent: Track, got: Sequence[Track]) -> list[Stretch]:
    """What came out of a track, in its order. Where it could go on at more than one place, the longest stretch counts.

    Args:
        sent: what the encoder played, once.
        got: the track in each period.
    """
    wanted = [(float(sent.seconds(frame.pts)), frame.digest) for frame in sent.frames]
    frames = [(float(track.seconds(frame.pts)), frame.digest) for track in got for frame in track.frames]
    step = (wanted[-1][0] - wanted[0][0]) / (len(wanted) - 1)
    places: dict[bytes, list[int]] = {}
    for place, (_, digest) in enumerate(wanted):
        places.setdefault(digest, []).append(place)
    found: list[Stretch] = []
    at = 0
    while at < len(frames):
        count, place = max(((_alike(wanted[place:], frames[at:]), place) for place in places.get(frames[at][1], ())), default=(1, -1))
        begin, end = frames[at][0], frames[at + count - 1][0] + step
        shift = begin - wanted[place][0]
        off = max(abs(frames[at + n][0] - shift - wanted[place + n][0]) for n in range(count)) if place >= 0 else 0.0
        found.append(Stretch(place, count, begin, end, off))
        at += count
    return found


def _alike(wanted: Sequence[tuple[float, bytes]], got: Sequence[tuple[float, bytes]]) -> int:
    """How many frames are the same from the beginning."""
    return next((n for n, (one, other) in enumerate(zip(wanted, got, strict=False)) if one[1] != other[1]), min(len(wanted), len(got)))
