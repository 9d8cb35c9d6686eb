"""Segment indexes (`sidx`, ISO 14496-12 8.16.3): the segments of a Representation with SegmentBase (ISO/IEC 23009-1 5.3.9.2)."""

from __future__ import annotations

import struct

import numpy as np

from pypackager.check.dash.mpd import Representation
from pypackager.check.dash.timeline import LARGEST, Rows
from pypackager.check.finding import Scope
from pypackager.check.media.boxes import BoxError, find, u32, u64
from pypackager.check.rules import rule

INDEX = rule(
    "DASH-INDEX", "error", "ISO 23009-1 5.3.9.2.1", "@indexRange is one sidx of media, in the timescale of the MPD",
    example="an @indexRange that points into mdat",
)  # fmt: skip


def read_index(representation: Representation, data: bytes, first_byte: int, scope: Scope) -> None:
    """Gives a Representation the rows that its index lists.

    Args:
        representation: One with SegmentBase.
        data: The bytes of @indexRange.
        first_byte: Where they begin in the file.
        scope: Where to report.
    """
    try:
        (box,) = find(data, "sidx")
        wide = data[box.payload] == 1
        timescale = u32(data, box.payload + 8)
        read, size = (u64, 8) if wide else (u32, 4)
        earliest, offset = read(data, box.payload + 12), read(data, box.payload + 12 + size)
        at = box.payload + 12 + 2 * size
        count = u32(data, at) & 0xFFFF
        entries = [(u32(data, at + 4 + 12 * n), u32(data, at + 8 + 12 * n)) for n in range(count)]
    except (BoxError, ValueError, struct.error, IndexError):
        scope.breach(INDEX, f"starts with {data[:12]!r}", "one sidx", line=representation.addressing.line)
        return
    stated = representation.addressing.number("timescale", 1)
    if timescale != stated or earliest >= LARGEST or any(kind >> 31 for kind, _ in entries):
        scope.breach(
            INDEX,
            f"timescale {timescale} from {earliest} on, or an index of indexes",
            f"media in timescale {stated}",
            line=representation.addressing.line,
        )
        return
    place = first_byte + box.end + offset
    for entry_size, _ in entries:
        representation.ranges.append((representation.base, (place, entry_size)))
        place += entry_size
    duration = np.array([length for _, length in entries], np.int64)
    number = np.arange(1, count + 1, dtype=np.int64)
    line = np.full(count, representation.addressing.line, np.int64)
    representation.rows = Rows(number, earliest + np.cumsum(duration) - duration, duration, line)
