"""HTTP Dynamic Streaming (Adobe F4M and F4V): manifest, bootstrap, plans of fragments.

In: a presentation. Out: the f4m, an `abst`, or an F4fFragment. Never: bytes of media.

The default audio is muxed with every video layer; other languages are media of their own that clients mix in late. A fragment's number is
the row's absolute number plus one: it is in the journal, so it stays. Gaps keep their number, and their audio; one without audio is a
jump of the numbers, and has an empty fragment for who counts on over it.
"""

from __future__ import annotations

from base64 import b64encode
from functools import partial
from zlib import crc32

import msgspec

from pypackager import _core
from pypackager.model.errors import PackagerError
from pypackager.model.plan import F4fFragment, Published
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.packaging import cache
from pypackager.packaging.choices import names
from pypackager.packaging.hds_rows import ERA_MS, PRESENTATION_SHIFT_MS, bootstrap_page, listed
from pypackager.packaging.hls_master import peak_bps
from pypackager.packaging.languages import bcp47
from pypackager.packaging.markup import attributes, escape
from pypackager.packaging.rows import entity_tag
from pypackager.packaging.timing import NS
from pypackager.packaging.urls import HdsBootstrap, HdsMedia, build, stem
from pypackager.packaging.window import (
    audio_rows,
    default_audio,
    end_time,
    newest_config,
    playable,
    source,
    track_by_id,
)

CONTENT_TYPE = "application/f4m+xml"

_CODECS = ("avc1", "avc3", "mp4a.40.2", "mp4a.40.5", "mp4a.40.29")


class _Media(msgspec.Struct, frozen=True):
    """A <media> element."""

    track: TrackWindow
    muxed: TrackWindow | None
    alternate: bool

    @property
    def audio(self) -> str:
        """Id of the muxed audio, or empty."""
        return self.muxed.info.id if self.muxed else ""


def manifest(presentation: Presentation) -> Published:
    """The f4m.

    Raises:
        PackagerError: NOT_READY (404) while nothing that HDS can carry is published.
    """
    entries = [entry for entry in _media(presentation) if listed(presentation, entry.track, entry.muxed)]
    if not entries:
        raise PackagerError("NOT_READY", "nothing that HDS can carry is published yet", status=404)
    # What it says seldom changes while it is live and names the bootstraps; in the end they are in it.
    bootstraps = cache.version(presentation) if presentation.ended else None
    media = ((entry.track.info, newest_config(entry.track).hash, peak_bps(entry.track), entry.audio) for entry in entries)
    state = (presentation.name, presentation.window_ns, bootstraps, *media)
    return cache.answer(presentation, ("f4m",), state, partial(_manifest, presentation, entries))


