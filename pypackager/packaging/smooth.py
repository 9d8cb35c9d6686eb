"""Smooth Streaming (MS-SSTR): the client manifest, and plans of fragments.

In: a presentation. Out: the manifest, or a SmoothFragment. Never: bytes of media.

A live client asks for the manifest once and then follows the `tfrf` of each fragment, so a fragment is listed and served only when the
look-ahead fragments behind it are there to be named in it. After the end the last ones are served too, without. All video layers share one
list of chunks; where a layer has a gap, or a fragment of another length, the nearest layer that has the fragment stands in for it. There is
no live manifest before its list is long enough for a player to buffer anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import msgspec

from pypackager.model.errors import PackagerError
from pypackager.model.plan import Published, SmoothFragment, Source
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.track import Kind, TrackConfig
from pypackager.packaging import cache, signals
from pypackager.packaging.chunks import Chunks, chunks_of, complete, layers_in_step
from pypackager.packaging.codec_private import annex_b
from pypackager.packaging.languages import bcp47
from pypackager.packaging.markup import attributes
from pypackager.packaging.rows import Page
from pypackager.packaging.runs import Run, RunStrip, ticks
from pypackager.packaging.timing import NS, to_ns
from pypackager.packaging.urls import SmoothMedia, build
from pypackager.packaging.window import config_at, find, first_media, is_gap, playable, ranges

CONTENT_TYPE = "text/xml"

LOOK_AHEAD = 2
"""Fragments that a fragment names in `tfrf`, and that must exist before it is served: LookAheadFragmentCount."""

COMPOSITION_SHIFT_MS = 200
"""Added to the composition offsets of every track (docs/design/publication.md): version 0 of `trun` has no negative ones.

It covers five frames of reordering at 25 frames a second, and is whole in every timescale in use. It is one constant, because a value that
followed the encoder would change the bytes of fragments that were served before.
"""

FEW_CHUNKS = 3
"""So many chunks are not enough for a live list, unless they are long.

dash.js plays half of the first list's length behind its end, at most four fragments, and buffers all of that but one and a half fragments:
with three chunks it buffers nothing, and never asks for a picture. It asks for the manifest only once.
"""
MARGIN_NS = 10 * NS
"""Of a list longer than twice this, that is how far dash.js stays from the beginning."""

SINGLE_CHUNKS = 4
"""Newest chunks of a live list that have an element each.

GStreamer joins live at the fourth element from the end, whatever `r` it has, and takes a fragment that `tfrf` names for new when it
is later than the start of the last element.
"""

SEQUENCE_NS = 10_000_000
"""Media time in which the sequence number of a fragment rises by one: less than any fragment lasts."""

FIRST_CONFIG = 1
"""Number of a track's first configuration in its journal; later ones count up, whatever was forgotten since."""

TIMESCALE = 10_000_000
"""Of the manifest's own attributes; each stream states its own."""

KINDS: tuple[Kind, ...] = ("video", "audio")

_FOURCC = {"avc1": "H264", "avc3": "H264", "mp4a.40.2": "AACL", "mp4a.40.5": "AACH", "mp4a.40.29": "AACH"}


class Stream(msgspec.Struct, frozen=True):
    """A StreamIndex."""

    name: str
    tracks: list[TrackWindow]
    chunks: Chunks
    stop: int
    """The end of the chunks that may be served."""


def streams(presentation: Presentation) -> list[Stream]:
    """Video, when there is some, then a stream for each audio track."""
    # Every fragment of a version asks for them.
    known: tuple[Presentation, list[Stream]] | None = presentation.caches.get("smooth streams")
    if known is None or known[0] is not presentation:
        known = presentation.caches["smooth streams"] = (presentation, _streams(presentation))
    return known[1]


def _streams(presentation: Presentation) -> list[Stream]:
    video, audio = ([track for track in playable(presentation, kind) if _fourcc(_declared(track)) is not None] for kind in KINDS)
    layers = layers_in_step(presentation, video)
    found = [_stream(presentation, "video", layers)] if layers else []
    for track in audio:
        # Clients know a stream by its name alone.
        name = "audio-video" if track.info.id == "video" else track.info.id
        found.append(_stream(presentation, name, [track]))
    return found


def _stream(presentation: Presentation, name: str, tracks: list[TrackWindow]) -> Stream:
    chunks = chunks_of(presentation, tracks)
    return Stream(name, tracks, chunks, _stop(presentation, chunks))


