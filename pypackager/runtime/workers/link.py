"""Messages between two processes over a Unix socket, in order, with descriptors.

In: a connected socket. Out: what the other side says, and answers to what it is asked. Never: a wait of who says something: what it says
is queued, and a link whose other side is too far behind ends.

A frame is its length (u32, little-endian) and a Frame in MessagePack. A descriptor goes with the first byte of its frame (unix(7),
SCM_RIGHTS), so descriptors come in the order of the frames that carry one. One for which the receiver has no room (EMFILE) is lost, and
that is told with the bytes that it came with (MSG_CTRUNC): its frame comes without it, and the ones behind it with theirs.
"""

from __future__ import annotations

import array
import os
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import structlog
import trio

from pypackager.model.errors import Fault, PackagerError

BEHIND = 64 * 2**20
"""Bytes that may wait for the other side; one for which there are more does not read any more, or never will catch up."""
_READ = 256 * 1024
_ROOM = socket.CMSG_SPACE(16 * array.array("i").itemsize)
"""For the descriptors that one read may bring."""
_LOST = -1
"""In the place of a descriptor for which there was no room."""


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """One message."""

    kind: str
    """What it says; `=` for an answer, `!` for a refusal."""
    number: int
    """Of the question that is asked or answered; 0: none."""
    carries: bool
    """Whether a descriptor goes with it."""
    body: msgspec.Raw


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """A PackagerError on its way."""

    code: str
    detail: str
    status: int
    fault: Fault
    where: str


Hear = Callable[[str, bytes, int | None], None]
"""Takes what is said: kind, body, and a descriptor, which is its own from now on; None as well when the one that was sent was lost."""
Answer = Callable[[str, bytes], Awaitable[Any]]
"""Answers what is asked; a PackagerError goes to who asked."""


