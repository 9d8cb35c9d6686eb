"""How many files and sockets this process may have open, and how many of them are for viewers.

In: what the operator asks for. Out: settings of this process. Never: a socket.

A service manager gives a process a low limit that it may raise by itself, for the sake of programs that call select(2). Connections of
viewers are bounded below the limit, so that a crowd leaves descriptors for what is recorded.
"""

from __future__ import annotations

import resource

RESERVED = 1024
"""Descriptors for encoders, blobs, journals, the REST API and the console."""


def allow_descriptors() -> None:
    """Raises the limit as far as the process may by itself."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def for_viewers(wanted: int) -> int:
    """So many connections of viewers there may be: what is wanted, and never more than leaves the reserve, or half where that is all."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if limit == resource.RLIM_INFINITY else min(wanted, max(limit - RESERVED, limit // 2))
