"""HTTP answers: from what was found to a status, headers and a body.

In: a Published or a PackagerError, and the request's headers. Out: a Reply. Never: a socket.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from functools import lru_cache
from http import HTTPStatus

import msgspec

from pypackager.model.errors import PackagerError
from pypackager.model.plan import Lifetime, Published, Stored
from pypackager.origin.bodies import Bodies, cut, stored_size
from pypackager.origin.conditions import (
    Ages,
    RangeNotSatisfiableError,
    accepts_gzip,
    cache_control,
    lifetimes,
    none_match,
    parse_range,
    quoted,
    range_holds,
)

METHODS = "GET, HEAD, OPTIONS"

ANY_ORIGIN = (b"access-control-allow-origin", b"*")
_OPEN = (
    ANY_ORIGIN,
    (b"access-control-expose-headers", b"Date, Age, Content-Length, Content-Range, ETag, Pragma, Server-Timing, X-Cache"),
    (b"timing-allow-origin", b"*"),
    (b"server", b"pypackager"),
)
"""On every answer, errors included: a player that may not read a 404 cannot act on it."""
_PREFLIGHT = (
    (b"allow", METHODS.encode()),
    (b"access-control-allow-methods", METHODS.encode()),
    (b"access-control-allow-headers", b"Range, If-None-Match, If-Range, If-Modified-Since, Cache-Control, Content-Type"),
    (b"access-control-max-age", b"86400"),
)

_FOR_ONE = (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.FORBIDDEN, HTTPStatus.MISDIRECTED_REQUEST)
"""Of this moment, or of this viewer."""
_SHOWN = 512
"""Characters of a request's path that an error repeats."""

Headers = Mapping[str, str]


