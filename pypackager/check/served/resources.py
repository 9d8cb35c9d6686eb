"""What never changes, asked for again: the same bytes, conditions, ranges, HEAD, CORS (RFC 9110).

In: the exchange of a segment or of a header. Out: findings; eight requests at most.
"""

from __future__ import annotations

import zlib

from pypackager.check.finding import Scope
from pypackager.check.loading import RANGE
from pypackager.check.origin import Answer
from pypackager.check.rules import rule
from pypackager.check.served.asking import PLAYER, Asker, expect_status
from pypackager.check.served.headers import TYPE, UNSTABLE, content_type
from pypackager.check.session import Exchange

IMMUTABLE = rule(
    "HTTP-IMMUTABLE", "error", "RFC 8216bis 6.2.1", "a segment has the same bytes whenever it is asked for",
    example="a segment that was listed while it was still being written",
)  # fmt: skip
CODING = rule(
    "HTTP-CODING", "error", "RFC 9110 12.5.3", "who asks for the identity coding gets it, and the content is the same as in gzip",
    example="the compressed copy of a playlist is older than the plain one",
)  # fmt: skip
HEAD = rule(
    "HTTP-HEAD", "error", "RFC 9110 9.1", "HEAD is answered with the status of GET",
    example="405 to HEAD for a segment",
)  # fmt: skip
HEAD_FIELDS = rule(
    "HTTP-HEAD-FIELDS", "warning", "RFC 9110 9.3.2", "HEAD has the header fields of GET",
    example="Content-Length: 0 to HEAD, 90,000 to GET",
)  # fmt: skip
CONDITIONAL = rule(
    "HTTP-CONDITIONAL", "error", "RFC 9110 13.1.2", "If-None-Match with the ETag that holds is answered with 304",
    example="the whole segment again, with the very ETag that was asked about",
)  # fmt: skip
MODIFIED = rule(
    "HTTP-MODIFIED-SINCE", "warning", "RFC 9110 13.1.3", "If-Modified-Since with the Last-Modified that holds is answered with 304",
    example="the whole segment again",
)  # fmt: skip
NOT_MODIFIED = rule(
    "HTTP-304", "error", "RFC 9110 15.4.5", "304 comes without a body and with the ETag that 200 has", verified=True,
    example="304 without ETag: the cache does not know of which copy it speaks",
)  # fmt: skip
VALIDATOR = rule(
    "HTTP-VALIDATOR", "note", "RFC 9110 8.8", "an answer has an ETag or Last-Modified, so that a cache can ask whether it holds",
    example="a segment without both",
)  # fmt: skip
IGNORED = rule(
    "HTTP-RANGE-IGNORED", "warning", "RFC 9110 14.2", "who says Accept-Ranges: bytes answers a range with 206",
    example="200 and the whole segment",
)  # fmt: skip
CONTENT_RANGE = rule(
    "HTTP-CONTENT-RANGE", "error", "RFC 9110 15.3.7.1", "206 says by Content-Range which bytes of how many it has",
    example="Content-Range: bytes 0-99/100 of a segment of 90,000 bytes",
)  # fmt: skip
UNSATISFIABLE = rule(
    "HTTP-RANGE-416", "warning", "RFC 9110 15.5.17", "a range behind the end is answered with 416 and the true length",
    example="206 with an empty body for bytes=90000- of 90,000",
)  # fmt: skip
IF_RANGE = rule(
    "HTTP-IF-RANGE", "error", "RFC 9110 13.1.5", "a range of another copy (If-Range) is answered with the whole of this one",
    example="206 under If-Range with an ETag that never was: a resumed download mixes two files",
)  # fmt: skip
CORS = rule(
    "HTTP-CORS", "warning", "Fetch 3.2.3", "a page of another origin may read the answer",
    example="no Access-Control-Allow-Origin: browsers play it on its own site alone",
)  # fmt: skip
CORS_VARY = rule(
    "HTTP-CORS-VARY", "warning", "Fetch 3.2.5", "who names the asking origin in Access-Control-Allow-Origin says Vary: Origin",
    example="the answer for one site is cached, and another site's viewers are refused",
)  # fmt: skip

_PART = 100
_ALWAYS = ("content-type", "etag", "cache-control", "last-modified")
_TYPES = {
    "a transport stream": {"video/mp2t", "video/mpeg", "audio/mp2t", "application/octet-stream"},
    "boxes": {"video/mp4", "audio/mp4", "application/mp4", "video/iso.segment", "audio/iso.segment", "text/mp4", "video/f4f"}
    | {"video/x-m4s", "audio/x-m4a", "video/quicktime", "application/octet-stream", "video/f4v"},
}


async def check_resource(asker: Asker, exchange: Exchange, scope: Scope) -> None:
    """Asks for what was asked for, in several ways."""
    ranged = exchange.byte_range
    part = {"range": f"bytes={ranged[0]}-{ranged[0] + ranged[1] - 1}"} if ranged else {}
    again = await asker.ask(exchange.url, accept_encoding="identity", origin=PLAYER, **part)
    if not expect_status(again, exchange.status, scope):
        return
    if (zlib.crc32(again.body), len(again.body)) != (exchange.crc, exchange.size):
        scope.breach(IMMUTABLE, f"{len(again.body)} bytes with CRC {zlib.crc32(again.body):08x}", f"{exchange.size}, {exchange.crc:08x}")
        return
    _check_type(again, scope)
    check_identity(again, scope)
    check_cors(again, scope)
    head = await asker.ask(exchange.url, method="HEAD", accept_encoding="identity", **part)
    before, after = exchange.header("etag"), again.header("etag")
    if before and before != after and exchange.header("content-encoding") == again.header("content-encoding"):
        scope.breach(UNSTABLE, f"ETag: {after}", f"{before}, as before: the bytes are the same")
    else:
        check_head(again, head, scope)
    if not ranged:
        await check_condition(asker, again, scope)
        await _check_ranges(asker, again, scope)


