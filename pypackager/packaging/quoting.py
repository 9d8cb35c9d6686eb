"""Texts as HLS quotes them.

In: text. Out: a quoted-string, which can't contain quotes or line ends (RFC 8216 4.2). Never: an escape, which there is none of.
"""

from __future__ import annotations

_UNQUOTABLE = dict.fromkeys((*range(0x20), 0x7F), " ") | {ord('"'): "'"}


def quoted(text: str) -> str:
    """A quoted-string."""
    return f'"{text.translate(_UNQUOTABLE)}"'
