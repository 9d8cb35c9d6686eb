"""A channel's store on a real directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.dvr import Channel


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Channel]:
    """A channel with a fake writer."""
    channel = Channel(tmp_path / "channels" / "news")
    yield channel
    channel.close()
