"""Connections of viewers, with limits on what one of them can hold up.

In: accepted sockets. Out: streams for Hypercorn. Never: HTTP.

Hypercorn sends inside a shielded cancel scope, so a viewer that stops reading would hold its task, its body and the program's shutdown
for as long as it likes. What ends such a send is the socket: it is closed under it, by the stream when no byte moved for a while, or by
the server when it shuts down.
"""

from __future__ import annotations

from collections.abc import Callable

import trio


class ViewerStream(trio.abc.HalfCloseableStream):
    """One viewer's connection.

    Args:
        inner: the socket's stream.
        stall_s: seconds in which at least one byte of what is being sent must be taken.
        on_close: called once when the connection is closed.
    """

    def __init__(self, inner: trio.SocketStream, stall_s: float, on_close: Callable[[ViewerStream], None]) -> None:
        self._inner = inner
        self._stall_s = stall_s
        self._on_close: Callable[[ViewerStream], None] | None = on_close

    @property
    def socket(self) -> trio.socket.SocketType:
        """Where Hypercorn reads the addresses."""
        return self._inner.socket

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Sends everything.

        Raises:
            trio.BrokenResourceError: the viewer is gone, or took nothing for too long and was cut off.
        """
        with memoryview(data) as view:
            sent = 0
            while sent < len(view):
                with trio.move_on_after(self._stall_s) as patience:
                    try:
                        sent += await self.socket.send(view[sent:])
                    except OSError as error:
                        raise trio.BrokenResourceError(f"the viewer is gone: {error}") from error
                if patience.cancelled_caught:
                    self.abort()
                    raise trio.BrokenResourceError("the viewer takes nothing")

    async def wait_send_all_might_not_block(self) -> None:
        """As of the socket's stream."""
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As of the socket's stream."""
        return await self._inner.receive_some(max_bytes)

    async def send_eof(self) -> None:
        """As of the socket's stream."""
        await self._inner.send_eof()

    def abort(self) -> None:
        """Closes the socket at once; whoever waits on it gets trio.ClosedResourceError, shielded or not."""
        self.socket.close()
        if self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            on_close(self)

    async def aclose(self) -> None:
        """Closes the connection."""
        self.abort()
        await trio.lowlevel.checkpoint()


class Viewers:
    """The connections that are open, at most `limit` of them: the others wait in the listeners' backlogs.

    Without a limit a flood of viewers takes the file descriptors that encoders need.
    """

    def __init__(self, *, limit: int, stall_s: float) -> None:
        self._slots = trio.Semaphore(limit)
        self._stall_s = stall_s
        self._open: set[ViewerStream] = set()
        self._emptied = trio.Event()

    async def drained(self) -> None:
        """Returns when no connection is open."""
        while self._open:
            self._emptied = trio.Event()
            await self._emptied.wait()

    async def accept(self, listener: trio.SocketListener) -> ViewerStream:
        """The next connection of a listener, once there is room for it."""
        await self._slots.acquire()
        try:
            stream = ViewerStream(await listener.accept(), self._stall_s, self._forget)
        except BaseException:
            self._slots.release()
            raise
        self._open.add(stream)
        return stream

    def abort(self) -> None:
        """Closes all connections at once."""
        for stream in tuple(self._open):
            stream.abort()

    def _forget(self, stream: ViewerStream) -> None:
        self._open.discard(stream)
        if not self._open:
            self._emptied.set()
        self._slots.release()


class ViewerListener(trio.abc.Listener[ViewerStream]):
    """A listening socket whose connections count."""

    def __init__(self, inner: trio.SocketListener, viewers: Viewers) -> None:
        self._inner = inner
        self._viewers = viewers

    async def accept(self) -> ViewerStream:
        """The next connection."""
        return await self._viewers.accept(self._inner)

    async def aclose(self) -> None:
        """Closes the listening socket."""
        await self._inner.aclose()
