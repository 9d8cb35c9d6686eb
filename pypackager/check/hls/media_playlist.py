"""Reads a media playlist (RFC 8216bis 4.4.3 to 4.4.5) and checks what one copy of it must be by itself.

In: lines. Out: its segments with their absolute numbers, URLs, dates and maps. Never: another copy, or the media.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from fractions import Fraction

import msgspec

from pypackager.check.finding import Scope
from pypackager.check.hls.lines import TAG, Line
from pypackager.check.hls.tags import BYTE_RANGE, DATE, EXTINF
from pypackager.check.numerals import whole
from pypackager.check.references import resolve_reference
from pypackager.check.rules import rule

EMPTY = rule(
    "HLS-EMPTY", "error", "RFC 8216bis 4.4", "a playlist is either of media segments or multivariant, and lists something",
    example="a media playlist without a segment",
)  # fmt: skip
KIND = rule(
    "HLS-KIND", "error", "RFC 8216bis 4.1", "tags of media playlists and of multivariant playlists do not mix",
    example="EXT-X-STREAM-INF in a media playlist",
)  # fmt: skip
ORDER = rule(
    "HLS-ORDER", "error", "RFC 8216bis 4.4.3", "sequence numbers stand before the first segment and EXT-X-DISCONTINUITY",
    example="EXT-X-MEDIA-SEQUENCE behind the first EXTINF",
)  # fmt: skip
TARGET_MISSING = rule(
    "HLS-TARGETDURATION-MISSING", "error", "RFC 8216bis 4.4.3.1", "a media playlist has EXT-X-TARGETDURATION, above 0",
    example="no EXT-X-TARGETDURATION",
)  # fmt: skip
NO_EXTINF = rule(
    "HLS-EXTINF-MISSING", "error", "RFC 8216bis 4.4.4.1", "each media segment has one EXTINF",
    example="a URI that follows a URI",
)  # fmt: skip
DANGLING = rule(
    "HLS-SEGMENT-TAG", "error", "RFC 8216bis 4.4.4", "a tag that applies to the next segment is followed by one",
    example="EXT-X-MAP is the last line of an ended playlist",
)  # fmt: skip
BYTE_RANGES = rule(
    "HLS-BYTERANGE", "error", "RFC 8216bis 4.4.4.2", "a byte range without offset follows a range of the same resource",
    example="EXT-X-BYTERANGE:1000 on the first segment",
)  # fmt: skip
DATE_ZONE = rule(
    "HLS-PDT-ZONE", "warning", "RFC 8216bis 4.4.4.6", "a date is ISO 8601 with milliseconds and a time zone",
    example="2024-01-01T00:00:00 without a zone",
)  # fmt: skip

_LEADING = {"EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE"}


class Map(msgspec.Struct, frozen=True):
    """EXT-X-MAP."""

    url: str
    byte_range: tuple[int, int] | None = None


class Segment(msgspec.Struct, frozen=True):
    """A media segment as listed."""

    number: int
    """Media sequence number."""
    line: int
    uri: str
    url: str
    duration: Fraction
    decimals: int
    continuity: int
    """Discontinuity sequence number."""
    date: Fraction | None
    """PROGRAM-DATE-TIME, in seconds UTC, where it is written."""
    byte_range: tuple[int, int] | None = None
    map: Map | None = None
    key: str = ""
    gap: bool = False
    discontinuity: bool = False
    """The tag stands here."""
    bitrate: int | None = None


class MediaPlaylist(msgspec.Struct, frozen=True):
    """A media playlist."""

    url: str
    version: int
    target: int
    sequence: int
    discontinuity_sequence: int
    type: str
    ended: bool
    independent: bool
    i_frames_only: bool
    segments: tuple[Segment, ...]
    lines: dict[str, int]
    """The line of each tag's first appearance."""
    tags: tuple[Line, ...] = ()
    """Those that belong to no segment: parts, hints, reports, date ranges."""

    def starts(self) -> list[Fraction]:
        """Declared start of each segment: by the dates where there are such, else the sum of durations from zero."""
        out: list[Fraction] = []
        at = next((segment.date for segment in self.segments if segment.date is not None), None) or Fraction(0)
        first = next((n for n, segment in enumerate(self.segments) if segment.date is not None), 0)
        at -= sum((segment.duration for segment in self.segments[:first]), Fraction(0))
        for segment in self.segments:
            at = segment.date if segment.date is not None else at
            out.append(at)
            at += segment.duration
        return out

    @property
    def dated(self) -> bool:
        """It has dates."""
        return any(segment.date is not None for segment in self.segments)


