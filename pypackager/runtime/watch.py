"""Watches a channel for what lasts: an encoder that stays away, clocks that drift, a channel that runs for nothing.

In: when encoders come and go, and how the channel stands, every few seconds. Out: alerts, raised and cleared.
"""

from __future__ import annotations

from collections.abc import Iterable

from pypackager.runtime.alarm import Alarm
from pypackager.runtime.drift import Drift
from pypackager.runtime.idle import Idle
from pypackager.timeline.clocks import Clock
from pypackager.timeline.times import SECOND_NS

GONE_NS = 10 * SECOND_NS
"""An encoder that is back by then was cut off for a moment, or sends each fragment in a POST of its own."""


class Watch:
    """Of one channel.

    Args:
        alarm: its alerts.
        patience_ns: how long it may run without data, and without a program.
        mono_ns: the instant of this, on the monotonic clock.
    """

    def __init__(self, alarm: Alarm, patience_ns: int, mono_ns: int) -> None:
        self._alarm = alarm
        self._drift = Drift()
        self._idle = Idle(alarm.alert, alarm.clear, patience_ns, mono_ns)
        self._left_ns: int | None = None
        """When its last connection went."""

    def joined(self) -> None:
        """An encoder is connected."""
        self._left_ns = None
        self._alarm.clear("ENCODER_DISCONNECTED")

    def left(self, mono_ns: int) -> None:
        """The last encoder is gone."""
        self._left_ns = mono_ns

    def stopped(self) -> None:
        """The channel runs no longer: no encoder is expected."""
        self._alarm.clear("ENCODER_DISCONNECTED")

    def look(
        self, mono_ns: int, clocks: Iterable[Clock], media_now_ns: int, *, running: bool, newest_ns: int | None, recorded: bool
    ) -> None:
        """Looks at it.

        Args:
            mono_ns: this instant.
            clocks: of its encoders.
            media_now_ns: the wall clock as media time.
            running: the channel's state is Running.
            newest_ns: when its published edge moved last, on the monotonic clock; None: never.
            recorded: one of its programs runs.
        """
        if self._left_ns is not None and mono_ns - self._left_ns >= GONE_NS:
            self._left_ns = None
            if running:
                self._alarm.alert("ENCODER_DISCONNECTED", f"no encoder has been connected for {GONE_NS // SECOND_NS} s")
        if drift_ns := self._drift.look(clocks, media_now_ns, mono_ns):
            self._alarm.alert("CLOCK_DRIFT", f"an encoder's clock moved by {drift_ns / SECOND_NS:+.1f} s against the wall clock")
        self._alarm.clear_quiet()
        self._idle.look(mono_ns, running=running, newest_ns=newest_ns, recorded=recorded)
