"""Counts what is used, from one save to the next.

In: channels that begin and end to run, bytes, the time. Out: amounts by the hour, each given away once. Never: a file, a clock of its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from pypackager.control.usage import HOUR_NS, Amount, Kind, Used
from pypackager.timeline.feeds import Now

_Key = tuple[Kind, str, int]


class Usage:
    """All that this daemon has counted."""

    def __init__(self) -> None:
        self._totals: dict[tuple[Kind, str], Amount] = {}
        self._fresh: dict[_Key, Amount] = {}
        """What no save has taken."""
        self._since: dict[str, int] = {}
        """Channels that run, and up to which instant of the monotonic clock that is counted."""
        self._in: dict[str, int] = {}
        """Bytes that came since the last look, by channel."""

    def runs(self, channel: str, now: Now, *, running: bool) -> None:
        """A channel is Running from now on, or is not."""
        self._run_until(channel, now)
        if running:
            self._since[channel] = now.mono_ns
        else:
            self._since.pop(channel, None)

    def took(self, channel: str, count: int) -> None:
        """An encoder sent bytes."""
        self._in[channel] = self._in.get(channel, 0) + count

    def gave(self, kind: Kind, name: str, count: int, now: Now) -> None:
        """Viewers were sent bytes."""
        self._add(kind, name, now.utc_ns // HOUR_NS, Amount(bytes_out=count))

    def look(self, now: Now) -> None:
        """Counts up to now."""
        for channel in list(self._since):
            self._run_until(channel, now)
        came, self._in = self._in, {}
        for channel, count in came.items():
            self._add("channel", channel, now.utc_ns // HOUR_NS, Amount(bytes_in=count))

    def total(self, kind: Kind, name: str) -> Amount:
        """All that was ever counted under a name, up to the last look."""
        return self._totals.get((kind, name), Amount())

    def remember(self, kept: Iterable[tuple[Kind, str, Amount]]) -> None:
        """Adds what was saved by daemons before."""
        for kind, name, amount in kept:
            self._totals[kind, name] = self.total(kind, name) + amount

    @property
    def fresh(self) -> list[Used]:
        """What no save has taken."""
        return [Used(*key, amount) for key, amount in self._fresh.items()]

    def take(self) -> list[Used]:
        """The same, for a save: nobody gets it again, unless it is given back."""
        taken = self.fresh
        self._fresh = {}
        return taken

    def receive(self, taken: Iterable[Used]) -> None:
        """Another process has counted it."""
        for used in taken:
            self._add(used.kind, used.name, used.hour, used.amount)

    def give_back(self, taken: Iterable[Used]) -> None:
        """It could not be saved."""
        for used in taken:
            self._freshen(used.kind, used.name, used.hour, used.amount)

    # --- inside

    def _run_until(self, channel: str, now: Now) -> None:
        """Counts the time since the last look; the monotonic clock says how long it was, the other one in which hours."""
        since = self._since.get(channel)
        if since is None:
            return
        self._since[channel] = now.mono_ns
        left, end = now.mono_ns - since, now.utc_ns
        while left > 0:
            hour, into = divmod(end - 1, HOUR_NS)
            part = min(left, into + 1)
            self._add("channel", channel, hour, Amount(running_ns=part))
            left, end = left - part, end - part

    def _add(self, kind: Kind, name: str, hour: int, amount: Amount) -> None:
        self._totals[kind, name] = self.total(kind, name) + amount
        self._freshen(kind, name, hour, amount)

    def _freshen(self, kind: Kind, name: str, hour: int, amount: Amount) -> None:
        key = (kind, name, hour)
        self._fresh[key] = self._fresh.get(key, Amount()) + amount
