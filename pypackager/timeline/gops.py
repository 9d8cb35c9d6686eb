"""GOPs that their sender cut: what continues a fragment, what cannot be decoded, which fragment may still grow (docs/design/chunk.md).

A chunk without a key frame in front continues the fragment that ends where it starts. Senders cut inside a GOP where one multiplexer cuts
all its layers at a key frame of one of them, where they cut by time or bytes, and where they go on after their queue overflowed. What
starts behind a hole cannot be decoded before the next key frame; where none comes for long, the encoder refreshes its pictures gradually,
and chunks are taken as they are. What is written cannot grow: a fragment that may go on is held until the next chunk, or its deadline.
"""

from __future__ import annotations

from typing import Literal

from pypackager._core import Chunk
from pypackager.timeline.pending import ROUNDING_NS, Fragment, TrackLine
from pypackager.timeline.times import SECOND_NS

BLIND_NS = 10 * SECOND_NS
"""A track that had no key frame for so long is taken without."""
LONGEST_NS = BLIND_NS
"""A fragment is joined up to this length; a GOP beyond it is listed in parts."""
MOST_BYTES = 32 << 20
"""And up to this size, which is also the most of a fragment that comes whole."""
WATCHED = 8
"""After so many fragments that did not go on, a track's sender is trusted to send whole GOPs."""

Kinship = Literal["begins", "continues", "repeats", "blind"]


def kinship(line: TrackLine, chunk: Chunk, time: int, end: int) -> tuple[Kinship, Fragment | None]:
    """What a chunk [time, end) is to what its track has, and which waiting fragment it continues."""
    if line.info.kind != "video" or chunk.sync or line.keyless:
        return "begins", None
    # Closer than half a frame no picture is missing.
    slack = (end - time) // (2 * max(1, chunk.samples))
    if any(f.time < time < f.end - slack for f in line.waiting):
        return "repeats", None
    before = next((f for f in line.waiting if abs(f.end - time) <= slack), None)
    if before is not None:
        return "continues", before
    if line.segment is None or line.edge is None or time > line.edge + slack:
        return "blind", None
    if time < line.edge - slack:
        return "repeats", None
    return "blind" if line.gap else "continues", None


def stays_blind(line: TrackLine, start_ns: int, end_ns: int) -> bool:
    """Whether a chunk behind a hole, at an output time, is to be dropped for want of a key frame."""
    since_ns, until_ns = line.blind or (start_ns, start_ns)
    # What goes on, not what comes back from time to time.
    if not since_ns <= start_ns <= until_ns + SECOND_NS:
        since_ns = start_ns
    line.blind = since_ns, end_ns
    line.keyless = start_ns - since_ns >= BLIND_NS
    return not line.keyless


def sees_key(line: TrackLine) -> None:
    """A key frame came."""
    line.blind, line.keyless = None, False


def may_grow(line: TrackLine, fragment: Fragment, interval_ns: int | None) -> bool:
    """Whether the next chunk of the connection may continue a fragment that has just come.

    One of the channel's key frame interval is listed at once, unless its sender is known to cut. A shorter one is not worth the risk: it is
    listed with the next.
    """
    if line.info.kind != "video" or line.keyless or fragment.partial:
        return False
    if interval_ns is None:
        interval_ns = max((line.ns(f.duration) for f in line.waiting if f is not fragment), default=None)
    return line.cut > 1 or (line.cut > 0 if interval_ns is None else _is_short(line, fragment, interval_ns))


def was_continued(line: TrackLine, fragment: Fragment | None, interval_ns: int | None, *, layers: int) -> None:
    """Takes note that a chunk continued a fragment, or one that is published, of a connection with so many video layers.

    A short one was cut by another layer's key frame; who cuts otherwise does it again.
    """
    line.joined = True
    if fragment is None or layers == 1 or interval_ns is None or not _is_short(line, fragment, interval_ns):
        line.cut = WATCHED


def is_grown(line: TrackLine, fragment: Fragment, interval_ns: int | None) -> bool:
    """Whether a fragment that was continued is complete, or as long as one may become."""
    if line.ns(fragment.duration) >= LONGEST_NS or fragment.size >= MOST_BYTES:
        line.keyless = True
        return True
    return line.cut <= 1 and interval_ns is not None and line.ns(fragment.duration) >= interval_ns - ROUNDING_NS


def _is_short(line: TrackLine, fragment: Fragment, interval_ns: int) -> bool:
    # GOPs of frame rates that are not whole differ by a frame or two.
    return 20 * line.ns(fragment.duration) < 19 * interval_ns
