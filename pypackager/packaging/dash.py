"""DASH manifests (ISO/IEC 23009-1), live profile with SegmentTimeline and $Time$.

In: a presentation. Out: the MPD. Never: segments.

Each Representation has a timeline of its own: layers and tracks need not be aligned. A segment in front of a gap is listed up to the next
one, and FailoverContent says what of that has no media. Period@start and presentationTimeOffset say the same instant, so presentation time
is media time less a constant all over the MPD.
"""

from __future__ import annotations

from functools import partial

from pypackager.model.errors import PackagerError
from pypackager.model.plan import Published, manifest_age_s
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.track import TrackConfig, TrackInfo
from pypackager.packaging import cache
from pypackager.packaging.adaptation import Listed, adaptation_sets, aligned
from pypackager.packaging.choices import Sound, sounds
from pypackager.packaging.hls_master import peak_bps
from pypackager.packaging.languages import bcp47
from pypackager.packaging.markup import attributes, escape
from pypackager.packaging.rows import Page
from pypackager.packaging.runs import Run, RunStrip, ticks
from pypackager.packaging.signals import event_streams
from pypackager.packaging.timing import NS, duration_text, from_ns, to_ns, utc_text
from pypackager.packaging.window import default_audio, end_time, interval_ns, last_media, target_duration_s

CONTENT_TYPE = "application/dash+xml"

EARLIEST_START_NS = 946_684_800 * NS
"""2000-01-01: what lies before is a timeline that starts at 1970, not a live event."""

EPOCH_START_NS = 1_577_836_800 * NS
"""2020-01-01: @availabilityStartTime of presentations whose media time is UTC."""

_MILLISECOND = 1_000_000

DELAY_INTERVALS = 3
"""@suggestedPresentationDelay in key frame intervals, without caches: the fragment that plays, one until the MPD is asked for again, one
that the published edge may wait for."""


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
        return _page(presentation).publish(CONTENT_TYPE)

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
            suggestedPresentationDelay=duration_text(_delay_ns(presentation)) if live else None,
            mediaPresentationDuration=None if live else duration_text(_end_ns(presentation)),
            maxSegmentDuration=duration_text(_longest_ns(presentation)),
            minBufferTime=duration_text(interval),
        )
        + ">\n"
    )
    spoken = sounds(presentation)
    if not sum(_add_period(page, presentation, index, spoken) for index in range(len(presentation.periods))):
        raise PackagerError("NOT_READY", "no track covers any of it", status=404)
    if live:
        # Relative to the MPD, so that it is answered through the same CDN path.
        page.add("<UTCTiming" + attributes(schemeIdUri="urn:mpeg:dash:utc:http-iso:2014", value="time") + "/>\n")
    page.add("</MPD>\n")
    return page


def _offset_ns(presentation: Presentation) -> int:
    """Media time of presentation time zero."""
    return start_ns(presentation) - presentation.anchor_ns


