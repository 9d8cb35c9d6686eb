"""The daemon's clock: the one place that asks the machine what time it is."""

from __future__ import annotations

import time

from pypackager.timeline.feeds import Now


class MachineClock:
    """Wall clock and monotonic clock of this machine."""

    def now(self) -> Now:
        """This instant."""
        return Now(time.time_ns(), time.monotonic_ns())
