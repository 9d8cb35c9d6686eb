"""Which video layers share their fragment times, so that one list of chunks describes them all.

In: a presentation. Out: the tracks of Smooth Streaming's video stream. Never: text.

A layer belongs to a group when its rows are rows of the group's longest layer: it may have come later or left earlier. The largest group
is the stream (of equal ones the first); a layer outside keeps its own edges in HLS and DASH.
"""

from __future__ import annotations

import numpy as np

from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.packaging.window import find, is_gap, playable


def aligned_layers(presentation: Presentation) -> list[TrackWindow]:
    """The layers of the video stream, the one with the most rows first."""
    groups: list[list[TrackWindow]] = []
    for layer in sorted(playable(presentation, "video"), key=lambda track: (-len(track.time), track.info.number)):
        for group in groups:
            if _within(presentation, group[0], layer):
                group.append(layer)
                break
        else:
            groups.append([layer])
    return max(groups, key=len) if groups else []


def _within(presentation: Presentation, longest: TrackWindow, layer: TrackWindow) -> bool:
    """Every row of `layer` is a row of `longest`, in the same time and of the same duration, with none left out between."""
    if longest.info.timescale != layer.info.timescale:
        return False
    # Rows never change: those that were compared once are not compared again. (lag in absolute rows, first and end of what was compared)
    key = ("aligned", longest.info.number, layer.info.number)
    start = find(longest, int(layer.time[0]))
    if start is None or start + len(layer.time) > len(longest.time):
        return False
    lag = longest.first + start - layer.first
    known_lag, known_first, known_end = presentation.caches.get(key, (lag, 0, 0))
    end = layer.first + len(layer.time)
    fresh = layer.first
    if known_lag == lag and known_first <= layer.first <= known_end <= end:
        fresh = known_end
    mine = slice(fresh - layer.first, None)
    theirs = slice(fresh - layer.first + start, start + len(layer.time))
    same = np.array_equal(layer.time[mine], longest.time[theirs]) and np.array_equal(layer.duration[mine], longest.duration[theirs])
    if same:
        presentation.caches[key] = (lag, layer.first, end)
    return same


def substitutes(layers: list[TrackWindow], layer: TrackWindow) -> list[TrackWindow]:
    """The layers that may stand in for one: those below it from the nearest on, then those above."""
    below = [other for other in layers if other.info.bitrate < layer.info.bitrate]
    above = [other for other in layers if other.info.bitrate > layer.info.bitrate]
    return sorted(below, key=lambda track: -track.info.bitrate) + sorted(above, key=lambda track: track.info.bitrate)


def has_media(layers: list[TrackWindow], time: int) -> bool:
    """One of the layers has a fragment at this time."""
    return any((row := find(layer, time)) is not None and not is_gap(layer, row) for layer in layers)
