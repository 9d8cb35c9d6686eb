"""The console's files."""

from __future__ import annotations

import gzip
import re

import pytest

from pypackager.console import Pages

SCRIPTS = ["player.js", "engines.js", "view.js", "condition.js"]


def text(name: str) -> str:
    found = Pages().static(name)
    assert found is not None
    assert isinstance(found.body, bytes)
    return found.body.decode()


def test_names_are_escaped_in_the_player_page() -> None:
    page = Pages().player("../", 'a/"><script>.ism', "<b>&")
    assert isinstance(page.body, bytes)
    body = page.body.decode()
    assert '<meta name="presentation" content="../a/&quot;&gt;&lt;script&gt;.ism">' in body
    assert "<title>&lt;b&gt;&amp; · pypackager</title>" in body
    assert "{{" not in body
    assert isinstance(page.gzip, bytes)
    assert gzip.decompress(page.gzip) == page.body


def test_the_policy_lets_nobody_else_in() -> None:
    policy = dict(Pages().player("../", "r", "t").headers)["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert "http" not in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("name", ["", ".", "..", "../pages.py", "nothing", "vendor", "vendor/", "/player.js", "player.js/"])
def test_only_files_that_are_there(name: str) -> None:
    assert Pages().static(name) is None


def test_a_file_is_read_once_and_named_by_its_content() -> None:
    pages = Pages()
    first = pages.static("player.css")
    assert first is pages.static("player.css")
    other = pages.static("player.js")
    assert first is not None
    assert other is not None
    assert first.etag != other.etag
    assert (first.content_type, other.content_type) == ("text/css; charset=utf-8", "text/javascript; charset=utf-8")


@pytest.mark.parametrize("name", [*SCRIPTS, "player.css"])
def test_no_outside_host_is_named(name: str) -> None:
    assert not re.search(r"https?://", text(name))


def test_every_element_that_the_scripts_touch_is_in_the_page() -> None:
    page = Pages().player("../", "r", "t")
    assert isinstance(page.body, bytes)
    ids = set(re.findall(r'id="([\w-]+)"', page.body.decode()))
    touched = {match for name in SCRIPTS for match in re.findall(r'\$\("([\w-]+)"\)', text(name))}
    assert touched <= ids
    icons = set(re.findall(r'"#(i-\w+)"', text("player.js")))
    assert icons <= ids


def test_each_format_has_a_key_of_its_own() -> None:
    keys = re.findall(r'key: "([\w-]+)"', text("engines.js"))
    assert sorted(keys) == sorted({"hls", "ts", "ts3", "dash", "shaka-dash", "shaka-hls", "smooth", "native", "hds"})
