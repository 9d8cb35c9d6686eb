"""A network of an encoder's own that can be pulled out: a namespace and a pair of virtual cables. Needs root.

In: nothing. Out: the address that the daemon has from inside, threads moved into it, the cable pulled and put back.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.encoders import program

NETWORKS = "10.213.0.0/16"
"""What the addresses are from."""
_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class Network:
    """A namespace."""

    name: str
    number: int

    @property
    def host(self) -> str:
        """The address of everything outside."""
        return f"10.213.{self.number}.1"

    def enter(self) -> None:
        """Moves the calling thread into it, for good; sockets that it makes from now on are there."""
        libc = ctypes.CDLL(None, use_errno=True)
        with Path(f"/run/netns/{self.name}").open() as file:
            if libc.setns(file.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {self.name}")

    def pull(self) -> None:
        """Takes the cable out: what is sent is lost, nobody is told."""
        _ip("link", "set", f"{self.name}h", "down")

    def plug(self) -> None:
        """Puts it back."""
        _ip("link", "set", f"{self.name}h", "up")


def allowed() -> bool:
    """Whether namespaces can be made here."""
    return os.geteuid() == 0


@contextmanager
def network(number: int) -> Iterator[Network]:
    """A namespace with a cable to here; `number` (1 to 255) is its own on this machine."""
    made = Network(f"pk{os.getpid() % 100_000}n{number}", number)
    inside = f"{made.name}e"
    _ip("netns", "add", made.name)
    try:
        _ip("link", "add", f"{made.name}h", "type", "veth", "peer", "name", inside)
        _ip("link", "set", inside, "netns", made.name)
        _ip("addr", "add", f"{made.host}/24", "dev", f"{made.name}h")
        _ip("link", "set", f"{made.name}h", "up")
        _ip("-n", made.name, "addr", "add", f"10.213.{number}.2/24", "dev", inside)
        _ip("-n", made.name, "link", "set", inside, "up")
        _ip("-n", made.name, "link", "set", "lo", "up")
        yield made
    finally:
        subprocess.run([program("ip", "iproute2"), "link", "del", f"{made.name}h"], check=False, capture_output=True, timeout=10)
        _ip("netns", "del", made.name)


def _ip(*words: str) -> None:
    done = subprocess.run([program("ip", "iproute2"), *words], check=False, capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
