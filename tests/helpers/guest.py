"""A Trio loop beside a test that is none of its tasks: each step of the test lets it run until everything waits."""

from __future__ import annotations

import queue
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import outcome
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

_T = TypeVar("_T")


class GuestLoop:
    """Runs until `end`; nothing in it moves while the test does not call."""

    def __init__(self) -> None:
        self._todo: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._asked: list[tuple[Callable[[], Awaitable[Any]], list[outcome.Outcome[Any]]]] = []
        self._ended: outcome.Outcome[None] | None = None
        self._wake = trio.Event()
        self._scope = trio.CancelScope()
        self._token: trio.lowlevel.TrioToken | None = None
        trio.lowlevel.start_guest_run(
            self._serve,
            run_sync_soon_threadsafe=self._todo.put,
            done_callback=self._done,
            clock=MockClock(),
            host_uses_signal_set_wakeup_fd=True,
        )
        while self._token is None:
            self._todo.get()()

    def call(self, act: Callable[[], Awaitable[_T]]) -> _T:
        """Awaits something in the loop.

        Raises:
            BaseException: what it raised, or what another task did that ended the loop.
        """
        box: list[outcome.Outcome[_T]] = []
        self._asked.append((act, box))
        if self._token is not None and self._ended is None:
            self._token.run_sync_soon(self._awake)
        while not box and self._ended is None:
            self._todo.get()()
        if not box and self._ended is not None:
            self._ended.unwrap()
            raise RuntimeError("the loop has ended")
        return box[0].unwrap()

    def rest(self) -> None:
        """Lets every task go on until it waits."""
        self.call(wait_all_tasks_blocked)

    def start_soon(self, act: Callable[..., Awaitable[Any]]) -> None:
        """Starts a task of its own."""
        self.nursery.start_soon(act)

    def end(self) -> None:
        """Cancels every task; what they raise meanwhile is nobody's any more."""
        if self._ended is None and self._token is not None:
            self._token.run_sync_soon(self._scope.cancel)
        while self._ended is None:
            self._todo.get()()

    async def _serve(self) -> None:
        with self._scope:
            async with trio.open_nursery() as self.nursery:
                self._token = trio.lowlevel.current_trio_token()
                while True:
                    while self._asked:
                        act, box = self._asked.pop(0)
                        done = await outcome.acapture(act)
                        if isinstance(done, outcome.Error) and isinstance(done.error, trio.Cancelled):
                            # The loop ends, with what another task raised.
                            done.unwrap()
                        box.append(done)
                    await self._wake.wait()
                    self._wake = trio.Event()

    def _awake(self) -> None:
        self._wake.set()

    def _done(self, ended: outcome.Outcome[None]) -> None:
        self._ended = ended