def _manifest(presentation: Presentation, entries: list[_Media]) -> Published:
    live = not presentation.ended
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<manifest xmlns="http://ns.adobe.com/f4m/1.0">',
        f"<id>{escape(presentation.name)}</id>",
        f"<streamType>{'live' if live else 'recorded'}</streamType>",
        "<deliveryType>streaming</deliveryType>",
    ]
    if live:
        lines.append("<dvrInfo" + attributes(windowDuration=presentation.window_ns // NS) + "/>")
    else:
        lines.append(f"<duration>{_seconds(entries[0].track):.3f}</duration>")
    for number, entry in enumerate(entries):
        target = HdsBootstrap(entry.track.info.id, entry.audio)
        head = "<bootstrapInfo" + attributes(profile="named", id=f"b{number}", url=build(target) if live else None)
        if live:
            lines.append(f"{head}/>")
        else:
            page = bootstrap_page(presentation, entry.track, entry.muxed, listed(presentation, entry.track, entry.muxed))
            lines.append(f"{head}>{b64encode(page.join()).decode()}</bootstrapInfo>")
    named = names([entry.track for entry in entries])
    lines += (_element(entry, number, name) for number, (entry, name) in enumerate(zip(entries, named, strict=True)))
    lines.append("</manifest>")
    body = ("\n".join(lines) + "\n").encode()
    # Of the content: while live it stays the same over many versions.
    return Published(content_type=CONTENT_TYPE, body=body, lifetime="manifest", etag=entity_tag(crc32(body), len(body)))


def _media(presentation: Presentation) -> list[_Media]:
    """Video with the default audio, the best layer first, since clients take the first bootstrap for all; then the other audio tracks."""
    video = [track for track in playable(presentation, "video") if _carried(track)]
    sound = [track for track in playable(presentation, "audio") if _carried(track)]
    default = default_audio(presentation)
    muxed = default if video and default is not None and _carried(default) else None
    found = [_Media(track, muxed, alternate=False) for track in sorted(video, key=lambda track: -track.info.bitrate)]
    if not video and default is not None and _carried(default):
        found.append(_Media(default, None, alternate=False))
    return found + [_Media(track, None, alternate=True) for track in sound if track is not default]


def _carried(track: TrackWindow) -> bool:
    return newest_config(track).codec.startswith(_CODECS)


def _seconds(track: TrackWindow) -> float:
    return (end_time(track, len(track.time) - 1) - int(track.time[0])) / track.info.timescale


def _element(entry: _Media, number: int, name: str) -> str:
    track, config = entry.track, newest_config(entry.track)
    video = track.info.kind == "video"
    head = "<media" + attributes(
        streamId=stem(track.info.id, entry.audio),
        url=f"hds/{stem(track.info.id, entry.audio)}",
        bootstrapInfoId=f"b{number}",
        bitrate=peak_bps(track) // 1000,
        width=config.width if video else None,
        height=config.height if video else None,
        alternate="true" if entry.alternate else None,
        type="audio" if not video else None,
        lang=(bcp47(track.info.language) or None) if not video else None,
        label=name if entry.alternate else None,
    )
    return f"{head}>\n<metadata>{b64encode(_metadata(track, entry.audio)).decode()}</metadata>\n</media>"


def _metadata(track: TrackWindow, audio: str) -> bytes:
    config = newest_config(track)
    values: list[tuple[str, float | bool | str]] = []
    if track.info.kind == "video":
        values += [("width", float(config.width)), ("height", float(config.height)), ("videocodecid", 7.0)]
        rate, per = config.frame_rate
        if rate:
            values.append(("framerate", rate / per))
        values.append(("videodatarate", track.info.bitrate / 1000))
    if audio or track.info.kind == "audio":
        values.append(("audiocodecid", 10.0))
    if track.info.kind == "audio":
        values += [("audiosamplerate", float(config.sample_rate)), ("stereo", config.channels > 1)]
    return _core.flv_metadata(values)


def bootstrap(presentation: Presentation, target: HdsBootstrap) -> Published:
    """The `abst` of a track.

    Raises:
        PackagerError: NOT_READY (404) while nothing is listed in it.
    """
    track, audio = _tracks(presentation, target)
    if not _carried(track) or not (rows := listed(presentation, track, audio)):
        raise PackagerError("NOT_READY", "nothing of this track that HDS can carry is published yet", status=404, where=track.info.id)

    def make() -> Published:
        return bootstrap_page(presentation, track, audio, rows).publish("video/abst")

    return cache.answer(presentation, ("abst", target.audio, track.info.number), cache.version(presentation), make)


def _tracks(presentation: Presentation, target: HdsBootstrap | HdsMedia) -> tuple[TrackWindow, TrackWindow | None]:
    track = track_by_id(presentation, target.track)
    if target.audio and track.info.kind != "video":
        raise PackagerError("NO_SUCH_URL", "audio is muxed with video only", status=404, where=build(target))
    return track, track_by_id(presentation, target.audio) if target.audio else None


def media(presentation: Presentation, target: HdsMedia) -> Published:
    """A fragment.

    Raises:
        PackagerError: NO_SUCH_FRAGMENT (404) outside the window.
    """
    track, other = _tracks(presentation, target)
    row = target.number - 1 - track.first
    if row not in listed(presentation, track, other):
        raise PackagerError("NO_SUCH_FRAGMENT", "the window has no fragment of this number", status=404, where=build(target))
    main = source(presentation, track, row, row + 1)
    audio = source(presentation, other, *audio_rows(presentation, track, row, row + 1, other)) if other else None
    video = main if track.info.kind == "video" else None
    ms = int(track.time[row]) * 1000 // track.info.timescale
    if track.info.kind == "audio":
        audio = main
        ms += PRESENTATION_SHIFT_MS
    plan = F4fFragment(video=video, audio=audio, origin_ns=(ms - ms % ERA_MS) * 1_000_000)
    size = sum(size for each in (plan.video, plan.audio) if each for _, _, size in each.ranges)
    return Published(content_type="video/f4f", body=plan, lifetime="immutable", etag=f'"f4f-{int(track.time[row]):x}-{size:x}"')


def numbers_behind(presentation: Presentation, target: HdsMedia, number: int) -> range:
    """The numbers of the fragments behind `number` that are listed.

    Raises:
        PackagerError: NO_SUCH_TRACK (404).
    """
    track, other = _tracks(presentation, target)
    rows = listed(presentation, track, other)
    return range(max(number, track.first + rows.start) + 1, track.first + rows.stop + 1)
