"""Boxes of ISO base media files (ISO 14496-12 4.2): bytes in, where each box lies out."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf", b"edts", b"dinf"}

_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_HEAD = struct.Struct(">I4s")


class BoxError(ValueError):
    """The structure of boxes is broken."""

    def __init__(self, at: int, text: str) -> None:
        super().__init__(text)
        self.at = at


class Box(NamedTuple):
    """Where a box lies: its type, first byte, first byte of the payload, and end."""

    kind: bytes
    start: int
    payload: int
    end: int

    @property
    def name(self) -> str:
        """Its type as text."""
        return self.kind.decode("latin-1")


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes of one level.

    Raises:
        BoxError: a size does not fit.
    """
    end = len(data) if end is None else end
    at = start
    while at < end:
        if at + 8 > end:
            raise BoxError(at, f"{end - at} stray bytes")
        size, kind = _HEAD.unpack_from(data, at)
        payload = at + 8
        if size == 1 and at + 16 <= end:
            (size,) = _U64.unpack_from(data, at + 8)
            payload = at + 16
        elif size == 0:
            size = end - at
        if not payload <= at + size <= end:
            raise BoxError(at, f"box {kind!r} of {size} bytes has {end - at} bytes of room")
        yield Box(kind, at, payload, at + size)
        at += size


def find(data: bytes, path: str, start: int = 0, end: int | None = None) -> list[Box]:
    """Every box at a path such as `moof/traf/tfdt`.

    Raises:
        BoxError: a size on the way does not fit.
    """
    head, _, rest = path.partition("/")
    kind = head.encode()
    out: list[Box] = []
    for box in boxes(data, start, end):
        if box.kind == kind:
            out += find(data, rest, box.payload, box.end) if rest else [box]
    return out


def u24(data: bytes, at: int) -> int:
    """24 bits, unsigned."""
    return int.from_bytes(data[at : at + 3], "big")


def u32(data: bytes, at: int) -> int:
    """32 bits, unsigned.

    Raises:
        struct.error: past the end.
    """
    (value,) = _U32.unpack_from(data, at)
    return int(value)


def u64(data: bytes, at: int) -> int:
    """64 bits, unsigned.

    Raises:
        struct.error: past the end.
    """
    (value,) = _U64.unpack_from(data, at)
    return int(value)
