"""The metrics page and the code say the same."""

from __future__ import annotations

from pathlib import Path

from pypackager.dvr.track import Track
from pypackager.model.records import FLAG_GAP, Row
from pypackager.runtime.meters import Meters
from pypackager.runtime.metrics import Metrics
from tests.helpers.dvr import VIDEO


def test_the_reference_page_lists_every_metric() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text()
    listed = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert listed == {family.name for family in Metrics().registry.collect()}


def test_a_request_is_counted() -> None:
    metrics = Metrics()
    metrics.request("segment", 200, 0.004, 1234)
    text = metrics.render().decode()
    assert 'pypackager_requests_total{kind="segment",status="200"} 1.0' in text
    assert 'pypackager_sent_bytes_total{kind="segment"} 1234.0' in text
    assert 'pypackager_request_seconds_bucket{kind="segment",le="0.005"} 1.0' in text


def test_rows_of_one_track_that_are_published_together_count_with_their_own_bytes() -> None:
    metrics = Metrics()
    meters = Meters(metrics, "news")
    track = Track(VIDEO)
    second = VIDEO.timescale
    for number, size in enumerate((1000, 0, 250)):
        track.columns.append(number * second, second, size, number, FLAG_GAP if number == 1 else 0, 1, 0, 0, 1, 0)
    rows = [Row(1, number * second, second, number, FLAG_GAP if number == 1 else 0) for number in range(3)]
    meters.published(rows, {1: track}, 5 * 10**9)
    text = metrics.render().decode()
    assert 'pypackager_ingest_bytes_total{channel="news",track="video-1"} 1250.0' in text
    assert 'pypackager_fragments_total{channel="news",track="video-1"} 2.0' in text
    assert 'pypackager_published_rows_total{channel="news",kind="gap"} 1.0' in text
    assert 'pypackager_track_bitrate_bps{channel="news",track="video-1"} 2000.0' in text
    assert meters.silent_s(7 * 10**9) == 2.0