def _check_type(answer: Answer, scope: Scope) -> None:
    head = answer.body[:12]
    kind = "boxes" if head[4:8] in (b"ftyp", b"styp", b"moof", b"sidx", b"prft", b"emsg", b"afra", b"abst", b"mdat") else ""
    kind = "a transport stream" if head[:1] == b"G" and len(answer.body) % 188 == 0 else kind
    found = content_type(answer.header("content-type"))
    if kind and found not in _TYPES[kind]:
        scope.breach(TYPE, f"Content-Type: {found or 'none'}", f"one of {kind}, such as {min(_TYPES[kind], key=len)}")


def check_identity(answer: Answer, scope: Scope) -> None:
    """Who asked for no coding got none."""
    coding = answer.header("content-encoding")
    if coding not in (None, "", "identity"):
        scope.breach(CODING, f"Content-Encoding: {coding}", "none: identity was asked for")


def check_cors(answer: Answer, scope: Scope) -> None:
    """A page may read it."""
    allowed = answer.header("access-control-allow-origin")
    if allowed not in ("*", PLAYER):
        scope.breach(CORS, f"Access-Control-Allow-Origin: {allowed or 'none'}", "* or the origin that asks")
    elif allowed == PLAYER and "origin" not in (answer.header("vary") or "").lower():
        scope.breach(CORS_VARY, f"Vary: {answer.header('vary') or 'none'}", "Vary: Origin")


def check_head(whole: Answer, head: Answer, scope: Scope, *, fixed: bool = True) -> None:
    """HEAD against GET; what changes from moment to moment (not `fixed`) by its status and type alone."""
    if head.status != whole.status:
        scope.breach(HEAD, head.status or head.fault, f"{whole.status}, as to GET")
        return
    names = _ALWAYS if fixed else ("content-type",)
    wrong = [name for name in names if whole.header(name) != head.header(name)]
    # A length that is found out by making the body may be left out (RFC 9110 9.3.2).
    if fixed and head.header("content-length") and whole.header("content-length") not in (None, head.header("content-length")):
        wrong.append("content-length")
    if wrong:
        found = ", ".join(f"{name}: {head.header(name)}" for name in wrong)
        scope.breach(HEAD_FIELDS, found, ", ".join(f"{name}: {whole.header(name)}" for name in wrong))


async def check_condition(asker: Asker, whole: Answer, scope: Scope, *, coding: str = "identity") -> None:
    """Asks whether the answer still holds."""
    etag, modified = whole.header("etag"), whole.header("last-modified")
    if etag:
        answer = await asker.ask(whole.url, accept_encoding=coding, if_none_match=etag)
        if answer.status == 304:
            if answer.body or answer.header("etag") != etag:
                scope.breach(NOT_MODIFIED, f"{len(answer.body)} bytes, ETag: {answer.header('etag') or 'none'}", f"no body, {etag}")
        elif answer.status != 200 or answer.header("etag") == etag:
            # A new ETag with a new body says that it does not hold any more.
            scope.breach(CONDITIONAL, answer.status or answer.fault, f"304 to If-None-Match: {etag}")
    elif modified:
        answer = await asker.ask(whole.url, accept_encoding=coding, if_modified_since=modified)
        if answer.status != 304 and answer.header("last-modified") == modified:
            scope.breach(MODIFIED, answer.status or answer.fault, f"304 to If-Modified-Since: {modified}")
    else:
        scope.breach(VALIDATOR, "neither ETag nor Last-Modified", "one of them")


async def _check_ranges(asker: Asker, whole: Answer, scope: Scope) -> None:
    size, url = len(whole.body), whole.url
    if not size:
        return
    last = min(_PART, size) - 1
    first = await asker.ask(url, accept_encoding="identity", range=f"bytes=0-{last}")
    if first.status == 200 and first.body == whole.body and (size > last + 1 or not first.header("content-range")):
        # Any server may ignore ranges (RFC 9110 14.2); what follows has no meaning then.
        if (whole.header("accept-ranges") or "").lower() == "bytes":
            scope.breach(IGNORED, "200 to a range", "206")
        return
    _check_part(first, whole.body[: last + 1], f"bytes 0-{last}", size, scope)
    start = size - last - 1
    _check_part(
        await asker.ask(url, accept_encoding="identity", range=f"bytes=-{last + 1}"), whole.body[start:], f"bytes {start}-{size - 1}",
        size, scope,
    )  # fmt: skip
    behind = await asker.ask(url, accept_encoding="identity", range=f"bytes={size}-")
    length = behind.header("content-range")
    if behind.status != 416 or length not in (None, f"bytes */{size}"):
        scope.breach(UNSATISFIABLE, f"{behind.status or behind.fault}, Content-Range: {length}", f"416, Content-Range: bytes */{size}")
    other = await asker.ask(url, accept_encoding="identity", range=f"bytes=0-{last}", if_range='"never-was"')
    if other.status != 200 or other.body != whole.body:
        scope.breach(IF_RANGE, f"{other.status or other.fault} with {len(other.body)} bytes", f"200 with {size} bytes")


def _check_part(answer: Answer, wanted: bytes, place: str, size: int, scope: Scope) -> None:
    if answer.status != 206 or answer.body != wanted:
        scope.breach(RANGE, f"{answer.status or answer.fault} with {len(answer.body)} bytes", f"206 with {place} of GET")
    elif answer.header("content-range") not in (f"{place}/{size}", f"{place}/*"):
        scope.breach(CONTENT_RANGE, f"Content-Range: {answer.header('content-range') or 'none'}", f"{place}/{size}")
