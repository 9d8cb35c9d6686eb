"""HLS multivariant playlists (RFC 8216bis 4.4.6).

In: a presentation. Out: the playlist. Never: rows.
"""

from __future__ import annotations

from functools import partial
from zlib import crc32

from pypackager.model.errors import PackagerError
from pypackager.model.plan import Published
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.track import Kind
from pypackager.packaging import cache
from pypackager.packaging.choices import names
from pypackager.packaging.hls import CONTENT_TYPE, VERSIONS
from pypackager.packaging.languages import bcp47
from pypackager.packaging.quoting import quoted
from pypackager.packaging.rows import entity_tag
from pypackager.packaging.segments import independent, listed
from pypackager.packaging.timing import NS
from pypackager.packaging.ts_rate import ts_bps
from pypackager.packaging.urls import Flavour, HlsMedia, build
from pypackager.packaging.window import default_audio, interval_ns, newest_config, playable, target_duration_s


def multivariant_playlist(presentation: Presentation, flavour: Flavour) -> Published:
    """The playlist that names all media playlists.

    Raises:
        PackagerError: NOT_READY (404) while no track has a complete segment.
    """
    muxed = default_audio(presentation) if flavour == "ts3" else None
    video, audio = _ready(presentation, "video", muxed), _ready(presentation, "audio")
    # Muxed with video, the audio is no presentation of its own while the video is about to be one.
    if not video and (not audio or (muxed is not None and playable(presentation, "video"))):
        raise PackagerError("NOT_READY", "no track has a complete segment yet", status=404)
    # What it says seldom changes: then the answer stays, and with it the entity tag.
    state = tuple(
        (
            track.info.number,
            newest_config(track).hash,
            _peak(presentation, flavour, track),
            _average(presentation, flavour, track),
            _independent(presentation, track),
        )
        for track in (*video, *audio)
    )

    def make() -> Published:
        body = _body(presentation, flavour, video, audio)
        return Published(content_type=CONTENT_TYPE, body=body, lifetime="manifest", etag=entity_tag(crc32(body), len(body)))

    return cache.answer(presentation, ("hls master", flavour), state, make)


def _body(presentation: Presentation, flavour: Flavour, video: list[TrackWindow], audio: list[TrackWindow]) -> bytes:
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSIONS[flavour]}"]
    if all(_independent(presentation, track) for track in (*video, *audio)):
        lines.append("#EXT-X-INDEPENDENT-SEGMENTS")
    if flavour == "ts3":
        lines += _muxed(presentation, video, audio)
    elif video:
        lines += _grouped(presentation, flavour, video, audio)
    else:
        lines += _audio_only(presentation, flavour, audio)
    return ("\n".join(lines) + "\n").encode()


def _independent(presentation: Presentation, track: TrackWindow) -> bool:
    return independent(presentation, track, *listed(presentation, track))


def _ready(presentation: Presentation, kind: Kind, muxed: TrackWindow | None = None) -> list[TrackWindow]:
    tracks: list[TrackWindow] = []
    for track in playable(presentation, kind):
        start, stop = listed(presentation, track, muxed)
        if start < stop:
            tracks.append(track)
    return tracks


def _grouped(presentation: Presentation, flavour: Flavour, video: list[TrackWindow], audio: list[TrackWindow]) -> list[str]:
    """Every video layer with every group of audio renditions; a group is of one codec, so that CODECS is true for each of its members."""
    groups = _groups(audio)
    lines = [line for name, tracks in groups.items() for line in _renditions(presentation, flavour, name, tracks)]
    for track in video:
        for name, tracks in groups.items() or [("", [])]:
            lines += _variant(presentation, flavour, track, tracks, name)
    return lines


def _muxed(presentation: Presentation, video: list[TrackWindow], audio: list[TrackWindow]) -> list[str]:
    default = default_audio(presentation)
    with_audio = [default] if default is not None else []
    return [line for track in video or audio for line in _variant(presentation, "ts3", track, with_audio if video else [], "")]


def _audio_only(presentation: Presentation, flavour: Flavour, audio: list[TrackWindow]) -> list[str]:
    if len(audio) == 1:
        return _variant(presentation, flavour, audio[0], [], "")
    lines: list[str] = []
    for name, tracks in _groups(audio).items():
        lines += _renditions(presentation, flavour, name, tracks)
        lines += _variant(presentation, flavour, _default(presentation, tracks), [], name)
    return lines


