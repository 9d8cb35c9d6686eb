"""A plain server of files, over sockets: no ETag, no ranges, no CORS; the judge asks politely and says what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import trio

from pypackager.check.finding import Report
from pypackager.check.http_origin import open_http_origin
from pypackager.check.run import run
from pypackager.check.session import Settings
from tests.helpers.made_hls import master_url, recorded_hls
from tests.helpers.media import LADDER_SHORT, material
from tests.helpers.plain_server import PlainServer, plain_server


@pytest.fixture
def served(tmp_path: Path) -> Iterator[PlainServer]:
    """The end of the recorded presentation, as files."""
    material(LADDER_SHORT)
    for each, answers in recorded_hls("fmp4").answers.items():
        path = tmp_path / urlsplit(each).path.lstrip("/")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(answers[-1][1].body)
    with plain_server(tmp_path) as server:
        yield server


def judged(served: PlainServer, depth: str = "full", rate: float = 0.0) -> tuple[Report, float]:
    """The report, and how long it took."""
    url = urljoin(served.url, urlsplit(master_url("fmp4")).path)

    async def main() -> tuple[Report, float]:
        began = trio.current_time()
        async with open_http_origin(rate) as origin:
            report = await run([url], origin, Settings(depth="quick" if depth == "quick" else "full"))
        return report, trio.current_time() - began

    return trio.run(main)


def test_only_what_is_missing_is_said(served: PlainServer) -> None:
    report, _ = judged(served)
    assert report.broken("error") == set()
    assert report.broken("warning") == {"HTTP-CORS", "HTTP-CACHE-SEGMENT"}
    assert [track.segments for track in report.tracks] == [4, 4, 4]


def test_the_rate_is_kept_by_the_extra_questions_too(served: PlainServer) -> None:
    _, seconds = judged(served, "quick", rate=40)
    asked = served.methods.total()
    assert served.methods["HEAD"] >= 2
    assert 20 <= asked <= 50
    assert seconds >= (asked - 1) / 40 - 0.05
