"""The channel's rhythm: key frame interval, fragments of an HLS segment, TARGETDURATION, and where segments open.

Measured once, frozen, journalled (design §4): restart and trimming never regroup.
"""

from __future__ import annotations

from collections import deque

from pypackager.model.records import Measured
from pypackager.timeline.times import SECOND_NS

REMEMBERED = 16
"""So many segments back a late fragment is put where it belongs."""
MAX_NS = 1 << 63
UTC_NS = 946_684_800 * SECOND_NS
"""2000-01-01: times from here on count from 1970, as those of encoders that were synchronised for several data centres."""


def fragments_per_segment(interval_ns: int) -> int:
    """The mission's rule: up to 3 s three, over 3 up to 5 s two, over 5 s one fragment a segment.

    A tenth of a second is allowed for the frame grid: 3.003 s is a three-second interval at 29.97 frames a second.
    """
    slack = SECOND_NS // 10
    if interval_ns <= 3 * SECOND_NS + slack:
        return 3
    return 2 if interval_ns <= 5 * SECOND_NS + slack else 1


def rounded_seconds(duration_ns: int) -> int:
    """Nearest whole second, as EXTINF is compared with TARGETDURATION (rfc8216bis 4.4.3.1)."""
    return (duration_ns + SECOND_NS // 2) // SECOND_NS


def measure(first_duration_ns: int, interval_ns: int | None, per_segment: int | None) -> Measured:
    """The rhythm from the first fragment's duration; explicit values win."""
    interval = interval_ns or max(first_duration_ns, SECOND_NS // 100)
    count = per_segment or fragments_per_segment(interval)
    return Measured(interval, count, max(1, rounded_seconds(count * interval)))


class Segmenter:
    """Decides which slots open an HLS segment, numbers the segments, and says which of them holds a time.

    Args:
        rhythm: of the channel.
        first: what the number of the first segment is at least.
        shared: the times are those of other data centres as well. Behind a hole numbers go on where those have come to: what lies between
            is listed as gaps. Else they go on with the next one.
    """

    def __init__(self, rhythm: Measured, first: int = 0, *, shared: bool = False) -> None:
        self.rhythm = rhythm
        self.shared = shared
        self._first = first
        self._count = 0
        self._openings: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)
        """(start, number) of the last segments of the open period."""

    def resume(self, number: int, start_ns: int, count: int, *, first: bool) -> None:
        """Goes on after a restart: the open segment, its start and its slots so far, and whether it is its period's first."""
        self._count = count
        if not first:
            self._openings.append((-MAX_NS, number - 1))
        self._openings.append((start_ns, number))

    def segment_at(self, time_ns: int) -> int:
        """Number of the open period's segment that holds a time: the first known one for what lies before all of them."""
        return next((number for start_ns, number in reversed(self._openings) if start_ns <= time_ns), self._openings[0][1])

    def place(self, start_ns: int, end_ns: int, index: int = -1, *, period: bool, turns: bool) -> tuple[bool, bool]:
        """(whether it opens a segment, whether it surely closes it) of the slot [start, end).

        Args:
            start_ns: where the slot starts.
            end_ns: where it ends.
            index: what the encoder numbers its leading fragment, -1 without. Then segments begin at multiples, which two data centres
                agree on: a segment that gets too long for it raises the target duration.
            period: it opens a period.
            turns: a gap begins or ends with it.
        """
        per_segment = self.rhythm.fragments_per_segment
        position = index if index >= 0 else self.position(start_ns)
        if not self._openings:
            number, opens = max(position // per_segment, self._first), True
        else:
            opened_ns, number = self._openings[-1]
            opens = (
                period
                or turns
                # Where fragments are shorter than the operator says, several begin at one place of the grid.
                or (position % per_segment == 0 and (index >= 0 or position != self.position(opened_ns)))
                or self._count >= per_segment
                or (index < 0 and rounded_seconds(end_ns - opened_ns) > self.rhythm.target_duration_s)
            )
            number += opens
            if period and self.shared:
                number = max(number, position // per_segment)
        if opens:
            if period:
                self._openings.clear()
            self._openings.append((start_ns, number))
            self._count = 0
        self._count += 1
        return opens, self._count >= per_segment or (index >= 0 and (index + 1) % per_segment == 0)

    def position(self, start_ns: int) -> int:
        """The place of a time on the grid of intervals."""
        interval = self.rhythm.interval_ns
        # An eighth of the interval keeps a key frame that a rounding put just before its grid point on that point.
        return (start_ns + interval // 8) // interval

    def raised_target(self, end_ns: int, longest_ns: int) -> int | None:
        """The TARGETDURATION that the open segment needs, when a single longer GOP (of any layer) exceeds the frozen one."""
        needed = max(rounded_seconds(end_ns - self._openings[-1][0]), rounded_seconds(longest_ns))
        return needed if needed > self.rhythm.target_duration_s else None
