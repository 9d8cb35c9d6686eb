"""Downloads: files of many gigabytes, sent as they are read.

In: a movie, and the request's headers. Out: a Reply whose parts are read in threads, a piece at a time. Never: more than a piece of a
download in memory, a wait on the event loop's thread.

A download lasts as long as its viewer takes, and behind the native front each holds one of the questions that the front may ask at once.
So there are `LIMIT` of them at a time, and a further one is told to come back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import trio

from pypackager.model.errors import PackagerError
from pypackager.model.plan import Laid, Movie
from pypackager.origin.conditions import RangeNotSatisfiableError, cache_control, none_match, parse_range, quoted, range_holds
from pypackager.origin.ports import Core
from pypackager.origin.reply import Headers, OutsideError, Reply, make_reply

DOWNLOAD = "download.mp4"
"""Its name below a presentation's root."""
LIMIT = 8
PIECE = 2 * 2**20
"""Bytes that are read at once."""
_KEPT = 2
"""Layouts that are kept: 25 hours of fifteen tracks are 22 MB."""

Message = MutableMapping[str, Any]


class Downloads:
    """Answers for movies.

    Args:
        core: the native functions.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._laid: OrderedDict[str, Laid] = OrderedDict()
        self._laying = trio.Lock()
        self._open = 0

    async def answer(self, movie: Movie, asked: Headers, *, head: bool, shared: bool) -> Reply:
        """The reply to a GET or HEAD.

        Raises:
            PackagerError: DOWNLOADS_BUSY (503), RANGE_NOT_SATISFIABLE (416), FRAGMENT_UNREADABLE (500), MOVIE_TIMES (409), FRAGMENT_GONE
                (404).
        """
        headers = [
            ("content-type", "video/mp4"),
            ("content-disposition", movie.disposition),
            # Its program may be started again: then the URL shows nothing, and later another file.
            ("cache-control", cache_control("manifest", 0, shared=shared)),
            ("accept-ranges", "bytes"),
            ("etag", quoted(movie.etag)),
        ]
        if none_match(asked.get("if-none-match", ""), movie.etag):
            return make_reply(HTTPStatus.NOT_MODIFIED, headers[1:])
        if self._open >= LIMIT:
            raise PackagerError("DOWNLOADS_BUSY", f"{LIMIT} downloads are under way; try again in a moment", status=503)
        laid = await self._lay_out(movie)
        part: tuple[int, int] | None = None
        wanted = asked.get("range")
        # RFC 9110 14.2: a Range header means something to GET alone.
        if wanted is not None and not head and range_holds(asked.get("if-range"), movie.etag):
            try:
                part = parse_range(wanted, laid.size)
            except RangeNotSatisfiableError as error:
                raise OutsideError(laid.size) from error
        offset, length = part or (0, laid.size)
        headers.append(("content-length", str(length)))
        if part is not None:
            headers.append(("content-range", f"bytes {offset}-{offset + length - 1}/{laid.size}"))
        status = HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT
        return make_reply(status, headers, parts=None if head else self._read(laid, offset, offset + length))

    async def _lay_out(self, movie: Movie) -> Laid:
        async with self._laying:
            laid = self._laid.get(movie.etag)
            if laid is None:
                try:
                    laid = self._laid[movie.etag] = await trio.to_thread.run_sync(movie.lay_out)
                except FileNotFoundError as error:
                    raise PackagerError("FRAGMENT_GONE", "some of it was deleted a moment ago", status=404) from error
                except (OSError, ValueError) as error:
                    if getattr(error, "code", "") == "MOVIE_TIMES":
                        raise PackagerError("MOVIE_TIMES", str(error), status=409) from error
                    detail = f"verify the asset, so that it is left out: {error}"
                    raise PackagerError("FRAGMENT_UNREADABLE", detail, status=500, fault="us") from error
            self._laid.move_to_end(movie.etag)
            while len(self._laid) > _KEPT:
                self._laid.popitem(last=False)
        return laid

    async def _read(self, laid: Laid, start: int, stop: int) -> AsyncGenerator[bytes]:
        self._open += 1
        try:
            while start < stop:
                end = min(start + PIECE, stop)
                yield await trio.to_thread.run_sync(self._join, laid, start, end)
                start = end
        finally:
            self._open -= 1

    def _join(self, laid: Laid, start: int, stop: int) -> bytes:
        head, pieces = laid.pieces(start, stop)
        return head + self._core.read_movie(pieces) if pieces else head


async def send_parts(
    parts: AsyncGenerator[bytes], receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> int:
    """Sends a body part by part until the viewer is gone; returns the bytes that were sent."""
    sent = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_watch, receive, nursery.cancel_scope)
        # Whatever ends it: what the reading holds is given back now, not when it is collected.
        async with aclosing(parts):
            async for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
                sent += len(part)
        await send({"type": "http.response.body", "body": b""})
        nursery.cancel_scope.cancel()
    return sent


async def _watch(receive: Callable[[], Awaitable[Message]], scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
