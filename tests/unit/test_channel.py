"""What a channel tells its timeline of the store."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from pypackager.runtime.channel import _JournalStore


def test_a_track_whose_record_is_not_written_yet_has_published_nothing() -> None:
    store = _JournalStore(cast(Any, SimpleNamespace(ledger=SimpleNamespace(tracks={}))))
    assert not store.knows(1, 90_000)
