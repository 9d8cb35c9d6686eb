"""Reads a client manifest ([MS-SSTR] 2.2.2) and checks the grammar of its elements.

In: the body. Out: streams with their levels, and their chunks with absolute times. Never: another copy, or a fragment.
"""

from __future__ import annotations

from fractions import Fraction

import msgspec
from lxml import etree

from pypackager.check.finding import Scope
from pypackager.check.rules import rule
from pypackager.check.smooth.attributes import Attribute, Values, read_attributes

XML = rule(
    "SMOOTH-XML", "error", "MS-SSTR 2.2.2", "a manifest is well-formed XML whose root is SmoothStreamingMedia",
    example="a StreamIndex that is not closed", verified=True,
)  # fmt: skip
CHUNK = rule(
    "SMOOTH-CHUNK", "error", "MS-SSTR 2.2.2.6", "a c element has d or t; what it leaves out follows from its neighbours",
    example="the last c has t and no d", verified=True,
)  # fmt: skip
REPEAT = rule(
    "SMOOTH-REPEAT", "error", "MS-SSTR 2.2.2.6", "r counts equal fragments, one at least, in manifests of MinorVersion 2",
    example='r="5" under MinorVersion="0"',
)  # fmt: skip
OVERLAP = rule(
    "SMOOTH-CHUNK-OVERLAP", "error", "MS-SSTR 2.2.2.6", "a fragment does not start before the end of the one before",
    example="t is 20000000 behind t=0 d=20000001",
)  # fmt: skip
GAP = rule(
    "SMOOTH-CHUNK-GAP", "note", "MS-SSTR 2.2.2.6", "fragments follow each other without a hole",
    example="t is 60000000 behind t=0 d=20000000",
)  # fmt: skip
EMPTY = rule(
    "SMOOTH-EMPTY", "error", "MS-SSTR 2.2.2.3", "a manifest has streams, and a stream has quality levels and fragments",
    example="a StreamIndex without c",
)  # fmt: skip

DEFAULT_TIMESCALE = 10_000_000
_USUAL_LOOK_AHEAD = 2
_ROOT = {
    "MajorVersion": Attribute("number", required=True), "MinorVersion": Attribute("number", required=True),
    "Duration": Attribute("number", required=True), "TimeScale": Attribute("positive"), "IsLive": Attribute("boolean"),
    "LookaheadCount": Attribute("number"), "LookAheadFragmentCount": Attribute("number"), "DVRWindowLength": Attribute("number"),
}  # fmt: skip
_STREAM = {
    "Type": Attribute("text", required=True), "Subtype": Attribute("text"), "Name": Attribute("text"), "TimeScale": Attribute("positive"),
    "Language": Attribute("text"), "Chunks": Attribute("number", required=True), "QualityLevels": Attribute("number", required=True),
    "Url": Attribute("text", required=True), "ParentStreamIndex": Attribute("text"),
}  # fmt: skip
_LEVEL = {"Index": Attribute("number", required=True), "Bitrate": Attribute("number", required=True), "FourCC": Attribute("text")}
_VIDEO = _LEVEL | {
    "MaxWidth": Attribute("positive", required=True), "MaxHeight": Attribute("positive", required=True),
    "CodecPrivateData": Attribute("hex", required=True), "NALUnitLengthField": Attribute("number"),
}  # fmt: skip
_AUDIO = _LEVEL | {
    "FourCC": Attribute("text", required=True), "SamplingRate": Attribute("positive", required=True),
    "Channels": Attribute("positive", required=True), "BitsPerSample": Attribute("number", required=True),
    "PacketSize": Attribute("number", required=True), "AudioTag": Attribute("number", required=True),
    "CodecPrivateData": Attribute("hex", required=True),
}  # fmt: skip
_LEVELS = {"video": _VIDEO, "audio": _AUDIO}
_CHUNK = {"n": Attribute("number"), "t": Attribute("number"), "d": Attribute("positive"), "r": Attribute("number")}
MOST_CHUNKS = 500_000
"""Of one stream: a window of a month."""


class Chunk(msgspec.Struct, frozen=True):
    """A fragment of every level of a stream, in ticks of the stream's timescale."""

    start: int
    duration: int
    line: int

    @property
    def end(self) -> int:
        """Where the next one starts."""
        return self.start + self.duration


class Level(msgspec.Struct, frozen=True):
    """A QualityLevel."""

    bitrate: int
    values: Values


