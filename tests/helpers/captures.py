"""Requests of real encoders, as they were captured.

In: the bytes of a file in rust/core/tests/data. Out: the body. Nothing here imports pypackager.
"""

from __future__ import annotations


def body_of(request: bytes) -> bytes:
    """The body of a captured request, without its chunk framing."""
    at, body = request.index(b"\r\n\r\n") + 4, b""
    while size := int(request[at : (line := request.index(b"\r\n", at))], 16):
        body += request[line + 2 : line + 2 + size]
        at = line + 4 + size
    return body
