"""The networks that cables are pulled of: each has addresses of its own on this machine, and a pulled cable is silent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.helpers.netns import Network, apart, network

pytestmark = [pytest.mark.e2e, pytest.mark.netns]


@pytest.fixture(autouse=True)
def _unseen() -> Iterator[None]:
    """Nobody beside has to notice."""
    with apart():
        yield


def connect(made: Network, port: int) -> socket.socket:
    """A connection from inside."""
    found: list[socket.socket] = []

    def run() -> None:
        made.enter()
        found.append(socket.create_connection((made.host, port), 10))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(15)
    return found[0]


def test_two_at_once_are_apart() -> None:
    with network() as one, network() as other, socket.create_server(("0.0.0.0", 0)) as server:
        assert one.host != other.host
        peers = []
        for made in (one, other):
            with connect(made, server.getsockname()[1]):
                taken, peer = server.accept()
                taken.close()
            peers.append(peer[0])
        assert len(set(peers)) == 2
    # What is gone can be made again.
    with network() as again:
        assert again.host == one.host


def test_a_pulled_cable_says_nothing_and_loses_nothing_for_good() -> None:
    with network() as made, socket.create_server(("0.0.0.0", 0)) as server:
        inside = connect(made, server.getsockname()[1])
        outside, _ = server.accept()
        with inside, outside:
            made.pull()
            outside.settimeout(1.0)
            for side in (inside, outside):
                side.sendall(b"sent while it is out")
            with pytest.raises(TimeoutError):
                outside.recv(100)
            made.plug()
            for side in (inside, outside):
                side.settimeout(20.0)
                assert side.recv(100) == b"sent while it is out"
