"""Asks over HTTP: bounded in time and size, and no faster than told.

In: requests. Out: answers. Never: a retry; a player's first impression is what counts.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
import trio

from pypackager.check.origin import Answer

_TIMEOUT_SECONDS = 15.0
_MOST_BYTES = 256 << 20
"""No segment of any ladder is longer; a body without an end must not fill the memory."""
_AGENT = "pypackager-check"


class HttpOrigin:
    """The origin that URLs name."""

    def __init__(self, client: httpx.AsyncClient, rate: float = 0.0) -> None:
        """`rate`: most requests a second; 0 is no limit."""
        self._client = client
        self._spacing = 1.0 / rate if rate > 0 else 0.0
        self._next = 0.0

    def utc(self) -> float:
        """The machine's clock."""
        return time.time()

    async def ask(self, url: str, *, method: str = "GET", headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        """Asks once."""
        await self._take_turn()
        asked = self.utc()
        try:
            async with self._client.stream(method, url, headers=list(headers)) as response:
                parts: list[bytes] = []
                size = 0
                async for part in response.aiter_bytes():
                    parts.append(part)
                    size += len(part)
                    if size > _MOST_BYTES:
                        return Answer(url, 0, asked=asked, answered=self.utc(), fault=f"a body of more than {_MOST_BYTES} bytes")
                final = str(response.url) if response.history else ""
                pairs = tuple((name.lower(), value) for name, value in response.headers.multi_items())
                wire = response.num_bytes_downloaded
                return Answer(url, response.status_code, pairs, b"".join(parts), wire, asked, self.utc(), final)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as fault:
            return Answer(url, 0, asked=asked, answered=self.utc(), fault=f"{type(fault).__name__}: {fault}")

    async def _take_turn(self) -> None:
        if self._spacing:
            now = trio.current_time()
            turn = max(now, self._next)
            self._next = turn + self._spacing
            await trio.sleep(turn - now)


@asynccontextmanager
async def open_http_origin(rate: float = 0.0, trust: ssl.SSLContext | bool = True) -> AsyncGenerator[HttpOrigin]:
    """An origin with connections of its own, closed at the end; `trust`: whom HTTPS is believed of, True: the public authorities."""
    limits = httpx.Limits(max_connections=8, max_keepalive_connections=8)
    async with httpx.AsyncClient(
        timeout=_TIMEOUT_SECONDS, limits=limits, follow_redirects=True, headers={"User-Agent": _AGENT}, trust_env=False, verify=trust
    ) as client:
        yield HttpOrigin(client, rate)
