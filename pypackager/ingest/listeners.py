"""Ingest listeners: accept, ask the allow-lists, hand the socket to the pump."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Literal, Protocol

import trio

from pypackager._core import IngestTls

IngestProtocol = Literal["rtmp", "http"]


class Taker(Protocol):
    """The pump, as listeners see it."""

    def add(self, fd: int, protocol: IngestProtocol, tls: IngestTls | None = None) -> int:
        """Takes over a connected socket, whose peer is to speak TLS or not, and returns its connection number."""
        ...


def open_listener(host: str, port: int, *, backlog: int = 512) -> trio.socket.SocketType:
    """A listening socket; IPv6 wildcard sockets take IPv4 too.

    Raises:
        OSError: the address can't be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    raw = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and host == "::":
            raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        raw.bind((host, port))
        raw.listen(backlog)
    except BaseException:
        raw.close()
        raise
    return trio.socket.from_stdlib_socket(raw)


async def serve_listener(
    listener: trio.socket.SocketType,
    protocol: IngestProtocol,
    pump: Taker,
    allowed: Callable[[str], bool],
    admitted: Callable[[int, str, str], None],
    tls: Callable[[], IngestTls] | None = None,
) -> None:
    """Accepts until cancelled. `allowed` is asked before a byte is read: an address that is in no channel's list is dropped.

    `tls` is asked for each connection: what it says may have been exchanged since the last.

    Resources: closes the listener; accepted sockets belong to the pump.
    """
    with listener:
        while True:
            try:
                client, address = await listener.accept()
            except OSError:
                # Out of descriptors or memory, or the peer was gone before we came: others must still be served.
                await trio.sleep(0.1)
                continue
            # Link-local addresses come with their interface behind a per cent sign.
            peer = str(address[0]).removeprefix("::ffff:").partition("%")[0]
            if protocol == "rtmp" and not allowed(peer):
                client.close()
                continue
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            admitted(pump.add(client.detach(), protocol, tls() if tls else None), peer, protocol)