def read_media_playlist(lines: list[Line], url: str, scope: Scope) -> MediaPlaylist:
    """Reads a media playlist whose grammar was checked."""
    reader = _Reader(url, scope)
    for line in lines:
        reader.take(line)
    return reader.finish()


def parse_date(text: str) -> Fraction | None:
    """ISO 8601 date and time as exact seconds UTC; None when it is none or has no zone."""
    match = DATE.fullmatch(text)
    if match is None or match[8] is None:
        return None
    offset = timedelta()
    if match[8] != "Z":
        hours, minutes = int(match[8][:3]), int(match[8][-2:])
        offset = timedelta(hours=hours, minutes=minutes if hours >= 0 and match[8][0] == "+" else -minutes)
    year, month, day, hour, minute, second = (int(match[n]) for n in range(1, 7))
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=timezone(offset))
    except ValueError:
        return None
    return Fraction(int(at.timestamp())) + (Fraction(match[7]) if match[7] else 0)


class _Reader:
    """Collects the tags of the next segment until its URI comes."""

    def __init__(self, url: str, scope: Scope) -> None:
        self.url = url
        self.scope = scope
        self.numbers = {"EXT-X-VERSION": 1, "EXT-X-TARGETDURATION": 0, "EXT-X-MEDIA-SEQUENCE": 0, "EXT-X-DISCONTINUITY-SEQUENCE": 0}
        self.lines: dict[str, int] = {}
        self.type = ""
        self.segments: list[Segment] = []
        self.pending: dict[str, Line] = {}
        self.jumps = 0
        self.map: Map | None = None
        self.key = ""
        self.bitrate: int | None = None
        self.tags: list[Line] = []

    def take(self, line: Line) -> None:
        """Takes the next line."""
        tag = line.tag
        self.lines.setdefault(tag, line.number)
        match tag:
            case "":
                self._segment(line)
            case "EXT-X-VERSION" | "EXT-X-TARGETDURATION" | "EXT-X-MEDIA-SEQUENCE" | "EXT-X-DISCONTINUITY-SEQUENCE":
                if (number := whole(line.value)) is not None:
                    self.numbers[tag] = number
                if tag in _LEADING and (self.segments or self.pending.keys() & {"EXTINF", "EXT-X-DISCONTINUITY"}):
                    self.scope.breach(ORDER, f"{tag} behind a segment's tags", "before them", line=line.number)
            case "EXT-X-PLAYLIST-TYPE":
                self.type = line.value
            case "EXT-X-DISCONTINUITY":
                self.jumps += 1
                self.pending[tag] = line
            case "EXT-X-MAP":
                self.map = self._map(line)
                self.pending[tag] = line
            case "EXT-X-KEY":
                self.key = "" if line.attributes.get("METHOD") == "NONE" else line.value
                self.pending[tag] = line
            case "EXT-X-BITRATE":
                self.bitrate = whole(line.value)
            case "EXTINF" | "EXT-X-BYTERANGE" | "EXT-X-PROGRAM-DATE-TIME" | "EXT-X-GAP":
                if tag in self.pending:
                    self.scope.breach(TAG, f"a second {tag} for one segment", "one", line=line.number)
                self.pending[tag] = line
            case "EXT-X-MEDIA" | "EXT-X-STREAM-INF" | "EXT-X-I-FRAME-STREAM-INF" | "EXT-X-SESSION-DATA" | "EXT-X-SESSION-KEY":
                self.scope.breach(KIND, f"{tag} in a media playlist", "tags of media playlists", line=line.number)
            case _:
                self.tags.append(line)

    def finish(self) -> MediaPlaylist:
        """The playlist."""
        ended = "EXT-X-ENDLIST" in self.lines
        for tag, line in self.pending.items():
            # A live playlist may already say what the segment in the making begins with.
            if ended or tag == "EXTINF":
                self.scope.breach(DANGLING, f"{tag} without a segment", "a URI behind it", line=line.number)
        if not self.segments and "EXT-X-PART" not in self.lines:
            self.scope.breach(EMPTY, "no segment", "at least one")
        if self.numbers["EXT-X-TARGETDURATION"] <= 0:
            self.scope.breach(
                TARGET_MISSING,
                f"{self.numbers['EXT-X-TARGETDURATION']}",
                "a duration in seconds",
                line=self.lines.get("EXT-X-TARGETDURATION"),
            )
        version, target, sequence, discontinuity = self.numbers.values()
        return MediaPlaylist(
            self.url, version, target, sequence, discontinuity, self.type, ended, "EXT-X-INDEPENDENT-SEGMENTS" in self.lines,
            "EXT-X-I-FRAMES-ONLY" in self.lines, tuple(self.segments), self.lines, tuple(self.tags),
        )  # fmt: skip

    def _segment(self, line: Line) -> None:
        pending, self.pending = self.pending, {}
        extinf = pending.get("EXTINF")
        match = EXTINF.fullmatch(extinf.value) if extinf else None
        if extinf is None:
            self.scope.breach(NO_EXTINF, f"{line.value[:80]} without EXTINF", "EXTINF before it", line=line.number)
        text = match[1] if match else "0"
        date = pending.get("EXT-X-PROGRAM-DATE-TIME")
        if date is not None and parse_date(date.value) is None:
            self.scope.breach(DATE_ZONE, date.value, "a date of the calendar with a zone", line=date.number)
        url = resolve_reference(self.url, line.value)
        self.segments.append(
            Segment(
                number=self.numbers["EXT-X-MEDIA-SEQUENCE"] + len(self.segments),
                line=line.number,
                uri=line.value,
                url=url,
                duration=Fraction(text),
                decimals=len(text.partition(".")[2]),
                continuity=self.numbers["EXT-X-DISCONTINUITY-SEQUENCE"] + self.jumps,
                date=parse_date(date.value) if date else None,
                byte_range=self._range(pending.get("EXT-X-BYTERANGE"), url),
                map=self.map,
                key=self.key,
                gap="EXT-X-GAP" in pending,
                discontinuity="EXT-X-DISCONTINUITY" in pending,
                bitrate=self.bitrate,
            )
        )

    def _range(self, line: Line | None, url: str) -> tuple[int, int] | None:
        match = BYTE_RANGE.fullmatch(line.value) if line else None
        if line is None or match is None:
            return None
        if match[2] is not None:
            return int(match[2]), int(match[1])
        before = self.segments[-1] if self.segments else None
        if before is None or before.byte_range is None or before.url != url:
            self.scope.breach(BYTE_RANGES, f"EXT-X-BYTERANGE:{line.value}", "an offset", line=line.number)
            return 0, int(match[1])
        return sum(before.byte_range), int(match[1])

    def _map(self, line: Line) -> Map | None:
        uri = line.attributes.get("URI")
        if uri is None:
            return None
        text = line.attributes.get("BYTERANGE")
        match = BYTE_RANGE.fullmatch(text) if text else None
        if text and match is None:
            self.scope.breach(TAG, f"BYTERANGE={text}", "length@offset", line=line.number)
        return Map(resolve_reference(self.url, uri), (int(match[2] or 0), int(match[1])) if match else None)
