"""Ingest URLs: any text is a target or a refusal, and what real encoders send is understood."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pypackager.ingest.urls import Target, host_of, host_of_url, parse_http_target, parse_rtmp_target
from pypackager.model.errors import PackagerError

PIECES = st.sampled_from(
    ["/", "news", "ingest.isml", "INGEST.ISML", "Streams(", ")", "secondary", "..", ".", "%2e", "%", "%00", "Events(", "?", "é"]
)
TEXT = st.text() | st.lists(PIECES).map("".join)


def outcome(parse: Callable[[], Target]) -> Target | PackagerError:
    try:
        return parse()
    except PackagerError as error:
        return error


@given(TEXT, st.sampled_from([None, "own"]))
def test_any_text_is_a_target_or_a_refusal(text: str, owner: str | None) -> None:
    found = outcome(partial(parse_http_target, text, owner))
    if isinstance(found, PackagerError):
        assert found.code in ("INGEST_URL_INVALID", "EVENTS_REFUSED")
        assert 400 <= found.status < 500
        assert len(found.detail) < 400
        return
    assert found.side in ("primary", "secondary")
    assert 0 < len(found.stream) <= 256
    assert "/" not in found.channel
    assert found.channel not in ("", ".", "..")


@given(TEXT, TEXT, st.sampled_from([None, "own"]))
def test_any_application_and_stream_is_a_target_or_a_refusal(app: str, stream: str, owner: str | None) -> None:
    target = outcome(partial(parse_rtmp_target, app, stream, app, owner))
    if isinstance(target, PackagerError):
        assert target.code in ("INGEST_URL_INVALID", "STREAM_NAME_PATTERN")
        assert len(target.detail) < 400
        return
    assert target.side in ("primary", "secondary")
    assert all(0 < len(part) <= 256 and part not in (".", "..") and "/" not in part for part in (target.channel, target.stream))


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("/news/ingest.isml/Streams(720p)", Target("news", "primary", "720p")),
        ("/news/ingest.isml/streams(720p)", Target("news", "primary", "720p")),
        ("/news/Ingest.ISML/STREAMS(a b)", Target("news", "primary", "a b")),
        ("/news/ingest.isml/Streams%28720p%29", Target("news", "primary", "720p")),
        ("/news/secondary/ingest.isml/Streams(v)?key=1", Target("news", "secondary", "v", "1")),
        ("/news/ingest.isml/Streams(v)?a=b&key=k%2De&key=other", Target("news", "primary", "v", "k-e")),
        ("//news//ingest.isml//Streams(v)", Target("news", "primary", "v")),
    ],
)
def test_http_targets(text: str, target: Target) -> None:
    assert parse_http_target(text) == target


@pytest.mark.parametrize(
    ("app", "stream", "target"),
    [
        ("news", "v1", Target("news", "primary", "v1")),
        ("news/secondary", "v1", Target("news", "secondary", "v1")),
        ("news", "secondary/v1", Target("news", "secondary", "v1")),
        ("", "news/v1", Target("news", "primary", "v1")),
        ("news/", "/v1", Target("news", "primary", "v1")),
    ],
)
def test_rtmp_targets(app: str, stream: str, target: Target) -> None:
    assert parse_rtmp_target(app, stream, "") == target
    assert parse_rtmp_target(app, stream, "x=1&key=abc") == replace(target, key="abc")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("/ingest.isml/Streams(v)", Target("own", "primary", "v")),
        ("/Secondary/ingest.isml/Streams(v)", Target("own", "secondary", "v")),
        ("/primary/ingest.isml/Streams(v)", Target("own", "primary", "v")),
        ("/news/ingest.isml/Streams(v)", Target("news", "primary", "v")),
        ("/news/secondary/ingest.isml/Streams(v)?key=k", Target("news", "secondary", "v", "k")),
    ],
)
def test_a_host_of_a_channel_stands_for_its_name(text: str, target: Target) -> None:
    assert parse_http_target(text, "own") == target


@pytest.mark.parametrize(
    ("app", "stream", "side"),
    [
        ("live", "v1", "primary"),
        ("own", "v1", "primary"),
        ("news", "v1", "primary"),
        ("live/secondary", "v1", "secondary"),
        ("live", "secondary/v1", "secondary"),
        ("Secondary", "v1", "secondary"),
        ("v1", "", "primary"),
    ],
)
def test_rtmp_needs_an_application_on_any_host(app: str, stream: str, side: str) -> None:
    assert parse_rtmp_target(app, stream, "", "own") == Target("own", side, "v1")  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["live/low/v1", "", "live/../v1"])
def test_an_application_is_one_name(path: str) -> None:
    with pytest.raises(PackagerError, match="INGEST_URL_INVALID"):
        parse_rtmp_target(path, "", "", "own")


@pytest.mark.parametrize(
    ("said", "host"),
    [("News.Test", "news.test"), ("news.test.:8088", "news.test"), ("u:p@news.test:1", "news.test"), ("[::1]:80", "["), ("", "")],
)
def test_hosts_are_compared_by_their_name_alone(said: str, host: str) -> None:
    assert host_of(said) == host
    assert host_of_url(f"rtmp://{said}/live?x") == host
    assert host_of_url(f"rtmp://{said}") == host


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("/news/ingest.isml/Events(x)", "EVENTS_REFUSED"),
        ("/news/ingest.isml/Streams()", "INGEST_URL_INVALID"),
        ("/ingest.isml/Streams(v)", "INGEST_URL_INVALID"),
        ("/a/b/c/ingest.isml/Streams(v)", "INGEST_URL_INVALID"),
        ("/../ingest.isml/Streams(v)", "INGEST_URL_INVALID"),
        ("/news/ingest.isml/Streams(" + "x" * 5000 + ")", "INGEST_URL_INVALID"),
        ("/news/ingest.isml/Streams(v)?" + "a=b&" * 100, "INGEST_URL_INVALID"),
    ],
)
def test_refused_http_targets(text: str, code: str) -> None:
    with pytest.raises(PackagerError) as refused:
        parse_http_target(text)
    assert refused.value.code == code


def test_a_number_that_was_not_put_into_a_name_is_refused() -> None:
    with pytest.raises(PackagerError) as caught:
        parse_rtmp_target("news", "live%i", "")
    assert (caught.value.code, caught.value.status) == ("STREAM_NAME_PATTERN", 400)
    assert parse_rtmp_target("news", "live%20i", "").stream == "live%20i"
