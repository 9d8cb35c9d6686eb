"""Segments are read by what they are, and held against what @mimeType names."""

from __future__ import annotations

import pytest

from pypackager.check.dash.containers import reader_of
from pypackager.check.finding import Report
from tests.helpers.made_hls import recorded_hls, segment_url


@pytest.mark.parametrize(("mime", "broken"), [("video/mp2t", set()), ("video/mp4", {"DASH-CONTAINER"})])
def test_a_transport_stream_is_read_whatever_it_is_called(mime: str, broken: set[str]) -> None:
    body = recorded_hls("mpegts").answers[segment_url("mpegts", "low", 1)][0][1].body
    report, read = Report(), reader_of(mime)
    assert read is not None
    assert [stream.kind for stream in read(body, None, report.scope()).streams] == ["video", "audio"]
    assert report.broken() == broken


@pytest.mark.parametrize("mime", ["video/webm", "image/jpeg", "text/vtt", "application/ttml+xml"])
def test_other_containers_are_not_read(mime: str) -> None:
    assert reader_of(mime) is None


@pytest.mark.parametrize("mime", ["audio/mp4", "application/mp4", 'Video/MP4; codecs="avc1.64001f"'])
def test_nothing_is_no_fragment(mime: str) -> None:
    report, read = Report(), reader_of(mime)
    assert read is not None
    assert not read(b"", None, report.scope()).streams
    assert report.broken() == {"DASH-CONTAINER"}
