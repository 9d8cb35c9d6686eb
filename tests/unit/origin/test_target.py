"""Request targets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypackager.ingest.urls import Target, parse_http_target, parse_rtmp_target
from pypackager.model.errors import PackagerError
from pypackager.origin.target import Place, Route, parse_target, presentation_root, preview_root

PAGE = (Path(__file__).parents[3] / "docs/reference/urls.md").read_text()


def test_the_reference_page_names_every_place() -> None:
    shown = {parse_target(re.sub(r"[{}]", "", url).encode(), b"").place for url in re.findall(r"`(/[^`]+)`", PAGE) if url != "/metrics"}
    assert shown >= set(get_args(Place)) - {"none"}
    assert not [place for place in shown if place == "none"]


def test_the_reference_page_says_where_encoders_push() -> None:
    posts = [parse_http_target(url) for url in re.findall(r"`http://{host}:8088(/[^`]+)`", PAGE)]
    publishes = [parse_rtmp_target(app, name, "") for app, name in re.findall(r"`rtmp://{host}:1935/([^`]+)/([^`/]+)`", PAGE)]
    assert posts == publishes == [Target("{channel}", "primary", "{stream}"), Target("{channel}", "secondary", "{stream}")]


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/show/show.ism/manifest", Route("locator", "show", "show", "manifest")),
        ("/show/show.ism/Manifest(format=mpd-time-csf)", Route("locator", "show", "show", "manifest(format=mpd-time-csf)")),
        ("/show/show.ism/manifests/x", Route("locator", "show", "show", "manifests/x")),
        ("/show/show.ism", Route("locator", "show", "show", "")),
        ("/a/b/c.ism/x/y", Route("locator", "a/b", "c", "x/y")),
        ("/show/v1.ism.old.ism/x", Route("locator", "show", "v1.ism.old", "x")),
        ("/preview/news.isml/master.m3u8", Route("preview", "news", rest="master.m3u8")),
        ("/preview/a/news.isml/x", Route("locator", "preview/a", "news", "x")),
        ("/show/show.ism/time", Route("time")),
        ("/show.ism/manifest", Route("none")),
        ("/show/..ism/manifest", Route("none")),
        ("/show/...ism/manifest", Route("none")),
        ("/preview/...isml/manifest", Route("none")),
        ("/show/.ism/manifest", Route("none")),
        ("/play/show", Route("play", "show")),
        ("/play/a/b", Route("play", "a/b")),
        ("/play/preview", Route("play", "preview")),
        ("/play/preview/news", Route("play-preview", "news")),
        ("/static/vendor/hls.min.js", Route("static", "vendor/hls.min.js")),
        ("/favicon.ico", Route("static", "favicon.svg")),
        ("/readyz", Route("ready")),
        ("http://h:1/readyz", Route("ready")),
        ("http://h:1", Route("none")),
    ],
)
def test_routes(path: str, route: Route) -> None:
    assert parse_target(path.encode(), b"") == route


@given(st.binary(max_size=200))
def test_any_bytes_are_a_route_or_an_error(path: bytes) -> None:
    try:
        route = parse_target(b"/" + path, b"")
    except PackagerError:
        return
    assert ".." not in f"{route.name}/{route.asset}/{route.rest}".split("/")


_NAME = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="/\\"), min_size=1).filter(
    lambda name: name not in (".", "..")
)


@given(_NAME.filter(lambda name: name.lower() not in ("play", "static", "preview")), _NAME, st.booleans())
def test_roots_lead_back(locator: str, asset: str, encode_all: bool) -> None:
    root = presentation_root(locator, asset)
    if encode_all:
        root = "/".join(quote(part.encode(), safe="") for part in f"/{locator}/{asset}.ism".split("/"))
    assert parse_target(root.encode() + b"/x", b"") == Route("locator", locator, asset, "x")
    assert parse_target(preview_root(asset).encode() + b"/x", b"") == Route("preview", asset, rest="x")
