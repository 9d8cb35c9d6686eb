"""DASH manifests (ISO/IEC 23009-1), live profile with SegmentTimeline and $Time$.

In: a presentation. Out: the MPD. Never: segments.

Each Representation has a timeline of its own: layers and tracks need not be aligned. Gaps are holes in it. Period@start and
presentationTimeOffset say the same instant, so presentation time is media time less a constant all over the MPD.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pypackager.model.errors import PackagerError
from pypackager.model.plan import Published
from pypackager.model.presentation import Period, Presentation, TrackWindow
from pypackager.model.track import TrackConfig
from pypackager.packaging import cache
from pypackager.packaging.choices import Sound, sounds
from pypackager.packaging.hls_master import peak_bps
from pypackager.packaging.languages import bcp47
from pypackager.packaging.markup import attributes, escape
from pypackager.packaging.rows import Page
from pypackager.packaging.runs import Run, RunStrip, ticks
from pypackager.packaging.timing import NS, duration_text, from_ns, to_ns, utc_text
from pypackager.packaging.window import config_at, default_audio, end_time, first_media, interval_ns, last_media, target_duration_s

CONTENT_TYPE = "application/dash+xml"

EARLIEST_START_NS = 946_684_800 * NS
"""2000-01-01: what lies before is a timeline that starts at 1970, not a live event."""

EPOCH_START_NS = 1_577_836_800 * NS
"""2020-01-01: @availabilityStartTime of presentations whose media time is UTC."""

DELAY_INTERVALS = 3
"""@suggestedPresentationDelay in key frame intervals: the fragment that plays, one that loads, one that the published edge may wait for."""


def start_ns(presentation: Presentation) -> int:
    """@availabilityStartTime: UTC of presentation time zero.

    It is a function of the anchor alone, so two origins agree and it stays when the window moves. An anchor near 1970 (media time is UTC)
    is not written as such: ffmpeg takes a start at 1970 for a missing one, and times of 50 years cost players precision.
    """
    if presentation.anchor_ns >= EARLIEST_START_NS:
        return presentation.anchor_ns
    first = presentation.periods[0].start_ns + presentation.anchor_ns if presentation.periods else 0
    # A machine without a clock thinks it is 1970 and has nothing to show after 2020.
    return EPOCH_START_NS if first >= EPOCH_START_NS else presentation.anchor_ns


def mpd(presentation: Presentation) -> Published:
    """The MPD.

    Raises:
        PackagerError: NOT_READY (404) while nothing is published.
    """
    if not any(last_media(track) is not None for track in presentation.tracks):
        raise PackagerError("NOT_READY", "nothing is published yet", status=404)

    def make() -> Published:
        return _page(presentation).publish(CONTENT_TYPE, cache.version_etag(presentation))

    return cache.answer(presentation, ("mpd",), cache.version(presentation), make)


def _page(presentation: Presentation) -> Page:
    page = Page()
    interval = interval_ns(presentation)
    live = not presentation.ended
    page.add(
        '<?xml version="1.0" encoding="UTF-8"?>\n<MPD'
        + attributes(
            xmlns="urn:mpeg:dash:schema:mpd:2011",
            profiles="urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019",
            type="dynamic" if live else "static",
            availabilityStartTime=utc_text(start_ns(presentation)),
            publishTime=utc_text(presentation.published_ns),
            minimumUpdatePeriod=duration_text(interval) if live else None,
            timeShiftBufferDepth=duration_text(presentation.window_ns) if live else None,
            suggestedPresentationDelay=duration_text(DELAY_INTERVALS * interval) if live else None,
            mediaPresentationDuration=None if live else duration_text(_end_ns(presentation)),
            maxSegmentDuration=duration_text(target_duration_s(presentation) * NS),
            minBufferTime=duration_text(interval),
        )
        + ">\n"
    )
    spoken = sounds(presentation)
    for period in presentation.periods:
        _add_period(page, presentation, period, spoken)
    if live:
        # Relative to the MPD, so that it is answered through the same CDN path.
        page.add("<UTCTiming" + attributes(schemeIdUri="urn:mpeg:dash:utc:http-iso:2014", value="time") + "/>\n")
    page.add("</MPD>\n")
    return page


def _offset_ns(presentation: Presentation) -> int:
    """Media time of presentation time zero."""
    return start_ns(presentation) - presentation.anchor_ns


def _end_ns(presentation: Presentation) -> int:
    """Presentation time of the end of the last row."""
    ends = [to_ns(end_time(track, row), track.info.timescale) for track in presentation.tracks if (row := last_media(track)) is not None]
    return max(ends) - _offset_ns(presentation)


def _add_period(page: Page, presentation: Presentation, period: Period, spoken: dict[int, Sound]) -> None:
    sets = list(_adaptation_sets(presentation, period, spoken))
    if not sets:
        return
    start = duration_text(max(0, period.start_ns - _offset_ns(presentation)))
    page.add(f'<Period id="{period.number}" start="{start}">\n')
    for members in sets:
        _add_set(page, presentation, period, members, spoken)
    page.add("</Period>\n")


Member = tuple[TrackWindow, int, int, TrackConfig]
"""A track's rows [start, stop) of a period, with the configuration they have there."""


