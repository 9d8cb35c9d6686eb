"""Faults of servers, each with the rule that is meant to find it; what is served may be any recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from pypackager.check.origin import Answer
from tests.helpers.good_server import Quirk, set_header

_Where = Callable[[str], bool]
"""Which URLs."""


def _manifests(url: str) -> bool:
    """Manifests of any format."""
    return url.endswith((".m3u8", ".mpd", "/manifest"))


def _media(url: str) -> bool:
    """Segments and headers of any format."""
    return "Fragments(" in url or url.endswith((".m4s", ".mp4", ".ts"))


def _anything(_: str) -> bool:
    """All URLs."""
    return True


def _header(where: _Where, name: str, value: str | None, status: tuple[int, ...] = (200, 206, 304)) -> Quirk:
    """Answers of some URLs have another value of a header."""

    def quirk(_: str, __: Mapping[str, str], answer: Answer) -> Answer:
        wanted = where(answer.url) and answer.status in status and (value is None or answer.header(name) is not None or name == "expires")
        return set_header(answer, name, value) if wanted else answer

    return quirk


class _RangesIgnored:
    """The server says that it knows ranges, and gives the whole."""

    def __init__(self) -> None:
        """It learns what is whole from what it gives."""
        self.whole: dict[str, Answer] = {}

    def __call__(self, method: str, headers: Mapping[str, str], answer: Answer) -> Answer:
        """As a quirk is called."""
        if method == "GET" and answer.status == 200 and headers.get("accept-encoding") == "identity":
            self.whole.setdefault(answer.url, answer)
        return self.whole[answer.url] if "range" in headers and method == "GET" else answer


def _bad_head(method: str, _: Mapping[str, str], answer: Answer) -> Answer:
    return msgspec.structs.replace(answer, status=405) if method == "HEAD" and _media(answer.url) else answer


def _head_without_length(method: str, _: Mapping[str, str], answer: Answer) -> Answer:
    return set_header(answer, "content-length", "0") if method == "HEAD" and _media(answer.url) else answer


def _empty_304(_: str, __: Mapping[str, str], answer: Answer) -> Answer:
    return set_header(answer, "etag", None) if answer.status == 304 and _media(answer.url) else answer


def _never_304(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    return msgspec.structs.replace(answer, status=200) if answer.status == 304 and _media(answer.url) else answer


def _wrong_part(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    if answer.status != 206:
        return answer
    return msgspec.structs.replace(answer, body=answer.body[1:] + b"\x00")


def _wrong_total(_: str, __: Mapping[str, str], answer: Answer) -> Answer:
    return set_header(answer, "content-range", "bytes 0-99/100") if answer.status == 206 else answer


def _no_416(_: str, __: Mapping[str, str], answer: Answer) -> Answer:
    return msgspec.structs.replace(answer, status=206) if answer.status == 416 else answer


def _if_range_ignored(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    if "if-range" not in headers:
        return answer
    return msgspec.structs.replace(answer, status=206, body=answer.body[:100])


def _other_bytes(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    """Whoever asks a second time gets another last byte."""
    if not _media(answer.url) or headers.get("accept-encoding") != "identity" or answer.status != 200:
        return answer
    return msgspec.structs.replace(answer, body=answer.body[:-1] + b"\xff")


def _other_identity(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    if not _manifests(answer.url) or headers.get("accept-encoding") != "identity":
        return answer
    return msgspec.structs.replace(answer, body=answer.body + b"\n")


def _always_coded(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    if not _manifests(answer.url) or headers.get("accept-encoding") != "identity" or answer.status != 200:
        return answer
    return set_header(answer, "content-encoding", "gzip")


def _one_etag(method: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    """The tag of the gzip is that of the body."""
    etag = (answer.header("etag") or "").replace("-gzip", "")
    if not _manifests(answer.url) or not etag:
        return answer
    if headers.get("if-none-match") == etag:
        answer = msgspec.structs.replace(answer, status=304, body=b"")
    return set_header(answer, "etag", etag)


def _stale_etag(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    """The manifest keeps one tag for ever; conditions were answered by the true one."""
    if not _manifests(answer.url) or answer.header("etag") is None:
        return answer
    if "if-none-match" in headers:
        answer = msgspec.structs.replace(answer, status=304, body=b"")
    return set_header(answer, "etag", '"gzip"' if answer.header("content-encoding") else '"one"')


class _ETagOfItsOwn:
    """Each answer for media has a tag of its own."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self, method: str, headers: Mapping[str, str], answer: Answer) -> Answer:
        self.n += 1
        return set_header(answer, "etag", f'"{self.n}"') if _media(answer.url) and answer.header("etag") else answer


