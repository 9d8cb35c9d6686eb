"""HTTP: a good server, and one fault of a server after the other, each found by the rule meant for it alone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pypackager.check.finding import Report
from pypackager.check.origin import Answer
from pypackager.check.served.lifetimes import lifetime
from tests.helpers.good_server import Quirk
from tests.helpers.judged import BASE, assert_clean, judge_recording
from tests.helpers.made_smooth import SECONDS, URL, SmoothShow
from tests.helpers.recorded import Recording
from tests.helpers.server_faults import server_faults


def judged(*quirks: Quirk, seconds: float = 4.0) -> Report:
    """The made presentation while it is live, by a server with faults."""
    recording = SmoothShow().recording()
    recording.quirks.extend(quirks)
    return judge_recording(recording, URL, seconds=seconds)


def said(report: Report) -> set[str]:
    return {name for name in report.broken() if not name.startswith("LIVE-")}


def test_a_good_server_is_clean() -> None:
    report = judged(seconds=SECONDS)
    assert said(report) == set()
    assert_clean(report)


@pytest.mark.parametrize("name", server_faults())
def test_a_fault_is_found_by_the_rule_meant_for_it(name: str) -> None:
    rules, quirks = server_faults()[name]
    report = judged(*quirks)
    found = {each for each in said(report) if each.startswith("HTTP-")}
    assert found == rules
    assert len(report.findings()) <= 12


def test_the_extra_questions_are_few() -> None:
    recording = SmoothShow().recording()
    asked: list[tuple[str, str, dict[str, str]]] = []

    def noting(method: str, headers: Mapping[str, str], answer: Answer) -> Answer:
        asked.append((method, answer.url, dict(headers)))
        return answer

    recording.quirks.append(noting)
    judge_recording(recording, URL)
    extra = [each for each in asked if each[2] or each[0] != "GET"]
    assert 10 <= len(extra) <= 40


PLAYLIST = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\none.ts\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("path", "content_type", "rule"),
    [
        ("live/index", "text/plain", "HTTP-TYPE-PLAYLIST"),
        ("live/index", "Audio/MpegURL; charset=utf-8", ""),
        ("live/index.m3u8", "text/plain", "HTTP-TYPE"),
        ("live/index.m3u8", "application/vnd.apple.mpegurl", ""),
    ],
)
def test_a_playlist_is_known_by_its_path_or_its_type(path: str, content_type: str, rule: str) -> None:
    recording = Recording()
    recording.add(BASE + path, PLAYLIST, content_type)
    found = {name for name in judge_recording(recording, BASE + path).broken() if name.startswith("HTTP-TYPE")}
    assert found == ({rule} if rule else set())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], None),
        ([("cache-control", "public, max-age=5, stale-while-revalidate=5")], 5),
        ([("cache-control", "max-age=5"), ("cache-control", "s-maxage=9")], 9),
        ([("cache-control", 'private, max-age="5", s-maxage=9')], 5),
        ([("cache-control", "no-store")], 0),
        ([("cache-control", "no-cache, max-age=100")], 0),
        ([("expires", "Thu, 01 Jan 2026 00:01:00 GMT"), ("date", "Thu, 01 Jan 2026 00:00:00 GMT")], 60),
        ([("expires", "Thu, 01 Jan 2026 00:00:00 GMT"), ("date", "Thu, 01 Jan 2026 00:01:00 GMT")], 0),
        ([("expires", "0"), ("date", "Thu, 01 Jan 2026 00:01:00 GMT")], 0),
        ([("expires", "-1")], 0),
        ([("cache-control", "max-age=never")], None),
    ],
)
def test_lifetimes(headers: list[tuple[str, str]], seconds: float | None) -> None:
    assert lifetime(headers) == seconds
