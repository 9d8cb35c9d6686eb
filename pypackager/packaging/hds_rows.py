"""Which rows of a media HDS lists, and at which times.

In: a track, the audio that is muxed with it. Out: rows, and the bootstrap that lists them. Never: a fragment.

A gap of the pictures is listed with its sound. One without sound is a jump of numbers and times in the table (Adobe F4V 2.11.2.2).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.records import FLAG_GAP
from pypackager.packaging import cache
from pypackager.packaging.bootstrap import abst, table_entry
from pypackager.packaging.chunks import Chunks
from pypackager.packaging.rows import Page
from pypackager.packaging.runs import Rows, RunStrip
from pypackager.packaging.window import audio_rows, first_media, is_gap, last_media, muxed_start, muxed_stop, source

ERA_MS = 1 << 31
"""HDS time zero is the last multiple of this: FLV counts milliseconds in 32 bits, which clients take to be signed.

Media time may be UTC, and a window must not move zero while it slides. So zero is a function of the fragment's time alone, and time starts
over, with a discontinuity, every 24.8 days.
"""

PRESENTATION_SHIFT_MS = 200
"""So much later than it is decoded everything is shown (`mux::PRESENTATION_SHIFT_MS`): no picture's offset is negative.

A media of sound alone is listed at the times that its tags have; one with pictures at their decode times.
"""


def listed(presentation: Presentation, track: TrackWindow, audio: TrackWindow | None) -> range:
    """The rows from the first to the last that is listed."""
    if audio is None:
        first, last = first_media(track, 0, len(track.time)), last_media(track)
        return range(0) if first is None or last is None else range(first, last + 1)
    start, stop = muxed_start(track, audio), muxed_stop(presentation, track, audio)
    while start < stop and not _sounds(presentation, track, audio, start):
        start += 1
    while start < stop and not _sounds(presentation, track, audio, stop - 1):
        stop -= 1
    return range(start, stop)


def _sounds(presentation: Presentation, track: TrackWindow, audio: TrackWindow | None, row: int) -> bool:
    """Whether there is something in a row: pictures, or in a gap of them the sound that is muxed with them."""
    if not is_gap(track, row):
        return True
    return audio is not None and source(presentation, audio, *audio_rows(presentation, track, row, row + 1, audio)) is not None


def bootstrap_page(presentation: Presentation, track: TrackWindow, audio: TrackWindow | None, rows: range) -> Page:
    """The `abst` of the rows that `listed` found."""
    strip = cache.strip(presentation, ("hds rows", track.info.number, audio and audio.info.number), track, _table)
    times = _milliseconds if track.info.kind == "video" else _sounding
    fed = range(max(0, strip.end - track.first), rows.stop)
    gaps = [row for row in (np.flatnonzero(track.flags[fed.start : fed.stop] & FLAG_GAP) + fed.start).tolist() if row >= rows.start]
    sounding = [row for row in gaps if _sounds(presentation, track, audio, row)]
    shown: Rows = track
    if sounding:
        flags = track.flags[:]
        flags[sounding] &= ~FLAG_GAP
        shown = Chunks(track.info, (track,), track.first, track.time, track.duration, flags, track.period)
    strip.feed(shown, times, track.first + rows.stop)
    last_ms, length_ms = times(int(track.time[rows.stop - 1]), int(track.duration[rows.stop - 1]), track.info.timescale)
    start, stop = track.first + rows.start, track.first + rows.stop
    # Of what is listed alone, as everything else that is said: it rises with each row, and at the end.
    version = (2 * stop + presentation.ended) & 0xFFFFFFFF
    return abst(strip, start, stop, live=not presentation.ended, version=version, end_ms=last_ms + length_ms)


def _table(start: int) -> RunStrip:
    return RunStrip(start, table_entry)


def _milliseconds(time: Any, duration: Any, timescale: int) -> tuple[Any, Any]:
    """Times and durations on the HDS timeline; ends are rounded like starts, so that equal neighbours stay in one run."""
    start = time * 1000 // timescale
    return start % ERA_MS, (time + duration) * 1000 // timescale - start


def _sounding(time: Any, duration: Any, timescale: int) -> tuple[Any, Any]:
    """The same for a media of sound alone."""
    start = time * 1000 // timescale
    return (start + PRESENTATION_SHIFT_MS) % ERA_MS, (time + duration) * 1000 // timescale - start
