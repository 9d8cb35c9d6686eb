"""The metrics page and the code say the same."""

from __future__ import annotations

from pathlib import Path

from pypackager.runtime.metrics import Metrics


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
