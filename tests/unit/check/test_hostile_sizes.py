"""What is listed often takes as long as it is long: twice as much takes twice as many steps, and not four times."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from fractions import Fraction
from types import FrameType
from typing import Any

import pytest

from pypackager.check.dash.resolve import resolve
from pypackager.check.dash.tree import read_tree
from pypackager.check.finding import Report
from pypackager.check.hds.bootstrap import read_bootstrap
from pypackager.check.hds.tables import lay_out
from pypackager.check.hls.lines import read_lines
from pypackager.check.hls.multivariant import read_multivariant
from tests.helpers.made_media import box

URL = "http://origin.test/a/manifest"


def steps(work: Callable[[int], None], size: int) -> int:
    """Lines of Python that are run."""
    count = 0

    def trace(_frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work(size)
    finally:
        sys.settrace(before)
    return count


def renditions(size: int) -> None:
    """A multivariant playlist of groups, each with its variant."""
    text = "#EXTM3U\n"
    for n in range(size):
        text += f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{n}",NAME="a",URI="{n}"\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="a",AUDIO="{n}"\n{n}\n'
    master = read_multivariant(read_lines(text.encode(), Report().scope()), URL, Report().scope())
    assert len(master.renditions) == size


def representations(size: int) -> None:
    """An MPD of Representations in one set."""
    template = '<SegmentTemplate duration="2" media="$Number$"/>'
    each = "".join(f'<Representation id="{n}" bandwidth="1">{template}</Representation>' for n in range(size))
    text = '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="p" minBufferTime="PT2S" mediaPresentationDuration="PT2S">'
    text += f'<Period><AdaptationSet mimeType="video/mp4">{each}</AdaptationSet></Period></MPD>'
    root = read_tree(text.encode(), Report().scope())
    assert root is not None
    assert len(resolve(root, URL, Fraction(0), Report().scope()).representations) == size


def segment_runs(size: int) -> None:
    """A bootstrap whose fragments are each a segment, and a run, of their own."""
    asrt = box(b"asrt", struct.pack(">IBI", 0, 0, size), *(struct.pack(">II", n + 1, 1) for n in range(size)))
    afrt = box(b"afrt", struct.pack(">IIBI", 0, 1000, 0, size), *(struct.pack(">IQI", n + 1, 2000 * n, 2000) for n in range(size)))
    head = struct.pack(">IIBIQQ", 0, 1, 0x20, 1000, 2000 * size, 0) + bytes(5)
    report = Report()
    bootstrap = read_bootstrap(box(b"abst", head, b"\x01", asrt, b"\x01", afrt), report.scope())
    assert bootstrap is not None
    assert [fragment.segment for fragment in lay_out(bootstrap, report.scope()).fragments] == list(range(1, size + 1))
    assert report.broken() == set()


@pytest.mark.parametrize("work", [renditions, representations, segment_runs])
def test_twice_as_much_takes_twice_as_long(work: Callable[[int], None]) -> None:
    work(1)
    assert steps(work, 80) < 2.5 * steps(work, 40)
