"""Questions to a TrackWindow: rows by time, ranges of stored bytes, configurations, neighbours.

In: a presentation and one of its tracks. Out: indices into the track's columns, ranges, configurations. Never: text.
"""

from __future__ import annotations

import numpy as np

from pypackager.model.errors import PackagerError
from pypackager.model.plan import Range, Source
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.records import FLAG_GAP, FLAG_OPENS, FLAG_PERIOD
from pypackager.model.track import Kind, TrackConfig
from pypackager.packaging.timing import from_ns, to_ns

_USUAL_INTERVAL_NS = 2_000_000_000

MUX_TOLERANCE_NS = 100_000_000
"""How much earlier than a video fragment its audio may start: encoders that align fragments do so within an audio frame or two."""


def interval_ns(presentation: Presentation) -> int:
    """Key frame interval; until it is measured, the usual one."""
    return presentation.interval_ns or _USUAL_INTERVAL_NS


def target_duration_s(presentation: Presentation) -> int:
    """EXT-X-TARGETDURATION; until it is measured, what the usual interval makes it."""
    return presentation.target_duration_s or 3 * _USUAL_INTERVAL_NS // 1_000_000_000


def track_by_id(presentation: Presentation, name: str) -> TrackWindow:
    """The track with this id.

    Raises:
        PackagerError: NO_SUCH_TRACK (404).
    """
    for track in presentation.tracks:
        if track.info.id == name:
            return track
    raise PackagerError("NO_SUCH_TRACK", "no track of the presentation has this id", status=404, where=name[:100])


def is_gap(track: TrackWindow, row: int) -> bool:
    """Nothing is stored for the row."""
    return bool(int(track.flags[row]) & FLAG_GAP)


def opens(track: TrackWindow, row: int) -> bool:
    """The row opens an HLS segment."""
    return bool(int(track.flags[row]) & FLAG_OPENS)


def end_time(track: TrackWindow, row: int) -> int:
    """Media time at which the row ends."""
    return int(track.time[row]) + int(track.duration[row])


def find(track: TrackWindow, time: int) -> int | None:
    """The row that starts at `time`."""
    row = int(track.time.searchsorted(time))
    return row if row < len(track.time) and int(track.time[row]) == time else None


def media_row(track: TrackWindow, time: int) -> int:
    """The row that starts at `time` and has bytes.

    Raises:
        PackagerError: NO_SUCH_FRAGMENT (404): it left the window, is not published yet, was never there, or is a gap.
    """
    row = find(track, time)
    if row is None or is_gap(track, row):
        raise PackagerError(
            "NO_SUCH_FRAGMENT", "no fragment of the window starts at this time", status=404, where=f"{track.info.id} {time}"
        )
    return row


def first_media(track: TrackWindow, start: int, stop: int) -> int | None:
    """The first row of [start, stop) that is no gap."""
    if start >= stop or not is_gap(track, start):
        return start if start < stop else None
    found = np.flatnonzero((track.flags[start:stop] & FLAG_GAP) == 0)
    return start + int(found[0]) if len(found) else None


def last_media(track: TrackWindow) -> int | None:
    """The last row that is no gap."""
    last = len(track.time) - 1
    if last < 0 or not is_gap(track, last):
        return last if last >= 0 else None
    found = np.flatnonzero((track.flags[:] & FLAG_GAP) == 0)
    return int(found[-1]) if len(found) else None


def playable(presentation: Presentation, kind: Kind) -> list[TrackWindow]:
    """The tracks of a kind that have media in the window."""
    # Every manifest of a version asks for them.
    known: tuple[Presentation, dict[Kind, list[TrackWindow]]] | None = presentation.caches.get("playable")
    if known is None or known[0] is not presentation:
        kinds: dict[Kind, list[TrackWindow]] = {"video": [], "audio": []}
        for track in presentation.tracks:
            if last_media(track) is not None:
                kinds[track.info.kind].append(track)
        known = presentation.caches["playable"] = (presentation, kinds)
    return known[1][kind]


def default_audio(presentation: Presentation) -> TrackWindow | None:
    """The audio that is muxed and selected by default: the first with role main, else the first."""
    audio = playable(presentation, "audio")
    return next((track for track in audio if track.info.role == "main"), audio[0] if audio else None)


def config_at(track: TrackWindow, row: int) -> TrackConfig:
    """The configuration of a row that is no gap."""
    return track.configs[int(track.config[row])]


def newest_config(track: TrackWindow) -> TrackConfig:
    """The configuration that is valid at the end of the window."""
    row = last_media(track)
    return config_at(track, 0 if row is None else row)


