"""The bootstrap information of HDS (Adobe F4V, C.2): which fragments there are and when they start.

In: runs of fragments. Out: an `abst` box. Never: a look at the presentation.
"""

from __future__ import annotations

import struct

from pypackager.packaging.rows import Page
from pypackager.packaging.runs import Run, RunStrip

_LIVE = 0x20
_END_OF_PRESENTATION, _TIMES_JUMP, _TIMES_AND_NUMBERS_JUMP = 0, 2, 3
_MILLISECONDS = 1000
_RUN = struct.Struct(">IQI")
_MARK = struct.Struct(">IQIB")


def table_entry(run: Run, head: bool) -> bytes:
    """Fragment run table entries of a run of rows; before one that does not go on from the last, the discontinuity.

    Fragments are numbered from 1 by their absolute rows. A duration of zero would be read as a mark. A mark's number is the one that
    would be due: what is asked for from there on is the next entry's.
    """
    listed = _RUN.pack(run.row + 1, run.time, max(1, run.duration))
    if head or run.joined:
        return listed
    return _MARK.pack(run.due + 1, run.time, 0, _TIMES_JUMP if run.due == run.row else _TIMES_AND_NUMBERS_JUMP) + listed


def abst(strip: RunStrip, start: int, stop: int, *, live: bool, version: int, end_ms: int) -> Page:
    """The box for the absolute rows [start, stop), which end at `end_ms`.

    The one segment is said to hold as many fragments as are listed: the client that is left counts them from the first listed one, and
    would ask for fragments that are not there if it were the newest one's number.
    """
    table = Page()
    table.add_rows(strip.slice(start, stop))
    size = table.size()
    runs = strip.runs(start, stop)
    marks = (size - runs * _RUN.size) // _MARK.size
    end = b"" if live else _MARK.pack(stop + 1, end_ms, 0, _END_OF_PRESENTATION)
    afrt = struct.pack(">IIBI", 0, _MILLISECONDS, 0, runs + marks + (not live))
    asrt = struct.pack(">IBIII", 0, 0, 1, 1, stop - start)
    # Before the times: version, flags. After them: no MovieIdentifier, servers, qualities, DrmData, MetaData.
    info = struct.pack(">IIBIQQ5x", 0, version, _LIVE if live else 0, _MILLISECONDS, end_ms, 0)
    inner = len(afrt) + size + len(end)
    head = info + b"\x01" + _header(b"asrt", len(asrt)) + asrt + b"\x01" + _header(b"afrt", inner) + afrt
    box = Page()
    box.add_bytes(_header(b"abst", len(head) + size + len(end)) + head)
    box.add_page(table)
    box.add_bytes(end)
    return box


def _header(kind: bytes, size: int) -> bytes:
    return struct.pack(">I4s", 8 + size, kind)