class Link:
    """One side.

    Args:
        sock: connected; the link's from now on.
        hear: see Hear; called in order.
        answer: see Answer; each question in a task of its own.
        behind: bytes that may wait for the other side.
    """

    def __init__(self, sock: socket.socket, hear: Hear, answer: Answer, behind: int = BEHIND) -> None:
        sock.setblocking(False)
        self._sock = trio.socket.from_stdlib_socket(sock)
        self._hear = hear
        self._answer = answer
        self._behind = behind
        self._out: deque[tuple[bytes, int | None]] = deque()
        self._waiting = 0
        """Bytes in the queue."""
        self._more = trio.Event()
        self._sent = trio.lowlevel.ParkingLot()
        self._asked: dict[int, Callable[[str, bytes], None]] = {}
        self._number = 0
        self._over = False
        self._scope = trio.CancelScope()

    def say(self, kind: str, body: Any, fd: int | None = None) -> None:
        """Sends a message; a descriptor that goes with it is duplicated, the caller's stays its own.

        Raises:
            OSError: there is no room for a descriptor more; nothing is sent.
        """
        self._send(kind, 0, body, None if fd is None else os.dup(fd))

    async def ask(self, kind: str, body: Any, answer: Any = None, timeout_s: float = 10.0) -> Any:
        """The other side's answer, of the type `answer`.

        Raises:
            PackagerError: what it says; WORKER_DOWN, WORKER_SILENT (503).
        """
        if self._over:
            raise _down()
        self._number += 1
        number, done = self._number, trio.Event()
        found: list[tuple[str, bytes]] = []

        def answered(kind: str, body: bytes) -> None:
            found.append((kind, body))
            done.set()

        self._asked[number] = answered
        self._send(kind, number, body, None)
        try:
            with trio.move_on_after(timeout_s):
                await done.wait()
        finally:
            del self._asked[number]
        if not found:
            raise PackagerError("WORKER_SILENT", f"the worker did not answer within {timeout_s:g} s", status=503, fault="us")
        if found[0][0] == "!":
            refusal = msgspec.msgpack.decode(found[0][1], type=Refusal)
            raise PackagerError(refusal.code, refusal.detail, status=refusal.status, where=refusal.where, fault=refusal.fault)
        return msgspec.msgpack.decode(found[0][1], type=answer)

    async def flush(self) -> None:
        """Waits until all that was said is sent, or the other side is gone."""
        while self._out and not self._over:
            await self._sent.park()

    def end(self) -> None:
        """Has `run` end now, whatever the other side does."""
        self._scope.cancel()

    async def run(self) -> None:
        """Sends and reads until the other side is gone, says what can't be understood or takes nothing, or until it is told to end."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    await self._read(nursery)
                    nursery.cancel_scope.cancel()
        finally:
            self._over = True
            self._sock.close()
            for _, fd in self._out:
                if fd is not None:
                    os.close(fd)
            self._out.clear()
            self._waiting = 0
            self._sent.unpark_all()
            lost = _down()
            body = msgspec.msgpack.encode(Refusal(lost.code, lost.detail, lost.status, lost.fault, lost.where))
            for answered in list(self._asked.values()):
                answered("!", body)

    # --- inside

    def _send(self, kind: str, number: int, body: Any, fd: int | None) -> None:
        if self._over:
            if fd is not None:
                os.close(fd)
            return
        data = msgspec.msgpack.encode(Frame(kind, number, fd is not None, msgspec.Raw(msgspec.msgpack.encode(body))))
        self._out.append((len(data).to_bytes(4, "little") + data, fd))
        self._waiting += len(data) + 4
        self._more.set()
        if self._waiting > self._behind:
            _log().error("link ended", code="WORKER_SILENT", detail=f"{self._waiting} bytes wait for the other side")
            self.end()

    async def _write(self) -> None:
        try:
            while True:
                while self._out:
                    data, fd = self._out[0]
                    rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
                    sent = await self._sock.sendmsg([data], rights) if rights else await self._sock.send(data)
                    if fd is not None:
                        os.close(fd)
                    self._waiting -= sent
                    rest = data[sent:]
                    if rest:
                        self._out[0] = (rest, None)
                    else:
                        self._out.popleft()
                self._sent.unpark_all()
                self._more = trio.Event()
                await self._more.wait()
        except (BrokenPipeError, ConnectionResetError):
            # The other side is gone; what it said before is still read.
            return
        except OSError as error:
            # Descriptors that nobody takes (ETOOMANYREFS), or a kernel without memory.
            _log().error("link ended", detail=str(error))
            self.end()

    async def _read(self, nursery: trio.Nursery) -> None:
        data, descriptors = bytearray(), deque[int]()
        try:
            while True:
                try:
                    piece, rights, flags, _ = await self._sock.recvmsg(_READ, _ROOM, socket.MSG_CMSG_CLOEXEC)
                except OSError:
                    return
                for level, kind, found in rights:
                    if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                        numbers = array.array("i")
                        numbers.frombytes(found[: len(found) - len(found) % numbers.itemsize])
                        descriptors.extend(numbers)
                if flags & socket.MSG_CTRUNC:
                    descriptors.append(_LOST)
                if not piece:
                    return
                data += piece
                while len(data) >= 4 and len(data) >= 4 + (size := int.from_bytes(data[:4], "little")):
                    frame = msgspec.msgpack.decode(bytes(data[4 : 4 + size]), type=Frame)
                    del data[: 4 + size]
                    fd = descriptors.popleft() if frame.carries and descriptors else _LOST
                    self._take(frame, None if fd == _LOST else fd, nursery)
        except Exception:  # noqa: BLE001 (see below)
            # The other side is of this program: what can't be understood, or done, is a fault in one of the two, and the link's end.
            _log().exception("link ended", code="INTERNAL")
        finally:
            for fd in descriptors:
                if fd != _LOST:
                    os.close(fd)

    def _take(self, frame: Frame, fd: int | None, nursery: trio.Nursery) -> None:
        if frame.kind in ("=", "!"):
            if (answered := self._asked.get(frame.number)) is not None:
                answered(frame.kind, bytes(frame.body))
        elif frame.number:
            nursery.start_soon(self._reply, frame)
        else:
            self._hear(frame.kind, bytes(frame.body), fd)

    async def _reply(self, frame: Frame) -> None:
        try:
            self._send("=", frame.number, await self._answer(frame.kind, bytes(frame.body)), None)
        except PackagerError as error:
            self._send("!", frame.number, Refusal(error.code, error.detail, error.status, error.fault, error.where), None)
        except Exception as error:  # noqa: BLE001 (one command that fails must not end the channels of a process)
            _log().exception("fault", on=frame.kind)
            self._send("!", frame.number, Refusal("INTERNAL", f"{frame.kind}: {type(error).__name__}: {error}", 500, "us", ""), None)


def _down() -> PackagerError:
    return PackagerError("WORKER_DOWN", "the worker that has the channel is being started again", status=503, fault="us")


def _log() -> Any:
    return structlog.get_logger()
