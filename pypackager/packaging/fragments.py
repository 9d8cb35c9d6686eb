"""CMAF, TS and init answers: plans over stored bytes.

In: a presentation and a parsed URL. Out: a plan. Never: bytes of media.
"""

from __future__ import annotations

from pypackager.model.errors import PackagerError
from pypackager.model.plan import NOTHING, Published, Range, Stored, TsSegment
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.packaging.segments import is_segment
from pypackager.packaging.urls import Init, Media, TsMedia, build
from pypackager.packaging.window import audio_rows, media_row, ranges, source, track_by_id
from pypackager.packaging.window import find as find_row


def init(presentation: Presentation, target: Init) -> Published:
    """The CMAF header of a configuration."""
    track = track_by_id(presentation, target.track)
    for config in track.configs.values():
        if config.hash == target.config:
            return Published(content_type=f"{track.info.kind}/mp4", body=config.init, lifetime="immutable", etag=f'"{config.hash}"')
    raise PackagerError("NO_SUCH_CONFIG", "the track has no configuration with this hash", status=404, where=build(target))


def media(presentation: Presentation, target: Media) -> Published:
    """One fragment, or the fragments of an HLS segment, as they are stored."""
    track = track_by_id(presentation, target.track)
    one = target.count == 1
    row = media_row(track, target.time) if one else _segment_row(presentation, track, target.time, target.count)
    stored = ranges(presentation, track, row, row + target.count)
    if not stored:
        raise _no_segment(target)
    etag = f'"{target.time:x}-{target.count:x}-{sum(size for _, _, size in stored):x}"'
    return Published(content_type=f"{track.info.kind}/mp4", body=Stored(_merged(stored)), lifetime="immutable", etag=etag)


def ts_media(presentation: Presentation, target: TsMedia) -> Published:
    """An MPEG-TS segment."""
    track = track_by_id(presentation, target.track)
    audio = track_by_id(presentation, target.audio) if target.audio else None
    if audio is not None and track.info.kind != "video":
        raise PackagerError("NO_SUCH_URL", "audio is muxed with video only", status=404, where=build(target))
    row = _segment_row(presentation, track, target.time, target.count, audio)
    stop = row + target.count
    main = source(presentation, track, row, stop)
    sound = source(presentation, audio, *audio_rows(presentation, track, row, stop, audio)) if audio is not None else None
    if main is None and sound is None:
        raise _no_segment(target)
    if audio is not None:
        # Where a track has a gap its stream stays in the PMT: segments have the same streams (RFC 8216 4.3.2.3).
        plan = TsSegment(video=main or NOTHING, audio=sound or NOTHING)
    elif track.info.kind == "video":
        plan = TsSegment(video=main, audio=None)
    else:
        plan = TsSegment(video=None, audio=main)
    size = sum(size for each in (plan.video, plan.audio) if each for _, _, size in each.ranges)
    return Published(content_type="video/mp2t", body=plan, lifetime="immutable", etag=f'"ts-{target.time:x}-{target.count:x}-{size:x}"')


def _segment_row(presentation: Presentation, track: TrackWindow, time: int, count: int, audio: TrackWindow | None = None) -> int:
    """The first row of a listed segment."""
    row = find_row(track, time)
    if row is None or not is_segment(presentation, track, row, count, audio):
        raise _no_segment(TsMedia(track.info.id, audio.info.id if audio else "", time, count))
    return row


def _no_segment(target: Media | TsMedia) -> PackagerError:
    where = f"{target.track} {target.time}-{target.count}"
    return PackagerError("NO_SUCH_SEGMENT", "no segment of the window is at this time", status=404, where=where)


def _merged(stored: tuple[Range, ...]) -> tuple[Range, ...]:
    """Neighbours in one file as one range: one read instead of several."""
    merged: list[Range] = []
    for path, offset, size in stored:
        if merged and merged[-1][0] == path and merged[-1][1] + merged[-1][2] == offset:
            merged[-1] = (path, merged[-1][1], merged[-1][2] + size)
        else:
            merged.append((path, offset, size))
    return tuple(merged)
