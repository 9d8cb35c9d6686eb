"""A path between a real encoder and the daemon that a test may harm: cut, stalled, slowed, made to vanish, with noise in its bytes.

In: the daemon's port. Out: a port for the encoder, and since when the path is whole. Never: a look into what is sent; all is bytes.
"""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

PIECE = 16_384
"""Bytes that are taken at a time."""
SLOW_BPS = 15_000
"""Bytes a second of a slow path: a third of what the recording has."""
PAUSE_S = 0.01
"""Noise comes where the encoder has sent nothing for so long: between two messages. Within one nobody could tell it: RTMP has no sums."""
DEAF_S = 1.0
"""Noise that the daemon took for something ends the connection after so long."""


@dataclass(eq=False)
class _Link:
    """A connection of the encoder, and the one to the daemon that belongs to it."""

    encoder: trio.SocketStream
    daemon: trio.SocketStream
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    resets: bool = False
    """It ends with a reset to both sides."""
    vanishes: bool = False
    """Its end is not told to the daemon."""


class Relay:
    """One path. All times are trio's."""

    def __init__(self, port: int, chance: random.Random) -> None:
        """Nothing listens yet.

        Args:
            port: of the daemon.
            chance: what the noise is, and where a fragment is cut off.
        """
        self.port = 0
        """Where the encoder connects."""
        self.since: float | None = None
        """When the first bytes came through after the last harm; None: none have."""
        self.connections = 0
        self._daemon_port = port
        self._chance = chance
        self._links: set[_Link] = set()
        self._vanished: list[trio.SocketStream] = []
        self._ill_until = self._refuses_until = self._slow_until = 0.0
        self._still = {"up": 0.0, "down": 0.0}
        self._noise = 0
        self._truncates = False

    async def serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Carries whatever comes until it is cancelled."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        try:
            await trio.serve_listeners(self._carry, listeners)
        finally:
            for stream in self._vanished:
                stream.socket.close()

    # --- harm

    def harm(self, kind: str, value: float) -> None:
        """Does one of the faults of `HARMS` to the path."""
        self.disturbed(value if kind in ("stall", "slow", "down") else 0.0)
        HARMS[kind](self, value)

    def disturbed(self, seconds: float = 0.0) -> None:
        """Something befalls the path for so long: it is not whole until bytes come through after that."""
        self.since = None
        self._ill_until = max(self._ill_until, trio.current_time() + seconds)

    def _cut(self, seconds: float) -> None:
        for link in self._links:
            link.resets = True
        self._hang_up(seconds)

    def _hang_up(self, seconds: float) -> None:
        self._refuses_until = trio.current_time() + seconds
        for link in self._links:
            link.scope.cancel()

    def _truncate(self, _: float) -> None:
        self._truncates = True

    def _vanish(self, _: float) -> None:
        for link in self._links:
            link.vanishes = link.resets = True
            link.scope.cancel()

    def _stall(self, seconds: float) -> None:
        self._still["up"] = trio.current_time() + seconds

    def _pull(self, seconds: float) -> None:
        self._still = dict.fromkeys(self._still, trio.current_time() + seconds)

    def _slow_down(self, seconds: float) -> None:
        self._slow_until = trio.current_time() + seconds

    def _spoil(self, count: float) -> None:
        self._noise = int(count)

    # --- what goes through

    async def _carry(self, encoder: trio.SocketStream) -> None:
        await trio.sleep_until(self._still["down"])
        if trio.current_time() < self._refuses_until:
            _close(encoder, reset=True)
            return
        try:
            daemon = await trio.open_tcp_stream("127.0.0.1", self._daemon_port)
        except OSError:
            _close(encoder, reset=True)
            return
        self.connections += 1
        link = _Link(encoder, daemon)
        self._links.add(link)
        try:
            with link.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._bring, link)
                    nursery.start_soon(self._answer, link)
        finally:
            self._links.discard(link)
            self.since = None
            _close(encoder, reset=link.resets)
            if link.vanishes:
                self._vanished.append(daemon)
            else:
                _close(daemon, reset=link.resets)

    async def _bring(self, link: _Link) -> None:
        try:
            while data := await self._taken(link):
                await trio.sleep_until(self._still["up"])
                if self._truncates:
                    self._truncates = False
                    await link.daemon.send_all(data[: self._chance.randrange(1, max(2, len(data)))])
                    link.scope.cancel()
                await self._pass_on(link, data)
                if self.since is None and trio.current_time() >= self._ill_until:
                    self.since = trio.current_time()
            await link.daemon.send_eof()
        except trio.BrokenResourceError:
            link.scope.cancel()

    async def _taken(self, link: _Link) -> bytes:
        """The next bytes of the encoder, noise ahead of them where it is due; empty at the end."""
        while self._noise:
            with trio.move_on_after(PAUSE_S):
                return bytes(await link.encoder.receive_some(PIECE))
            noise, self._noise = self._chance.randbytes(self._noise), 0
            await link.daemon.send_all(noise)
            link.scope.deadline = trio.current_time() + DEAF_S
        return bytes(await link.encoder.receive_some(PIECE))

    async def _pass_on(self, link: _Link, data: bytes) -> None:
        step = SLOW_BPS // 20
        while data and trio.current_time() < self._slow_until:
            await link.daemon.send_all(data[:step])
            data = data[step:]
            await trio.sleep(step / SLOW_BPS)
        await link.daemon.send_all(data)

    async def _answer(self, link: _Link) -> None:
        try:
            while data := await link.daemon.receive_some(PIECE):
                await trio.sleep_until(self._still["down"])
                await link.encoder.send_all(data)
            await link.encoder.send_eof()
        except trio.BrokenResourceError:
            link.scope.cancel()


HARMS: dict[str, Callable[[Relay, float], None]] = {
    "cut": Relay._cut,
    "hangup": Relay._hang_up,
    "truncate": Relay._truncate,
    "vanish": Relay._vanish,
    "stall": Relay._stall,
    "slow": Relay._slow_down,
    "garbage": Relay._spoil,
    "down": Relay._pull,
}
"""By the names of `matrix_plan.KINDS`."""


def _close(stream: trio.SocketStream, *, reset: bool) -> None:
    if reset:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()