def manifest(presentation: Presentation) -> Published:
    """The client manifest.

    Raises:
        PackagerError: NOT_READY (404) while no fragment has its look-ahead, or a live list is too short to play from.
    """

    def make() -> Published:
        return _page(presentation).publish(CONTENT_TYPE)

    return cache.answer(presentation, ("smooth",), cache.version(presentation), make)


def _page(presentation: Presentation) -> Page:
    listed = [stream for stream in streams(presentation) if stream.stop > 0]
    if not listed:
        raise PackagerError("NOT_READY", "no fragment is followed by enough others yet", status=404)
    live = not presentation.ended
    if live and not _is_enough(listed[0]):
        raise PackagerError("NOT_READY", "too few fragments are listed yet for a player to buffer any", status=404)
    page = Page()
    page.add(
        '<?xml version="1.0" encoding="UTF-8"?>\n<SmoothStreamingMedia'
        + attributes(
            MajorVersion=2,
            MinorVersion=2,
            TimeScale=TIMESCALE,
            Duration=0 if live else _duration(listed),
            IsLive="TRUE" if live else None,
            LookAheadFragmentCount=LOOK_AHEAD if live else None,
            DVRWindowLength=presentation.window_ns * TIMESCALE // NS if live else None,
            CanSeek="TRUE" if live else None,
            CanPause="TRUE" if live else None,
        )
        + ">\n"
    )
    for stream in listed:
        _add_stream(page, presentation, stream)
    for window in signals.listed(presentation):
        parent = next((stream for stream in listed if any(track.info.number == window.parent for track in stream.tracks)), None)
        if parent is not None:
            until_ns = to_ns(int(parent.chunks.time[parent.stop - 1]), parent.chunks.info.timescale)
            page.add(signals.smooth_stream(window, parent.name, until_ns, live=live))
    page.add("</SmoothStreamingMedia>\n")
    return page


