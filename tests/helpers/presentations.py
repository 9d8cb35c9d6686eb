"""Presentations from a few words: what tests and benchmarks of packaging read instead of a journal."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from pypackager.dvr.index import Columns
from pypackager.model.plan import Published, Text
from pypackager.model.presentation import Period, Presentation, TrackWindow
from pypackager.model.records import FLAG_CLOSES, FLAG_GAP, FLAG_OPENS, FLAG_PERIOD, FLAG_SYNC
from pypackager.model.track import Kind, TrackConfig, TrackInfo

COLUMNS = ("time", "duration", "size", "segment", "flags", "config", "period", "discontinuity", "blob", "offset")
NS = 1_000_000_000
NOON_NS = 1_767_268_800 * NS
"""2026-01-01T12:00:00Z."""

# Main profile, level 3.1 and a picture parameter set, as an AVCDecoderConfigurationRecord.
AVCC = bytes.fromhex("014d401fffe1000d674d401fe8802802dd80b5010101000468ee3c80")
ASC = bytes.fromhex("1190")


def avc(width: int, height: int, *, rate: tuple[int, int] = (25, 1), codec: str = "avc1.4D401F") -> TrackConfig:
    """A video configuration."""
    init = f"init of {codec} {width}x{height}".encode()
    digest = hashlib.sha256(init).hexdigest()[:12]
    return TrackConfig(
        hash=digest, codec=codec, codec_private=AVCC, init=init, width=width, height=height, frame_rate=rate, pixel_aspect=(1, 1)
    )


def aac(*, rate: int = 48_000, codec: str = "mp4a.40.2") -> TrackConfig:
    """An audio configuration."""
    init = f"init of {codec} {rate}".encode()
    digest = hashlib.sha256(init).hexdigest()[:12]
    return TrackConfig(hash=digest, codec=codec, codec_private=ASC, init=init, sample_rate=rate, channels=2, frame_ticks=1024)


@dataclass(frozen=True)
class Row:
    """One fragment, before its segment is counted."""

    time: int
    duration: int
    period: int = 0
    config: int = 1
    gap: bool = False
    sync: bool = True
    opens: bool | None = None
    """None: each `fragments_per_segment` rows, and with a period."""


@dataclass(frozen=True)
class Track:
    """A track with all its rows, from the start of the channel."""

    info: TrackInfo
    configs: dict[int, TrackConfig]
    rows: Sequence[Row]
    peak_bps: int = 0
    average_bps: int = 0


@dataclass(frozen=True)
class Spec:
    """A channel's whole life: `present` cuts a window out of it."""

    tracks: Sequence[Track]
    name: str = "show"
    anchor_ns: int = NOON_NS
    interval_ns: int = 2 * NS
    fragments_per_segment: int = 3
    target_duration_s: int = 6
    window_ns: int = 300 * NS
    ended: bool = False
    caches: dict[Any, Any] = field(default_factory=dict)


