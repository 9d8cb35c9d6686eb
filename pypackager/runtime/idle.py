"""Tells of a channel that runs for nothing: it holds its place and its disk, and somebody may have forgotten it.

In: how the channel stands, every few seconds. Out: alerts, as long as it lasts, at most one of a kind for each stretch of patience.
"""

from __future__ import annotations

from collections.abc import Callable

from pypackager.timeline.times import SECOND_NS


class Idle:
    """Watches one channel.

    Args:
        alert: called with (code, detail) for the operator.
        clear: called with the code when it is over.
        patience_ns: how long it may run without data, and without a program.
        mono_ns: the instant of this, on the monotonic clock.
    """

    def __init__(self, alert: Callable[[str, str], None], clear: Callable[[str], None], patience_ns: int, mono_ns: int) -> None:
        self._alert = alert
        self._clear = clear
        self._patience_ns = patience_ns
        self._data_ns = self._program_ns = mono_ns

    def look(self, mono_ns: int, *, running: bool, newest_ns: int | None, recorded: bool) -> None:
        """Looks at it.

        Args:
            mono_ns: this instant.
            running: the channel's state is Running.
            newest_ns: when its published edge moved last; None: never.
            recorded: one of its programs runs.
        """
        if not running or (newest_ns is not None and newest_ns > self._data_ns):
            self._data_ns = mono_ns if newest_ns is None else max(newest_ns, self._data_ns)
            self._clear("RUNNING_WITHOUT_DATA")
        if not running or recorded:
            self._program_ns = mono_ns
            self._clear("RUNNING_WITHOUT_PROGRAM")
        if not running:
            self._data_ns = mono_ns
            return
        minutes = self._patience_ns / SECOND_NS / 60
        if mono_ns - self._data_ns >= self._patience_ns:
            self._data_ns = mono_ns
            self._alert("RUNNING_WITHOUT_DATA", f"it runs, and nothing has come in for {minutes:g} minutes")
        if mono_ns - self._program_ns >= self._patience_ns:
            self._program_ns = mono_ns
            self._alert("RUNNING_WITHOUT_PROGRAM", f"it runs, and no program has recorded it for {minutes:g} minutes")
