"""A plain server of files, over sockets: no ETag, no ranges, no CORS; the judge asks politely and says what is missing."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from os import PathLike
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trio

from pypackager.check.finding import Report
from pypackager.check.http_origin import open_http_origin
from pypackager.check.run import run
from pypackager.check.session import Settings
from tests.helpers.made_hls import master_url, recorded_hls
from tests.helpers.media import LADDER_SHORT, material

ASKED: Counter[str] = Counter()


class Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def guess_type(self, path: str | PathLike[str]) -> str:
        return "application/vnd.apple.mpegurl" if str(path).endswith(".m3u8") else "video/mp4"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        ASKED[self.command] += 1


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The end of the recorded presentation, as files."""
    material(LADDER_SHORT)
    for each, answers in recorded_hls("fmp4").answers.items():
        path = tmp_path / urlsplit(each).path.lstrip("/")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(answers[-1][1].body)
    ASKED.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}{urlsplit(master_url('fmp4')).path}"
        finally:
            server.shutdown()
            thread.join()


def judged(url: str, depth: str = "full", rate: float = 0.0) -> tuple[Report, float]:
    """The report, and how long it took."""

    async def main() -> tuple[Report, float]:
        began = trio.current_time()
        async with open_http_origin(rate) as origin:
            report = await run([url], origin, Settings(depth="quick" if depth == "quick" else "full"))
        return report, trio.current_time() - began

    return trio.run(main)


def test_only_what_is_missing_is_said(url: str) -> None:
    report, _ = judged(url)
    assert report.broken("error") == set()
    assert report.broken("warning") == {"HTTP-CORS", "HTTP-CACHE-SEGMENT"}
    assert [track.segments for track in report.tracks] == [4, 4, 4]


def test_the_rate_is_kept_by_the_extra_questions_too(url: str) -> None:
    _, seconds = judged(url, "quick", rate=40)
    asked = ASKED.total()
    assert ASKED["HEAD"] >= 2
    assert 20 <= asked <= 50
    assert seconds >= (asked - 1) / 40 - 0.05
