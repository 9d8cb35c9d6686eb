"""Whose address a request has, on a socket of ours or behind our own front.

In: the peer's address, headers. Out: the viewer's address. Never: a judgement of its own, that is the native core's, which the front door
and ingest ask as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from pypackager._core import Proxies

_APPENDED = "x-forwarded-for"
"""Where our own front has appended whom it saw."""


def client(proxies: Proxies, peer: str | None, headers: Sequence[tuple[str, str]]) -> str:
    """The viewer's address of a request; header names are in lower case, `peer` is None behind our own front."""
    lines = [value for name, value in headers if name == proxies.header]
    if peer is None:
        before, _, peer = ",".join(value for name, value in headers if name == _APPENDED).rpartition(",")
        lines = [before] if proxies.header == _APPENDED else lines
    return proxies.viewer(peer.strip(), lines)
