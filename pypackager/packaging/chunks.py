"""The chunks that a Smooth Streaming stream lists: one list for all its tracks.

In: a presentation and tracks of one timescale. Out: their chunks; which video layers share a list. Never: text.

There is a chunk where one of the tracks has a fragment. Where fragments begin together and are not of one length the chunk is the longest:
an encoder that is killed, or a connection that breaks, leaves the last fragment of one layer shorter than the others'. Layers are *in step*
when no fragment of one begins within a fragment of another. They go on being so where one of them has none for a while, at its beginning
and at its end. The chunks depend on the rows of the tracks alone, so one that was listed stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from pypackager.model.column import Column, Numbers
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.records import FLAG_ENDS, FLAG_GAP
from pypackager.model.track import TrackInfo
from pypackager.packaging.window import target_duration_s

_FEW = 8

Arrays = tuple[Numbers, Numbers, Numbers, Numbers]
"""Time, duration, flags, period."""


class Chunks(msgspec.Struct, frozen=True):
    """Parallel columns, oldest first, immutable."""

    info: TrackInfo
    """Of the first track."""
    tracks: tuple[TrackWindow, ...]
    first: int
    """Number of the first chunk, for what is rendered of them: a chunk keeps its number as long as all behind it do."""
    time: Column | Numbers
    duration: Column | Numbers
    flags: Column | Numbers
    period: Column | Numbers
    rows: tuple[int, int] | None = None
    """Where they are all the rows of one of the tracks: its number, and the number of the first row."""

    def find(self, time: int) -> int | None:
        """The chunk that starts at `time`."""
        chunk = int(self.time.searchsorted(time))
        return chunk if chunk < len(self.time) and int(self.time[chunk]) == time else None

    def ends(self, chunk: int) -> bool:
        """It was the last of all when it was served: a program ended behind it, and was started again."""
        period = int(self.period[chunk])
        if chunk + 1 < len(self.time) and int(self.period[chunk + 1]) == period:
            return False
        return any(_ends(track, period) for track in self.tracks)

    @property
    def settled(self) -> int:
        """How many there are that nothing more comes to.

        A layer whose last fragment is longer than the first layer's may be published after it, and then before all that begins later: the
        newest chunk is not settled while a layer that had the one before has neither a fragment nor a gap there.
        """
        before, newest = self.time[-2:].tolist() if len(self.time) > 1 else (0, 0)
        lags = any(int(track.time[-1]) >= before and int(track.time[-1] + track.duration[-1]) <= newest for track in self.tracks)
        return len(self.time) - lags

    @property
    def in_step(self) -> bool:
        """None begins within another."""
        return self.rows is not None or not bool(np.any(self.time[:-1] + self.duration[:-1] > self.time[1:]))


def chunks_of(presentation: Presentation, tracks: Sequence[TrackWindow]) -> Chunks:
    """The chunks of tracks that have media in the window."""
    key = ("chunks", *(track.info.number for track in tracks))
    kept: Chunks | None = presentation.caches.get(key)
    if kept is not None and all(before is now for before, now in zip(kept.tracks, tracks, strict=True)):
        return kept
    # Nearly always the layers are alike: nothing is read then, however long the window is.
    alike = _alike(presentation, tracks)
    head = _head(presentation, tracks)
    columns: Sequence[Column | Numbers]
    if alike is not None:
        start, stop = int(alike.time.searchsorted(head)), len(alike.time)
        columns = [column.part(start, stop) for column in (alike.time, alike.duration, alike.flags, alike.period)]
        rows = (alike.info.number, alike.first + start)
    else:
        arrays = (None if kept is None else _continued(kept, tracks)) or _longest([_media(track, slice(None)) for track in tracks])
        start, rows = int(arrays[0].searchsorted(head)), None
        columns = [array[start:] for array in arrays]
    time, duration, flags, period = columns
    found = Chunks(tracks[0].info, tuple(tracks), 0, time, duration, flags, period, rows)
    presentation.caches[key] = found = msgspec.structs.replace(found, first=_number(kept, found))
    return found


def layers_in_step(presentation: Presentation, layers: Sequence[TrackWindow]) -> list[TrackWindow]:
    """The largest group of layers that are in step; of equal ones that with more chunks, then the first."""
    groups: list[list[TrackWindow]] = []
    for scale in dict.fromkeys(layer.info.timescale for layer in layers):
        alike = [layer for layer in layers if layer.info.timescale == scale]
        if chunks_of(presentation, alike).in_step:
            groups.append(alike)
            continue
        apart: list[list[TrackWindow]] = []
        for layer in alike:
            group = next((each for each in apart if chunks_of(presentation, [*each, layer]).in_step), None)
            if group is None:
                apart.append([layer])
            else:
                group.append(layer)
        groups += apart
    return max(groups, key=lambda group: (len(group), len(chunks_of(presentation, group).time))) if groups else []


def complete(presentation: Presentation, chunks: Chunks, track: TrackWindow) -> bool:
    """Whether one of the tracks has a fragment for each chunk; one of another length counts as well."""
    if len(track.time) < len(chunks.time):
        return False
    if not len(chunks.time) or (chunks.rows is not None and _whole(presentation, track)):
        return True
    begin = int(track.time.searchsorted(int(chunks.time[0])))
    return int(np.count_nonzero((track.flags[begin:] & FLAG_GAP) == 0)) >= len(chunks.time)


def _alike(presentation: Presentation, tracks: Sequence[TrackWindow]) -> TrackWindow | None:
    """The track that has no gaps, and whose rows are those of all others, if there is one."""
    longest = max(tracks, key=lambda track: len(track.time))
    alike = _whole(presentation, longest) and all(other is longest or _within(presentation, longest, other) for other in tracks)
    return longest if alike else None


def _ends(track: TrackWindow, period: int) -> bool:
    """A program ended behind the track's last row of a period, and was started again."""
    row = len(track.time) - 1
    if int(track.period[row]) != period:
        row = int(track.period.searchsorted(period, "right")) - 1
    return row >= 0 and int(track.period[row]) == period and bool(int(track.flags[row]) & FLAG_ENDS)


