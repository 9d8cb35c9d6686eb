"""What is seen of a running channel: its preview, how it is, how media comes in.

In: the channel's store, state, alerts and counts. Out: presentations, JSON values, a line for people. Never: a change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pypackager._core import Budget, Networks
from pypackager.config.schema import Channel
from pypackager.control.ports import Flow
from pypackager.dvr.store import ChannelStore
from pypackager.model.duration import parse_duration
from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation
from pypackager.model.track import Kind
from pypackager.runtime.alerts import Alert
from pypackager.runtime.condition import describe
from pypackager.runtime.lifecycle import Lifecycle
from pypackager.runtime.meters import Meters
from pypackager.timeline.feeds import Now
from pypackager.timeline.times import SECOND_NS


class Showing:
    """Of one channel.

    Args:
        config: its table.
        store: what is published.
        life: its state.
        alerts: what was raised, by code.
        meters: its instruments.
        now: the clock.
    """

    def __init__(
        self, config: Channel, store: ChannelStore, life: Lifecycle, alerts: Mapping[str, Alert], meters: Meters, now: Callable[[], Now]
    ) -> None:
        self._name = config.name
        self._store = store
        self._life = life
        self._alerts = alerts
        self._meters = meters
        self._now = now
        self._began_ns = now().mono_ns
        self.apply(config)

    def apply(self, config: Channel) -> None:
        """Takes over who may see it, and how much."""
        self._allow = Networks(config.preview_allow or ["0.0.0.0/0"])
        self.window_ns = parse_duration(config.preview_window)

    def preview(self, client: str) -> Presentation:
        """The newest part of the channel.

        Raises:
            PackagerError: PREVIEW_FORBIDDEN (403), CHANNEL_NOT_RUNNING (503), NO_MEDIA (404).
        """
        self._let(client)
        if self._life.state != "Running":
            raise PackagerError("CHANNEL_NOT_RUNNING", f"the channel is {self._life.state}", status=503, fault="operator")
        found = self._store.presentation("preview", self.window_ns)
        if not found.tracks:
            raise PackagerError("NO_MEDIA", "nothing has been published yet", status=404)
        return found

    def condition(self, client: str) -> dict[str, Any]:
        """How it is, in every state, to who may see the preview.

        Raises:
            PackagerError: PREVIEW_FORBIDDEN (403).
        """
        self._let(client)
        flow = msgspec.structs.asdict(self.flow())
        found = describe(self.incoming, self._alerts, self._now().mono_ns)
        return {"state": self._life.state, "status": self._life.status, **flow, **found}

    @property
    def incoming(self) -> Presentation:
        """What came in last, whatever its state."""
        return self._store.presentation("status", self.window_ns)

    def silent_s(self) -> dict[Kind, float]:
        """Seconds since pictures, and since sound, were published last, or since the daemon has the channel."""
        kinds: tuple[Kind, ...] = ("video", "audio")
        return {kind: (self._now().mono_ns - self._meters.media_ns.get(kind, self._began_ns)) / SECOND_NS for kind in kinds}

    def flow(self) -> Flow:
        """How media comes in."""
        shown = self.incoming
        gap = None if self._meters.newest_ns is None else self._meters.silent_s(self._now().mono_ns)
        return Flow(gap, self._meters.depth_s(shown), shown.interval_ns / SECOND_NS if shown.tracks else None)

    def status_line(self, now: Now) -> str:
        """One line: tracks, bit rate, depth, age of the newest fragment."""
        shown = self.incoming
        if not shown.tracks:
            return f"{self._name}: waiting for the encoder"
        rate = sum(track.average_bps for track in shown.tracks)
        depth = self._meters.depth_s(shown)
        gaps = self._alerts["TRACK_GAP"].count if "TRACK_GAP" in self._alerts else 0
        media = f"{len(shown.tracks)} tracks  {rate / 1e6:.2f} Mbit/s  DVR {depth:.0f} s"
        return f"{self._name}: {media}  newest {self._meters.silent_s(now.mono_ns):.1f} s ago  gaps {gaps}"

    def gauge(self, now: Now, budget: Budget) -> None:
        """Brings the gauges up to date before they are read."""
        self._meters.gauge(now, budget, self.incoming)

    def _let(self, client: str) -> None:
        if not self._allow.allows(client):
            raise PackagerError("PREVIEW_FORBIDDEN", f"{client} is not in the channel's preview_allow", status=403)
