"""HTTP: a good server, and one fault of a server after the other, each found by the rule meant for it alone."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from pypackager.check.finding import Report
from pypackager.check.origin import Answer
from pypackager.check.served.lifetimes import lifetime
from tests.helpers.good_server import Quirk, set_header
from tests.helpers.judged import BASE, assert_clean, judge_recording
from tests.helpers.made_smooth import SECONDS, URL, SmoothShow
from tests.helpers.recorded import Recording

MANIFEST, MEDIA, ANY = "/manifest", "Fragments(", ""


def judged(*quirks: Quirk, seconds: float = 4.0) -> Report:
    """The made presentation while it is live, by a server with faults."""
    recording = SmoothShow().recording()
    recording.quirks.extend(quirks)
    return judge_recording(recording, URL, seconds=seconds)


def said(report: Report) -> set[str]:
    return {name for name in report.broken() if not name.startswith("LIVE-")}


def header(where: str, name: str, value: str | None, status: tuple[int, ...] = (200, 206, 304)) -> Quirk:
    """Answers of some URLs have another value of a header."""

    def quirk(_: str, __: Mapping[str, str], answer: Answer) -> Answer:
        wanted = where in answer.url and answer.status in status and (value is None or answer.header(name) is not None or name == "expires")
        return set_header(answer, name, value) if wanted else answer

    return quirk


def ignoring(name: str) -> Quirk:
    """The server does not know a header of requests."""

    def quirk(method: str, headers: Mapping[str, str], answer: Answer) -> Answer:
        return WHOLE[answer.url] if name in headers and method == "GET" else answer

    return quirk


WHOLE: dict[str, Answer] = {}


@pytest.fixture(autouse=True)
def whole() -> None:
    """What a server says that ignores everything: the first whole answer of each URL."""
    WHOLE.clear()


def learning(method: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    if method == "GET" and answer.status == 200 and headers.get("accept-encoding") == "identity":
        WHOLE.setdefault(answer.url, answer)
    return answer


def bad_head(method: str, _: Mapping[str, str], answer: Answer) -> Answer:
    return msgspec.structs.replace(answer, status=405) if method == "HEAD" and MEDIA in answer.url else answer


def head_without_length(method: str, _: Mapping[str, str], answer: Answer) -> Answer:
    return set_header(answer, "content-length", "0") if method == "HEAD" and MEDIA in answer.url else answer


def empty_304(_: str, __: Mapping[str, str], answer: Answer) -> Answer:
    return set_header(answer, "etag", None) if answer.status == 304 and MEDIA in answer.url else answer


def never_304(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    return msgspec.structs.replace(answer, status=200) if answer.status == 304 and MEDIA in answer.url else answer


def wrong_part(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    if answer.status != 206:
        return answer
    return msgspec.structs.replace(answer, body=answer.body[1:] + b"\x00")


def wrong_total(_: str, __: Mapping[str, str], answer: Answer) -> Answer:
    return set_header(answer, "content-range", "bytes 0-99/100") if answer.status == 206 else answer


def no_416(_: str, __: Mapping[str, str], answer: Answer) -> Answer:
    return msgspec.structs.replace(answer, status=206) if answer.status == 416 else answer


def if_range_ignored(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    if "if-range" not in headers:
        return answer
    return msgspec.structs.replace(answer, status=206, body=answer.body[:100])


def other_bytes(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    """Whoever asks a second time gets another last byte."""
    if MEDIA not in answer.url or headers.get("accept-encoding") != "identity" or answer.status != 200:
        return answer
    return msgspec.structs.replace(answer, body=answer.body[:-1] + b"\xff")


def other_identity(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    if MANIFEST not in answer.url or headers.get("accept-encoding") != "identity":
        return answer
    return msgspec.structs.replace(answer, body=answer.body + b"\n")


def always_coded(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    if MANIFEST not in answer.url or headers.get("accept-encoding") != "identity" or answer.status != 200:
        return answer
    return set_header(answer, "content-encoding", "gzip")


def one_etag(method: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    """The tag of the gzip is that of the body."""
    etag = (answer.header("etag") or "").replace("-gzip", "")
    if MANIFEST not in answer.url or not etag:
        return answer
    if headers.get("if-none-match") == etag:
        answer = msgspec.structs.replace(answer, status=304, body=b"")
    return set_header(answer, "etag", etag)


def stale_etag(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    """The manifest keeps one tag for ever; conditions were answered by the true one."""
    if MANIFEST not in answer.url or answer.header("etag") is None:
        return answer
    if "if-none-match" in headers:
        answer = msgspec.structs.replace(answer, status=304, body=b"")
    return set_header(answer, "etag", '"gzip"' if answer.header("content-encoding") else '"one"')


class Count:
    """Each answer for media has a tag of its own."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self, method: str, headers: Mapping[str, str], answer: Answer) -> Answer:
        self.n += 1
        return set_header(answer, "etag", f'"{self.n}"') if MEDIA in answer.url and answer.header("etag") else answer


