"""What a channel tells its timeline of the store."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from pypackager.dvr.store import ChannelStore


def test_a_track_whose_record_is_not_written_yet_has_published_nothing() -> None:
    store = cast(Any, SimpleNamespace(ledger=SimpleNamespace(tracks={})))
    assert ChannelStore.stored(store, 1, 90_000) is None
