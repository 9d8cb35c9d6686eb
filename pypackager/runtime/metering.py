"""What is used, kept over restarts, and who watches.

In: what was counted, by channels and by those who answer viewers. Out: the database's usage table, totals, counts of viewers. Never: a
write for each thing that happens: once a minute and at the end, all in one transaction. A crash loses what came behind the last one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any

import trio

from pypackager._core import Audience
from pypackager.control.registry import Registry
from pypackager.control.usage import Amount, Kind, Used
from pypackager.model.errors import PackagerError
from pypackager.runtime.usage import Usage
from pypackager.timeline.feeds import Now
from pypackager.timeline.times import SECOND_NS

SAVE_S = 60
VIEWERS_NS = SECOND_NS // 2
"""How old a count of viewers may be: many ask for one at once."""


class Metering:
    """Implements control.ports.Meter.

    Args:
        registry: has the database.
        usage: what channels count.
        audience: what those count who answer viewers.
        now: the clock.
        log: a structured logger.
        elsewhere: viewers that other processes have counted, as Audience.viewers says them; one who is given something by two counts twice.
        look: has them say what they have counted, so that what is kept of an hour is of that hour.
    """

    def __init__(
        self,
        registry: Registry,
        usage: Usage,
        audience: Audience,
        now: Callable[[], Now],
        log: Any,
        elsewhere: Callable[[], Iterable[tuple[str, str, str, int]]] = lambda: (),
        look: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
    ) -> None:
        self._registry = registry
        self._usage = usage
        self._audience = audience
        self._elsewhere = elsewhere
        self._look_elsewhere = look
        self._now = now
        self._log = log
        self._viewers: Counter[tuple[Kind, str]] = Counter()
        self._viewers_ns: int | None = None
        self._failing = False
        usage.remember(registry.used_in_all())

    async def run(self) -> None:
        """Saves for ever, at each full minute of UTC, so that what is kept of an hour is of that hour."""
        while True:
            await trio.sleep(SAVE_S - self._now().utc_ns % (SAVE_S * SECOND_NS) / SECOND_NS)
            await self._look_elsewhere()
            await self.save()

    async def save(self) -> None:
        """Saves what was used until now; what the disk does not take goes with the next save."""
        self._look()
        try:
            await self._registry.save_used(self._usage.take, self._usage.give_back)
        except PackagerError as error:
            if not self._failing:
                self._log.error("usage not saved", code=error.code, detail=error.detail, retry_s=SAVE_S)
            self._failing = True
        else:
            self._failing = False

    def total(self, kind: Kind, name: str) -> Amount:
        """All that was used under a name, until now."""
        self._look()
        return self._usage.total(kind, name)

    async def used(self, begin: datetime, end: datetime) -> list[Used]:
        """What was used in the hours that begin in [begin, end), until now."""
        first, behind = (-int(-at.timestamp() // 3600) for at in (begin, end))
        found: dict[tuple[Kind, str, int], Amount] = {}
        kept = await self._registry.used(first, behind)
        self._look()
        for each in (*kept, *(each for each in self._usage.fresh if first <= each.hour < behind)):
            key = (each.kind, each.name, each.hour)
            found[key] = found.get(key, Amount()) + each.amount
        return [Used(*key, amount) for key, amount in sorted(found.items())]

    def viewers(self, kind: Kind, name: str) -> int:
        """How many were given something in the last 30 s."""
        now = self._now().mono_ns
        if self._viewers_ns is None or now - self._viewers_ns >= VIEWERS_NS:
            self._viewers_ns = now
            self._viewers.clear()
            for endpoint, channel, locator, count in (*self._audience.viewers(), *self._elsewhere()):
                self._viewers.update(dict.fromkeys(_of(endpoint, channel, locator), count))
        return self._viewers[kind, name]

    def shown(self) -> list[tuple[Kind, str, Amount, int]]:
        """Kind, name, total and viewers of all that there is."""
        resources = self._registry.resources
        there: tuple[tuple[Kind, Iterable[str]], ...] = (
            ("channel", resources.channels),
            ("locator", resources.locators),
            ("endpoint", resources.endpoints),
        )
        self._look()
        return [(kind, name, self._usage.total(kind, name), self.viewers(kind, name)) for kind, names in there for name in names]

    def _look(self) -> None:
        now = self._now()
        self._usage.look(now)
        count_given(self._audience, self._usage, now)


def count_given(audience: Audience, usage: Usage, now: Now) -> None:
    """Counts what viewers were given since the last time."""
    for endpoint, channel, locator, count in audience.take():
        for kind, name in _of(endpoint, channel, locator):
            usage.gave(kind, name, count, now)


def _of(endpoint: str, channel: str, locator: str) -> list[tuple[Kind, str]]:
    """For whom it counts what is watched at an endpoint; a preview has no locator, an asset without a program no channel."""
    named: list[tuple[Kind, str]] = [("endpoint", endpoint), ("channel", channel), ("locator", locator)]
    return [(kind, name) for kind, name in named if name]
