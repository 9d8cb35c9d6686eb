"""Measurements that take hours, in parts: what is finished is kept in a file, and is not measured again by the next run."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from benchmarks.instructions import commit
from benchmarks.report import RESULTS


class Measured(msgspec.Struct):
    """One finished part."""

    values: list[float]
    when: str
    """Day and commit."""
    load: float
    """The machine's load average over the minute at its end."""


class Series:
    """Parts by name; without a file nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._parts = msgspec.json.decode(path.read_bytes(), type=dict[str, Measured]) if path is not None and path.exists() else {}
        self._used: list[Measured] = []

    def part(self, name: str, measure: Callable[[], Iterable[float]]) -> list[float]:
        """What was measured under this name, now or by a run before."""
        found = self._parts.get(name)
        if found is None:
            values = list(measure())
            when = f"{dt.datetime.now(dt.UTC).date()} ({commit(RESULTS.parents[1])})"
            found = self._parts[name] = Measured(values, when, os.getloadavg()[0])
            if self._path is not None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._path.write_bytes(msgspec.json.format(msgspec.json.encode(self._parts)))
        else:
            print(f"{name}: kept of {found.when}", flush=True)
        self._used.append(found)
        return found.values

    def told(self) -> str:
        """When the parts were measured, and how busy the machine was at most."""
        when = ", ".join(sorted({part.when for part in self._used}))
        return f"Measured on {when}; load average at most {max((part.load for part in self._used), default=0.0):.2f}."
