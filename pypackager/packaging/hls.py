"""HLS media playlists (RFC 8216bis), for CMAF and for TS segments.

In: a presentation, a track. Out: the playlist. Never: segments.

The text of a segment depends on its rows and on the row before them, so it is rendered once and kept in a strip. The first listed segment
has no predecessor for the client: it is rendered anew in each playlist, with its map and date and without a discontinuity.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import msgspec

from pypackager.model.errors import PackagerError
from pypackager.model.plan import Published
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.packaging import cache
from pypackager.packaging.rows import Page, Strip
from pypackager.packaging.segments import complete, independent, is_broken, listed, next_open, split
from pypackager.packaging.signals import date_ranges
from pypackager.packaging.timing import extinf, from_ns, to_ns, utc_text
from pypackager.packaging.urls import Flavour, Init, build, media_path, ts_path
from pypackager.packaging.window import (
    audio_rows,
    config_at,
    default_audio,
    end_time,
    first_media,
    interval_ns,
    is_gap,
    target_duration_s,
)

CONTENT_TYPE = "application/vnd.apple.mpegurl"

_FRAME_NS = 100_000_000
"""Longer than a frame of sound."""

VERSIONS: dict[Flavour, int] = {"cmaf": 7, "ts": 4, "ts3": 3}
"""EXT-X-MAP in a playlist of fragmented MP4 takes 7, EXT-X-MEDIA takes 4, decimal durations take 3 (RFC 8216 7)."""


class _Playlist(msgspec.Struct, frozen=True):
    """What all parts of one playlist are rendered from."""

    presentation: Presentation
    track: TrackWindow
    flavour: Flavour
    muxed: TrackWindow | None

    @property
    def audio(self) -> str:
        """Id of the muxed audio, or empty."""
        return self.muxed.info.id if self.muxed else ""


def media_playlist(presentation: Presentation, track: TrackWindow, flavour: Flavour) -> Published:
    """The media playlist of a track.

    Raises:
        PackagerError: NOT_READY (404) while no segment is complete: an empty playlist makes players give up.
    """
    muxed = default_audio(presentation) if flavour == "ts3" and track.info.kind == "video" else None
    start, stop = listed(presentation, track, muxed)
    if start == stop:
        raise PackagerError("NOT_READY", "the track has no complete segment yet", status=404, where=track.info.id)
    playlist = _Playlist(presentation, track, flavour, muxed)
    # Rows never change, so which rows are listed says it all.
    rows = (track.first + start, track.first + stop, int(track.time[start]), target_duration_s(presentation), presentation.anchor_ns)
    told = ""
    if presentation.signals:
        # The same in every playlist of a version.
        told = cache.text(presentation, ("date ranges",), cache.version(presentation), partial(date_ranges, presentation))
    state = (*rows, presentation.ended, playlist.audio, told)

    def make() -> Published:
        return _page(playlist, start, stop, told).publish(CONTENT_TYPE)

    return cache.answer(presentation, ("hls", flavour, track.info.number), state, make)


def _page(playlist: _Playlist, start: int, stop: int, told: str) -> Page:
    presentation, track = playlist.presentation, playlist.track
    page = Page()
    page.add(
        "#EXTM3U\n"
        f"#EXT-X-VERSION:{VERSIONS[playlist.flavour]}\n"
        f"#EXT-X-TARGETDURATION:{target_duration_s(presentation)}\n"
        f"#EXT-X-MEDIA-SEQUENCE:{int(track.segment[start])}\n"
    )
    if discontinuities := int(track.discontinuity[start]):
        page.add(f"#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}\n")
    if presentation.ended:
        page.add("#EXT-X-PLAYLIST-TYPE:VOD\n")
    if independent(presentation, track, start, stop):
        page.add("#EXT-X-INDEPENDENT-SEGMENTS\n")
    page.add(told)
    last = next_open(track, start + 1)
    page.add(_segment(playlist, start, last, head=True))
    # The last segment of an ended presentation may be short of rows that come when it goes on: it is not kept.
    _, kept = complete(presentation, track, playlist.muxed)
    if last < kept:
        strip = cache.strip(presentation, ("hls rows", playlist.flavour, playlist.audio, track.info.number), track, Strip)
        if (fresh := strip.end - track.first) < kept:
            for first, end in split(track, fresh, kept):
                strip.append(track.first + first, _segment(playlist, first, end).encode())
            strip.end = track.first + kept
        page.add_rows(strip.slice(track.first + last, track.first + kept))
    for first, end in split(track, max(last, kept), stop):
        page.add(_segment(playlist, first, end))
    if presentation.ended:
        page.add("#EXT-X-ENDLIST\n")
    return page


def _segment(playlist: _Playlist, start: int, stop: int, *, head: bool = False) -> str:
    """The lines of the segment that the rows [start, stop) are; `head`: it is the first of the playlist."""
    track = playlist.track
    timescale = track.info.timescale
    time = int(track.time[start])
    media = first_media(track, start, stop)
    text = ""
    apart = head or int(track.discontinuity[start]) != int(track.discontinuity[start - 1])
    if apart and not head:
        # One tag for each number, also when a whole period left no segment in this track: the renditions keep the same count.
        text += "#EXT-X-DISCONTINUITY\n" * max(1, int(track.discontinuity[start]) - int(track.discontinuity[start - 1]))
    if not head:
        # Behind the tag: their dates are no continuation of those before.
        text += _left_out(playlist, start)
    if playlist.flavour == "cmaf" and media is not None and (head or _new_map(track, start - 1, media)):
        text += f'#EXT-X-MAP:URI="../{build(Init(track.info.id, config_at(track, media).hash))}"\n'
    if apart or time != end_time(track, start - 1):
        text += f"#EXT-X-PROGRAM-DATE-TIME:{utc_text(playlist.presentation.anchor_ns + to_ns(time, timescale))}\n"
    if is_broken(track, start, stop) or (media is None and not _sounds(playlist, start, stop)):
        text += "#EXT-X-GAP\n"
    uri = _uri(playlist, time, stop - start)
    return f"{text}#EXTINF:{extinf(time, end_time(track, stop - 1), timescale)},\n../{uri}\n"


def _left_out(playlist: _Playlist, start: int) -> str:
    """The segments between the one before and the one that opens with a row: nothing of them came, and other data centres have them.

    Gaps (RFC 8216bis 4.4.4.7) where those have segments: the numbers are the same there.
    """
    presentation, track = playlist.presentation, playlist.track
    stop, scale, count = int(track.segment[start]), track.info.timescale, presentation.fragments_per_segment
    first, length_ns = int(track.segment[start - 1]) + 1, interval_ns(presentation) * count
    if first >= stop:
        return ""
    # The segment may have lost its first fragments, too. Where encoders number their fragments, times do not show it.
    start_ns = to_ns(int(track.time[start]), scale)
    end_ns = stop * length_ns if abs(start_ns - stop * length_ns) < length_ns else start_ns
    borders = [end_ns - (stop - number) * length_ns for number in range(first, stop + 1)]
    if abs(start_ns - borders[-1]) <= _FRAME_NS:
        # Sound has frames where pictures have borders; dates and durations have to agree.
        borders[-1] = start_ns
    text = f"#EXT-X-PROGRAM-DATE-TIME:{utc_text(presentation.anchor_ns + borders[0])}\n"
    for begin, end in pairwise(from_ns(border, scale) for border in borders):
        text += f"#EXT-X-GAP\n#EXTINF:{extinf(begin, end, scale)},\n../{_uri(playlist, begin, count)}\n"
    return text


def _sounds(playlist: _Playlist, start: int, stop: int) -> bool:
    """Muxed audio is there, though no picture is."""
    audio = playlist.muxed
    return audio is not None and first_media(audio, *audio_rows(playlist.presentation, playlist.track, start, stop, audio)) is not None


def _uri(playlist: _Playlist, time: int, count: int) -> str:
    name = playlist.track.info.id
    return media_path(name, time, count) if playlist.flavour == "cmaf" else ts_path(name, playlist.audio, time, count)


def _new_map(track: TrackWindow, before: int, media: int) -> bool:
    """The row's header may not be the one in force: it differs from the row's before, or that is a gap, which has none of its own."""
    return is_gap(track, before) or int(track.config[before]) != int(track.config[media])
