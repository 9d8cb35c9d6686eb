"""What every answer says of itself: type, length and validators, judged on the exchanges of a walk without asking again."""

from __future__ import annotations

from urllib.parse import urlsplit

from pypackager.check.finding import Scope
from pypackager.check.numerals import whole
from pypackager.check.rules import rule
from pypackager.check.session import Exchange

PLAYLIST = rule(
    "HTTP-TYPE-PLAYLIST", "error", "RFC 8216bis 4", "a playlist is known by .m3u8 at the end of its path, or by its Content-Type",
    example="a playlist at /live/index with Content-Type: text/plain",
)  # fmt: skip
TYPE = rule(
    "HTTP-TYPE", "warning", "RFC 9110 8.3", "Content-Type is one that is registered or in use for what the body is",
    example="a transport stream with Content-Type: text/html",
)  # fmt: skip
LENGTH = rule(
    "HTTP-LENGTH", "error", "RFC 9110 8.6", "Content-Length is the number of bytes that come",
    example="Content-Length: 1000 with a body of 900 bytes",
)  # fmt: skip
ETAG = rule(
    "HTTP-ETAG", "error", "RFC 9110 8.8.1", "two answers with one strong ETag are the same bytes",
    example="a playlist that has grown and kept its ETag: who revalidates never sees the new segment",
)  # fmt: skip
UNSTABLE = rule(
    "HTTP-ETAG-UNSTABLE", "warning", "RFC 9110 8.8.3", "the ETag stays while the bytes do",
    example="each answer for one segment has an ETag of its own: nothing is ever 304",
)  # fmt: skip
VARY = rule(
    "HTTP-VARY", "warning", "RFC 9110 12.5.5", "an answer that depends on Accept-Encoding says so in Vary",
    example="Content-Encoding: gzip without Vary: a cache hands it to who did not ask for it",
)  # fmt: skip

HLS_TYPES = frozenset(("application/vnd.apple.mpegurl", "audio/mpegurl", "application/x-mpegurl", "audio/x-mpegurl"))
_XML = frozenset(("text/xml", "application/xml"))
_TYPES = {
    "hls": HLS_TYPES,
    "dash": frozenset(("application/dash+xml", "video/vnd.mpeg.dash.mpd")) | _XML,
    "smooth": frozenset(("application/vnd.ms-sstr+xml",)) | _XML,
    "hds": frozenset(("application/f4m+xml", "application/f4m", "video/f4m")) | _XML,
}


def check_headers(exchanges: list[Exchange], form: str, scope: Scope) -> None:
    """Checks all answers of a presentation of a format."""
    told: set[str] = set()
    seen: dict[tuple[str, tuple[int, int] | None, str | None], Exchange] = {}
    for exchange in exchanges:
        if exchange.status not in (200, 206):
            continue
        here = scope.at(track=exchange.track, url=exchange.url)
        length = exchange.header("content-length")
        if length is not None and whole(length) != exchange.wire:
            here.breach(LENGTH, f"Content-Length: {length}", f"{exchange.wire}, the bytes that came")
        if exchange.header("content-encoding") and "accept-encoding" not in (exchange.header("vary") or "").lower():
            if VARY.id not in told:
                here.breach(VARY, f"Vary: {exchange.header('vary')}", "Vary: Accept-Encoding")
            told.add(VARY.id)
        if exchange.role in ("manifest", "playlist") and exchange.url not in told:
            told.add(exchange.url)
            _check_type(exchange, form, here)
        key = exchange.url, exchange.byte_range, exchange.header("content-encoding")
        if key in seen:
            check_validators(seen[key], exchange, here)
        seen[key] = exchange


def content_type(value: str | None) -> str:
    """A Content-Type without its parameters."""
    return (value or "").partition(";")[0].strip().lower()


def _check_type(exchange: Exchange, form: str, scope: Scope) -> None:
    found = content_type(exchange.header("content-type"))
    if found in _TYPES.get(form, {found}):
        return
    if form == "hls" and not urlsplit(exchange.url).path.endswith((".m3u8", ".m3u")):
        scope.breach(PLAYLIST, f"Content-Type: {found or 'none'}", "application/vnd.apple.mpegurl")
    else:
        scope.breach(TYPE, f"Content-Type: {found or 'none'}", " or ".join(sorted(_TYPES[form])))


def check_validators(before: Exchange, after: Exchange, scope: Scope) -> None:
    """Two answers for one resource in one content coding: the same ETag with the same bytes alone."""
    one, other = before.header("etag"), after.header("etag")
    same = (before.crc, before.size) == (after.crc, after.size)
    if one and one == other and not one.startswith("W/") and not same:
        scope.breach(ETAG, f"ETag: {one} over {after.size} bytes and over {before.size}", "an ETag of its own")
    elif one and same and other != one:
        scope.breach(UNSTABLE, f"ETag: {other}", f"{one}, as before: the bytes are the same")
