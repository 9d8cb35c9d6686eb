"""Ports for servers that are ended and started again: no other process gets them by chance in between."""

from __future__ import annotations

import os
import socket
from itertools import count

_FIRST, _LAST = 10_240, 32_000
"""Below what kernels hand out by themselves (net.ipv4.ip_local_port_range), as port 0 and the near end of connections."""
_SLICE = (_LAST - _FIRST) // 8
_turn = count(os.getpid() * 64)


def _number() -> int:
    """Of this worker of pytest's."""
    return int("0" + os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")) % 8


def free_port() -> int:
    """A TCP port of the loopback address on which nobody listens; each call gives another one.

    No worker beside gives it: a server that is ended for a moment finds its port free again.
    """
    while True:
        port = _FIRST + _SLICE * _number() + next(_turn) % _SLICE
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
