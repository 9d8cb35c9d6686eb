"""Whom a request comes from, with proxies in front."""

from __future__ import annotations

import pytest

from pypackager._core import Networks
from pypackager.origin.proxies import Proxies, ProxyHeader

TRUSTED = Networks(["10.0.0.0/8", "2001:db8::/32"]).allows


def client(peer: str | None, header: ProxyHeader = "x-forwarded-for", **told: str) -> str:
    """The viewer's address; header names are written with underscores."""
    return Proxies(TRUSTED, header).client(peer, {name.replace("_", "-"): value for name, value in told.items()})


@pytest.mark.parametrize(
    ("peer", "told", "expected"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
        (None, "203.0.113.9, 10.0.0.1", "203.0.113.9"),
        (None, "203.0.113.9, 192.0.2.1", "192.0.2.1"),
        (None, "192.0.2.1", "192.0.2.1"),
    ],
)
def test_addresses_are_believed_from_the_right_up_to_the_first_stranger(peer: str | None, told: str, expected: str) -> None:
    assert client(peer, x_forwarded_for=told) == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("for=203.0.113.9;proto=https;by=10.0.0.1", "203.0.113.9"),
        ('For="203.0.113.9:47011"', "203.0.113.9"),
        ('proto=https;for="[2001:db9::17]:4711"', "2001:db9::17"),
        ("for=1.1.1.1, for=203.0.113.9, for=10.0.0.2", "203.0.113.9"),
        ("for=_hidden", "_hidden"),
        ("proto=https", "unknown"),
    ],
)
def test_the_standard_header_is_read_where_the_proxy_writes_it(told: str, expected: str) -> None:
    assert client("10.0.0.1", "forwarded", forwarded=told, x_forwarded_for="6.6.6.6") == expected
    assert client(None, "forwarded", forwarded=told, x_forwarded_for="6.6.6.6, 10.0.0.1") == expected
    assert client("192.0.2.1", "forwarded", forwarded=told) == "192.0.2.1"


def test_the_header_that_the_proxy_does_not_write_is_not_read() -> None:
    assert client("10.0.0.1", forwarded="for=6.6.6.6") == "10.0.0.1"
