"""Exact conversion of media time (docs/design/time.md): integers only, absolute times are converted, never durations."""

from __future__ import annotations

SECOND_NS = 1_000_000_000


def rescale(time: int, source: int, target: int) -> int:
    """An absolute time from one timescale to another, rounded half up; the same rule as the native core's."""
    if source == target:
        return time
    return (2 * time * target + source) // (2 * source)


def to_ns(time: int, timescale: int) -> int:
    """Ticks to nanoseconds, as `rescale` does it: asked dozens of times for a fragment."""
    return (2 * time * SECOND_NS + timescale) // (2 * timescale)


def from_ns(time_ns: int, timescale: int) -> int:
    """Nanoseconds to ticks, likewise."""
    return (2 * time_ns * timescale + SECOND_NS) // (2 * SECOND_NS)


def sequence_of(time: int, timescale: int) -> int:
    """`mfhd` sequence number of a fragment: hundredths of a second modulo 2^32.

    A function of time alone, so that two nodes that store the same fragment store the same bytes.
    """
    return (time * 100 // timescale) & 0xFFFFFFFF
