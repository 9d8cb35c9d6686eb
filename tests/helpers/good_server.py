"""What a good server makes of a request: validators, conditions, ranges, codings, lifetimes, CORS; the judge's tests then break it.

In: an answer as it was recorded, and a request. Out: the answer with all headers. Pure.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping

import msgspec

from pypackager.check.origin import Answer

Request = tuple[str, Mapping[str, str]]
"""A method and its headers, names in lower case."""
Quirk = Callable[[str, Mapping[str, str], Answer], Answer]
"""Gives a good answer to a method with these headers a fault."""

_TEXTS = ("mpegurl", "xml", "f4m")
_ENDS = (".m3u8", ".mpd", "/manifest", ".f4m")


def answer_well(stored: Answer, method: str, headers: Mapping[str, str]) -> Answer:
    """The answer to a request for what `stored` is the whole of."""
    if stored.status != 200:
        return _with(stored, {**_shared(stored), "cache-control": "max-age=1", "content-length": str(len(stored.body))}, stored.body)
    text = any(mark in (stored.header("content-type") or "") for mark in _TEXTS) or stored.url.endswith(_ENDS)
    coded = text and "gzip" in headers.get("accept-encoding", "gzip")
    etag = f'"{zlib.crc32(stored.body):x}-{len(stored.body)}{"-gzip" if coded else ""}"'
    lasting = {"etag": etag, "cache-control": "max-age=1" if text else "max-age=31536000, immutable", **_shared(stored)}
    if text:
        lasting["vary"] = "Accept-Encoding"
    if etag in headers.get("if-none-match", ""):
        return msgspec.structs.replace(_with(stored, lasting, b""), status=304)
    size = len(stored.body)
    wanted = headers.get("range") if not coded and headers.get("if-range", etag) == etag else None
    if wanted is not None:
        first, last = _bounds(wanted, size)
        if first >= size:
            return msgspec.structs.replace(_with(stored, {**_shared(stored), "content-range": f"bytes */{size}"}, b""), status=416)
        body = stored.body[first : last + 1]
        lasting |= {"content-range": f"bytes {first}-{first + len(body) - 1}/{size}", "content-length": str(len(body))}
        whole = msgspec.structs.replace(_with(stored, lasting, body), status=206)
    else:
        wire = len(gzip.compress(stored.body, mtime=0)) if coded else size
        lasting |= {"content-length": str(wire), **({"content-encoding": "gzip"} if coded else {})}
        whole = msgspec.structs.replace(_with(stored, lasting, stored.body), wire=wire)
    return msgspec.structs.replace(whole, body=b"", wire=0) if method == "HEAD" else whole


def _shared(stored: Answer) -> dict[str, str]:
    kind = stored.header("content-type")
    return {"accept-ranges": "bytes", "access-control-allow-origin": "*", **({"content-type": kind} if kind else {})}


def _bounds(wanted: str, size: int) -> tuple[int, int]:
    first, _, last = wanted.removeprefix("bytes=").partition("-")
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), int(last) if last else size - 1


def _with(answer: Answer, headers: dict[str, str], body: bytes) -> Answer:
    return msgspec.structs.replace(answer, headers=tuple(headers.items()), body=body, wire=len(body))


def set_header(answer: Answer, name: str, value: str | None) -> Answer:
    """The answer with another value of a header, or without it."""
    kept = tuple((key, text) for key, text in answer.headers if key != name)
    return msgspec.structs.replace(answer, headers=kept if value is None else (*kept, (name, value)))