def video(number: int, rows: Sequence[Row], *, name: str = "", bitrate: int = 0, configs: dict[int, TrackConfig] | None = None) -> Track:
    """A video layer of 90 kHz."""
    bitrate = bitrate or 3_000_000 // number
    info = TrackInfo(id=name or f"video-{number}", number=number, kind="video", timescale=90_000, bitrate=bitrate)
    return Track(info, configs or {1: avc(1280 // number // 2 * 2, 720 // number // 2 * 2)}, rows, bitrate * 12 // 10, bitrate * 11 // 10)


def audio(
    number: int, rows: Sequence[Row], *, name: str = "", language: str = "und", label: str = "", rate: int = 48_000, bitrate: int = 0
) -> Track:
    """An audio track."""
    kind: Kind = "audio"
    bitrate = bitrate or 128_000 + number
    info = TrackInfo(id=name or f"audio-{number}", number=number, kind=kind, timescale=rate, bitrate=bitrate, language=language, name=label)
    return Track(info, {1: aac(rate=rate)}, rows, 132_000, 129_000)


def regular(count: int, duration: int = 180_000, *, start: int = 0, **more: Any) -> list[Row]:
    """Rows of equal duration."""
    return [Row(start + number * duration, duration, **more) for number in range(count)]


def cut_at_frames(count: int, *, rate: int = 48_000, seconds: int = 2, start: int = 0, **more: Any) -> list[Row]:
    """Audio rows as a timeline cuts them at video edges: whole frames of 1024 from the first one at or after each edge."""
    edges = [start + -(-number * seconds * rate // 1024) * 1024 for number in range(count + 1)]
    return [Row(edge, after - edge, **more) for edge, after in pairwise(edges)]


def present(spec: Spec, *, rows: slice | None = None, version: int = 1) -> Presentation:
    """The presentation of `rows` of the first track; of all rows there are by default.

    The other tracks are cut as a DVR does it: at the segment that starts nearest to the first track's first, and where that ends.
    """
    cut = rows or slice(None)
    whole = [_window(spec, track, slice(None)) for track in spec.tracks]
    cuts = [_cut(whole[0], every, cut) for every in whole] if rows else []
    tracks = [_window(spec, track, each) for track, each in zip(spec.tracks, cuts, strict=True)] if rows else whole
    listed = {int(number) for track in tracks for number in track.period}
    periods = [Period(number, min(_period_starts(spec, number))) for number in sorted(listed)]
    return Presentation(
        name=spec.name,
        version=version,
        tracks=tuple(tracks),
        periods=tuple(periods),
        anchor_ns=spec.anchor_ns,
        interval_ns=spec.interval_ns,
        fragments_per_segment=spec.fragments_per_segment,
        target_duration_s=spec.target_duration_s,
        window_ns=spec.window_ns,
        ended=spec.ended,
        published_ns=spec.anchor_ns + max((_end_ns(track) for track in tracks), default=0) + NS // 2,
        blob_paths={track.info.number: f"/blobs/{track.info.id}.cmf" for track in spec.tracks},
        caches=spec.caches,
    )


def _cut(first: TrackWindow, track: TrackWindow, rows: slice) -> slice:
    low, high, _ = rows.indices(len(first.time))
    while 0 < low < high and not int(first.flags[low]) & FLAG_OPENS:
        low -= 1
    if track is first or low >= high:
        return slice(low, high)
    tail_s = int(first.time[high - 1] + first.duration[high - 1]) / first.info.timescale + 0.05
    ends = (track.time[:] + track.duration[:]) / track.info.timescale
    stop = int(np.searchsorted(ends, tail_s))
    return slice(min(_border(first, low, track), stop), stop)


def _border(first: TrackWindow, low: int, track: TrackWindow) -> int:
    """The segment start of a track, or its end, that is nearest to the first track's segment start."""
    scale = track.info.timescale
    head_s = int(first.time[low]) / first.info.timescale
    borders = [(float(track.time[row]) / scale, int(row)) for row in np.flatnonzero(track.flags[:] & FLAG_OPENS)]
    borders.append((float(track.time[-1] + track.duration[-1]) / scale, len(track.time)))
    return min(borders, key=lambda border: (abs(border[0] - head_s), border[0]))[1]


def _period_starts(spec: Spec, number: int) -> list[int]:
    return [row.time * NS // track.info.timescale for track in spec.tracks for row in track.rows if row.period == number]


def _end_ns(track: TrackWindow) -> int:
    return (int(track.time[-1]) + int(track.duration[-1])) * NS // track.info.timescale if len(track.time) else 0


def _goes_on(track: Track, number: int) -> bool:
    """Whether the next row is said to be of the same segment."""
    return number + 1 < len(track.rows) and track.rows[number + 1].opens is False


def _window(spec: Spec, track: Track, rows: slice) -> TrackWindow:
    flags, segments, discontinuities, sizes = [], [], [], []
    segment, run = -1, -1
    for number, row in enumerate(track.rows):
        period = number == 0 or row.period != track.rows[number - 1].period
        run += 1
        opens = row.opens if row.opens is not None else period or run >= spec.fragments_per_segment
        if opens:
            segment, run = segment + 1, 0
        flags.append(
            (FLAG_SYNC if row.sync and not row.gap else 0)
            | (FLAG_GAP if row.gap else 0)
            | (FLAG_OPENS if opens else 0)
            | (FLAG_PERIOD if period else 0)
            | (FLAG_CLOSES if run >= spec.fragments_per_segment - 1 and not _goes_on(track, number) else 0)
        )
        segments.append(max(segment, 0))
        discontinuities.append(row.period)
        sizes.append(0 if row.gap else row.duration * track.info.bitrate // track.info.timescale // 8)
    shown = range(len(track.rows))[rows]
    columns = Columns()
    for row, at in zip(track.rows, accumulate(sizes, initial=0), strict=False):
        number = len(columns)
        where = (row.config, row.period, discontinuities[number], track.info.number, at)
        columns.append(row.time, row.duration, sizes[number], segments[number], flags[number], *where)
    return TrackWindow(
        info=track.info,
        configs=track.configs,
        first=shown.start,
        **dict(zip(COLUMNS, columns.window(shown.start, max(shown.start, shown.stop)), strict=True)),
        peak_bps=track.peak_bps,
        average_bps=track.average_bps,
    )


def body_of(published: Published) -> bytes:
    """The body of a manifest in one piece."""
    if isinstance(published.body, Text):
        return b"".join(published.body.parts)
    assert isinstance(published.body, bytes)
    return published.body


# --- the presentations of the golden files


def _with(rows: Sequence[Row], number: int, **changes: Any) -> list[Row]:
    return [replace(row, **changes) if index == number else row for index, row in enumerate(rows)]


def single() -> Spec:
    """One layer and one audio track, live."""
    return Spec([video(1, regular(11)), audio(2, cut_at_frames(11), language="eng")])


def ladder() -> Spec:
    """Three layers and two languages, live, media time is UTC."""
    seconds = NOON_NS // NS
    edges = cut_at_frames(16, start=seconds * 48_000)
    return Spec(
        [
            video(1, regular(16, start=seconds * 90_000), name="v720"),
            video(2, regular(16, start=seconds * 90_000), name="v360"),
            video(3, regular(16, start=seconds * 90_000), name="v240"),
            audio(4, edges, name="a-en", language="eng", label="English"),
            audio(5, edges, name="a-de", language="ger", label='Deutsch "Ton"'),
        ],
        anchor_ns=0,
    )


def audio_only() -> Spec:
    """Two languages and no picture, live."""
    rows = regular(10, 95_232)
    return Spec([audio(1, rows, language="fre"), audio(2, rows, language="nld")])


def video_only() -> Spec:
    """A picture without sound, 29.97 frames a second, live."""
    rows = regular(9, 180_180)
    return Spec([video(1, rows, configs={1: avc(1920, 1080, rate=(30_000, 1001), codec="avc1.640028")})])


def periods() -> Spec:
    """The encoder restarted with another picture size, live."""
    picture = regular(7) + regular(6, start=7 * 180_000 + 90_000, period=1, config=2)
    sound = cut_at_frames(7) + cut_at_frames(6, start=7 * 96_000 + 48_000, period=1)
    return Spec([video(1, picture, configs={1: avc(1280, 720), 2: avc(640, 360)}), audio(2, sound, language="eng")])


def gaps() -> Spec:
    """A layer lost single fragments and a whole segment, live."""
    rows = regular(14)
    for number in (4, 6, 7, 8):
        rows = _with(rows, number, gap=True)
    return Spec([video(1, regular(14)), video(2, rows), audio(3, cut_at_frames(14), language="eng")])


def ended() -> Spec:
    """A program that ended in the middle of a segment."""
    return replace(ladder(), ended=True)


def sounds() -> Spec:
    """Four audio tracks, three sounds, live: two that nothing is known of, and one at two rates."""
    rows = cut_at_frames(10)
    return Spec(
        [
            video(1, regular(10)),
            audio(2, rows, name="audio"),
            audio(3, rows, name="audio2"),
            audio(4, rows, name="en-128", language="eng", label="Stadium", bitrate=128_000),
            audio(5, rows, name="en-64", language="eng", label="Stadium", bitrate=64_000),
        ]
    )


def misaligned() -> Spec:
    """A layer with key frames of its own, live."""
    return Spec([video(1, regular(12)), video(2, regular(12)), video(3, regular(10, 216_000)), audio(4, cut_at_frames(12))])


GOLDEN = {
    spec.__name__.replace("_", "-"): spec for spec in (single, ladder, audio_only, video_only, periods, gaps, ended, misaligned, sounds)
}
