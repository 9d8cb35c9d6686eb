"""Reads a segment of whatever container it turns out to be: HLS does not say."""

from __future__ import annotations

from pypackager.check.finding import Scope
from pypackager.check.media.mp4_fragments import read_fragments
from pypackager.check.media.mp4_header import read_header
from pypackager.check.media.samples import Header, Media
from pypackager.check.media.ts import read_ts
from pypackager.check.rules import rule

CONTAINER = rule(
    "MEDIA-CONTAINER", "error", "RFC 8216bis 3.1", "a segment is fragmented MP4, a transport stream, or packed audio",
    example="an HTML page with status 200",
)  # fmt: skip

_BOXES = (b"styp", b"moof", b"sidx", b"emsg", b"prft", b"ftyp", b"free", b"moov")


def read_any(data: bytes, header: Header | None, scope: Scope) -> Media:
    """Reads a segment by its first bytes."""
    if data[4:8] in _BOXES:
        return read_fragments(data, header, scope)
    if data[:1] == b"\x47":
        return read_ts(data, header, scope)
    scope.breach(CONTAINER, f"starts with {data[:12]!r}", "styp or moof, 47 every 188 bytes, or ADTS")
    return Media()


def read_any_header(data: bytes, scope: Scope) -> Header | None:
    """Reads an initialisation segment."""
    return Header(data) if data[:1] == b"\x47" else read_header(data, scope)
