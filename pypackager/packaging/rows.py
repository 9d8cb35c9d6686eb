"""Text that grows at one end and shrinks at the other: rendered once, deflated once.

In: entries of text, each with the absolute row it starts at. Out: manifests put together from them, plain and as one gzip member.
Never: meaning.

A playlist of 25 hours has 45,000 rows, and one is added every two seconds. A Strip keeps what the rows were rendered to, in blocks of 256
absolute rows; a block that is complete never changes and is deflated once. A Page is a manifest in the making: inline text and slices of
strips. What a strip holds is a function of the rows alone, so a cold cache and a warm one give the same manifest.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from zlib import crc32

from pypackager import _core
from pypackager.model.plan import Published, Text

BLOCK = 256
"""Absolute rows to a block."""

MIN_GZIP = 1000
"""Below this a gzip member would save less than a packet."""


class Block:
    """The entries that start in one stretch of 256 absolute rows."""

    __slots__ = ("_deflated", "_parts", "_text", "rows", "starts")

    def __init__(self) -> None:
        # A window of 25 hours has a million entries over all tracks and formats.
        self.rows = array("H")
        """Row of each entry, counted from the block's first."""
        self.starts = array("I", [0])
        """Where each entry's text starts, and the end of the last."""
        self._parts: list[bytes] = []
        self._text: bytes | memoryview = b""
        self._deflated: _core.DeflatedBlock | None = None

    def append(self, row: int, text: bytes) -> None:
        """Adds an entry."""
        self.rows.append(row)
        self.starts.append(self.starts[-1] + len(text))
        self._parts.append(text)

    @property
    def text(self) -> bytes | memoryview:
        """All entries."""
        if self._parts:
            self._text = b"".join((self._text, *self._parts))
            self._parts.clear()
        return self._text

    def share(self, text: memoryview) -> None:
        """Lets go of its own copy of the text: there is a longer one that holds it."""
        self._text = text

    def leave(self) -> None:
        """Has its own copy again, and lets go of the longer text."""
        self._text = bytes(self.text)
        self._deflated = None

    def deflated(self) -> _core.DeflatedBlock:
        """All entries, deflated; asked of complete blocks only."""
        if self._deflated is None:
            self._deflated = _core.deflate_block(bytes(self.text))
        return self._deflated

    def share_deflated(self, deflated: _core.DeflatedBlock) -> None:
        """Lets go of its own copy of the deflated form."""
        self._deflated = deflated


class Stretch:
    """Neighbouring complete blocks as one text; when a block comes or goes, every 256 rows, there is a new one and the blocks share it."""

    __slots__ = ("_blocks", "_deflated", "text")

    def __init__(self, blocks: list[Block]) -> None:
        self._blocks = blocks
        self._deflated: _core.DeflatedBlock | None = None
        self.text = b"".join(block.text for block in blocks)
        view, start = memoryview(self.text), 0
        for block in blocks:
            block.share(view[start : start + block.starts[-1]])
            start += block.starts[-1]

    def deflated(self) -> _core.DeflatedBlock:
        """The blocks deflated, as one."""
        if self._deflated is None:
            self._deflated, parts = _core.join_blocks([block.deflated() for block in self._blocks])
            for block, part in zip(self._blocks, parts, strict=True):
                block.share_deflated(part)
        return self._deflated


Piece = bytes | memoryview | Stretch