def _whole(presentation: Presentation, track: TrackWindow) -> bool:
    """It has no gaps."""
    key = ("whole", track.info.number)
    first, last = track.first, track.first + len(track.time)
    # Rows never change, so they are looked at once: the window that was asked for, first row seen, first row not seen yet, last gap.
    known: tuple[TrackWindow, int, int, int] = presentation.caches.get(key) or (track, first, first, -1)
    _, begin, seen, gap = known
    if known[0] is not track or seen != last:
        if not begin <= first <= seen <= last:
            begin, seen, gap = first, first, -1
        gaps: Numbers = (track.flags[seen - first :] & FLAG_GAP).nonzero()[0]
        gap = seen + int(gaps[-1]) if len(gaps) else gap
        presentation.caches[key] = track, begin, last, gap
    return gap < first


def _within(presentation: Presentation, longest: TrackWindow, layer: TrackWindow) -> bool:
    """Every row of `layer` is a row of `longest`, in the same time and of the same duration, with none left out between."""
    start = int(longest.time.searchsorted(int(layer.time[0])))
    if start + len(layer.time) > len(longest.time):
        return False
    key = ("within", longest.info.number, layer.info.number)
    lag, end = longest.first + start - layer.first, layer.first + len(layer.time)
    # Once here, too: how far the rows are apart, first row seen, first row not seen yet.
    known_lag, begin, seen = presentation.caches.get(key, (lag, layer.first, layer.first))
    if known_lag != lag or not begin <= layer.first <= seen <= end:
        begin = seen = layer.first
    mine, theirs = slice(seen - layer.first, None), slice(seen + lag - longest.first, start + len(layer.time))
    same = _equal(layer.time[mine], longest.time[theirs]) and _equal(layer.duration[mine], longest.duration[theirs])
    if same:
        presentation.caches[key] = lag, begin, end
    return same


