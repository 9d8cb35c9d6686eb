"""What is wrong with a channel: raised by code, told of at most every ten seconds, cleared when it is over (docs/reference/alerts.md).

In: codes from whoever notices. Out: the alerts with their times, and what is to be told of. Never: a judgement of media.

What is noticed at each fragment, connection or look is over when nobody has noticed it for `QUIET_NS`. What is a state is cleared by who
raised it.
"""

from __future__ import annotations

import msgspec

from pypackager.timeline.feeds import Now
from pypackager.timeline.times import SECOND_NS

REPEAT_NS = 10 * SECOND_NS
"""An alert that goes on is told of so often."""
QUIET_NS = 30 * SECOND_NS
"""Longer than the longest interval of what is noticed again and again: key frames, retries of encoders, looks at the disk."""
STATES = frozenset({"DISK_SLOW", "ENCODER_DISCONNECTED", "RUNNING_WITHOUT_DATA", "RUNNING_WITHOUT_PROGRAM", "WORKER_LOST"})
"""Those that last until they are cleared."""


class Alert(msgspec.Struct):
    """A code that was raised since the daemon started."""

    detail: str
    since_ns: int = 0
    """UTC of when it was raised, the last time that it was not active."""
    until_ns: int | None = None
    """UTC of when it was cleared; None: it is active."""
    count: int = 0
    """How often it was noticed, in all."""
    last_ns: int = 0
    """When it was last told of (monotonic)."""
    noticed_ns: int = 0
    """When it was last noticed (monotonic)."""
    tracks: dict[str, int] = {}
    """How often of each track."""


class Alerts:
    """The alerts of one channel, by code."""

    def __init__(self) -> None:
        self.by_code: dict[str, Alert] = {}

    def notice(self, code: str, text: str, track: str, now: Now) -> Alert | None:
        """Something is wrong; returns the alert when it is to be told of."""
        alert = self.by_code.setdefault(code, Alert(text, until_ns=0))
        alert.count += 1
        alert.noticed_ns = now.mono_ns
        if track:
            alert.tracks[track] = alert.tracks.get(track, 0) + 1
        if alert.until_ns is not None:
            alert.since_ns, alert.until_ns = now.utc_ns, None
        elif now.mono_ns - alert.last_ns < REPEAT_NS:
            return None
        alert.detail, alert.last_ns = text, now.mono_ns
        return alert

    def clear(self, code: str, now: Now) -> Alert | None:
        """It is over; returns the alert when it was active."""
        alert = self.by_code.get(code)
        if alert is None or alert.until_ns is not None:
            return None
        alert.until_ns = now.utc_ns
        return alert

    def quiet(self, now: Now) -> list[str]:
        """Codes of what nobody has noticed for long."""
        return [
            code
            for code, alert in self.by_code.items()
            if alert.until_ns is None and code not in STATES and now.mono_ns - alert.noticed_ns >= QUIET_NS
        ]
