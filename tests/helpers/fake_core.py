"""The few functions of the native core that packaging calls, in Python: a second opinion, and what tests use where nothing is built."""

from __future__ import annotations

import gzip
import json
import sys


class DeflatedBlock:
    """Text."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.size = len(text)


def deflate_block(data: bytes, level: int = 1) -> DeflatedBlock:
    """Keeps the text."""
    return DeflatedBlock(data)


def assemble_gzip(blocks: list[DeflatedBlock]) -> bytes:
    """One member of the texts."""
    return gzip.compress(b"".join(block.text for block in blocks), 1, mtime=0)


def flv_metadata(values: list[tuple[str, float | bool | str]]) -> bytes:
    """What the tag would say."""
    return json.dumps(values).encode()


def install() -> None:
    """Stands in for `pypackager._core` where that is not built, or not wanted."""
    try:
        from pypackager import _core  # noqa: F401
    except ImportError:
        sys.modules["pypackager._core"] = sys.modules[__name__]
