"""Signals in manifests: StreamIndex of Smooth Streaming, EventStream of DASH, EXT-X-DATERANGE of HLS; HDS has no place for them.

In: a presentation. Out: text, and Smooth fragments of signals. Never: a look at a payload.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

from pypackager._core import signal_fragment
from pypackager.model.errors import PackagerError
from pypackager.model.plan import Published
from pypackager.model.presentation import Presentation
from pypackager.model.signal import TIMESCALE, Signal, SignalInfo, SignalWindow
from pypackager.packaging.markup import attributes
from pypackager.packaging.quoting import quoted
from pypackager.packaging.timing import NS, to_ns, utc_text

BITRATE = 0
"""Of the one QualityLevel of a text stream: a signal takes no bandwidth that a client would plan for."""
INSTANT = 1
"""Ticks that a signal without a duration has in Smooth Streaming, where each chunk has one (MS-SSTR 2.2.2.6)."""
UNNAMED = "urn:pypackager:signal:"
"""Before the id of a track whose encoder does not say what it carries: every format wants a name for that."""


def scheme_of(info: SignalInfo) -> str:
    """What the payloads are, as a URI."""
    return info.scheme or UNNAMED + info.id


def listed(presentation: Presentation) -> list[SignalWindow]:
    """Those whose payloads stand in manifests: their encoder wants it, and their parent is there."""
    return [window for window in presentation.signals if window.info.output and window.parent is not None]


# --- Smooth Streaming (MS-SSTR 2.2.2.3: sparse streams)


def smooth_stream(window: SignalWindow, parent: str, until_ns: int, *, live: bool) -> str:
    """A StreamIndex.

    Args:
        window: the track.
        parent: name of the StreamIndex that its parent is in.
        until_ns: media time of the newest fragment that is listed there: later signals are not available yet.
        live: chunks are not counted while the list changes (MS-SSTR 2.2.2.3).
    """
    info = window.info
    available = [signal for signal in window.signals if to_ns(signal.time, TIMESCALE) <= until_ns]
    text = "<StreamIndex" + attributes(
        Type="text",
        Name=info.id,
        Subtype=info.subtype or "DATA",
        Language=info.language if info.language != "und" else None,
        ParentStreamIndex=parent,
        ManifestOutput="TRUE",
        Chunks=0 if live else len(available),
        QualityLevels=1,
        TimeScale=TIMESCALE,
        Url=f"QualityLevels({{bitrate}})/Fragments({info.id}={{start time}})",
    )
    level = attributes(Index=0, Bitrate=BITRATE, FourCC="DATA", CodecPrivateData="")
    scheme = attributes(Name="Scheme", Value=scheme_of(info))
    text += f">\n<QualityLevel{level}><CustomAttributes><Attribute{scheme}/></CustomAttributes></QualityLevel>\n"
    for signal in available:
        text += f'<c t="{signal.time}" d="{signal.duration or INSTANT}"><f>{_base64(signal)}</f></c>\n'
    return text + "</StreamIndex>\n"


def smooth_fragment(presentation: Presentation, name: str, time: int) -> Published | None:
    """The fragment of a signal; None when no track of signals has this name.

    Raises:
        PackagerError: NO_SUCH_FRAGMENT (404).
    """
    window = next((window for window in listed(presentation) if window.info.id == name), None)
    if window is None:
        return None
    signal = next((signal for signal in window.signals if signal.time == time), None)
    if signal is None:
        raise PackagerError("NO_SUCH_FRAGMENT", "no signal of the window is at this time", status=404, where=f"{name} {time}")
    number = window.info.number
    body = signal_fragment(number, time // TIMESCALE % 0xFFFFFFFF + 1, time, signal.duration or INSTANT, signal.data)
    return Published(content_type="application/mp4", body=body, lifetime="immutable", etag=f'"signal-{number:x}-{time:x}"')


# --- DASH (ISO/IEC 23009-1 5.10.2)


def event_streams(presentation: Presentation, start_ns: int, stop_ns: int | None, offset_ns: int) -> Iterator[str]:
    """The EventStreams of a Period.

    Args:
        presentation: what is published.
        start_ns: media time at which the Period begins.
        stop_ns: media time at which the next one does; None: it is the last.
        offset_ns: media time of its start, as presentationTimeOffset of its Representations says it.
    """
    for window in listed(presentation):
        inside = [signal for signal in window.signals if _within(signal, start_ns, stop_ns)]
        if not inside:
            continue
        offset = offset_ns * TIMESCALE // NS
        yield (
            "<EventStream"
            + attributes(schemeIdUri=scheme_of(window.info), value=window.info.id, timescale=TIMESCALE, presentationTimeOffset=offset)
            + ">\n"
        )
        for signal in inside:
            told = attributes(
                presentationTime=signal.time,
                duration=signal.duration or None,
                id=signal.time % 2**32,
                contentEncoding="base64",
            )
            yield f"<Event{told}>{_base64(signal)}</Event>\n"
        yield "</EventStream>\n"


def _within(signal: Signal, start_ns: int, stop_ns: int | None) -> bool:
    time_ns = to_ns(signal.time, TIMESCALE)
    return start_ns <= time_ns and (stop_ns is None or time_ns < stop_ns)


# --- HLS (RFC 8216bis 4.4.5.1)


def date_ranges(presentation: Presentation) -> str:
    """The EXT-X-DATERANGE tags of a media playlist. What is said of one never changes."""
    lines: list[str] = []
    for window in listed(presentation):
        info = window.info
        for signal in window.signals:
            start = utc_text(presentation.anchor_ns + to_ns(signal.time, TIMESCALE))
            duration = f",DURATION={signal.duration / TIMESCALE:.3f}" if signal.duration else ""
            what = f'ID="{info.id}-{signal.time}",CLASS={quoted(scheme_of(info))},START-DATE="{start}"{duration}'
            lines.append(f'#EXT-X-DATERANGE:{what},X-PAYLOAD="{_base64(signal)}"\n')
    return "".join(lines)


def _base64(signal: Signal) -> str:
    return b64encode(signal.data).decode()
