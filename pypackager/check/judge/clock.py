"""The clock of a transport stream goes on from segment to segment."""

from __future__ import annotations

from itertools import pairwise

from pypackager.check.finding import Scope
from pypackager.check.judge.continuity import adjoin
from pypackager.check.media.ts_packets import MOST_APART, PCR_WRAP, SPACING
from pypackager.check.presentation import Track


def check_clock_goes_on(track: Track, scope: Scope) -> None:
    """Checks a track."""
    for before, after in pairwise(track.loaded):
        if before.media.clock is None or after.media.clock is None or not adjoin(before, after):
            continue
        step = (after.media.clock[0] - before.media.clock[1]) % PCR_WRAP
        if MOST_APART < step < PCR_WRAP // 2:
            here = scope.at(url=after.listing.url, segment=after.listing.name)
            here.breach(
                SPACING, f"the first is {step / 27_000:.0f} ms after the last one of segment {before.listing.name}", "at most 100 ms"
            )