class Reply(msgspec.Struct, frozen=True):
    """Everything that goes over the wire."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    """Names in lower case."""
    body: bytes = b""
    code: str = ""
    """Of an error."""
    parts: AsyncGenerator[bytes] | None = None
    """The body, when it is sent as it is read."""


class Terms(msgspec.Struct, frozen=True):
    """How long an answer may be kept, and for whom."""

    interval_ns: int
    """Usual duration of a fragment, for the lifetime of manifests."""
    shared: bool = True
    """Caches may keep it for other viewers."""
    until: int | None = None
    """Seconds since 1970: nobody may keep it for longer."""
    ages: Ages = (None, None)
    """Seconds that caches may keep a manifest (None: half the interval), and a segment (None: a year)."""
    open: bool = True
    """Pages of all sites may read it; else who answers says which."""


async def answer(published: Published, bodies: Bodies, asked: Headers, *, head: bool, terms: Terms) -> Reply:
    """The reply to a GET or HEAD.

    Args:
        published: what was found.
        bodies: who executes its plan.
        asked: request headers, names in lower case.
        head: only the headers are wanted: a plan is executed only when its size cannot be told otherwise.
        terms: how long it may be kept.

    Raises:
        PackagerError: the body could not be made, or the range is outside of it.
    """
    zip_ready = published.gzip is not None
    headers = _fields(published.status, published.content_type, published.lifetime, published.headers, zip_ready, terms)
    wanted = asked.get("range")
    zipped = zip_ready and wanted is None and accepts_gzip(asked.get("accept-encoding", ""))
    plain = published.status == HTTPStatus.OK
    if plain:
        headers.append(("etag", quoted(published.etag, "gzip" if zipped else "")))
        if none_match(asked.get("if-none-match", ""), published.etag):
            return make_reply(HTTPStatus.NOT_MODIFIED, [pair for pair in headers if pair[0] != "content-type"])
        # RFC 9110 14.2: a Range header means something to GET alone.
        if wanted is not None and not head and range_holds(asked.get("if-range"), published.etag):
            return await _partial(published, bodies, wanted, headers)
    if zipped and published.gzip is not None:
        headers.append(("content-encoding", "gzip"))
        return _full(published.status, headers, await bodies.fetch(published.gzip))
    size = stored_size(published.body) if head else None
    if size is not None:
        return make_reply(published.status, [*headers, ("content-length", str(size))])
    return _full(published.status, headers, await bodies.fetch(published.body))


def standing(published: Published, terms: Terms) -> tuple[tuple[bytes, bytes], ...]:
    """The header fields that all forms of an answer have: whole, a part, deflated, unchanged."""
    zipped = published.gzip is not None
    return _standing(published.status, published.content_type, published.lifetime, published.headers, zipped, terms)


# Dozens of answers of each version differ in nothing that is said here.
@lru_cache(maxsize=256)
def _standing(
    status: int, content_type: str, lifetime: Lifetime, more: tuple[tuple[str, str], ...], zipped: bool, terms: Terms
) -> tuple[tuple[bytes, bytes], ...]:
    fields = make_reply(status, _fields(status, content_type, lifetime, more, zipped, terms)).headers
    return tuple(pair for pair in fields if terms.open or pair != ANY_ORIGIN)


def _fields(
    status: int, content_type: str, lifetime: Lifetime, more: tuple[tuple[str, str], ...], zipped: bool, terms: Terms
) -> list[tuple[str, str]]:
    fields = [
        ("content-type", content_type),
        *lifetimes(lifetime, terms.interval_ns, shared=terms.shared, until=terms.until, ages=terms.ages),
        *((name.lower(), value) for name, value in more),
    ]
    if zipped:
        fields.append(("vary", "Accept-Encoding"))
    if status == HTTPStatus.OK:
        fields.append(("accept-ranges", "bytes"))
    return fields


def problem(error: PackagerError, path: str, *, shared: bool) -> Reply:
    """An error as RFC 9457 problem details."""
    try:
        title = HTTPStatus(error.status).phrase
    except ValueError:
        title = "Error"
    details = {
        "type": "about:blank",
        "title": title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "instance": path[:_SHOWN],
    }
    # What is too early now is there in a moment, what is stopped or broken may be back, and others may be let in:
    # no cache may hold these on.
    fleeting = error.status in _FOR_ONE or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    headers = [
        ("content-type", "application/problem+json"),
        ("cache-control", cache_control("none" if fleeting else "error", 0, shared=shared)),
    ]
    if error.status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers.append(("allow", METHODS))
    if isinstance(error, OutsideError):
        headers.append(("content-range", f"bytes */{error.size}"))
    return _full(error.status, headers, json.dumps(details).encode(), error.code)


def preflight() -> Reply:
    """The reply to OPTIONS."""
    reply = make_reply(HTTPStatus.NO_CONTENT, [])
    return msgspec.structs.replace(reply, headers=(*reply.headers, *_PREFLIGHT))


async def _partial(published: Published, bodies: Bodies, wanted: str, headers: list[tuple[str, str]]) -> Reply:
    body = published.body
    size = stored_size(body)
    if size is None:
        body = await bodies.fetch(body)
        size = len(body)
    try:
        part = parse_range(wanted, size)
    except RangeNotSatisfiableError as error:
        raise OutsideError(size) from error
    if part is None:
        return _full(HTTPStatus.OK, headers, await bodies.fetch(body))
    offset, length = part
    data = (
        await bodies.fetch(cut(body, offset, length)) if isinstance(body, Stored) else (await bodies.fetch(body))[offset : offset + length]
    )
    headers.append(("content-range", f"bytes {offset}-{offset + length - 1}/{size}"))
    return _full(HTTPStatus.PARTIAL_CONTENT, headers, data)


class OutsideError(PackagerError):
    """RANGE_NOT_SATISFIABLE (416)."""

    def __init__(self, size: int) -> None:
        super().__init__("RANGE_NOT_SATISFIABLE", f"the representation has {size} bytes", status=416)
        self.size = size


def _full(status: int, headers: list[tuple[str, str]], body: bytes, code: str = "") -> Reply:
    return make_reply(status, [*headers, ("content-length", str(len(body)))], body, code)


def make_reply(
    status: int, headers: list[tuple[str, str]], body: bytes = b"", code: str = "", parts: AsyncGenerator[bytes] | None = None
) -> Reply:
    """A reply with the header fields that all have."""
    wire = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)
    return Reply(int(status), (*wire, *_OPEN), body, code, parts)
