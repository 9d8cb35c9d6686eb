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


def deflate_block(data: bytes) -> DeflatedBlock:
    """Keeps the text."""
    return DeflatedBlock(data)


def join_blocks(blocks: list[DeflatedBlock]) -> tuple[DeflatedBlock, list[DeflatedBlock]]:
    """Joins the texts."""
    return DeflatedBlock(b"".join(block.text for block in blocks)), blocks


def assemble_gzip(parts: list[bytes | DeflatedBlock]) -> tuple[bytes, ...]:
    """One member of the texts, in as many pieces as there are parts."""
    member = gzip.compress(b"".join(part.text if isinstance(part, DeflatedBlock) else part for part in parts), 1, mtime=0)
    cut = len(member) // len(parts)
    return (*(member[cut * piece : cut * (piece + 1)] for piece in range(len(parts) - 1)), member[cut * (len(parts) - 1) :])


def flv_metadata(values: list[tuple[str, float | bool | str]]) -> bytes:
    """What the tag would say."""
    return json.dumps(values).encode()


def install() -> None:
    """Stands in for `pypackager._core` where that is not built, or not wanted."""
    try:
        from pypackager import _core  # noqa: F401
    except ImportError:
        sys.modules["pypackager._core"] = sys.modules[__name__]
