"""Times as the formats write them: exact integers in, text out.

In: ticks, timescales and nanoseconds. Out: converted integers and text. Never: floats, a clock.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

NS = 1_000_000_000


def to_ns(ticks: int, timescale: int) -> int:
    """Nanoseconds of a media time, rounded down."""
    return ticks * NS // timescale


def from_ns(ns: int, timescale: int) -> int:
    """Ticks nearest to `ns`: the inverse of to_ns for every timescale below 500 MHz."""
    return (2 * ns * timescale + NS) // (2 * NS)


def rescale(ticks: int, timescale: int, to: int) -> int:
    """`ticks` in another timescale, rounded to nearest."""
    return (2 * ticks * to + timescale) // (2 * timescale)


@lru_cache(maxsize=256)
def utc_text(ns: int) -> str:
    """`2026-01-02T03:04:05.678Z`: milliseconds, as EXT-X-PROGRAM-DATE-TIME and xs:dateTime take them."""
    # The playlists of tracks that are in step name the same few instants.
    ms = (ns + 500_000) // 1_000_000
    seconds, ms = divmod(ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"


def duration_text(ns: int) -> str:
    """xs:duration in seconds with as many decimals as it takes: `PT6S`, `PT1.92S`."""
    seconds, rest = divmod(ns, NS)
    return f"PT{seconds}.{rest:09d}".rstrip("0").rstrip(".") + "S" if rest else f"PT{seconds}S"


def extinf(start: int, end: int, timescale: int) -> str:
    """Seconds between two media times with six decimals.

    Both ends are rounded, never the difference, so that the sum over a playlist never drifts (RFC 8216 4.3.2.1).
    """
    seconds, us = divmod(rescale(end, timescale, 1_000_000) - rescale(start, timescale, 1_000_000), 1_000_000)
    return f"{seconds}.{us:06d}"
