"""XML as text: attributes in the order they are given.

In: names and values. Out: a tag. Never: a tree.
"""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[ !#-%'-;=?-~]*")
# XML 1.0 2.2 has no place for control characters; a line end in an attribute would be read as a space.
_ESCAPES: dict[int, str] = {
    **dict.fromkeys((*range(0x20), 0x7F, 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)), " "),
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord('"'): "&quot;",
}


def escape(text: str) -> str:
    """Text for an attribute or between tags."""
    # Most texts are plain, and a search is cheaper than a translation.
    return text if _PLAIN.fullmatch(text) else text.translate(_ESCAPES)


def attributes(**values: str | int | None) -> str:
    """` name="value"` of each value that is not None."""
    return "".join(
        [f' {name}="{escape(value) if isinstance(value, str) else value}"' for name, value in values.items() if value is not None]
    )
