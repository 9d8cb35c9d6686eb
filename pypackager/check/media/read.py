"""Reads a segment of whatever container it turns out to be: HLS does not say, and what DASH says may be wrong."""

from __future__ import annotations

from pypackager.check.finding import Scope
from pypackager.check.media.mp4_fragments import read_fragments
from pypackager.check.media.mp4_header import read_header
from pypackager.check.media.samples import Header, Media, Reader
from pypackager.check.media.ts import read_ts
from pypackager.check.rules import rule

CONTAINER = rule(
    "MEDIA-CONTAINER", "error", "RFC 8216bis 3.1", "a segment is fragmented MP4, a transport stream, or packed audio",
    example="an HTML page with status 200",
)  # fmt: skip

READERS: dict[str, Reader] = {"mp4": read_fragments, "mp2t": read_ts}
"""By the subtype of their media type."""
_BOXES = (b"styp", b"moof", b"sidx", b"ssix", b"emsg", b"prft", b"ftyp", b"free", b"skip", b"uuid", b"moov")


def container_of(data: bytes) -> str:
    """The container of a segment by its first bytes, as a key of `READERS`; empty: none of these."""
    if data[4:8] in _BOXES:
        return "mp4"
    return "mp2t" if data[:1] == b"\x47" else ""


def read_any(data: bytes, header: Header | None, scope: Scope) -> Media:
    """Reads a segment by its first bytes."""
    container = container_of(data)
    if container:
        return READERS[container](data, header, scope)
    scope.breach(CONTAINER, f"starts with {data[:12]!r}", "styp or moof, 47 every 188 bytes, or ADTS")
    return Media()


def read_any_header(data: bytes, scope: Scope) -> Header | None:
    """Reads an initialisation segment."""
    return Header(data) if container_of(data) == "mp2t" else read_header(data, scope)
