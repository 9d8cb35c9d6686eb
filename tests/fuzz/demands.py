"""What every target of the judge demands of a reader, whatever it is given.

In: bytes and what reads them. Out: nothing, or an AssertionError. A reader raises nothing, says where in the input it found something, and
finds the same when it reads the same again.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from pypackager.check.finding import Report, Scope
from pypackager.check.media.samples import Samples

_AGAIN = 16
"""One input in so many is read twice; which ones, the input decides."""


def read(data: bytes, reader: Callable[[bytes, Scope], Any], shown: Callable[[Any], Any] = lambda out: out) -> Any:
    """What a reader makes of the input; `shown` is what must be the same of two readings."""
    report = Report()
    out = reader(data, report.scope())
    last = data.count(b"\n") + data.count(b"\r") + 1
    for finding in report.findings():
        line, byte = finding.place.line, finding.place.byte
        assert line is None or 0 <= line <= last, f"line {line} of {last}: {finding}"
        assert byte is None or 0 <= byte <= len(data), f"byte {byte} of {len(data)}: {finding}"
    if zlib.crc32(data) % _AGAIN == 0:
        again = Report()
        assert repr(shown(reader(data, again.scope()))) == repr(shown(out)), "another reading gives something else"
        assert repr(again.findings()) == repr(report.findings()), "another reading finds something else"
    return out


def samples(stream: Samples, size: int) -> None:
    """All columns of a stream are of one length, and its samples are not more than there was."""
    columns = (stream.dts, stream.pts, stream.duration, stream.sync, stream.idr, stream.digest)
    assert len({len(column) for column in columns}) == 1, "columns of different lengths"
    assert 0 <= stream.size <= size, f"{stream.size} bytes of samples in {size}"
    assert stream.timescale > 0
