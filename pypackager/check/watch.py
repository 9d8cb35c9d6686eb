"""How often a manifest is looked at, and for how long.

In: how long a copy is good for. Out: pauses. A player waits that long or half of it; the judge looks every two seconds at the least, to
time what changes, and no server has to bear more than two looks a second.
"""

from __future__ import annotations

import trio

_LEAST_SECONDS, _MOST_SECONDS = 0.5, 2.0


class Watch:
    """The time for which one manifest is followed."""

    def __init__(self, seconds: float) -> None:
        self._deadline = trio.current_time() + seconds

    def end_within(self, seconds: float) -> None:
        """Ends sooner, if it would not anyway: what ended must stay so, and a moment is enough to see it."""
        self._deadline = min(self._deadline, trio.current_time() + seconds)

    async def pause(self, seconds: float) -> bool:
        """Waits before the next look, about as long as is said; False, and at once, when time is up before that."""
        wait = min(max(seconds, _LEAST_SECONDS), _MOST_SECONDS)
        if trio.current_time() + wait > self._deadline:
            return False
        await trio.sleep(wait)
        return True
