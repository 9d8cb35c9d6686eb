"""What the benchmark asks of another server."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol


class Peer(Protocol):
    """A server that takes RTMP and writes segments."""

    @property
    def name(self) -> str:
        """For the table."""
        ...

    def missing(self) -> str:
        """What has to be installed first; empty when nothing is."""
        ...

    def running(self, work: Path) -> AbstractContextManager[tuple[int, str]]:
        """The server while the context lasts: its process, and the URL for `pypackager push`."""
        ...
