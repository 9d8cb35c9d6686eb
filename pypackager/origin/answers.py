"""Manifests, rendered once for all who ask within one version of their presentation.

Rendering is synchronous, so a version is rendered by the first who asks and by nobody else: no request can come between look-up and
keeping. It stays on the event loop's thread because packaging shares what it has rendered between versions (Presentation.caches).
"""

from __future__ import annotations

import zlib
from collections import OrderedDict

import msgspec

from pypackager.model.plan import Published
from pypackager.model.presentation import Presentation
from pypackager.origin.ports import Packager

_Key = tuple[str, str, str]
_Version = tuple[int, int]

_SMALLEST_GZIP = 512
_LARGEST_GZIP = 256 * 2**10
"""Larger texts come deflated in blocks from packaging; deflating them here would hold up the event loop."""


class _Kept(msgspec.Struct):
    version: _Version
    rendered: Published
    published: Published
    """The same with a gzip form."""

    @property
    def weight(self) -> int:
        """Bytes."""
        return _weight(self.published)


class Answers:
    """Asks packaging and keeps manifests.

    Args:
        packager: who renders.
        capacity: bytes of manifests that are kept.
    """

    def __init__(self, packager: Packager, *, capacity: int = 8 * 2**20) -> None:
        self._packager = packager
        self._capacity = capacity
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._size = 0

    def ask(self, root: str, presentation: Presentation, path: str, query: str) -> Published:
        """The answer to `path` below `root`.

        Raises:
            PackagerError: packaging has none.
        """
        # The time of publication tells a presentation from another of the same name that was deleted before it.
        version = (presentation.version, presentation.published_ns)
        key = (root, path, query)
        kept = self._kept.get(key)
        if kept is not None and kept.version == version:
            self._kept.move_to_end(key)
            return kept.published
        rendered = self._packager.answer(presentation, path, query)
        if rendered.lifetime != "manifest" or not isinstance(rendered.body, bytes):
            return rendered
        # What the new version says as the last one did is the same object.
        published = kept.published if kept is not None and kept.rendered is rendered else deflated(rendered, rendered.body)
        self._keep(key, _Kept(version, rendered, published))
        return published

    def _keep(self, key: _Key, kept: _Kept) -> None:
        # Nobody is given an older version any more.
        if (old := self._kept.pop(key, None)) is not None:
            self._size -= old.weight
        if kept.weight > self._capacity // 4:
            return
        self._kept[key] = kept
        self._size += kept.weight
        while self._size > self._capacity:
            _, dropped = self._kept.popitem(last=False)
            self._size -= dropped.weight


def deflated(published: Published, body: bytes) -> Published:
    """The same answer, with a gzip form when it is a text of fitting size that has none yet."""
    if published.gzip is not None or not _SMALLEST_GZIP <= len(body) <= _LARGEST_GZIP:
        return published
    if published.content_type.startswith(("video/", "audio/", "image/")):
        return published
    deflate = zlib.compressobj(level=1, wbits=31)
    return msgspec.structs.replace(published, gzip=deflate.compress(body) + deflate.flush())


def _weight(published: Published) -> int:
    body = published.body if isinstance(published.body, bytes) else b""
    gzip = published.gzip if isinstance(published.gzip, bytes) else b""
    return len(body) + len(gzip)
