"""Fetches and reads segments while manifests are followed, a few at a time.

In: listings that a walker wants. Out: the tracks' `loaded` segments. Never: the body of a segment after it was read.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from pypackager.check.finding import Scope
from pypackager.check.media.samples import Header, HeaderReader, Reader
from pypackager.check.presentation import Listing, Loaded, Track
from pypackager.check.rules import rule
from pypackager.check.session import Session

LIMIT = rule(
    "CHECK-LIMIT", "note", "none", "what was not fetched was not judged",
    example="a window of 45,000 segments was judged by its newest 2,000", verified=True,
)  # fmt: skip
RANGE = rule(
    "HTTP-RANGE", "error", "RFC 9110 15.3.7", "the answer to a range has exactly the bytes that were asked for",
    example="4,000 bytes for bytes=0-999",
)  # fmt: skip

_WORKERS = 4
_QUICK_HEAD, _QUICK_TAIL = 2, 3


class Loader:
    """Takes wishes until the walk is over."""

    def __init__(self, session: Session, queue: trio.MemorySendChannel[_Wish]) -> None:
        self._session = session
        self._queue = queue
        self._headers: dict[tuple[str, tuple[int, int] | None], Header | None] = {}
        self._locks: dict[tuple[str, tuple[int, int] | None], trio.Lock] = {}
        self._wanted: dict[str, int] = {}

    async def want(self, track: Track, listings: list[Listing], reader: Reader, header_reader: HeaderReader | None = None) -> None:
        """Has segments loaded that were listed for the first time, in their order; as many as the settings allow.

        Args:
            track: Where the loaded segments go.
            listings: New segments.
            reader: Reads them.
            header_reader: Reads `Listing.init`; headers of one URL are fetched once.
        """
        playable = [listing for listing in listings if not listing.gap]
        first_time = track.label not in self._wanted
        room = self._session.settings.most_segments - self._wanted.get(track.label, 0)
        chosen = playable[max(0, len(playable) - room) :] if room > 0 else []
        if first_time and self._session.settings.depth == "quick" and len(chosen) > _QUICK_HEAD + _QUICK_TAIL:
            chosen = [*chosen[:_QUICK_HEAD], *chosen[-_QUICK_TAIL:]]
        elif len(chosen) < len(playable):
            found = f"{len(playable) - len(chosen)} of {len(playable)} segments were not fetched"
            self._session.scope.at(track=track.label).breach(LIMIT, found, f"at most {self._session.settings.most_segments} are")
        self._wanted[track.label] = self._wanted.get(track.label, 0) + len(chosen)
        for listing in chosen:
            await self._queue.send(_Wish(track, listing, reader, header_reader))

    async def work(self, wishes: trio.MemoryReceiveChannel[_Wish]) -> None:
        """Grants wishes until there are no more."""
        async with wishes:
            async for wish in wishes:
                await self._load(wish)

    async def _load(self, wish: _Wish) -> None:
        listing, track, session = wish.listing, wish.track, self._session
        header = None
        if listing.init and wish.header_reader is not None:
            header = await self._header(listing, track, wish.header_reader)
            if header is None:
                return
        answer = await session.get(listing.url, "segment", track=track.label, segment=listing.name, byte_range=listing.byte_range)
        if answer is None:
            return
        scope = session.scope.at(track=track.label, url=listing.url, segment=listing.name)
        _check_range(answer.body, listing.byte_range, scope)
        media = wish.reader(answer.body, header, scope)
        track.loaded.append(Loaded(listing, media, len(answer.body), zlib.crc32(answer.body)))
        session.progress.segments += 1

    async def _header(self, listing: Listing, track: Track, read: HeaderReader) -> Header | None:
        key = (listing.init, listing.init_range)
        async with self._locks.setdefault(key, trio.Lock()):
            if key not in self._headers:
                answer = await self._session.get(listing.init, "init", track=track.label, byte_range=listing.init_range)
                scope = self._session.scope.at(track=track.label, url=listing.init)
                if answer is not None:
                    _check_range(answer.body, listing.init_range, scope)
                self._headers[key] = read(answer.body, scope) if answer is not None else None
            return self._headers[key]


class _Wish:
    """A segment to load."""

    __slots__ = ("header_reader", "listing", "reader", "track")

    def __init__(self, track: Track, listing: Listing, reader: Reader, header_reader: HeaderReader | None) -> None:
        self.track = track
        self.listing = listing
        self.reader = reader
        self.header_reader = header_reader


def _check_range(body: bytes, byte_range: tuple[int, int] | None, scope: Scope) -> None:
    if byte_range is not None and len(body) != byte_range[1]:
        scope.breach(RANGE, f"{len(body)} bytes", byte_range[1])


@asynccontextmanager
async def open_loader(session: Session) -> AsyncGenerator[Loader]:
    """A loader that works beside the walk; at the end everything wanted is loaded, in the order in which it came."""
    send, receive = trio.open_memory_channel[_Wish](_WORKERS)
    loader = Loader(session, send)
    async with trio.open_nursery() as nursery:
        for _ in range(_WORKERS):
            nursery.start_soon(loader.work, receive.clone())
        receive.close()
        async with send:
            yield loader
