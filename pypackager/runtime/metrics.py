"""Prometheus metrics of one daemon (docs/reference/metrics.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pypackager._core import FrontDoor
from pypackager.control.usage import Amount, Kind
from pypackager.runtime.usage import Usage


class Latencies(Collector):
    """A histogram that takes many observations at once: the native front counts by itself and reports sums."""

    name = "pypackager_request_seconds"
    documentation = "Time until an answer was ready"
    labels = ("kind",)
    bounds = tuple(FrontDoor.latency_bounds)

    def __init__(self) -> None:
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def observe(self, kind: str, seconds: float) -> None:
        """One observation."""
        place = next((number for number, bound in enumerate(self.bounds) if seconds <= bound), len(self.bounds))
        self.add(kind, seconds, [int(number == place) for number in range(len(self.bounds) + 1)])

    def add(self, kind: str, seconds: float, within: Sequence[int]) -> None:
        """Many: `seconds` is their sum, `within` how many are in each bucket, not cumulative."""
        counts = self._counts.setdefault(kind, [0] * (len(self.bounds) + 1))
        for number, count in enumerate(within):
            counts[number] += count
        self._sums[kind] = self._sums.get(kind, 0.0) + seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """For the registry."""
        family = HistogramMetricFamily(self.name, self.documentation, labels=self.labels)
        for kind, counts in self._counts.items():
            names = [*map(str, self.bounds), "+Inf"]
            family.add_metric([kind], [(name, float(sum(counts[: n + 1]))) for n, name in enumerate(names)], self._sums[kind])
        yield family


class Used(Collector):
    """What was used and who watches, as it was shown last; counters that outlive the daemon."""

    def __init__(self) -> None:
        self._rows: list[tuple[Kind, str, Amount, int]] = []

    def show(self, rows: Iterable[tuple[Kind, str, Amount, int]]) -> None:
        """Kind and name, what it used in all, how many viewers it has."""
        self._rows = list(rows)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """For the registry."""
        running = CounterMetricFamily("pypackager_running_seconds", "Seconds in which the channel was Running", labels=["channel"])
        came = CounterMetricFamily("pypackager_received_bytes", "Media bytes that encoders sent", labels=["channel"])
        given = CounterMetricFamily("pypackager_given_bytes", "Body bytes sent to players and caches", labels=["kind", "name"])
        viewers = GaugeMetricFamily("pypackager_viewers", "Viewers of the last 30 s", labels=["kind", "name"])
        for kind, name, amount, watching in self._rows:
            if kind == "channel":
                running.add_metric([name], amount.running_ns / 1e9)
                came.add_metric([name], amount.bytes_in)
            given.add_metric([kind, name], amount.bytes_out)
            viewers.add_metric([kind, name], watching)
        yield from (running, came, given, viewers)


class Family(msgspec.Struct, frozen=True, array_like=True):
    """A metric with its samples: name, labels, value."""

    name: str
    documentation: str
    type: str
    samples: list[tuple[str, dict[str, str], float]]


class _Sums(Collector):
    """Families of several processes as one."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """For who renders them."""
        merged: dict[str, Metric] = {}
        sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
        for family in self._families:
            merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            known = sums.setdefault(family.name, {})
            for name, labels, value in family.samples:
                key = (name, tuple(labels.items()))
                # When a count began is no count.
                known[key] = min(known.get(key, value), value) if name.endswith("_created") else known.get(key, 0.0) + value
        for name, metric in merged.items():
            for (sample, pairs), value in sums[name].items():
                metric.add_sample(sample, dict(pairs), value)
        yield from merged.values()


class Metrics:
    """All instruments, in a registry of their own so that several daemons can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        track = ("channel", "track")
        self.ingest_bytes = Counter("pypackager_ingest_bytes", "Media bytes taken into the journal", track, registry=r)
        self.chunks = Counter("pypackager_chunks", "Chunks that encoders sent", ("channel",), registry=r)
        self.fragments = Counter("pypackager_fragments", "Fragments taken into the journal", track, registry=r)
        self.published = Counter("pypackager_published_rows", "Rows that the published edge passed", ("channel", "kind"), registry=r)
        self.bitrate = Gauge("pypackager_track_bitrate_bps", "Bit rate of the last fragment", track, registry=r)
        self.newest = Gauge("pypackager_ingest_gap_seconds", "Seconds since the last fragment of the channel", ("channel",), registry=r)
        self.depth = Gauge("pypackager_dvr_depth_seconds", "Media time in the published window", ("channel",), registry=r)
        self.held = Gauge("pypackager_held_bytes", "Bytes of open fragments in memory", ("channel",), registry=r)
        self.spilled = Counter("pypackager_spilled_bytes", "Bytes of open fragments that went to disk early", ("channel",), registry=r)
        self.connections = Gauge("pypackager_ingest_connections", "Open ingest connections", registry=r)
        self.refusals = Counter("pypackager_ingest_refused", "Connections refused, by code", ("code",), registry=r)
        self.alerts = Counter("pypackager_alerts", "Alerts raised", ("channel", "code"), registry=r)
        self.active = Gauge("pypackager_alert_active", "1 while an alert is not cleared", ("channel", "code"), registry=r)
        self.requests = Counter("pypackager_requests", "Requests of players and caches", ("kind", "status"), registry=r)
        self.certificates = Gauge("pypackager_certificate_end_seconds", "When a certificate ends, since 1970", ("certificate",), registry=r)
        self.latency = Latencies()
        r.register(self.latency)
        self.usage = Usage()
        self.used = Used()
        r.register(self.used)
        self.sent = Counter("pypackager_sent_bytes", "Body bytes sent to players and caches", ("kind",), registry=r)

    def request(self, kind: str, status: int, seconds: float, sent: int) -> None:
        """The origin answered one request."""
        self.requests.labels(kind, str(status)).inc()
        self.latency.observe(kind, seconds)
        self.sent.labels(kind).inc(sent)

    def requests_at_once(self, kind: str, status: int, count: int, seconds: float, sent: int, within: Sequence[int]) -> None:
        """The front answered many of one kind and status; see origin.ports.Recorder."""
        self.requests.labels(kind, str(status)).inc(count)
        self.latency.add(kind, seconds, within)
        self.sent.labels(kind).inc(sent)

    def families(self) -> list[Family]:
        """All that is counted, for another process."""
        found = self.registry.collect()
        return [
            Family(each.name, each.documentation, each.type, [(one.name, one.labels, float(one.value)) for one in each.samples])
            for each in found
        ]

    def render(self, others: Iterable[Iterable[Family]] = ()) -> bytes:
        """The exposition text, of other processes' counts as well."""
        together = [family for families in others for family in families]
        return generate_latest(cast("CollectorRegistry", _Sums([*self.families(), *together])) if together else self.registry)