def _delay_ns(presentation: Presentation) -> int:
    """How far behind the clock players should stay: a list as old as any cache may give it out still has what they play next.

    A cache that few viewers ask gives out the list that the last of them caused, while it fetches a newer one.
    """
    interval = interval_ns(presentation)
    return min(DELAY_INTERVALS * interval + 2 * manifest_age_s(interval) * NS, presentation.window_ns // 2)


def _end_ns(presentation: Presentation) -> int:
    """Presentation time of the end of the last row."""
    ends = [to_ns(end_time(track, row), track.info.timescale) for track in presentation.tracks if (row := last_media(track)) is not None]
    return max(ends) - _offset_ns(presentation)


def _longest_ns(presentation: Presentation) -> int:
    """@maxSegmentDuration: no S@d is longer, to the millisecond."""
    # HLS rounds a segment's length to its target duration (RFC 8216bis 4.4.3.1): it may be half a second longer, without a gap behind it.
    longest = target_duration_s(presentation) * NS + NS // 2
    for track in presentation.tracks:
        lasts = _listed_rows(presentation, track).longest(track.first, track.first + len(track.time))
        longest = max(longest, -(-lasts * NS // track.info.timescale // _MILLISECOND) * _MILLISECOND)
    return longest


def _listed_rows(presentation: Presentation, track: TrackWindow) -> RunStrip:
    """What is listed of a track, up to the last row."""
    rows = cache.strip(presentation, ("mpd rows", track.info.number), track, _timeline)
    rows.feed(track, ticks, track.first + len(track.time))
    return rows


def _add_period(page: Page, presentation: Presentation, index: int, spoken: dict[int, Sound]) -> bool:
    """Adds a period if it lists anything."""
    sets = list(adaptation_sets(presentation, index, spoken))
    if not sets:
        return False
    period = presentation.periods[index]
    start = duration_text(max(0, period.start_ns - _offset_ns(presentation)))
    page.add(f'<Period id="{_name(period.number, period.part)}" start="{start}">\n')
    if presentation.signals:
        following = presentation.periods[index + 1].start_ns if index + 1 < len(presentation.periods) else None
        offset_ns = max(period.start_ns, _offset_ns(presentation))
        for text in event_streams(presentation, period.start_ns, following, offset_ns):
            page.add(text)
    for members in sets:
        _add_set(page, presentation, index, members, spoken)
    page.add("</Period>\n")
    return True


def _name(number: int, part: int) -> str:
    """Period@id."""
    return f"{number}.{part}" if part else f"{number}"


def _add_set(page: Page, presentation: Presentation, index: int, members: list[Listed], spoken: dict[int, Sound]) -> None:
    info = members[0].track.info
    group = min(member.group for member in members)
    period, default = presentation.periods[index], default_audio(presentation)
    # What was listed before goes on in the same buffer; that period may have left the window (DASH-IF Timing Model, Period continuity).
    goes_on = any(member.group == group and member.since < period.part for member in period.members or ())
    before = _name(period.number, period.part - 1) if goes_on else None
    name = spoken[info.number].name if info.kind == "audio" else ""
    arguments = (info, group, aligned(members), any(member.track is default for member in members), before, name)
    page.add(cache.text(presentation, ("mpd set", info.number, index), arguments, partial(_set_head, *arguments)))
    for member in members:
        _add_representation(page, presentation, index, member)
    page.add("</AdaptationSet>\n")


def _set_head(info: TrackInfo, group: int, in_step: bool, first: bool, before: str | None, name: str) -> str:
    """An AdaptationSet up to its Representations."""
    text = (
        "<AdaptationSet"
        + attributes(
            # Tracks keep their number for life, so a set has the same id in every period that its first member is in, and in all its parts.
            id=group,
            contentType=info.kind,
            mimeType=f"{info.kind}/mp4",
            lang=bcp47(info.language) or None,
            segmentAlignment=str(in_step).lower(),
            startWithSAP=1,
            # Every language has the role "main"; this says which one a player starts with.
            selectionPriority=2 if first else None,
        )
        + ">\n"
    )
    if before is not None:
        text += "<SupplementalProperty" + attributes(schemeIdUri="urn:mpeg:dash:period-continuity:2015", value=before) + "/>\n"
    # The language says it all where no other sound has it.
    if name and name != bcp47(info.language):
        text += f"<Label>{escape(name)}</Label>\n"
    if info.role:
        text += "<Role" + attributes(schemeIdUri="urn:mpeg:dash:role:2011", value=info.role) + "/>\n"
    return text


def _add_representation(page: Page, presentation: Presentation, index: int, member: Listed) -> None:
    track, config = member.track, member.config
    # Of equal instants, so that the tracks stay in step: Period@start is exact to the nanosecond, this to the tick.
    offset = from_ns(max(presentation.periods[index].start_ns, _offset_ns(presentation)), track.info.timescale)
    arguments = (config.hash, peak_bps(track), offset)
    slot = ("mpd representation", track.info.number, index)
    page.add(cache.text(presentation, slot, arguments, partial(_representation, track, config, offset)))
    rows, start, stop = _listed_rows(presentation, track), track.first + member.start, track.first + member.stop
    if gaps := rows.gaps(start, stop):
        # ISO/IEC 23009-1:2022 5.3.9.2: sections without valid content.
        page.add('<FailoverContent valid="false">\n')
        page.add_rows(gaps)
        page.add("</FailoverContent>\n")
    page.add("<SegmentTimeline>\n")
    page.add_rows(rows.slice(start, stop))
    page.add("</SegmentTimeline>\n</SegmentTemplate>\n</Representation>\n")


def _representation(track: TrackWindow, config: TrackConfig, offset: int) -> str:
    """A Representation up to what its SegmentTemplate has in it."""
    video = track.info.kind == "video"
    rate, per = config.frame_rate
    text = (
        "<Representation"
        + attributes(
            id=track.info.id,
            bandwidth=peak_bps(track),
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
    return f"{text}<SegmentTemplate{template}>\n"


def _timeline(start: int) -> RunStrip:
    """S elements without holes (DASH-IF Timing Model, Referencing media segments): dash.js ends at one."""
    return RunStrip(start, _s, bridges=True, gap=_fcs)


def _s(run: Run, head: bool) -> bytes:
    """An S element: @r counts the repeats after the first (ISO/IEC 23009-1 5.3.9.6)."""
    stated = f' t="{run.time}"' if head or not run.joined else ""
    repeated = f' r="{run.count - 1}"' if run.count > 1 else ""
    return f'<S{stated} d="{run.duration}"{repeated}/>\n'.encode()


def _fcs(time: int, duration: int) -> bytes:
    """A stretch of a gap, on the timeline of S elements."""
    return f'<FCS t="{time}" d="{duration}"/>\n'.encode()
