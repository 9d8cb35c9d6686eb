"""How long answers may be kept: segments for long, manifests no longer than they stay true, errors shortly (RFC 9111).

In: exchanges. Out: findings, each told once for a role and a value.
"""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from fractions import Fraction

from pypackager.check.finding import Scope
from pypackager.check.numerals import whole
from pypackager.check.rules import Rule, rule
from pypackager.check.session import Exchange

SEGMENT = rule(
    "HTTP-CACHE-SEGMENT", "warning", "RFC 9111 4.2.1", "segments and headers never change: they may be kept for a minute at least",
    example="Cache-Control: no-cache with a segment: every viewer costs the origin a request",
)  # fmt: skip
MANIFEST = rule(
    "HTTP-CACHE-MANIFEST", "error", "RFC 9111 4.2.1", "a live manifest may be kept no longer than its longest segment lasts",
    example="max-age=60 with a playlist of 2-second segments: players behind a cache see a minute of standstill",
)  # fmt: skip
UNSTATED = rule(
    "HTTP-CACHE-UNSTATED", "warning", "RFC 9111 4.2.2", "a live manifest says how long it may be kept: caches guess otherwise",
    example="a live playlist with neither Cache-Control nor Expires",
)  # fmt: skip
ERROR = rule(
    "HTTP-CACHE-ERROR", "error", "RFC 9111 4.2.1", "an error may be kept for ten seconds at most: what is missing may come",
    example="404 with max-age=3600 for a segment that is there a second later",
)  # fmt: skip

_LONG, _SHORT = 60, 10
MANIFESTS = ("manifest", "playlist", "bootstrap")


def lifetime(headers: Iterable[tuple[str, str]]) -> float | None:
    """Seconds for which a shared cache may keep an answer; 0: it must ask each time; None: nothing is said."""
    values = {name: value for name, value in headers if name in ("expires", "date")}
    joined = ",".join(value for name, value in headers if name == "cache-control")
    directives = dict(_directive(part) for part in joined.lower().split(",") if part.strip())
    if directives.keys() & {"no-store", "no-cache"}:
        return 0.0
    # What is for the viewer alone is kept by the viewer.
    for name in ("max-age",) if "private" in directives else ("s-maxage", "max-age"):
        seconds = whole(directives.get(name, ""))
        if seconds is not None:
            return float(seconds)
    if "expires" in values:
        try:
            expires = parsedate_to_datetime(values["expires"])
            return max(0.0, (expires - parsedate_to_datetime(values["date"])).total_seconds())
        except (KeyError, ValueError, TypeError):
            return 0.0  # an invalid date is in the past (RFC 9111 5.3)
    return None


def _directive(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return name.strip(), value.strip().strip('"')


def check_lifetimes(exchanges: list[Exchange], longest: Fraction, scope: Scope, *, live: bool) -> None:
    """Checks all answers.

    Args:
        exchanges: What was asked and answered.
        longest: Seconds of the longest segment.
        scope: The presentation.
        live: Its manifests change.
    """
    told: set[tuple[str, str | None, float | None]] = set()
    for exchange in exchanges:
        found = _judge(exchange, longest, live=live)
        if found is None:
            continue
        broken, expected = found
        kept = lifetime(exchange.headers)
        key = broken.id, exchange.role, kept
        if key in told:
            continue
        told.add(key)
        control = exchange.header("cache-control")
        words = f"Cache-Control: {control}" if control else "no Cache-Control" if kept is None else f"{kept:.0f} s by Expires"
        scope.at(track=exchange.track, url=exchange.url).breach(broken, f"{exchange.status} with {words}", expected)


def _judge(exchange: Exchange, longest: Fraction, *, live: bool) -> tuple[Rule, str] | None:
    kept = lifetime(exchange.headers)
    if exchange.status >= 400:
        return (ERROR, f"at most {_SHORT} s") if kept is not None and kept > _SHORT else None
    if exchange.status not in (200, 206):
        return None
    if exchange.role in ("init", "segment"):
        return (SEGMENT, f"at least {_LONG} s") if kept is None or kept < _LONG else None
    if exchange.role in MANIFESTS and live:
        if kept is None:
            return UNSTATED, "a lifetime"
        if longest and kept > max(float(longest), 1.0):
            return MANIFEST, f"at most {float(longest):.3f} s"
    return None
