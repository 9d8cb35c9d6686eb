"""What a viewer of a segment asks for next.

In: a presentation and the path of a segment. Out: the paths of those that follow it in the same track and format. Never: an answer.

A front that holds answers ready asks here after each publication, so that the segments of the streams that are watched are there before
their viewers are.
"""

from __future__ import annotations

from collections.abc import Iterator

from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.packaging import hds, smooth, urls
from pypackager.packaging.segments import complete, split
from pypackager.packaging.urls import HdsMedia, Media, SmoothMedia, TsMedia, build
from pypackager.packaging.window import find, is_gap, track_by_id

Stream = tuple[str, ...]


def stream(path: str) -> tuple[Stream, int] | None:
    """The stream that a segment belongs to, and its place there; None when the path is no segment's.

    Args:
        path: what follows the presentation's root.
    """
    try:
        target = urls.parse(path)
    except PackagerError:
        return None
    match target:
        case Media(track, time, count):
            return ("fragments" if count == 1 else "segments", track), time
        case TsMedia(track, audio, time, _):
            return ("ts", track, audio), time
        case SmoothMedia(bitrate, name, time):
            return ("smooth", str(bitrate), name), time
        case HdsMedia(track, audio, number):
            return ("hds", track, audio), number
        case _:
            return None


def following(presentation: Presentation, key: Stream, path: str) -> Iterator[str]:
    """The paths of the segments behind the one at `path`, up to the published edge, oldest first; none when it left the window.

    Args:
        presentation: what is published now.
        key: the stream that is followed. A segment of a single fragment has that fragment's path, and only this tells which is meant.
        path: of a segment of that stream.
    """
    try:
        target = urls.parse(path)
        found = _following(presentation, key, target)
    except PackagerError:
        return
    yield from map(build, found)


def _following(presentation: Presentation, key: Stream, target: urls.Target) -> Iterator[urls.Target]:
    match target:
        case Media(name, time, _) if key[0] == "fragments":
            track = track_by_id(presentation, name)
            rows = _rows_behind(track, time, len(track.time))
            return (Media(name, int(track.time[row])) for row in rows if not is_gap(track, row))
        case Media(name, time, _):
            track = track_by_id(presentation, name)
            return (Media(name, int(track.time[start]), count) for start, count in _segments_behind(presentation, track, time, None))
        case TsMedia(name, sound, time, _):
            track = track_by_id(presentation, name)
            audio = track_by_id(presentation, sound) if sound else None
            behind = _segments_behind(presentation, track, time, audio)
            return (TsMedia(name, sound, int(track.time[start]), count) for start, count in behind)
        case SmoothMedia(bitrate, name, time):
            return (SmoothMedia(bitrate, name, later) for later in smooth.times_behind(presentation, target, time))
        case HdsMedia(name, sound, number):
            return (HdsMedia(name, sound, later) for later in hds.numbers_behind(presentation, target, number))
        case _:
            return iter(())


def _rows_behind(track: TrackWindow, time: int, stop: int) -> range:
    row = find(track, time)
    return range(0) if row is None else range(row + 1, stop)


def _segments_behind(presentation: Presentation, track: TrackWindow, time: int, audio: TrackWindow | None) -> Iterator[tuple[int, int]]:
    """(first row, rows) of the complete segments behind the one at `time`."""
    row = find(track, time)
    if row is not None:
        _, stop = complete(presentation, track, audio)
        segments = split(track, row, stop)
        next(segments, None)
        yield from ((start, end - start) for start, end in segments)
