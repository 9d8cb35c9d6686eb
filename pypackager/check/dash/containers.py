"""What the segments of a Representation are made of, against what its @mimeType names (ISO/IEC 23009-1 5.3.7.2).

In: a media type. Out: who reads its segments, and findings. WebM, images and text files are nothing that the judge reads.
"""

from __future__ import annotations

from functools import partial

from pypackager.check.finding import Scope
from pypackager.check.media.read import READERS, container_of
from pypackager.check.media.samples import Header, Media, Reader
from pypackager.check.rules import rule

CONTAINER = rule(
    "DASH-CONTAINER", "error", "ISO 23009-1 5.3.7.2", "segments are of the container that @mimeType names",
    example='a transport stream, or an HTML page with status 200, under mimeType="video/mp4"',
)  # fmt: skip


def reader_of(mime: str) -> Reader | None:
    """Reads segments of a media type; None: they are not judged."""
    container = mime.partition(";")[0].strip().lower().rpartition("/")[2]
    return partial(_read, container) if container in READERS else None


def _read(named: str, data: bytes, header: Header | None, scope: Scope) -> Media:
    found = container_of(data)
    if found != named:
        scope.breach(CONTAINER, found or f"{data[:12]!r}", named)
    return READERS[found](data, header, scope) if found else Media()
