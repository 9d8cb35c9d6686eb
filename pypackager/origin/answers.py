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


class Answers:
    """Asks packaging and keeps manifests.

    Args:
        packager: who renders.
        capacity: bytes of manifests that are kept.
    """

    def __init__(self, packager: Packager, *, capacity: int = 8 * 2**20) -> None:
        self._packager = packager
        self._capacity = capacity
        self._kept: OrderedDict[_Key, tuple[_Version, Published]] = OrderedDict()
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
        if kept is not None and kept[0] == version:
            self._kept.move_to_end(key)
            return kept[1]
        published = self._packager.answer(presentation, path, query)
        if published.lifetime == "manifest" and isinstance(published.body, bytes):
            published = deflated(published, published.body)
            self._keep(key, version, published)
        return published

    def _keep(self, key: _Key, version: _Version, published: Published) -> None:
        # Nobody is given an older version any more.
        if (old := self._kept.pop(key, None)) is not None:
            self._size -= _weight(old[1])
        if _weight(published) > self._capacity // 4:
            return
        self._kept[key] = (version, published)
        self._size += _weight(published)
        while self._size > self._capacity:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._size -= _weight(dropped)


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