def _soft_404(_: str, __: Mapping[str, str], answer: Answer) -> Answer:
    return msgspec.structs.replace(answer, status=200, body=b"sorry") if "missing-" in answer.url else answer


def _echoed(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    return set_header(answer, "access-control-allow-origin", headers["origin"]) if "origin" in headers else answer


def _gone(_: str, headers: Mapping[str, str], answer: Answer) -> Answer:
    """A second time there is nothing."""
    again = _media(answer.url) and headers.get("accept-encoding") == "identity"
    return msgspec.structs.replace(answer, status=404) if again and "missing-" not in answer.url else answer


def server_faults() -> dict[str, tuple[set[str], list[Quirk]]]:
    """Each with the rules that find it; some learn from what is asked, so they are made anew."""
    return {
        "manifests for an hour": ({"HTTP-CACHE-MANIFEST"}, [_header(_manifests, "cache-control", "max-age=3600")]),
        "manifests without a lifetime": ({"HTTP-CACHE-UNSTATED"}, [_header(_manifests, "cache-control", None)]),
        "segments for a second": ({"HTTP-CACHE-SEGMENT"}, [_header(_media, "cache-control", "max-age=1")]),
        "segments without a lifetime": ({"HTTP-CACHE-SEGMENT"}, [_header(_media, "cache-control", None)]),
        "errors for an hour": ({"HTTP-CACHE-ERROR"}, [_header(_anything, "cache-control", "max-age=3600", (404, 412))]),
        "a manifest of type text": ({"HTTP-TYPE"}, [_header(_manifests, "content-type", "text/plain")]),
        "segments of type text": ({"HTTP-TYPE"}, [_header(_media, "content-type", "text/html; charset=utf-8")]),
        "a wrong length": ({"HTTP-LENGTH"}, [_header(_anything, "content-length", "7", (200,))]),
        "gzip without Vary": ({"HTTP-VARY"}, [_header(_manifests, "vary", None)]),
        "no CORS": ({"HTTP-CORS"}, [_header(_anything, "access-control-allow-origin", None)]),
        "CORS by echo without Vary": ({"HTTP-CORS-VARY"}, [_echoed]),
        "405 to HEAD": ({"HTTP-HEAD"}, [_bad_head]),
        "no length to HEAD": ({"HTTP-HEAD-FIELDS"}, [_head_without_length]),
        "304 without ETag": ({"HTTP-304"}, [_empty_304]),
        "200 to a condition that holds": ({"HTTP-CONDITIONAL"}, [_never_304]),
        "no validators": ({"HTTP-VALIDATOR"}, [_header(_anything, "etag", None)]),
        "ranges ignored": ({"HTTP-RANGE-IGNORED"}, [_RangesIgnored()]),
        "wrong bytes of a range": ({"HTTP-RANGE"}, [_wrong_part]),
        "wrong Content-Range": ({"HTTP-CONTENT-RANGE"}, [_wrong_total]),
        "206 behind the end": ({"HTTP-RANGE-416"}, [_no_416]),
        "If-Range ignored": ({"HTTP-IF-RANGE"}, [_if_range_ignored]),
        "other bytes the second time": ({"HTTP-IMMUTABLE"}, [_other_bytes]),
        "nothing the second time": ({"HTTP-STATUS"}, [_gone]),
        "other bytes without gzip": ({"HTTP-CODING"}, [_other_identity]),
        "gzip for who can't": ({"HTTP-CODING"}, [_always_coded]),
        "one tag for two codings": ({"HTTP-ETAG-CODING"}, [_one_etag]),
        "a tag that never changes": ({"HTTP-ETAG"}, [_stale_etag]),
        "a tag that always changes": ({"HTTP-ETAG-UNSTABLE"}, [_ETagOfItsOwn()]),
        "200 for what is not there": ({"HTTP-MISSING"}, [_soft_404]),
    }
