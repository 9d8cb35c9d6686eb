"""Reads a bootstrap (Adobe F4V 2.11.2): `abst` with its tables of segment runs and fragment runs.

In: bytes. Out: entries as they are written. Never: what they mean together.
"""

from __future__ import annotations

import struct

import msgspec

from pypackager.check.finding import Scope
from pypackager.check.media.boxes import Box, BoxError, boxes
from pypackager.check.rules import rule

BOX = rule(
    "HDS-ABST", "error", "Adobe F4V 2.11.2", "a bootstrap is one abst with one asrt and one afrt in it, and nothing more",
    example="an afrt whose count says 4 entries and has room for 3",
)  # fmt: skip

_LIVE = 0x20


class Segments(msgspec.Struct, frozen=True):
    """An entry of asrt."""

    first: int
    fragments: int
    """Of each segment from this one on."""


class Run(msgspec.Struct, frozen=True):
    """An entry of afrt: equal fragments from a number on, or a mark (then `duration` is 0)."""

    first: int
    time: int
    duration: int
    indicator: int | None = None
    """0 end of presentation, 1 numbers jump, 2 times jump, 3 both."""


class Bootstrap(msgspec.Struct, frozen=True):
    """An abst."""

    version: int
    live: bool
    timescale: int
    current: int
    """currentMediaTime."""
    segments: tuple[Segments, ...]
    runs: tuple[Run, ...]
    run_timescale: int
    """Of the fragment run table."""


def read_bootstrap(data: bytes, scope: Scope) -> Bootstrap | None:
    """Reads a bootstrap; None, and a finding, when it is none."""
    try:
        top = list(boxes(data))
        if [box.kind for box in top] != [b"abst"]:
            scope.breach(BOX, " ".join(box.name for box in top) or "nothing", "abst")
            return None
        return _read_abst(data, top[0], scope)
    except BoxError as fault:
        scope.breach(BOX, str(fault), "boxes that fit", byte=fault.at)
    except (struct.error, IndexError, ValueError):
        scope.breach(BOX, "a box ends before its fields", "boxes that hold their fields")
    return None


def _read_abst(data: bytes, abst: Box, scope: Scope) -> Bootstrap | None:
    version, bits, timescale, current = struct.unpack_from(">IBIQ", data, abst.payload + 4)
    at = _skip_texts(data, abst.payload + 29, abst.end, 1)
    at = _skip_texts(data, at + 1, abst.end, data[at])
    at = _skip_texts(data, at + 1, abst.end, data[at])
    at = _skip_texts(data, at, abst.end, 2)
    tables: list[Box] = []
    for _ in range(2):
        count, at = data[at], at + 1
        for _ in range(count):
            table = next(boxes(data, at, abst.end), None)
            if table is None:
                raise BoxError(at, "no box where a table is due")
            tables.append(table)
            at = tables[-1].end
    if [box.kind for box in tables] != [b"asrt", b"afrt"] or at != abst.end:
        found = f"{' '.join(box.name for box in tables)} and {abst.end - at} bytes"
        # More than one pair is for qualities that share a bootstrap; no player has known them.
        scope.breach(BOX, found, "asrt afrt", byte=abst.start)
        return None
    segments = _read_segments(data, tables[0], scope)
    run_timescale, runs = _read_runs(data, tables[1], scope)
    if not timescale or not run_timescale or not segments or not runs:
        found = f"timescales {timescale} and {run_timescale}, {len(segments)} segment runs, {len(runs)} fragment runs"
        scope.breach(BOX, found, "all above 0", byte=abst.start)
        return None
    return Bootstrap(version, bool(bits & _LIVE), timescale, current, tuple(segments), tuple(runs), run_timescale)


def _read_segments(data: bytes, box: Box, scope: Scope) -> list[Segments]:
    at = _skip_texts(data, box.payload + 5, box.end, data[box.payload + 4])
    (count,) = struct.unpack_from(">I", data, at)
    at += 4
    if at + 8 * count != box.end:
        scope.breach(BOX, f"{box.end - at} bytes in asrt", f"{8 * count} for {count} entries", byte=box.start)
        return []
    return [Segments(*struct.unpack_from(">II", data, at + 8 * n)) for n in range(count)]


def _read_runs(data: bytes, box: Box, scope: Scope) -> tuple[int, list[Run]]:
    (timescale,) = struct.unpack_from(">I", data, box.payload + 4)
    at = _skip_texts(data, box.payload + 9, box.end, data[box.payload + 8])
    (count,) = struct.unpack_from(">I", data, at)
    at += 4
    runs: list[Run] = []
    while len(runs) < count and at + 16 <= box.end:
        first, time, duration = struct.unpack_from(">IQI", data, at)
        at += 16
        indicator = None
        if duration == 0 and at < box.end:
            indicator, at = data[at], at + 1
        runs.append(Run(first, time, duration, indicator))
    if len(runs) != count or at != box.end:
        scope.breach(BOX, f"{len(runs)} entries in afrt and {box.end - at} bytes", f"{count} entries", byte=box.start)
        return timescale, []
    return timescale, runs


def _skip_texts(data: bytes, at: int, end: int, count: int) -> int:
    """Raises a ValueError when there are not so many texts."""
    for _ in range(count):
        at = data.index(b"\x00", at, end) + 1
    return at