class Strip:
    """Rendered entries of one track, oldest first."""

    def __init__(self, start: int) -> None:
        self.start = start
        """First absolute row that was fed."""
        self.end = start
        """First absolute row that was not fed yet; kept by who feeds."""
        self._blocks: dict[int, Block] = {}
        self._stretches: dict[tuple[int, int], Stretch] = {}

    def append(self, row: int, text: bytes) -> None:
        """Adds an entry that starts at an absolute row beyond all others."""
        block = self._blocks.get(row // BLOCK)
        if block is None:
            block = self._blocks[row // BLOCK] = Block()
        block.append(row % BLOCK, text)

    def slice(self, start: int, stop: int) -> Iterator[Piece]:
        """The text of the entries that start in the absolute rows [start, stop): complete blocks in one piece."""
        first, last = -(-start // BLOCK), min(stop, self.end) // BLOCK
        if first >= last:
            # No block is inside as a whole: those that the border rows are in.
            for number in range(start // BLOCK, -(-stop // BLOCK)):
                yield self._part(number, start, stop)
            return
        yield self._part(first - 1, start, stop)
        yield self._stretch(first, last)
        for number in range(last, -(-stop // BLOCK)):
            yield self._part(number, start, stop)

    def _part(self, number: int, start: int, stop: int) -> bytes | memoryview:
        block = self._blocks.get(number)
        if block is None:
            return b""
        base = number * BLOCK
        first, last = bisect_left(block.rows, start - base), bisect_left(block.rows, stop - base)
        return block.text[block.starts[first] : block.starts[last]]

    def _stretch(self, first: int, last: int) -> Stretch:
        """The blocks [first, last), all complete."""
        stretch = self._stretches.get((first, last))
        if stretch is None:
            # The one that this one grew out of, or is what is left of, is never asked for again.
            self._stretches = {key: kept for key, kept in self._stretches.items() if key[0] != first and key[1] != last}
            # The block that left would keep all of the old text in memory.
            if left := self._blocks.get(first - 1):
                left.leave()
            stretch = Stretch([block for number in range(first, last) if (block := self._blocks.get(number))])
            self._stretches[first, last] = stretch
        return stretch

    def trim(self, row: int) -> None:
        """Forgets the blocks that end at or before an absolute row."""
        while self._blocks and (oldest := next(iter(self._blocks))) < row // BLOCK:
            del self._blocks[oldest]
            self._stretches = {key: kept for key, kept in self._stretches.items() if key[0] > oldest}


class Page:
    """A manifest in the making."""

    def __init__(self) -> None:
        self._closed: list[bytes | Stretch] = []
        self._open: list[bytes | memoryview] = []
        """Neighbours that become one part when a stretch follows, or the end."""

    def add(self, text: str) -> None:
        """Adds text."""
        self._open.append(text.encode())

    def add_bytes(self, data: bytes) -> None:
        """Adds bytes."""
        self._open.append(data)

    def add_page(self, page: Page) -> None:
        """Adds another page."""
        self.add_rows(page._parts())

    def add_rows(self, rows: Iterable[Piece]) -> None:
        """Adds a slice of a strip."""
        for piece in rows:
            if isinstance(piece, Stretch):
                self._parts().append(piece)
            else:
                self._open.append(piece)

    def _parts(self) -> list[bytes | Stretch]:
        if self._open:
            self._closed.append(b"".join(self._open))
            self._open.clear()
        return self._closed

    def body(self) -> bytes | Text:
        """The whole text; in parts when some of them are long."""
        parts = self._parts()
        if any(isinstance(part, Stretch) for part in parts):
            return Text(tuple(part.text if isinstance(part, Stretch) else part for part in parts))
        return self.join()

    def size(self) -> int:
        """Bytes of the whole text."""
        return sum(len(part.text if isinstance(part, Stretch) else part) for part in self._parts())

    def join(self) -> bytes:
        """The whole text in one piece."""
        return b"".join(part.text if isinstance(part, Stretch) else part for part in self._parts())

    def gzip(self) -> bytes | Text | None:
        """The whole text as one gzip member, in parts like the body; None for one too short to be worth it."""
        if self.size() < MIN_GZIP:
            return None
        first, *rest = _core.assemble_gzip([part.deflated() if isinstance(part, Stretch) else part for part in self._parts()])
        return Text((first, *rest)) if rest else first

    def publish(self, content_type: str) -> Published:
        """The manifest as an answer."""
        body, member = self.body(), self.gzip()
        return Published(content_type=content_type, body=body, gzip=member, lifetime="manifest", etag=self._etag(member))

    def _etag(self, member: bytes | Text | None) -> str:
        if member is None:
            return entity_tag(crc32(self.join()), self.size())
        # The gzip member ends with the sum of the text (RFC 1952 2.3.1), which was put together from those of its blocks.
        last = member if isinstance(member, bytes) else member.parts[-1]
        return entity_tag(int.from_bytes(last[-8:-4], "little"), self.size())


def entity_tag(crc: int, size: int) -> str:
    """The entity tag of a manifest: a function of its text alone.

    Two origins that are fed alike have the same one for the same text, however often each was restarted. That two texts of one size share
    one is a chance of one in 2^32: a cache that asks the other origin whether its copy is still good would then keep the wrong one until
    the next fragment.

    Args:
        crc: CRC-32 of the text.
        size: its bytes.
    """
    return f'W/"{crc:08x}-{size:x}"'
