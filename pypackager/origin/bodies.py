"""Bodies: plans executed, once for all who ask, and kept for a short while.

In: the plan of an answer. Out: one `bytes` object, shared by every viewer of it. Never: an unbounded queue or store.

What is at the live edge is asked for by all viewers within seconds: the first one pays for reading and remuxing, the others get the same
object, which the server passes on without a copy. So N slow viewers of a segment hold it in memory once.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec
import trio

from pypackager.model.errors import PackagerError
from pypackager.model.plan import Body, Range, Stored, Text
from pypackager.origin.ports import Core


class _Flight:
    """One execution that others may wait for."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.data: bytes | None = None
        self.failure: PackagerError | None = None


class Bodies:
    """Executes plans in threads, one thread per distinct plan, and keeps the newest results.

    Args:
        core: the native functions.
        capacity: bytes that are kept; a body over a quarter of it is shared while it is made and then forgotten.
        threads: how many plans are executed at once.
    """

    def __init__(self, core: Core, *, capacity: int = 16 * 2**20, threads: int = 4) -> None:
        self._core = core
        self._capacity = capacity
        self._limiter = trio.CapacityLimiter(threads)
        self._kept: OrderedDict[Body, bytes] = OrderedDict()
        self._size = 0
        self._flights: dict[Body, _Flight] = {}

    def only_share(self) -> None:
        """Keeps nothing: a front of ours does, and a body is shared while it is made."""
        self._capacity = self._size = 0
        self._kept.clear()

    @property
    def kept_bytes(self) -> int:
        """Bytes of the bodies that are kept now."""
        return self._size

    async def fetch(self, body: Body) -> bytes:
        """The bytes of a body.

        Raises:
            PackagerError: FRAGMENT_GONE (404) when a stored file is no longer there, FRAGMENT_UNREADABLE (500) when its bytes are wrong.
        """
        if isinstance(body, bytes):
            return body
        if isinstance(body, Text):
            return b"".join(body.parts)
        while True:
            kept = self._kept.get(body)
            if kept is not None:
                self._kept.move_to_end(body)
                return kept
            flight = self._flights.get(body)
            if flight is None:
                return await self._lead(body)
            await flight.done.wait()
            if flight.failure is not None:
                raise PackagerError(flight.failure.code, flight.failure.detail, status=flight.failure.status, fault=flight.failure.fault)
            if flight.data is not None:
                return flight.data
            # The viewer that led was cancelled: whoever wakes first leads now.

    async def _lead(self, body: Body) -> bytes:
        flight = self._flights[body] = _Flight()
        try:
            flight.data = await trio.to_thread.run_sync(self._execute, body, limiter=self._limiter)
        except PackagerError as failure:
            flight.failure = failure
            raise
        else:
            self._keep(body, flight.data)
            return flight.data
        finally:
            del self._flights[body]
            flight.done.set()

    def _execute(self, body: Body) -> bytes:
        try:
            return self._core.make_body(body)
        except FileNotFoundError as error:
            raise PackagerError("FRAGMENT_GONE", "it left the archive window a moment ago", status=404) from error
        except (OSError, ValueError) as error:
            # CoreError is a ValueError: what was stored cannot be read any more, which is nobody's fault but ours.
            raise PackagerError("FRAGMENT_UNREADABLE", str(error), status=500, fault="us") from error

    def _keep(self, body: Body, data: bytes) -> None:
        if len(data) > self._capacity // 4:
            return
        self._kept[body] = data
        self._size += len(data)
        while self._size > self._capacity:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)


def stored_size(body: Body) -> int | None:
    """Size of a body where it is known without executing the plan."""
    match body:
        case bytes():
            return len(body)
        case Text():
            return sum(len(part) for part in body.parts)
        case Stored():
            return sum(size for _, _, size in body.ranges)
        case _:
            return None


def cut(body: Stored, offset: int, length: int) -> Stored:
    """The plan of `length` bytes at `offset` of a stored body."""
    ranges: list[Range] = []
    for path, start, size in body.ranges:
        skipped = min(offset, size)
        taken = min(length, size - skipped)
        if taken:
            ranges.append((path, start + skipped, taken))
        offset -= skipped
        length -= taken
    return msgspec.structs.replace(body, ranges=tuple(ranges))
