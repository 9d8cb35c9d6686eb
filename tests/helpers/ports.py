"""Ports for servers that are ended and started again: no other process gets them by chance in between."""

from __future__ import annotations

import os
import socket
from itertools import count

_FIRST, _LAST = 10_240, 32_000
"""Below what kernels hand out by themselves (net.ipv4.ip_local_port_range), as port 0 and the near end of connections."""
_turn = count(os.getpid() * 64)


def free_port() -> int:
    """A TCP port of the loopback address on which nobody listens; each call gives another one."""
    while True:
        port = _FIRST + next(_turn) % (_LAST - _FIRST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