def ranges(presentation: Presentation, track: TrackWindow, start: int, stop: int) -> tuple[Range, ...]:
    """Where the bytes of the rows [start, stop) are; gaps have none."""
    return tuple(
        (presentation.blob_paths[int(track.blob[row])], int(track.offset[row]), int(track.size[row]))
        for row in range(start, stop)
        if not is_gap(track, row)
    )


def source(presentation: Presentation, track: TrackWindow, start: int, stop: int) -> Source | None:
    """The rows [start, stop) as input of a remuxer, or None when all are gaps."""
    row = first_media(track, start, stop)
    if row is None:
        return None
    return Source(init=config_at(track, row).init, ranges=ranges(presentation, track, start, stop))


def audio_rows(presentation: Presentation, video: TrackWindow, start: int, stop: int, audio: TrackWindow) -> tuple[int, int]:
    """The audio rows that are muxed with the video rows [start, stop): those that start in their time, or shortly before.

    The border is a function of the video time alone, so that neighbours share it and a sliding window never moves it. What a period has of
    audio before its first picture and behind its last goes with these, if it is no longer than an interval.
    """
    scale, count = audio.info.timescale, len(audio.time)
    period, reach_ns = int(video.period[start]), interval_ns(presentation)
    head_ns = to_ns(int(video.time[start]), video.info.timescale)
    tail_ns = to_ns(end_time(video, stop - 1), video.info.timescale)
    first, last = (int(audio.time.searchsorted(from_ns(_mux_border(ns), scale))) for ns in (head_ns, tail_ns))
    if int(video.flags[start]) & FLAG_PERIOD:
        while first < count and int(audio.period[first]) < period:
            first += 1
        row, earliest = first, from_ns(head_ns - reach_ns, scale)
        # What has left the window when this video row is the first of it may not be in its segment. One that reaches into the row has not:
        # without it the row is not listed.
        if 0 < row < count and int(video.time[start]) < _muxed_from(video, audio, row):
            row -= 1
        # Of one segment with what follows: windows are cut at segments.
        while 0 < row < count and int(audio.segment[row - 1]) == int(audio.segment[row]) and int(audio.time[row - 1]) >= earliest:
            row -= 1
        if row < first and int(audio.flags[row]) & FLAG_PERIOD and int(audio.period[row]) == period:
            first = row
    if stop == len(video.time) or int(video.period[stop]) != period:
        while last > first and int(audio.period[last - 1]) > period:
            last -= 1
        row, latest = last, from_ns(tail_ns + reach_ns, scale)
        while row < count and int(audio.period[row]) == period and int(audio.time[row]) < latest:
            row += 1
        if row == count or int(audio.period[row]) != period:
            last = row
    return first, max(first, last)


def _mux_border(time_ns: int) -> int:
    return time_ns - MUX_TOLERANCE_NS


def muxed_start(video: TrackWindow, audio: TrackWindow) -> int:
    """The first of the video rows whose audio has not left the window: what is muxed before that would change its content.

    Of tracks with the same edges it is the first row. Audio that began in the window has none before, or none in its period.
    """
    if not len(audio.time) or audio.first == 0:
        return 0
    if int(audio.flags[0]) & FLAG_PERIOD:
        return int(video.period.searchsorted(int(audio.period[0])))
    # A fragment that was there before would start at the border or later, and end here: it would be shorter than any but a left-over.
    return int(video.time.searchsorted(_muxed_from(video, audio, 0)))


def _muxed_from(video: TrackWindow, audio: TrackWindow, row: int) -> int:
    """Video rows that start before this time have audio before the row."""
    return from_ns(to_ns(int(audio.time[row]), audio.info.timescale) - MUX_TOLERANCE_NS, video.info.timescale)


def muxed_stop(presentation: Presentation, video: TrackWindow, audio: TrackWindow) -> int:
    """The end of the video rows whose audio is published: what is muxed before that would change its content.

    Whether a row is its period's last, which takes the audio behind the last picture, shows the row behind it. Audio that fell behind by
    more than two intervals is taken to have stopped: what comes back is published after the edge.
    """
    stop = len(video.time)
    if presentation.ended or not stop or not len(audio.time):
        return stop
    there = to_ns(end_time(audio, len(audio.time) - 1), audio.info.timescale)
    scale = video.info.timescale
    stopped = there < _mux_border(to_ns(end_time(video, stop - 1), scale)) - 2 * interval_ns(presentation)
    stop -= 1
    while stop and not stopped and _mux_border(to_ns(end_time(video, stop - 1), scale)) > there:
        stop -= 1
    return stop
