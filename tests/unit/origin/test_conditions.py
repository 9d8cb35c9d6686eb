"""Conditional requests, ranges and lifetimes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypackager.origin.conditions import RangeNotSatisfiableError, accepts_gzip, cache_control, none_match, parse_range, quoted, range_holds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-", (0, 100)),
        ("bytes=-1", (99, 1)),
        ("bytes=-1000", (0, 100)),
        ("bytes=99-5000", (99, 1)),
        ("BYTES = 1 - 2", (1, 2)),
        ("bytes=2-1", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes=0-1,3-4", None),
        ("items=0-1", None),
        ("bytes=" + "9" * 5000 + "-", None),
    ],
)
def test_ranges(value: str, expected: tuple[int, int] | None) -> None:
    assert parse_range(value, 100) == expected


@pytest.mark.parametrize("value", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_ranges_outside(value: str) -> None:
    with pytest.raises(RangeNotSatisfiableError):
        parse_range(value, 100)


@given(st.text(), st.integers(0, 1 << 40))
def test_any_range_header_stays_inside(value: str, size: int) -> None:
    for header in (value, f"bytes={value}"):
        try:
            part = parse_range(header, size)
        except RangeNotSatisfiableError:
            continue
        if part is not None:
            offset, length = part
            assert length > 0
            assert 0 <= offset < offset + length <= size


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("br, gzip;q=0.5", True),
        ("*", True),
        ("x-gzip", True),
        ("", False),
        ("br", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzipped", False),
    ],
)
def test_gzip(value: str, accepted: bool) -> None:
    assert accepts_gzip(value) is accepted


def test_entity_tags() -> None:
    assert quoted("a") == quoted('"a"') == '"a"'
    assert quoted('"a"', "gzip") == '"a-gzip"'
    assert quoted('W/"a"', "gzip") == 'W/"a"', "a weak tag stands for all encodings"
    assert none_match('W/"x", "a-gzip"', "a")
    assert none_match('W/"a"', 'W/"a"')
    assert none_match('"a"', 'W/"a"')
    assert not range_holds('W/"a"', 'W/"a"')
    assert none_match("*", "a")
    assert not none_match('"b"', "a")
    assert not none_match("", "a")
    assert range_holds(None, "a")
    assert not range_holds('W/"a"', "a")
    assert not range_holds("Tue, 14 Nov 2023 22:13:20 GMT", "a")


@pytest.mark.parametrize(
    ("interval_ns", "value"),
    [(0, "max-age=1"), (1_920_000_000, "max-age=1"), (2_000_000_000, "max-age=1"), (6_000_000_000, "max-age=3")],
)
def test_a_manifest_lives_half_a_fragment_and_at_least_a_second(interval_ns: int, value: str) -> None:
    assert cache_control("manifest", interval_ns, shared=True).startswith(f"public, {value}, ")