def _groups(audio: list[TrackWindow]) -> dict[str, list[TrackWindow]]:
    by_codec: dict[str, list[TrackWindow]] = {}
    for track in audio:
        by_codec.setdefault(newest_config(track).codec, []).append(track)
    if len(by_codec) <= 1:
        return {"audio": audio} if audio else {}
    return {f"audio-{codec}": tracks for codec, tracks in by_codec.items()}


def _default(presentation: Presentation, tracks: list[TrackWindow]) -> TrackWindow:
    default = default_audio(presentation)
    return default if default is not None and any(default is track for track in tracks) else tracks[0]


def _renditions(presentation: Presentation, flavour: Flavour, group: str, tracks: list[TrackWindow]) -> list[str]:
    default = _default(presentation, tracks)
    lines: list[str] = []
    for track, name in zip(tracks, names(tracks), strict=True):
        language = bcp47(track.info.language)
        attributes = [
            "TYPE=AUDIO",
            f"GROUP-ID={quoted(group)}",
            f"NAME={quoted(name)}",
            *([f"LANGUAGE={quoted(language)}"] if language else []),
            f"DEFAULT={'YES' if track is default else 'NO'}",
            "AUTOSELECT=YES",
            f'CHANNELS="{newest_config(track).channels}"',
            f"URI={quoted(build(HlsMedia(flavour, track.info.id)))}",
        ]
        lines.append("#EXT-X-MEDIA:" + ",".join(attributes))
    return lines


def _variant(presentation: Presentation, flavour: Flavour, track: TrackWindow, audio: list[TrackWindow], group: str) -> list[str]:
    peak, average = partial(_peak, presentation, flavour), partial(_average, presentation, flavour)
    config = newest_config(track)
    codecs = dict.fromkeys(newest_config(each).codec for each in (track, *audio))
    attributes = [
        f"BANDWIDTH={peak(track) + max(map(peak, audio), default=0)}",
        f"AVERAGE-BANDWIDTH={average(track) + max(map(average, audio), default=0)}",
        f"CODECS={quoted(','.join(codecs))}",
    ]
    if track.info.kind == "video":
        width = (2 * config.width * config.pixel_aspect[0] + config.pixel_aspect[1]) // (2 * config.pixel_aspect[1])
        attributes.append(f"RESOLUTION={width}x{config.height}")
        rate, per = config.frame_rate
        if rate:
            thousandths = (2000 * rate + per) // (2 * per)
            attributes.append(f"FRAME-RATE={thousandths // 1000}.{thousandths % 1000:03d}")
    if group:
        attributes.append(f"AUDIO={quoted(group)}")
    if track.info.kind == "video" and flavour != "ts3":
        attributes.append("CLOSED-CAPTIONS=NONE")
    return ["#EXT-X-STREAM-INF:" + ",".join(attributes), build(HlsMedia(flavour, track.info.id))]


def peak_bps(track: TrackWindow) -> int:
    """The measured peak rate; until it is measured, the rate that names the track."""
    return max(track.peak_bps, track.average_bps) or track.info.bitrate


def _peak(presentation: Presentation, flavour: Flavour, track: TrackWindow) -> int:
    # A peak is one of segments that last half a target duration or longer (RFC 8216bis 4.4.6.2).
    shortest = min(_usual_segment_ns(presentation), target_duration_s(presentation) * NS // 2)
    return _in_container(presentation, flavour, track, peak_bps(track), shortest)


def _average(presentation: Presentation, flavour: Flavour, track: TrackWindow) -> int:
    # Three digits, rounded up: further ones change with every fragment and say nothing.
    exact = _in_container(presentation, flavour, track, track.average_bps or track.info.bitrate, _usual_segment_ns(presentation))
    step: int = max(1000, 10 ** (len(str(exact)) - 3))
    return -(-exact // step) * step


def _usual_segment_ns(presentation: Presentation) -> int:
    return interval_ns(presentation) * presentation.fragments_per_segment


def _in_container(presentation: Presentation, flavour: Flavour, track: TrackWindow, bps: int, segment_ns: int) -> int:
    return bps if flavour == "cmaf" else ts_bps(track, bps, segment_ns, interval_ns(presentation))
