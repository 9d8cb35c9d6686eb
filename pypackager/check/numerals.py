"""Numbers in the texts that origins send: digits in, exact values out, and None for whatever else stands there.

Python's own readers take more than any manifest may hold: digits of other scripts, exponents whose value fills the memory, digits
without end (and `str.isdigit` takes what `int` refuses).
"""

from __future__ import annotations

import re
from fractions import Fraction

_WHOLE = re.compile(r"[0-9]{1,20}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})")


def whole(text: str) -> int | None:
    """A whole number without a sign."""
    return int(text) if _WHOLE.fullmatch(text) else None


def decimal(text: str) -> Fraction | None:
    """A decimal number without an exponent."""
    return Fraction(text) if _DECIMAL.fullmatch(text) else None
