"""Prometheus metrics of one daemon (docs/reference/metrics.md)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    """All instruments, in a registry of their own so that several daemons can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        track = ("channel", "track")
        self.ingest_bytes = Counter("pypackager_ingest_bytes", "Media bytes taken into the journal", track, registry=r)
        self.fragments = Counter("pypackager_fragments", "Fragments taken into the journal", track, registry=r)
        self.published = Counter("pypackager_published_rows", "Rows that the published edge passed", ("channel", "kind"), registry=r)
        self.bitrate = Gauge("pypackager_track_bitrate_bps", "Bit rate of the last fragment", track, registry=r)
        self.newest = Gauge("pypackager_ingest_gap_seconds", "Seconds since the last fragment of the channel", ("channel",), registry=r)
        self.depth = Gauge("pypackager_dvr_depth_seconds", "Media time in the published window", ("channel",), registry=r)
        self.connections = Gauge("pypackager_ingest_connections", "Open ingest connections", registry=r)
        self.refusals = Counter("pypackager_ingest_refused", "Connections refused, by code", ("code",), registry=r)
        self.alerts = Counter("pypackager_alerts", "Alerts raised", ("channel", "code"), registry=r)
        self.requests = Counter("pypackager_requests", "Requests of players and caches", ("kind", "status"), registry=r)
        self.latency = Histogram(
            "pypackager_request_seconds", "Time until an answer was ready", ("kind",), buckets=_LATENCY_BUCKETS, registry=r
        )
        self.sent = Counter("pypackager_sent_bytes", "Body bytes sent to players and caches", ("kind",), registry=r)

    def request(self, kind: str, status: int, seconds: float, sent: int) -> None:
        """The origin answered one request."""
        self.requests.labels(kind, str(status)).inc()
        self.latency.labels(kind).observe(seconds)
        self.sent.labels(kind).inc(sent)

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)