def _is_enough(stream: Stream) -> bool:
    """Whether a player that takes a live list now would buffer at least a quarter of a fragment (FEW_CHUNKS)."""
    chunks, stop = stream.chunks, stream.stop
    first_ns, listed_ns = (to_ns(int(chunks.duration[:end].sum()), chunks.info.timescale) for end in (1, stop))
    delay_ns = max(listed_ns // 2, listed_ns - MARGIN_NS)
    return 4 * delay_ns >= 7 * first_ns and (stop > FEW_CHUNKS or listed_ns >= 2 * MARGIN_NS)


def _duration(listed: list[Stream]) -> int:
    """From the first fragment to the end of the last, in the manifest's timescale."""
    starts: list[int] = []
    ends: list[int] = []
    for stream in listed:
        chunks, stop = stream.chunks, stream.stop
        starts.append(to_ns(int(chunks.time[0]), chunks.info.timescale))
        ends.append(to_ns(int(chunks.time[stop - 1] + chunks.duration[stop - 1]), chunks.info.timescale))
    return (max(ends) - min(starts)) * TIMESCALE // NS


def _add_stream(page: Page, presentation: Presentation, stream: Stream) -> None:
    chunks, stop = stream.chunks, stream.stop
    video = chunks.info.kind == "video"
    key = ("smooth rows", *(track.info.number for track in stream.tracks))
    strip = cache.strip(presentation, key, chunks, _chunk_list)
    start, end = chunks.first, chunks.first + stop
    # A chunk lasts up to the next, which is there, as a rule (look-ahead), and stays.
    strip.feed(chunks, ticks, min(end + 1, chunks.first + max(stop, chunks.settled)), gaps=True)
    page.add(
        "<StreamIndex"
        + attributes(
            Type=chunks.info.kind,
            Name=stream.name,
            Subtype="" if video else None,
            Language=None if video else bcp47(chunks.info.language) or "und",
            # Not counted while the list changes (MS-SSTR 2.2.2.3).
            Chunks=strip.count(start, end) if presentation.ended else 0,
            QualityLevels=len(stream.tracks),
            TimeScale=chunks.info.timescale,
            Url=f"QualityLevels({{bitrate}})/Fragments({stream.name}={{start time}})",
        )
        + ">\n"
    )
    # By what is stable: the order of a ladder is that of its tracks' numbers.
    for index, track in enumerate(sorted(stream.tracks, key=lambda track: track.info.number)):
        largest = _largest(presentation, stream, track) if video else (0, 0)
        slot, arguments = ("smooth level", track.info.number), (index, _declared(track).hash, largest)
        page.add(cache.text(presentation, slot, arguments, partial(_quality_level, track, index, largest)))
    single = max(start, end - SINGLE_CHUNKS) if not presentation.ended else end
    page.add_rows(strip.slice(start, single))
    for chunk in range(single - chunks.first, stop):
        page.add(f'<c t="{int(chunks.time[chunk])}" d="{_lasts(chunks, chunk)}"/>\n')
    page.add("</StreamIndex>\n")


def _chunk_list(start: int) -> RunStrip:
    """Chunks without holes, as in DASH: what dash.js makes of the list is a SegmentTimeline."""
    return RunStrip(start, _c, bridges=True)


def _lasts(chunks: Chunks, chunk: int) -> int:
    """How long a chunk is listed: up to the next of its period."""
    duration = int(chunks.duration[chunk])
    if chunk + 1 >= chunks.settled or int(chunks.period[chunk + 1]) != int(chunks.period[chunk]):
        return duration
    whole = int(chunks.time[chunk + 1] - chunks.time[chunk])
    return max(whole, duration)


def _c(run: Run, head: bool) -> bytes:
    """A chunk element: `r` counts the chunks themselves, unlike DASH's (MS-SSTR 2.2.2.6)."""
    stated = f' t="{run.time}"' if head or not run.joined else ""
    repeated = f' r="{run.count}"' if run.count > 1 else ""
    return f'<c{stated} d="{run.duration}"{repeated}/>\n'.encode()


def _quality_level(track: TrackWindow, index: int, largest: tuple[int, int]) -> str:
    config, (width, height) = _declared(track), largest
    if track.info.kind == "video":
        values = attributes(
            Index=index,
            Bitrate=track.info.bitrate,
            FourCC=_fourcc(config),
            MaxWidth=width,
            MaxHeight=height,
            CodecPrivateData=annex_b(config.codec_private).hex().upper(),
        )
    else:
        values = attributes(
            Index=index,
            Bitrate=track.info.bitrate,
            FourCC=_fourcc(config),
            SamplingRate=config.sample_rate,
            Channels=config.channels,
            BitsPerSample=16,
            PacketSize=2 * config.channels,
            # MS-SSTR 2.2.2.5: 255 says that CodecPrivateData is an AudioSpecificConfig.
            AudioTag=255,
            CodecPrivateData=config.codec_private.hex().upper(),
        )
    return f"<QualityLevel{values}/>\n"


def _largest(presentation: Presentation, stream: Stream, track: TrackWindow) -> tuple[int, int]:
    """The greatest width and height of a level: pictures that are not as declared come with parameter sets of their own.

    Those of the layers that stand in where it lacks fragments are among them.
    """
    layers = [track]
    if not complete(presentation, stream.chunks, track):
        layers = sorted(stream.tracks, key=partial(_distance, track))
        whole = next((place for place, layer in enumerate(layers) if complete(presentation, stream.chunks, layer)), len(layers))
        layers = layers[: whole + 1]
    configs = [config for layer in layers for config in layer.configs.values()]
    return max(config.width for config in configs), max(config.height for config in configs)


def _declared(track: TrackWindow) -> TrackConfig:
    """What the manifest says of a track: the configuration of its oldest fragment."""
    row = first_media(track, 0, len(track.time))
    return config_at(track, row or 0)


def _fourcc(config: TrackConfig) -> str | None:
    return _FOURCC.get(config.codec) or _FOURCC.get(config.codec.partition(".")[0])


def _stop(presentation: Presentation, chunks: Chunks) -> int:
    """The end of the chunks that may be served: all but those that lack their look-ahead, all when nothing comes behind."""
    if presentation.ended:
        return len(chunks.time)
    for stop in range(len(chunks.time), max(0, chunks.settled - LOOK_AHEAD), -1):
        if chunks.ends(stop - 1):
            return stop
    return max(0, chunks.settled - LOOK_AHEAD)


def media(presentation: Presentation, target: SmoothMedia) -> Published:
    """A fragment.

    Raises:
        PackagerError: TOO_EARLY (412) before its look-ahead is there; NO_SUCH_STREAM, NO_SUCH_FRAGMENT (404).
    """
    if (signal := signals.smooth_fragment(presentation, target.stream, target.time)) is not None:
        return signal
    stream, layer = _stream_of(presentation, target)
    chunks, chunk, stop = stream.chunks, stream.chunks.find(target.time), stream.stop
    # All behind the last listed one, also where a hole is that no client can know of yet.
    early = target.time > int(chunks.time[stop - 1]) if stop else len(chunks.time) > 0 and target.time >= int(chunks.time[0])
    if not presentation.ended and early:
        raise PackagerError("TOO_EARLY", "the fragments that this one has to name are not there yet", status=412, where=build(target))
    found = None if chunk is None else next(_choices(stream, layer, chunk), None)
    if chunk is None or found is None:
        raise PackagerError("NO_SUCH_FRAGMENT", "no fragment of the window starts at this time", status=404, where=build(target))
    track, place = found
    config = int(track.config[place])
    plan = SmoothFragment(
        source=Source(init=track.configs[config].init, ranges=ranges(presentation, track, place, place + 1)),
        track_id=layer.info.number,
        # Rises with the fragments whichever layer has them, of 32 bits and never zero (ISO/IEC 14496-12 8.8.5).
        sequence=to_ns(target.time, layer.info.timescale) // SEQUENCE_NS % 0xFFFFFFFF + 1,
        time=target.time,
        duration=int(chunks.duration[chunk]),
        composition_shift=COMPOSITION_SHIFT_MS * layer.info.timescale // 1000,
        successors=_successors(chunks, chunk),
        # A manifest declares the configuration of the oldest fragment it lists, so only the first of all can always go without.
        inband=layer.info.kind == "video" and (track is not layer or config != FIRST_CONFIG),
    )
    size = int(track.size[place])
    etag = f'"smooth-{target.time:x}-{track.info.number:x}-{size:x}-{len(plan.successors)}"'
    return Published(content_type=f"{layer.info.kind}/mp4", body=plan, lifetime="immutable", etag=etag)


def times_behind(presentation: Presentation, target: SmoothMedia, time: int) -> list[int]:
    """The times of the fragments behind `time` that may be served.

    Raises:
        PackagerError: NO_SUCH_STREAM (404).
    """
    stream, _ = _stream_of(presentation, target)
    chunk = stream.chunks.find(time)
    return [] if chunk is None else stream.chunks.time[chunk + 1 : stream.stop].tolist()


def _stream_of(presentation: Presentation, target: SmoothMedia) -> tuple[Stream, TrackWindow]:
    for stream in streams(presentation):
        if stream.name == target.stream:
            for track in stream.tracks:
                if track.info.bitrate == target.bitrate:
                    return stream, track
    # A layer that is out of step is not in the manifest; what it listed before is served all the same.
    for layer in playable(presentation, "video"):
        if target.stream == "video" and layer.info.bitrate == target.bitrate and _fourcc(_declared(layer)) is not None:
            return _stream(presentation, "video", [layer]), layer
    raise PackagerError("NO_SUCH_STREAM", "no stream has this name and bitrate", status=404, where=build(target))


def _choices(stream: Stream, layer: TrackWindow, chunk: int) -> Iterator[tuple[TrackWindow, int]]:
    """The fragments to serve for a chunk, best first: the layer's own, those of the layers below it from the nearest on, those above."""
    time, duration = int(stream.chunks.time[chunk]), int(stream.chunks.duration[chunk])
    for track in sorted(stream.tracks, key=partial(_distance, layer)):
        row = find(track, time)
        # What is listed, and told in tfxd and tfrf, is what is served.
        if row is not None and not is_gap(track, row) and int(track.duration[row]) == duration:
            yield track, row


def _distance(layer: TrackWindow, other: TrackWindow) -> tuple[bool, int]:
    return other.info.bitrate > layer.info.bitrate, abs(other.info.bitrate - layer.info.bitrate)


def _successors(chunks: Chunks, chunk: int) -> tuple[tuple[int, int], ...]:
    """(time, duration) of the look-ahead fragments; none when they are not all there: the presentation ended, or did so once."""
    later = range(chunk + 1, min(chunk + 1 + LOOK_AHEAD, len(chunks.time)))
    # As it was served while the presentation ended there.
    if len(later) < LOOK_AHEAD or any(chunks.ends(each - 1) for each in later):
        return ()
    return tuple((int(chunks.time[each]), int(chunks.duration[each])) for each in later)
