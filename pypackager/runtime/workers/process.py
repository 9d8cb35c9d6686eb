"""A worker's process: `python -m pypackager.runtime.workers.process DESCRIPTOR`, which is its end of the link to the front process.

In: a descriptor. Out: a worker that was told what it is to be. Never: a longer life than its link's.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from functools import partial
from typing import Any

import msgspec
import trio

from pypackager.model.errors import PackagerError
from pypackager.runtime.allocator import keep_memory
from pypackager.runtime.logs import configure_logs
from pypackager.runtime.workers.link import Link
from pypackager.runtime.workers.words import Begin
from pypackager.runtime.workers.worker import Worker


async def serve(fd: int) -> None:
    """Runs the worker whose link is at a descriptor, until the front process ends it."""
    worker: Worker | None = None
    begun = trio.Event()

    async def answer(kind: str, body: bytes) -> Any:
        nonlocal worker
        if kind == "begin":
            begin = msgspec.msgpack.decode(body, type=Begin)
            configure_logs(begin.config.log, verbose=begin.verbose)
            worker = Worker(begin, link)
            begun.set()
            await worker.started.wait()
            return os.getpid()
        if worker is None:
            raise PackagerError("INTERNAL", f"{kind!r} before the worker has begun", status=500, fault="us")
        return await worker.answer(kind, body)

    def hear(kind: str, body: bytes, descriptor: int | None) -> None:
        if worker is not None:
            worker.hear(kind, body, descriptor)
        elif descriptor is not None:
            os.close(descriptor)

    link = Link(socket.socket(fileno=fd), hear, answer)
    async with trio.open_nursery() as nursery:

        async def work() -> None:
            await begun.wait()
            if worker is not None:
                await worker.run()
            nursery.cancel_scope.cancel()

        nursery.start_soon(work)
        await link.run()
        nursery.cancel_scope.cancel()


def main() -> None:
    """The process."""
    # Signals are for the front process; a terminal or an init system sends them to all of a group.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    keep_memory()
    trio.run(partial(serve, int(sys.argv[1])))


if __name__ == "__main__":
    main()