def _adaptation_sets(presentation: Presentation, period: Period, spoken: dict[int, Sound]) -> Iterator[list[Member]]:
    """Representations that a player may switch between: pictures of one codec family and shape, or one sound in one codec."""
    sets: dict[tuple[object, ...], list[Member]] = {}
    for track in presentation.tracks:
        start, stop = 0, len(track.time)
        if len(presentation.periods) > 1:
            start, stop = (int(np.searchsorted(track.period, number)) for number in (period.number, period.number + 1))
        row = first_media(track, start, stop)
        if row is None:
            continue
        config = config_at(track, row)
        if track.info.kind == "video":
            # Encoders round the lower layers to even sizes: shapes that differ by less than two per cent are one.
            shape = round(50 * config.width * config.pixel_aspect[0] / (config.height * config.pixel_aspect[1] or 1))
            key: tuple[object, ...] = ("video", config.codec.partition(".")[0], track.info.role, shape)
        else:
            key = ("audio", spoken[track.info.number].name, config.codec)
        sets.setdefault(key, []).append((track, start, stop, config))
    # Video first: the order says nothing in DASH, but simple players take the first set for the main one.
    yield from sorted(sets.values(), key=lambda members: members[0][0].info.kind != "video")


def _add_set(page: Page, presentation: Presentation, period: Period, members: list[Member], spoken: dict[int, Sound]) -> None:
    info = members[0][0].info
    video = info.kind == "video"
    default = default_audio(presentation)
    page.add(
        "<AdaptationSet"
        + attributes(
            # Tracks keep their number for life, so a set has the same id in every period that its first member is in.
            id=info.number,
            contentType=info.kind,
            mimeType=f"{info.kind}/mp4",
            lang=bcp47(info.language) or None,
            segmentAlignment=str(_aligned(members)).lower(),
            startWithSAP=1,
            # Every language has the role "main"; this says which one a player starts with.
            selectionPriority=2 if any(track is default for track, *_ in members) else None,
        )
        + ">\n"
    )
    # The language says it all where no other sound has it.
    if not video and (name := spoken[info.number].name) != bcp47(info.language):
        page.add(f"<Label>{escape(name)}</Label>\n")
    if info.role:
        page.add("<Role" + attributes(schemeIdUri="urn:mpeg:dash:role:2011", value=info.role) + "/>\n")
    for track, start, stop, config in members:
        _add_representation(page, presentation, period, (track, start, stop, config))
    page.add("</AdaptationSet>\n")


def _aligned(members: list[Member]) -> bool:
    """All members have the same rows."""
    first, start, stop, _ = members[0]
    return all(
        other_stop - other_start == stop - start
        and other.info.timescale == first.info.timescale
        and (stop == start or int(other.time[other_start]) == int(first.time[start]))
        and (stop == start or int(other.time[other_stop - 1]) == int(first.time[stop - 1]))
        for other, other_start, other_stop, _ in members[1:]
    )


def _add_representation(page: Page, presentation: Presentation, period: Period, member: Member) -> None:
    track, start, stop, config = member
    # Of equal instants, so that the tracks stay in step: Period@start is exact to the nanosecond, this to the tick.
    offset = from_ns(max(period.start_ns, _offset_ns(presentation)), track.info.timescale)
    arguments = (config.hash, peak_bps("cmaf", track), offset)
    slot = ("mpd representation", track.info.number, period.number - presentation.periods[0].number)
    page.add(cache.text(presentation, slot, arguments, lambda: _representation(track, config, offset)))
    rows = cache.strip(presentation, ("mpd rows", track.info.number), track, _timeline)
    rows.feed(track, ticks, track.first + len(track.time))
    page.add_rows(rows.slice(track.first + start, track.first + stop))
    page.add("</SegmentTimeline>\n</SegmentTemplate>\n</Representation>\n")


def _representation(track: TrackWindow, config: TrackConfig, offset: int) -> str:
    """A Representation up to its timeline."""
    video = track.info.kind == "video"
    rate, per = config.frame_rate
    text = (
        "<Representation"
        + attributes(
            id=track.info.id,
            bandwidth=peak_bps("cmaf", track),
            codecs=config.codec,
            width=config.width if video else None,
            height=config.height if video else None,
            frameRate=(str(rate) if per == 1 else f"{rate}/{per}") if video and rate else None,
            sar="{}:{}".format(*config.pixel_aspect) if video else None,
            audioSamplingRate=None if video else config.sample_rate,
        )
        + ">\n"
    )
    if not video:
        text += (
            "<AudioChannelConfiguration"
            + attributes(schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011", value=config.channels)
            + "/>\n"
        )
    template = attributes(
        timescale=track.info.timescale,
        presentationTimeOffset=offset,
        initialization=f"$RepresentationID$/{config.hash}/init.mp4",
        media="$RepresentationID$/$Time$.m4s",
    )
    return f"{text}<SegmentTemplate{template}>\n<SegmentTimeline>\n"


def _timeline(start: int) -> RunStrip:
    return RunStrip(start, _s)


def _s(run: Run, head: bool) -> bytes:
    """An S element: @r counts the repeats after the first (ISO/IEC 23009-1 5.3.9.6)."""
    stated = f' t="{run.time}"' if head or not run.joined else ""
    repeated = f' r="{run.count - 1}"' if run.count > 1 else ""
    return f'<S{stated} d="{run.duration}"{repeated}/>\n'.encode()
