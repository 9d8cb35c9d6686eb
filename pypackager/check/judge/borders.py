"""The borders of presentations that are compared: what has ended begins and ends with the same frames in all of them.

In: streams of one presentation, and which of another are the same, and how much later. Out: findings. Never: what lies between the borders.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pypackager.check.finding import Scope
from pypackager.check.judge.match import NS, Stream
from pypackager.check.presentation import Presentation
from pypackager.check.rules import rule

BORDERS = rule(
    "SYNC-BORDERS", "error", "none", "compared presentations that have ended begin and end with the same frames", verified=True,
    example="the archive has 12 s in HLS and its first 6 s in DASH",
)  # fmt: skip

_CUT = NS // 10
"""What is cut out of something longer has its sound cut at a picture: at its showing, or, where it is muxed, at its decoding, which is
earlier by the delay of reordering. Nobody hears the difference."""

Pair = tuple[Stream, int]
"""A stream of the other presentation that has the same frames, and by how many nanoseconds it is later."""


def borders_to_judge(one: Presentation, other: Presentation) -> tuple[bool, bool]:
    """Whether the heads, and whether the tails, of two presentations must agree.

    Tails must when both have ended. What was watched while it went on begins with the first look at it, which was not that at the other.
    Where something that is listed was not loaded nobody knows.
    """
    whole = all(
        len(track.loaded) == sum(not listing.gap for listing in track.listings.values()) for each in (one, other) for track in each.tracks
    )
    ended = whole and not one.live and not other.live
    on_demand = all(look.ended for each in (one, other) for track in each.tracks for look in track.looks)
    return ended and on_demand, ended


def check_borders(ours: Stream, pairs: Sequence[Pair], label: str, scope: Scope, *, heads: bool, tails: bool) -> None:
    """Checks a stream against all that are the same: muxed with layers that came late, or left, only together they have all of it.

    Args:
        ours: A stream of the presentation that others are compared with.
        pairs: Those of the other.
        label: What ours is called.
        scope: The other's.
        heads: Beginnings are judged.
        tails: Ends are judged.
    """
    theirs = np.concatenate([stream.time - shift for stream, shift in pairs])
    slack = _slack(ours)
    gaps = np.zeros(len(ours.time), np.bool_)
    for stream, shift in pairs:
        gaps |= stream.admits_gap(ours.time + shift)
    sides = ((ours.time[~gaps], theirs, "lacks"), (theirs[~ours.admits_gap(theirs)], ours.time, f"has and {label} lacks"))
    for time, against, words in sides:
        for judged, outside, name in ((heads, time < against.min() - slack, "first"), (tails, time > against.max() + slack, "last")):
            if judged and outside.any():
                _tell(time[outside], f"it {words} the {name}", label, scope)


def _tell(time: NDArray[np.int64], words: str, label: str, scope: Scope) -> None:
    count, seconds = len(np.unique(time)), (int(time.max()) - int(time.min())) / NS
    scope.breach(BORDERS, f"{words} {count} frames, {seconds:.3f} s", f"those of {label}, to the first and the last")


def _slack(stream: Stream) -> int:
    """By how much less than another frame borders may differ."""
    half = int(np.median(np.diff(np.unique(stream.time)))) // 2 if len(stream.time) > 1 else stream.tick
    return half if stream.kind == "video" else half + _CUT
