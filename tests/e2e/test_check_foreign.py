"""Live streams of other packagers are judged: good ones without a false error, and of the others what is truly wrong with them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import trio

from pypackager.check.finding import Report
from pypackager.check.http_origin import open_http_origin
from pypackager.check.run import run
from pypackager.check.session import Settings
from pypackager.check.tables import describe
from tests.helpers.foreign import live_ffmpeg, nginx
from tests.helpers.media import LADDER, material

pytestmark = pytest.mark.e2e

START_SECONDS = 9.0
WATCH_SECONDS = 18.0

FFMPEG = {
    # It reads its input a little ahead of the clock, so that now and then a segment is listed before it has ended.
    "dash": {"DASH-EARLY"},
}
NGINX_RTMP_HLS = {
    # Its first segment is a discontinuity, and when it leaves the window EXT-X-DISCONTINUITY-SEQUENCE does not count it.
    "HLS-DISCONTINUITY-SEQUENCE",
}
NGINX_RTMP_DASH = {
    # The last sample of a fragment lasts nothing, so pictures end before the segment does and the next seems to start late.
    "MEDIA-CONTINUOUS", "MEDIA-DURATION", "MEDIA-TIME", "MEDIA-START", "SYNC-TRACKS",
    # Stereo is announced as mono; the rate that the encoder said is taken for the rate that there is.
    "DASH-CHANNELS", "DASH-BANDWIDTH",
    # As with FFmpeg, whose pace it keeps.
    "DASH-EARLY",
}  # fmt: skip


def judged(*urls: str) -> Report:
    async def main() -> Report:
        async with open_http_origin() as origin:
            return await run(list(urls), origin, Settings(seconds=WATCH_SECONDS))

    return trio.run(main)


def errors(report: Report, presentation: str) -> dict[str, str]:
    """Rules that a presentation broke by an error, each with its first finding."""
    out: dict[str, str] = {}
    for each in report.findings():
        if each.rule.severity == "error" and each.place.presentation == presentation:
            out.setdefault(each.rule.id, f"{each.rule.id} at {describe(each.place)}: {each.found}, expected {each.expected}")
    return out


def test_ffmpeg_and_nginx_rtmp_live(tmp_path: Path) -> None:
    material(LADDER)
    with nginx(tmp_path) as (http, rtmp), live_ffmpeg(tmp_path, rtmp):
        time.sleep(START_SECONDS)
        names = ("ts/live.m3u8", "fmp4/live.m3u8", "dash/live.mpd", "nginx-hls/show.m3u8", "nginx-dash/show.mpd")
        report = judged(*(http + name for name in names))
    for presentation in ("hls", "hls 2", "dash"):
        found = errors(report, presentation)
        assert found.keys() <= FFMPEG.get(presentation, set()), "\n".join(found.values())
    assert all(track.segments >= 8 for track in report.tracks), report.tracks
    found = errors(report, "hls 3")
    assert found.keys() == NGINX_RTMP_HLS, "\n".join(found.values())
    found = errors(report, "dash 2")
    assert {"MEDIA-DURATION", "DASH-CHANNELS"} <= found.keys() <= NGINX_RTMP_DASH, "\n".join(found.values())
