"""Raises and clears the alerts of a channel: counted, and logged, told of and journalled at most every ten seconds for one code.

In: codes from whoever notices. Out: log lines, events, rows of the journal. Never: what is done about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pypackager.dvr.store import ChannelStore
from pypackager.model.news import Tell
from pypackager.model.records import Event
from pypackager.runtime.alerts import Alert, Alerts
from pypackager.runtime.meters import Meters
from pypackager.timeline.feeds import Now


class Alarm:
    """The alerts of one channel, and who is told of them.

    Args:
        channel: its name.
        store: its journal takes each alert that is told of.
        meters: its instruments.
        log: a bound structured logger.
        tell: tells of alerts.
        now: the clock.
    """

    def __init__(self, channel: str, store: ChannelStore, meters: Meters, log: Any, tell: Tell, now: Callable[[], Now]) -> None:
        self._subject = f"channels/{channel}"
        self._store = store
        self._meters = meters
        self._log = log
        self._tell = tell
        self._now = now
        self._alerts = Alerts()

    @property
    def alerts(self) -> Mapping[str, Alert]:
        """What was raised since the daemon started, by code."""
        return self._alerts.by_code

    def alert(self, code: str, detail: str, track: str = "") -> None:
        """Raises an alert of one track or of all."""
        self._raise(code, detail, track)

    def clear(self, code: str) -> None:
        """What an alert told of is over."""
        now = self._now()
        if (alert := self._alerts.clear(code, now)) is None:
            return
        self._meters.alert(code, active=False)
        self._log.info("alert cleared", code=code, count=alert.count)
        self._say("cleared", code, alert)
        self._store.append(Event(now.utc_ns, code, "cleared"))

    def clear_quiet(self) -> None:
        """Clears what nobody has noticed for long."""
        for code in self._alerts.quiet(self._now()):
            self.clear(code)

    def guard(self, what: str, act: Callable[[], object]) -> None:
        """Does something for the channel; a fault of ours, or of its disk, must not end the others."""
        try:
            act()
        except Exception as error:  # noqa: BLE001 (see above)
            if self._raise("INTERNAL", f"{what}: {type(error).__name__}: {error}"):
                self._log.exception("fault", on=what)

    def _raise(self, code: str, detail: str, track: str = "") -> bool:
        """Raises an alert; returns whether it was logged."""
        now = self._now()
        alert = self._alerts.notice(code, f"track {track}: {detail}" if track else detail, track, now)
        self._meters.alert(code, active=True)
        if alert is None:
            return False
        self._log.warning("alert", code=code, detail=alert.detail, count=alert.count)
        self._say("raised", code, alert)
        self._store.append(Event(now.utc_ns, code, alert.detail))
        return True

    def _say(self, change: str, code: str, alert: Alert) -> None:
        self._tell("alert", self._subject, change=change, code=code, detail=alert.detail, count=alert.count)
