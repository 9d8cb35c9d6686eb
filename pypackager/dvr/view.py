"""A named presentation over time: computed when its content changed, handed out again while it has not.

In: a ledger, the store that has its files, bounds. Out: presentations. Never: I/O, a clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from pypackager.dvr.blobs import BlobStore
from pypackager.dvr.clip import LINGER_NS, Bounds, present
from pypackager.dvr.ledger import Ledger
from pypackager.model.presentation import Presentation


class View:
    """All versions of one presentation; they share one scratch space for what packaging renders."""

    def __init__(self, name: str, ledger: Ledger, blobs: BlobStore) -> None:
        self.name = name
        self.ledger = ledger
        self._blobs = blobs
        self._caches: dict[Any, Any] = {}
        self._late_caches: dict[Any, Any] = {}
        self._paths: Mapping[int, str] = {}
        self._paths_version = -1
        self._last: tuple[tuple[int, Bounds, bool], Presentation] | None = None
        self._lately: tuple[tuple[int, Bounds], Presentation] | None = None

    def present(self, bounds: Bounds, *, ended: bool = False, published_ns: int | None = None) -> Presentation:
        """The presentation within the bounds, as the ledger stands."""
        ledger = self.ledger
        key = (ledger.version, bounds, ended)
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        if self._paths_version != ledger.blobs_version:
            # A new mapping: earlier presentations keep theirs.
            self._paths = {number: self._blobs.path(blob.opened.name) for number, blob in ledger.blobs.items()}
            self._paths_version = ledger.blobs_version
        made = present(ledger, self.name, bounds, ended=ended, published_ns=published_ns, paths=self._paths, caches=self._caches)
        if not ended and bounds.start_ns is None and bounds.end_ns is None:
            made = msgspec.structs.replace(made, lately=partial(self._present_lately, bounds))
        self._last = (key, made)
        return made

    def _present_lately(self, bounds: Bounds) -> Presentation:
        ledger = self.ledger
        if self._lately is None or self._lately[0] != (ledger.version, bounds):
            wider = msgspec.structs.replace(bounds, window_ns=bounds.window_ns + LINGER_NS)
            made = present(ledger, self.name, wider, ended=False, published_ns=None, paths=self._paths, caches=self._late_caches)
            self._lately = ((ledger.version, bounds), made)
        return self._lately[1]
