"""`pypackager serve` on clocks that run faster than the machine's: a day of media in half an hour.

Run as `python -m tests.helpers.fast_daemon RATE --config FILE`. Deadlines, windows and the wall clock of the daemon go RATE times as fast;
what the native core waits for (idle connections) goes by the machine's clock.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import trio
from trio.testing import MockClock

from pypackager.config.load import load_config
from pypackager.runtime.allocator import keep_memory
from pypackager.runtime.daemon import Daemon
from pypackager.runtime.instant import MachineClock
from pypackager.runtime.logs import configure_logs
from pypackager.timeline.feeds import Now


class FastClock(MachineClock):
    """Both clocks go on from this moment at a rate."""

    def __init__(self, rate: int) -> None:
        """Starts with the machine's time."""
        self._rate = rate
        self._began = Now(time.time_ns(), time.monotonic_ns())

    def now(self) -> Now:
        """This instant."""
        passed_ns = (time.monotonic_ns() - self._began.mono_ns) * self._rate
        return Now(self._began.utc_ns + passed_ns, self._began.mono_ns + passed_ns)


def main() -> None:
    """Serves until SIGINT."""
    rate, _, path = sys.argv[1:]
    config = load_config(Path(path))
    configure_logs(config.log, verbose=False)
    keep_memory()
    trio.run(Daemon(config, clock=FastClock(int(rate))).run, clock=MockClock(rate=float(rate)))


if __name__ == "__main__":
    main()