class Stream(msgspec.Struct, frozen=True):
    """A StreamIndex."""

    name: str
    type: str
    timescale: int
    values: Values
    levels: tuple[Level, ...]
    chunks: tuple[Chunk, ...]

    @property
    def url(self) -> str:
        """The pattern of its fragments' URLs."""
        return self.values.text("Url")

    @property
    def sparse(self) -> bool:
        """Its fragments come when there is something to say, not one behind the other."""
        return self.type == "text" or "ParentStreamIndex" in self.values.texts

    def seconds(self, ticks: int) -> Fraction:
        """Ticks of its timescale in seconds."""
        return Fraction(ticks, self.timescale)


class Manifest(msgspec.Struct, frozen=True):
    """A client manifest."""

    url: str
    live: bool
    timescale: int
    values: Values
    streams: tuple[Stream, ...]

    @property
    def ahead(self) -> int:
        """Fragments that are there though they are not listed; where the manifest does not say, what servers do."""
        return self.look_ahead if self.look_ahead is not None else _USUAL_LOOK_AHEAD

    @property
    def look_ahead(self) -> int | None:
        """Fragments that a fragment announces; players know the attribute by another name than the standard."""
        named = self.values.number("LookAheadFragmentCount")
        return named if named is not None else self.values.number("LookaheadCount")

    @property
    def window(self) -> Fraction | None:
        """Length of the DVR window in seconds; None: without end."""
        ticks = self.values.number("DVRWindowLength")
        return Fraction(ticks, self.timescale) if ticks else None

    @property
    def duration(self) -> Fraction:
        """Stated length of the presentation."""
        return Fraction(self.values.number("Duration") or 0, self.timescale)


def read_manifest(body: bytes, url: str, scope: Scope) -> Manifest | None:
    """Reads a manifest; None, and a finding, when it is none."""
    try:
        root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as fault:
        scope.breach(XML, fault.msg or "nothing", "well-formed XML", line=fault.lineno)
        return None
    if root.tag != "SmoothStreamingMedia":
        scope.breach(XML, f"the root is {root.tag}", "SmoothStreamingMedia", line=root.sourceline)
        return None
    values = read_attributes(root, _ROOT, scope)
    timescale = values.number("TimeScale") or DEFAULT_TIMESCALE
    repeats = values.number("MinorVersion") == 2
    streams = tuple(_read_stream(element, timescale, scope, repeats=repeats) for element in root.iterfind("StreamIndex"))
    if not streams:
        scope.breach(EMPTY, "no StreamIndex", "one at least", line=values.line)
    return Manifest(url, values.flag("IsLive"), timescale, values, streams)


def _read_stream(element: etree._Element, timescale: int, scope: Scope, *, repeats: bool) -> Stream:
    values = read_attributes(element, _STREAM, scope)
    kind = values.text("Type")
    # Without a name, clients call a stream by its type ([MS-SSTR] 2.2.2.3).
    name = values.text("Name") or kind
    scope = scope.at(track=name)
    table = _LEVELS.get(kind, _LEVEL)
    levels: list[Level] = []
    for level in element.iterfind("QualityLevel"):
        read = read_attributes(level, table, scope)
        levels.append(Level(read.number("Bitrate") or 0, read))
    chunks = _read_chunks(element, scope, repeats=repeats)
    if not levels or (not chunks and kind != "text"):
        scope.breach(EMPTY, f"{len(levels)} levels, {len(chunks)} fragments", "one of each at least", line=values.line)
    return Stream(name, kind, values.number("TimeScale") or timescale, values, tuple(levels), tuple(chunks))


def _read_chunks(element: etree._Element, scope: Scope, *, repeats: bool) -> list[Chunk]:
    out: list[Chunk] = []
    read = [read_attributes(each, _CHUNK, scope) for each in element.iterfind("c")]
    for n, values in enumerate(read):
        start, duration, count = values.number("t"), values.number("d"), _count(values, scope, repeats=repeats)
        if duration is None:
            following = read[n + 1].number("t") if n + 1 < len(read) else None
            if start is None or following is None or following - start < count:
                scope.breach(CHUNK, "no d, and no later t behind it", "d, or t here and in the next c", line=values.line)
                continue
            duration = (following - start) // count
        due = out[-1].end if out else 0
        if start is None:
            start = due
        elif out and start != due:
            found = f"t={start} behind t={out[-1].start} d={out[-1].duration}"
            scope.breach(OVERLAP if start < due else GAP, found, f"t={due}", line=values.line)
        count = min(count, MOST_CHUNKS - len(out))
        out += [Chunk(start + each * duration, duration, values.line) for each in range(count)]
    return out


def _count(values: Values, scope: Scope, *, repeats: bool) -> int:
    count = values.number("r")
    if count is None:
        return 1
    if count == 0 or not repeats:
        scope.breach(REPEAT, f"r={count}", "1 at least, under MinorVersion 2" if count == 0 else "MinorVersion 2", line=values.line)
    return max(count, 1)
