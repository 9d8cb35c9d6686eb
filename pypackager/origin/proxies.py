"""Whose address a request has: the peer's, or what the proxies in front of us say.

In: the peer's address, headers. Out: the viewer's address. Never: a word of a proxy that the operator has not named, nor of a header other
than the one that they write: what else stands there, the viewer may have sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Literal

ProxyHeader = Literal["x-forwarded-for", "forwarded"]

_FOR = re.compile(r'(?:^|;)\s*for=(?:"([^"]*)"|([^;\s]*))', re.IGNORECASE)


class Proxies:
    """The proxies that are believed.

    Args:
        trusted: whether an address is one of theirs.
        header: the one that they append to.
    """

    def __init__(self, trusted: Callable[[str], bool], header: ProxyHeader = "x-forwarded-for") -> None:
        self._trusted = trusted
        self._header = header

    def client(self, peer: str | None, headers: Mapping[str, str]) -> str:
        """The viewer's address of a request; `peer` is None behind our own front, which has appended to X-Forwarded-For whom it saw."""
        told = dict(headers)
        if peer is None:
            told["x-forwarded-for"], _, peer = told.get("x-forwarded-for", "").rpartition(",")
        return self.viewer(peer.strip(), told.get(self._header, ""))

    def viewer(self, address: str, told: str) -> str:
        """The address nearest to us, from the right, that is no trusted proxy's; the last of all when each of them is."""
        hops = [hop.strip() for hop in told.split(",") if hop.strip()]
        while hops and self._trusted(address):
            hop = hops.pop()
            address = _node(hop) if self._header == "forwarded" else hop
        return address


def _node(element: str) -> str:
    """The address in an element of Forwarded (RFC 7239 4 and 6), without its port; what is hidden stays what it says."""
    found = _FOR.search(element)
    if found is None:
        return "unknown"
    node = found[1] if found[1] is not None else found[2]
    if node.startswith("["):
        return node[1:].partition("]")[0]
    return node.partition(":")[0]
