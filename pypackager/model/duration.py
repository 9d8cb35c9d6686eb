"""Durations as people write them: `500ms`, `2s`, `5m`, `1h30m`; exact nanoseconds inside."""

from __future__ import annotations

import re

from pypackager.model.errors import PackagerError

_DURATION = re.compile(r"(?P<value>\d+(?:\.\d{1,9})?)\s*(?P<unit>ms|s|m|h)")
_UNIT_NS = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}


def parse_duration(text: str) -> int:
    """``"2s"``, ``"500ms"``, ``"5m"``, ``"1.5h"``, ``"1h30m"`` to nanoseconds, exactly.

    Raises:
        PackagerError: CONFIG_INVALID.
    """
    position = 0
    total = 0
    while position < len(text):
        match = _DURATION.match(text, position)
        if match is None:
            break
        whole, _, fraction = match["value"].partition(".")
        unit = _UNIT_NS[match["unit"]]
        total += int(whole) * unit + (int(fraction.ljust(9, "0")) * unit // 10**9 if fraction else 0)
        position = match.end()
    if position == 0 or position != len(text):
        raise PackagerError(
            "CONFIG_INVALID", f"{text!r} is not a duration; write for instance '500ms', '2s', '5m', '1h30m'", fault="operator"
        )
    return total


def format_duration(ns: int) -> str:
    """Nanoseconds as the shortest text that `parse_duration` reads back."""
    for unit in ("h", "m", "s"):
        if ns % _UNIT_NS[unit] == 0:
            return f"{ns // _UNIT_NS[unit]}{unit}"
    return f"{ns / _UNIT_NS['ms']:g}ms"
