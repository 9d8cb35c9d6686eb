"""Planned disconnects of one side of a channel, for those who must restart something between it and its encoders.

In: a side. Out: what was closed, and which streams did not come back. Never: a refusal of who comes back, which may be at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import trio

from pypackager.control.ports import Drained
from pypackager.ingest.router import Router
from pypackager.model.side import Side
from pypackager.runtime.channel import LiveChannel
from pypackager.timeline.feeds import Feed, Now
from pypackager.timeline.times import SECOND_NS

NOT_BACK = "DRAIN_NOT_BACK"


async def drain_side(router: Router, live: LiveChannel, side: Side, wait_ns: int, now: Callable[[], Now]) -> Drained:
    """Closes all connections of a side in good order, then waits until the streams that delivered deliver again.

    Each track of sound and picture is waited for: an RTMP encoder that comes back inside a GOP has sound at once, and pictures with
    the next one. Streams that were silent are not, and neither is anything else: a sparse track comes back when it has something to say.

    Args:
        router: has the connections.
        live: the channel.
        side: of it.
        wait_ns: for how long; then a stream that is missing is an alert, and that is all.
        now: the clock.
    """
    began = now().mono_ns
    before = {conn for conn, feed in live.feeds.items() if feed.side == side}
    wanted = Counter(each for conn in before if live.feeds[conn].alive(began) for each in _delivered(live.feeds[conn]))
    closed = router.drain(live.config.name, side)

    def missing() -> Counter[tuple[str, int]]:
        feeds = [feed for conn, feed in live.feeds.items() if feed.side == side and conn not in before]
        return wanted - Counter(each for feed in feeds for each in _delivered(feed))

    with trio.move_on_after(wait_ns / SECOND_NS):
        await live.until(lambda: not missing())
    left = sorted({stream for stream, _ in missing()})
    if left:
        detail = f"{side}: {', '.join(left)} did not deliver again within {wait_ns / SECOND_NS:g} s of a drain"
        live.alert(NOT_BACK, detail)
    return Drained(live.config.name, side, closed, left, round((now().mono_ns - began) / SECOND_NS, 3))


def _delivered(feed: Feed) -> list[tuple[str, int]]:
    """Stream and number of the tracks of sound and picture that it has brought something of."""
    return [(feed.stream, number) for number in feed.ends_ns if feed.headers[number].kind in ("video", "audio")]
