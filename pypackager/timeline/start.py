"""When a channel's first publication may be: the list of tracks and the rhythm, which players read once, come from what is there then.

In: the tracks' lines, and the connections. Out: an instant, or that nothing is waited for. Docs: docs/design/chunk.md, 7.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pypackager.timeline.edge import MISALIGNED_NS
from pypackager.timeline.feeds import Feed
from pypackager.timeline.pending import TrackLine
from pypackager.timeline.ports import Options
from pypackager.timeline.times import SECOND_NS

SECOND_FRAGMENT_NS = 5 * SECOND_NS
"""How long a second fragment is waited for, at least, where the first may be a stump."""
ALONE_NS = SECOND_NS
"""A connection opened less than this ago is not the last one: an encoder opens one after the other."""
SHORTEST_NS, LONGEST_NS = 19 * SECOND_NS // 10, 65 * SECOND_NS // 10
"""Of a fragment by the ingest specification ("between 2 and approximately 6 seconds"), frame rates that are not whole allowed for."""
GONE_NS = 3 * SECOND_NS
"""How long it waits when no connection is left."""


def held_until_ns(waiting: Sequence[TrackLine], feeds: Collection[Feed], options: Options) -> int | None:
    """Until when (monotonic) announced tracks, and what shows the rhythm, are waited for; None: no longer.

    Args:
        waiting: the tracks that have fragments, none of them published.
        feeds: all connections.
        options: the configuration.
    """
    if not waiting:
        return None
    delivered = {line.info.id for line in waiting}
    complete = all(feed.headers and all(feed.ids.get(n) in delivered for n in feed.headers if n not in feed.refused) for feed in feeds)
    video = [line for line in waiting if line.info.kind == "video"]
    measurable = options.interval_ns is not None or any(len(line.waiting) > 1 for line in video or waiting)
    if complete and measurable:
        return None
    if complete and feeds and _usual(video):
        return max(feed.opened_ns for feed in feeds) + ALONE_NS
    # One fragment of unusual length is no measure where another layer has a usual one.
    longest = min(max(line.ns(f.duration) for f in line.waiting) for line in video or waiting)
    arrived = min(line.waiting[0].arrived_ns for line in waiting)
    patience = 2 * max(longest, options.limit_ns)
    if not video and any(feed.has_video for feed in feeds):
        # Sound comes at once, pictures begin at their next key frame: sound alone is no measure of the rhythm.
        patience = max(patience, SECOND_FRAGMENT_NS)
    until = arrived + (patience if measurable else max(patience, SECOND_FRAGMENT_NS))
    if feeds:
        return until
    # Nobody is there to send it, unless each fragment comes in a POST of its own.
    return min(until, max(line.left_ns or arrived for line in waiting) + GONE_NS)


def surely_whole(waiting: Sequence[TrackLine]) -> list[TrackLine]:
    """Tracks whose first fragment waits for what might continue it, and need not: senders should not cut GOPs, and this looks like one."""
    video = [line for line in waiting if line.info.kind == "video"]
    return [line for line in video if line.waiting[0].held] if _usual(video) else []


def _usual(video: Sequence[TrackLine]) -> bool:
    """Whether the first pictures, and nothing else yet, measure the rhythm: whole, of a usual length, and of one length in all layers."""
    heads = [(line, line.waiting[0]) for line in video]
    lengths = [line.ns(head.duration) for line, head in heads]
    alone = not any(head.partial or len(line.waiting) > 1 for line, head in heads)
    return bool(lengths) and alone and min(lengths) >= SHORTEST_NS and max(lengths) <= min(LONGEST_NS, min(lengths) + MISALIGNED_NS)
