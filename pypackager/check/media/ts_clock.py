"""The clock of a transport stream against what it times (ISO 13818-1 2.4.2): access units are there before they are decoded, to the end.

In: a segment's clock references, and where each PES packet lies. Out: findings.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pypackager.check.finding import Scope
from pypackager.check.media.ts_packets import MOST_APART, SPACING, Program
from pypackager.check.rules import rule

LATE = rule(
    "TS-PCR-DTS", "error", "ISO 13818-1 2.4.2.6", "an access unit has arrived, by the PCR, before it is decoded",
    example="the PCR is 200 ms ahead of the DTS of the bytes beside it",
)  # fmt: skip

_WRAP = 1 << 33


@dataclass
class Delivery:
    """The PES packets of one stream."""

    pid: int
    video: bool
    places: list[int] = field(default_factory=list)
    """Offset in the segment of each packet."""
    dts: list[int] = field(default_factory=list)
    """Its decode time in ticks of 90 kHz."""


def check_clock(program: Program, deliveries: list[Delivery], scope: Scope) -> None:
    """Checks a segment that has a clock."""
    clock = np.array(program.clock, np.int64)
    places, ticks = clock[:, 0], clock[:, 1] // 300
    for delivery in deliveries:
        starts = np.array(delivery.places, np.int64)
        at = np.searchsorted(places, starts, "right") - 1
        timed = at >= 0
        if not timed.any():
            continue
        starts, at, dts = starts[timed], at[timed], np.array(delivery.dts, np.int64)[timed]
        ahead = (dts - ticks[at] + _WRAP // 2) % _WRAP - _WRAP // 2
        if delivery.video:
            for n in np.flatnonzero(ahead < 0)[:1].tolist():
                scope.breach(LATE, f"DTS {int(dts[n])}, PCR {int(ticks[at[n]])} before it", "a PCR below the DTS", byte=int(starts[n]))
        if delivery.pid == program.clock_pid:
            _check_end(starts, ahead, int(places[-1]), scope)


def _check_end(starts: NDArray[np.int64], ahead: NDArray[np.int64], last: int, scope: Scope) -> None:
    """The stream that carries the clock does not go on for long behind the last reference.

    Nothing says when its last packet arrives, but that is not further ahead of its decoding than any packet before that the clock did time.
    """
    before = max(int(np.searchsorted(starts, last, "right")), 1)
    silent = int(ahead[-1] - ahead[:before].max())
    if silent * 300 > MOST_APART:
        scope.breach(SPACING, f"none in the last {silent / 90:.0f} ms of the segment", "at most 100 ms", byte=last)
