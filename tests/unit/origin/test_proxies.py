"""Whom a request comes from, with proxies in front; the rule itself is tested where it is, in the native core."""

from __future__ import annotations

from typing import Literal

import pytest

from pypackager._core import Proxies
from pypackager.origin.proxies import client

TRUSTED = ["10.0.0.0/8", "2001:db8::/32"]
Told = list[tuple[str, str]]


def seen(peer: str | None, told: Told, header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for") -> str:
    return client(Proxies(TRUSTED, header), peer, told)


@pytest.mark.parametrize(
    ("peer", "told", "expected"),
    [
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["1.1.1.1, 203.0.113.9", "10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["203.0.113.9, no address"], "no address"),
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("fe80::1%eth0", ["203.0.113.9"], "fe80::1%eth0"),
        (None, ["203.0.113.9, 10.0.0.1"], "203.0.113.9"),
        (None, ["203.0.113.9", "10.0.0.1"], "203.0.113.9"),
        (None, ["203.0.113.9, 192.0.2.1"], "192.0.2.1"),
        (None, ["192.0.2.1"], "192.0.2.1"),
    ],
)
def test_addresses_are_believed_from_the_right_up_to_the_first_stranger(peer: str | None, told: list[str], expected: str) -> None:
    assert seen(peer, [("x-forwarded-for", line) for line in told]) == expected


def test_the_header_that_the_proxy_does_not_write_is_not_read() -> None:
    other = ("x-forwarded-for", "6.6.6.6")
    assert seen("10.0.0.1", [("forwarded", "for=6.6.6.6")]) == "10.0.0.1"
    assert seen("10.0.0.1", [("forwarded", 'for="203.0.113.9:47011"'), other], "forwarded") == "203.0.113.9"
    assert seen(None, [("forwarded", "for=203.0.113.9"), ("x-forwarded-for", "6.6.6.6, 10.0.0.1")], "forwarded") == "203.0.113.9"


def test_a_header_that_no_proxy_writes_is_refused() -> None:
    with pytest.raises(ValueError, match="via"):
        Proxies([], "via")  # type: ignore[arg-type]
