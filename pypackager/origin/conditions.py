"""Conditional and range requests, encodings and lifetimes (RFC 9110, RFC 9111), as pure functions of header values."""

from __future__ import annotations

import re
from email.utils import formatdate

from pypackager.model.plan import Lifetime, manifest_age_s

_RANGE = re.compile(r"^bytes\s*=\s*(\d*)\s*-\s*(\d*)$", re.IGNORECASE)
_MAX_DIGITS = 19


class RangeNotSatisfiableError(Exception):
    """No byte of the requested range exists (RFC 9110 15.5.17)."""


def parse_range(value: str, size: int) -> tuple[int, int] | None:
    """The (offset, length) that a Range header asks of `size` bytes.

    None when the header is to be ignored, which RFC 9110 14.2 allows at any time: another unit, bad syntax, several ranges.

    Raises:
        RangeNotSatisfiableError: the syntax is fine and nothing of it is there.
    """
    found = _RANGE.match(value.strip())
    if found is None or len(found[1]) > _MAX_DIGITS or len(found[2]) > _MAX_DIGITS:
        return None
    if not found[1]:
        if not found[2]:
            return None
        suffix = min(int(found[2]), size)
        if suffix == 0:
            raise RangeNotSatisfiableError
        return size - suffix, suffix
    first = int(found[1])
    last = int(found[2]) if found[2] else size - 1
    if found[2] and last < first:
        return None
    if first >= size:
        raise RangeNotSatisfiableError
    return first, min(last, size - 1) - first + 1


def quoted(etag: str, encoding: str = "") -> str:
    """An entity tag as it goes over the wire.

    Each encoding of a body is a representation with a strong tag of its own; a weak one stands for all of them (RFC 9110 8.8.1, 8.8.3).
    """
    if etag.startswith("W/"):
        return etag
    core = etag.strip('"')
    return f'"{core}-{encoding}"' if encoding else f'"{core}"'


def none_match(value: str, etag: str) -> bool:
    """Whether If-None-Match lets the answer be 304: weak comparison, any encoding of the same content."""
    if value.strip() == "*":
        return True
    asked = {part.strip().removeprefix("W/") for part in value.split(",")}
    return bool(asked & {quoted(etag).removeprefix("W/"), quoted(etag, "gzip").removeprefix("W/")})


def range_holds(if_range: str | None, etag: str) -> bool:
    """Whether If-Range lets a range be served: strong comparison; dates never match, for none is sent."""
    return if_range is None or (if_range.strip() == quoted(etag) and not etag.startswith("W/"))


Ages = tuple[int | None, int | None]
YEAR_S = 31_536_000


def accepts_gzip(value: str) -> bool:
    """Whether Accept-Encoding allows gzip with a weight above zero (RFC 9110 12.5.3)."""
    for part in value.lower().split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip() in ("gzip", "x-gzip", "*"):
            weight = parameters.replace(" ", "")
            return not re.fullmatch(r"q=0(\.0*)?", weight)
    return False


def cache_control(lifetime: Lifetime, interval_ns: int, *, shared: bool, ages: Ages = (None, None)) -> str:
    """The Cache-Control value of an answer.

    A manifest may be half a fragment old, and as much again while a cache fetches a newer one, so that no viewer ever sees one that is
    more than a fragment old (RFC 5861). `shared` is false where the answer depends on who asks. `ages` are the operator's of manifests and
    segments, in seconds.
    """
    if lifetime == "none":
        return "no-store"
    scope = "public" if shared else "private"
    if lifetime == "immutable":
        return f"{scope}, max-age={YEAR_S if ages[1] is None else ages[1]}, immutable"
    if lifetime == "error":
        return "max-age=1" if shared else "no-store"
    if ages[0] is not None:
        return f"{scope}, max-age={ages[0]}"
    age = manifest_age_s(interval_ns)
    return f"{scope}, max-age={age}, stale-while-revalidate={age}"


def lifetimes(lifetime: Lifetime, interval_ns: int, *, shared: bool, until: int | None, ages: Ages = (None, None)) -> list[tuple[str, str]]:
    """The header fields of an answer that say how long it may be kept: never beyond `until`, in seconds since 1970."""
    control = cache_control(lifetime, interval_ns, shared=shared, ages=ages)
    if until is None or lifetime != "immutable":
        return [("cache-control", control)]
    # An age would have to be counted anew for every viewer; max-age would have precedence (RFC 9111 5.3).
    return [("cache-control", f"{'public' if shared else 'private'}, immutable"), ("expires", formatdate(until, usegmt=True))]
