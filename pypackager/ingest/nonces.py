"""Nonces: values that are good for a while, for one realm, and once for each count.

In: a clock. Out: nonces, and whether one that comes back is still good. Never: memory for who merely asks.

Theory of operation. A nonce carries when it was made and a MAC of that and its realm, so nothing is kept of those that were given out. What
is kept is what somebody who knows the password has used: the highest count with a window of those below it, as IPsec keeps its sequence
numbers, since one client may speak on several connections. When `KEPT` are kept, the oldest one goes, and with it every nonce that is
older: one that is forgotten can not be used again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest, digest

LIFETIME_NS = 300_000_000_000
KEPT = 1024
"""Nonces whose counts are kept."""
WINDOW = 64
"""Counts below the highest that may still come."""
_TIME, _SALT, _MAC = 16, 16, 32


class Nonces:
    """Makes nonces and takes them back.

    Args:
        now_ns: a clock that never goes back.
        secret: of this process; nonces of another one are stale.
    """

    def __init__(self, now_ns: Callable[[], int], secret: bytes) -> None:
        self._now_ns = now_ns
        self._secret = secret
        self._used: dict[str, tuple[int, int]] = {}
        """Highest count and, as bits, that one and those below it that came."""
        self._floor_ns = -1
        """What was made by then is no longer good."""

    def __len__(self) -> int:
        return len(self._used)

    def make(self, realm: str) -> str:
        """A new one, of hexadecimal digits."""
        head = f"{self._now_ns():0{_TIME}x}{secrets.token_hex(_SALT // 2)}"
        return head + self._mac(head, realm)

    def spend(self, nonce: str, realm: str, count: int = 1) -> bool:
        """Uses one for a count (1, 2, …), for an answer that is right; False when too old, of another realm, or the count was used."""
        if not self._good(nonce, realm):
            return False
        highest, seen = self._used.pop(nonce, (0, 0))
        behind = highest - count
        fresh = count > 0 and behind < WINDOW and not (behind >= 0 and seen >> behind & 1)
        if fresh:
            seen = (seen | 1 << behind) if behind >= 0 else (seen << min(-behind, WINDOW) | 1) & (1 << WINDOW) - 1
            highest = max(highest, count)
        self._used[nonce] = highest, seen
        self._forget()
        return fresh

    def _good(self, nonce: str, realm: str) -> bool:
        head = nonce[: _TIME + _SALT]
        if not compare_digest(nonce.encode(), (head + self._mac(head, realm)).encode()):
            return False
        made = _made(nonce)
        return self._floor_ns < made and self._now_ns() - made < LIFETIME_NS

    def _forget(self) -> None:
        """Drops the oldest beyond the bound."""
        if len(self._used) > KEPT:
            oldest = min(self._used, key=_made)
            self._floor_ns = _made(oldest)
            del self._used[oldest]

    def _mac(self, head: str, realm: str) -> str:
        return digest(self._secret, f"{head}\0{realm}".encode(), sha256).hex()[:_MAC]


def _made(nonce: str) -> int:
    return int(nonce[:_TIME], 16)
