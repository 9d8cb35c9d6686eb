"""What one channel counts: the daemon's instruments with its labels, each found once.

In: chunks, alerts and published rows. Out: numbers in the daemon's metrics. Never: a decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pypackager._core import Budget
from pypackager.dvr.track import Track
from pypackager.model.presentation import Presentation
from pypackager.model.records import FLAG_GAP, Row
from pypackager.model.track import Kind
from pypackager.runtime.metrics import Metrics
from pypackager.timeline.feeds import Now
from pypackager.timeline.times import SECOND_NS, to_ns


class _TrackMeters:
    """Of one track."""

    def __init__(self, metrics: Metrics, channel: str, track: str) -> None:
        self.fragments = metrics.fragments.labels(channel, track)
        self.bytes = metrics.ingest_bytes.labels(channel, track)
        self.bitrate = metrics.bitrate.labels(channel, track)


class Meters:
    """The instruments of a channel.

    Args:
        metrics: the daemon's.
        channel: its name.
    """

    def __init__(self, metrics: Metrics, channel: str) -> None:
        self._metrics = metrics
        self._name = channel
        self._chunks = metrics.chunks.labels(channel)
        self._fragments = metrics.published.labels(channel, "fragment")
        self._gaps = metrics.published.labels(channel, "gap")
        self._tracks: dict[str, _TrackMeters] = {}
        self.newest_ns: int | None = None
        """When the published edge moved last, by the monotonic clock; None: never."""
        self.media_ns: dict[Kind, int] = {}
        """When media of a kind was published last, by the same clock."""
        self._spilled = 0

    def runs(self, now: Now, *, running: bool) -> None:
        """The channel is Running from now on, or is not."""
        self._metrics.usage.runs(self._name, now, running=running)

    def chunk(self, size: int) -> None:
        """An encoder sent a chunk of so many bytes."""
        self._chunks.inc()
        self._metrics.usage.took(self._name, size)

    def alert(self, code: str, *, active: bool) -> None:
        """An alert was noticed, or cleared."""
        if active:
            self._metrics.alerts.labels(self._name, code).inc()
        self._metrics.active.labels(self._name, code).set(active)

    def published(self, rows: Sequence[Row], tracks: Mapping[int, Track], mono_ns: int) -> None:
        """The published edge passed rows, which the ledger has, at an instant of the monotonic clock."""
        self.newest_ns = mono_ns
        for row in rows:
            if row.flags & FLAG_GAP:
                self._gaps.inc()
                continue
            self._fragments.inc()
            track = tracks[row.track]
            self.media_ns[track.info.kind] = mono_ns
            place = track.columns.first_from(row.time)
            size = track.columns.size_between(place, place + 1)
            meters = self._of(track.info.id)
            meters.fragments.inc()
            meters.bytes.inc(size)
            meters.bitrate.set(size * 8 * track.info.timescale / max(1, row.duration))

    def silent_s(self, mono_ns: int) -> float:
        """Seconds since the published edge moved; 0 when it never did."""
        return (mono_ns - (self.newest_ns or mono_ns)) / SECOND_NS

    @staticmethod
    def depth_s(shown: Presentation) -> float:
        """Seconds of media in a window."""
        if not shown.tracks:
            return 0.0
        first = shown.tracks[0]
        return to_ns(int(first.time[-1] + first.duration[-1] - first.time[0]), first.info.timescale) / SECOND_NS

    def gauge(self, now: Now, budget: Budget, shown: Presentation) -> None:
        """Brings the gauges up to date before they are read."""
        self._metrics.held.labels(self._name).set(budget.held)
        self._metrics.spilled.labels(self._name).inc(budget.spilled - self._spilled)
        self._spilled = budget.spilled
        if shown.tracks:
            self._metrics.depth.labels(self._name).set(self.depth_s(shown))
        if self.newest_ns is not None:
            self._metrics.newest.labels(self._name).set(self.silent_s(now.mono_ns))

    def _of(self, track: str) -> _TrackMeters:
        if track not in self._tracks:
            self._tracks[track] = _TrackMeters(self._metrics, self._name, track)
        return self._tracks[track]