def _equal(one: Numbers, other: Numbers) -> bool:
    # Nearly always there is one new row, for which arrays cost more than all the rest.
    return one.tolist() == other.tolist() if len(one) < _FEW else np.array_equal(one, other)


def _continued(kept: Chunks, tracks: Sequence[TrackWindow]) -> Arrays | None:
    """The columns of a later window, or None when that has rows before those that are known.

    Rows never change: only what came, and what is where a window begins now, is compared again.
    """
    pairs = list(zip(kept.tracks, tracks, strict=True))
    if not len(kept.time) or not all(_goes_on(before, now) for before, now in pairs):
        return None
    begin = int(kept.time[0])
    head = max((int(now.time[0]) for before, now in pairs if now.first != before.first), default=begin)
    fresh = [_media(now, slice(before.first + len(before.time) - now.first, None)) for before, now in pairs]
    came = min((int(rows[0, 0]) for rows in fresh if rows.shape[1]), default=None)
    if came is not None and came < head:
        return None
    heads = [_media(now, slice(int(now.time.searchsorted(head)))) for _, now in pairs] if head > begin else []
    low = int(kept.time.searchsorted(head))
    high = len(kept.time) if came is None else int(kept.time.searchsorted(came))
    same = np.array([column[low:] for column in (kept.time, kept.duration, kept.flags, kept.period)])
    parts = [np.array(_longest(heads))] if heads else []
    time, duration, flags, period = np.concatenate([*parts, same[:, : high - low], _longest([same[:, high - low :], *fresh])], axis=1)
    return time, duration, flags, period


def _head(presentation: Presentation, tracks: Sequence[TrackWindow]) -> int:
    """Where the last of the tracks begins whose earlier rows left the window.

    Windows are cut at segments, and theirs may begin apart. A chunk before that would be another layer's in the stead of one that left;
    a track that begins later by more than a segment came then.
    """
    first = min(int(track.time[0]) for track in tracks)
    reach = first + target_duration_s(presentation) * tracks[0].info.timescale
    return max((begin for track in tracks if track.first and (begin := int(track.time[0])) <= reach), default=first)


def _goes_on(before: TrackWindow, now: TrackWindow) -> bool:
    """The rows of a window go on behind those of another, and nothing of it lies before."""
    known = before.first + len(before.time)
    return before.first <= now.first <= known <= now.first + len(now.time)


def _media(track: TrackWindow, rows: slice) -> Numbers:
    """(time, duration, flags, period) of those of some rows that are no gaps."""
    columns = np.array([track.time[rows], track.duration[rows], track.flags[rows], track.period[rows]])
    return columns[:, (columns[2] & FLAG_GAP) == 0]


def _longest(parts: Sequence[Numbers]) -> Arrays:
    """The rows of all parts by time; of those that begin together the longest."""
    rows: Numbers = np.concatenate(parts, axis=1)
    rows = rows[:, np.lexsort((rows[1], rows[0]))]
    last = np.ones(rows.shape[1], np.bool_)
    last[:-1] = rows[0, 1:] != rows[0, :-1]
    time, duration, flags, period = rows[:, last]
    return time, duration, flags, period


def _number(before: Chunks | None, now: Chunks) -> int:
    """The number of the first chunk: its own where the list only went on, else one behind all that were given."""
    if before is None or not len(before.time):
        return 0 if before is None else before.first
    if before.rows is not None and now.rows is not None and before.rows[0] == now.rows[0] and before.rows[1] <= now.rows[1]:
        return before.first + now.rows[1] - before.rows[1]
    gone = int(before.time.searchsorted(int(now.time[0]))) if len(now.time) else len(before.time)
    both = len(before.time) - gone
    if np.array_equal(before.time[gone:], now.time[:both]) and np.array_equal(before.duration[gone:], now.duration[:both]):
        return before.first + gone
    return before.first + len(before.time) + 1
