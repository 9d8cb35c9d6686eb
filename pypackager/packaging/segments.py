"""HLS segments: which rows make one, and which are listed.

In: a track's window. Out: rows. Never: text.

A segment is opened by a row with FLAG_OPENS and goes on to the next such row. It is complete when that row is there, or when its last row
has FLAG_CLOSES. While live only complete segments are listed; what is left of a segment whose first row slid out of the window is not
listed, because its media sequence number would change its content.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pypackager.model.column import Numbers
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.records import FLAG_CLOSES, FLAG_GAP, FLAG_OPENS, FLAG_SYNC
from pypackager.packaging.window import is_gap, muxed_start, muxed_stop, opens


def listed(presentation: Presentation, track: TrackWindow, audio: TrackWindow | None = None) -> tuple[int, int]:
    """The rows [start, stop) of the window that are in listed segments, with `audio` muxed; equal when there is none."""
    start, stop = complete(presentation, track, audio)
    return (start, len(track.time)) if presentation.ended else (start, stop)


def complete(presentation: Presentation, track: TrackWindow, audio: TrackWindow | None = None) -> tuple[int, int]:
    """The rows [start, stop) of the window that are in complete segments."""
    key = ("complete", track.info.number, audio is not None)
    known: tuple[TrackWindow, TrackWindow | None, tuple[int, int]] | None = presentation.caches.get(key)
    if known is None or known[0] is not track or known[1] is not audio:
        known = presentation.caches[key] = (track, audio, _complete(presentation, track, audio))
    return known[2]


def _complete(presentation: Presentation, track: TrackWindow, audio: TrackWindow | None) -> tuple[int, int]:
    stop = len(track.time) if audio is None else muxed_stop(presentation, track, audio)
    start = next_open(track, 0 if audio is None else muxed_start(track, audio))
    if not (stop < len(track.time) and opens(track, stop)):
        last = stop - 1
        while last > start and not opens(track, last):
            last -= 1
        stop = stop if stop > start and int(track.flags[stop - 1]) & FLAG_CLOSES else last
    return start, max(start, stop)


def next_open(track: TrackWindow, row: int) -> int:
    """The first row from `row` on that opens a segment; the number of rows when none does."""
    count = len(track.time)
    while row < count and not opens(track, row):
        row += 1
    return row


def split(track: TrackWindow, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The segments of the rows [start, stop), which begins with a row that opens one."""
    if start >= stop:
        return
    openings = (np.flatnonzero(track.flags[start:stop] & FLAG_OPENS) + start).tolist()
    yield from zip(openings, [*openings[1:], stop], strict=True)


def is_broken(track: TrackWindow, start: int, stop: int) -> bool:
    """The disk lost a part of a segment that was listed before: there is no word for half of one, and its URL meant other bytes."""
    return len({is_gap(track, row) for row in range(start, stop)}) > 1


def is_segment(presentation: Presentation, track: TrackWindow, start: int, count: int, audio: TrackWindow | None = None) -> bool:
    """With `audio` muxed, the `count` rows from `start` on are exactly one listed segment, and nothing of it is lost."""
    if not opens(track, start):
        return False
    stop = next_open(track, start + 1)
    first, last = listed(presentation, track, audio)
    return stop - start == count and first <= start and stop <= last and not is_broken(track, start, stop)


def independent(presentation: Presentation, track: TrackWindow, start: int, stop: int) -> bool:
    """Every segment of the rows [start, stop) starts with a key frame (or is a gap)."""
    key = ("independent", track.info.number)
    first, last = track.first + start, track.first + stop
    # Rows are looked at once: (first row seen, first row not seen yet, last row that breaks the rule), absolute.
    begin, seen, broken = presentation.caches.get(key, (0, 0, -1))
    if not begin <= first <= seen:
        begin, seen, broken = first, first, -1
    if seen < last:
        found = _dependent(track, seen, last)
        broken = int(found[-1]) if len(found) else broken
        presentation.caches[key] = begin, last, broken
    # One format lists fewer rows than another: what breaks the rule may be behind its last.
    return bool(broken < first or (broken >= last and not len(_dependent(track, first, last))))


def _dependent(track: TrackWindow, first: int, last: int) -> Numbers:
    """Which of the absolute rows [first, last) open a segment without a key frame."""
    rule = FLAG_OPENS | FLAG_SYNC | FLAG_GAP
    return first + np.flatnonzero((track.flags[first - track.first : last - track.first] & rule) == FLAG_OPENS)
