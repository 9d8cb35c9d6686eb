"""Strips and pages: what is kept of a long list while its window moves."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from pypackager.model.plan import Text
from pypackager.packaging.rows import BLOCK, Page, Strip, entity_tag

ROWS = 8 * BLOCK


def _entry(row: int) -> bytes:
    return f"{row:0100}\n".encode()


def _page(strip: Strip, stop: int) -> Page:
    """The version that lists ROWS rows, the last of which comes with it."""
    while strip.end < stop:
        strip.append(strip.end, _entry(strip.end))
        strip.end += 1
    strip.trim(stop - ROWS)
    page = Page()
    page.add("head")
    page.add_rows(strip.slice(stop - ROWS, stop))
    page.add("tail")
    return page


def test_both_forms_of_a_page_are_its_text_and_share_what_versions_have_in_common() -> None:
    strip = Strip(0)
    before, after = (_page(strip, stop) for stop in (ROWS + 100, ROWS + 101))
    (old, old_gzip), (body, member) = ((page.body(), page.gzip()) for page in (before, after))
    assert isinstance(body, Text)
    assert isinstance(member, Text)
    text = b"head" + b"".join(map(_entry, range(101, ROWS + 101))) + b"tail"
    assert (b"".join(body.parts), after.join(), after.size()) == (text, text, len(text))
    assert gzip.decompress(b"".join(member.parts)) == text
    assert isinstance(old, Text)
    assert isinstance(old_gzip, Text)
    assert body.parts[1] is old.parts[1]
    assert member.parts[1] is old_gzip.parts[1]


@pytest.mark.parametrize("count", [5, BLOCK // 2, ROWS], ids=["plain", "one piece", "in parts"])
def test_the_entity_tag_is_of_the_text_alone(count: int) -> None:
    for first in (0, 100):
        strip = Strip(0)
        for row in range(first, first + count):
            strip.append(row, _entry(row - first))
        page = Page()
        page.add_rows(strip.slice(first, first + count))
        text = b"".join(map(_entry, range(count)))
        assert page.publish("text/plain").etag == entity_tag(zlib.crc32(text), len(text))


def test_a_list_is_in_memory_once_while_its_window_moves() -> None:
    strip = Strip(0)
    tracemalloc.start()
    try:
        for stop in range(ROWS, ROWS + 4 * BLOCK, BLOCK // 4):
            _page(strip, stop).publish("text/plain")
        current, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert current < 1.5 * ROWS * len(_entry(0))