def soft_404(_: str, __: Mapping[str, str], answer: Answer) -> Answer:
    return msgspec.structs.replace(answer, status=200, body=b"sorry") if "missing-" in answer.url else answer


def echoed(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    return set_header(answer, "access-control-allow-origin", headers["origin"]) if "origin" in headers else answer


def gone(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    """A second time there is nothing."""
    again = MEDIA in answer.url and headers.get("accept-encoding") == "identity"
    return msgspec.structs.replace(answer, status=404) if again and "missing-" not in answer.url else answer


FAULTS: dict[str, tuple[set[str], list[Quirk]]] = {
    "manifests for an hour": ({"HTTP-CACHE-MANIFEST"}, [header(MANIFEST, "cache-control", "max-age=3600")]),
    "manifests without a lifetime": ({"HTTP-CACHE-UNSTATED"}, [header(MANIFEST, "cache-control", None)]),
    "segments for a second": ({"HTTP-CACHE-SEGMENT"}, [header(MEDIA, "cache-control", "max-age=1")]),
    "segments without a lifetime": ({"HTTP-CACHE-SEGMENT"}, [header(MEDIA, "cache-control", None)]),
    "errors for an hour": ({"HTTP-CACHE-ERROR"}, [header(ANY, "cache-control", "max-age=3600", (404, 412))]),
    "a manifest of type text": ({"HTTP-TYPE"}, [header(MANIFEST, "content-type", "text/plain")]),
    "segments of type text": ({"HTTP-TYPE"}, [header(MEDIA, "content-type", "text/html; charset=utf-8")]),
    "a wrong length": ({"HTTP-LENGTH"}, [header(ANY, "content-length", "7", (200,))]),
    "gzip without Vary": ({"HTTP-VARY"}, [header(MANIFEST, "vary", None)]),
    "no CORS": ({"HTTP-CORS"}, [header(ANY, "access-control-allow-origin", None)]),
    "CORS by echo without Vary": ({"HTTP-CORS-VARY"}, [echoed]),
    "405 to HEAD": ({"HTTP-HEAD"}, [bad_head]),
    "no length to HEAD": ({"HTTP-HEAD-FIELDS"}, [head_without_length]),
    "304 without ETag": ({"HTTP-304"}, [empty_304]),
    "200 to a condition that holds": ({"HTTP-CONDITIONAL"}, [never_304]),
    "no validators": ({"HTTP-VALIDATOR"}, [header(ANY, "etag", None)]),
    "ranges ignored": ({"HTTP-RANGE-IGNORED"}, [learning, ignoring("range")]),
    "wrong bytes of a range": ({"HTTP-RANGE"}, [wrong_part]),
    "wrong Content-Range": ({"HTTP-CONTENT-RANGE"}, [wrong_total]),
    "206 behind the end": ({"HTTP-RANGE-416"}, [no_416]),
    "If-Range ignored": ({"HTTP-IF-RANGE"}, [if_range_ignored]),
    "other bytes the second time": ({"HTTP-IMMUTABLE"}, [other_bytes]),
    "nothing the second time": ({"HTTP-STATUS"}, [gone]),
    "other bytes without gzip": ({"HTTP-CODING"}, [other_identity]),
    "gzip for who can't": ({"HTTP-CODING"}, [always_coded]),
    "one tag for two codings": ({"HTTP-ETAG-CODING"}, [one_etag]),
    "a tag that never changes": ({"HTTP-ETAG"}, [stale_etag]),
    "a tag that always changes": ({"HTTP-ETAG-UNSTABLE"}, [Count()]),
    "200 for what is not there": ({"HTTP-MISSING"}, [soft_404]),
}


def test_a_good_server_is_clean() -> None:
    report = judged(seconds=SECONDS)
    assert said(report) == set()
    assert_clean(report)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_by_the_rule_meant_for_it(name: str) -> None:
    rules, quirks = FAULTS[name]
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
