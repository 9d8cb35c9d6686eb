"""Viewers by the thousand, from one thread: some only hold a connection, some poll a manifest.

The clock of a poll is started when it is sent and stopped when the last byte of its answer is read; what the thread is late by counts too.
"""

from __future__ import annotations

import gc
import re
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pypackager.runtime.descriptors import allow_descriptors, for_viewers

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def most_viewers(wanted: int) -> int:
    """So many as there may be, in this process and in a server that may open as many descriptors."""
    allow_descriptors()
    return for_viewers(wanted)


@dataclass
class Poll:
    """One viewer's connection."""

    sock: socket.socket
    request: bytes
    due: float = 0.0
    sent: float = 0.0
    left: int = -1
    """Bytes of the answer that are to come; below zero: its head is not there yet."""


@contextmanager
def connected(address: str, count: int) -> Iterator[list[socket.socket]]:
    """So many kept connections."""
    host, _, port = address.rpartition(":")
    sockets: list[socket.socket] = []
    try:
        # One by one, so that those that there are get closed when the next can't be.
        sockets.extend(socket.create_connection((host, int(port)), 30) for _ in range(count))
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


def ask(sock: socket.socket, request: bytes) -> bytes:
    """One answer, whole; raises AssertionError when it is not 200."""
    sock.sendall(request)
    answer = b""
    while (end := answer.find(b"\r\n\r\n")) < 0 or len(answer) < end + 4 + _length(answer[: end + 4]):
        data = sock.recv(1 << 18)
        assert data, "the connection was closed"
        answer += data
    return answer


def request(address: str, target: str, *fields: str) -> bytes:
    """A GET."""
    return "\r\n".join([f"GET {target} HTTP/1.1", f"Host: {address}", "User-Agent: bench", *fields, "", ""]).encode()


def poll(address: str, targets: Sequence[str], viewers: int, period: float, seconds: float) -> list[float]:
    """How long answers took, in seconds, while so many viewers ask for a target once in each period, evenly spread over it.

    Raises:
        AssertionError: a viewer was sent an error, or its connection was closed.
    """
    requests = [request(address, target, "Accept-Encoding: gzip") for target in targets]
    with connected(address, viewers) as sockets, _no_collection():
        polls = {sock.fileno(): Poll(sock, requests[number % len(requests)]) for number, sock in enumerate(sockets)}
        for sock in sockets:
            sock.setblocking(False)
        return _run(polls, period, seconds)


def _run(polls: dict[int, Poll], period: float, seconds: float) -> list[float]:
    waiting = select.epoll()
    for fd in polls:
        waiting.register(fd, select.EPOLLIN)
    took: list[float] = []
    order = list(polls.values())
    begun = time.perf_counter()
    for number, one in enumerate(order):
        one.due = begun + number / len(order) * period
    at, end = 0, begun + seconds
    while (now := time.perf_counter()) < end:
        while (one := order[at]).due <= now:
            # Who has no answer yet does not ask again.
            if not one.sent:
                one.sent, one.left = time.perf_counter(), -1
                one.sock.send(one.request)
            one.due += period
            at = (at + 1) % len(order)
        for fd, _ in waiting.poll(min(order[at].due, end) - now):
            one = polls[fd]
            if _read(one):
                took.append(time.perf_counter() - one.sent)
                one.sent = 0.0
    late = [end - one.sent for one in order if one.sent]
    waiting.close()
    # An answer that is still to come took at least so long.
    return took + [value for value in late if value > period]


def _read(one: Poll) -> bool:
    """Whether the answer is whole."""
    data = one.sock.recv(1 << 18)
    assert data, "a viewer's connection was closed"
    if one.left < 0:
        assert data.startswith(b"HTTP/1.1 200 "), data[:200]
        head = data.index(b"\r\n\r\n") + 4
        one.left = head + _length(data[:head])
    one.left -= len(data)
    return one.left == 0


def _length(head: bytes) -> int:
    found = _LENGTH.search(head)
    assert found, head
    return int(found[1])


@contextmanager
def _no_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
