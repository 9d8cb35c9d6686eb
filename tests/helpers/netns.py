"""A network of an encoder's own that can be pulled out: a namespace and a pair of virtual cables. Needs root.

In: nothing. Out: the address that the daemon has from inside, threads moved into it, the cable pulled and put back. Never: an address that
another run on this machine has at the same time; answers would go to its namespace.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.helpers.encoders import program

NETWORKS = "10.213.0.0/16"
"""What the addresses are from: four for each network."""
_COUNT = 1 << 14
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_BACKUP_METRIC = "4096"
"""Of a route that holds while the cable is pulled."""


@dataclass(frozen=True)
class Network:
    """A namespace."""

    number: int
    """No other has it on this machine."""

    @property
    def name(self) -> str:
        """Of the namespace."""
        return f"pkg{self.number}"

    @property
    def host(self) -> str:
        """The address of everything outside."""
        return self._address(1)

    def _address(self, which: int) -> str:
        high, low = divmod(4 * self.number, 256)
        return f"10.213.{high}.{low + which}"

    def enter(self) -> None:
        """Moves the calling thread into it, for good; sockets that it makes from now on are there."""
        with Path(f"/run/netns/{self.name}").open() as file:
            _set_namespace(file.fileno(), self.name)

    def pull(self) -> None:
        """Takes the cable out: what is sent is lost, nobody is told."""
        _ip("link", "set", f"{self.name}h", "down")

    def plug(self) -> None:
        """Puts it back."""
        _ip("link", "set", f"{self.name}h", "up")

    def lay(self) -> None:
        """Makes cable and addresses."""
        inside = f"{self.name}e"
        _ip("link", "add", f"{self.name}h", "type", "veth", "peer", "name", inside)
        _ip("link", "set", inside, "netns", self.name)
        # Else answers would leave by the machine's own network while the cable is pulled, and somebody there might say something.
        _ip("route", "add", "blackhole", f"{self._address(0)}/30", "metric", _BACKUP_METRIC)
        _ip("addr", "add", f"{self.host}/30", "dev", f"{self.name}h")
        _ip("link", "set", f"{self.name}h", "up")
        _ip("-n", self.name, "addr", "add", f"{self._address(2)}/30", "dev", inside)
        _ip("-n", self.name, "link", "set", inside, "up")
        _ip("-n", self.name, "link", "set", "lo", "up")

    def remove(self) -> None:
        """Takes everything away that there is of it."""
        for words in (
            ("link", "del", f"{self.name}h"),
            ("route", "del", "blackhole", f"{self._address(0)}/30", "metric", _BACKUP_METRIC),
            ("netns", "del", self.name),
        ):
            with suppress(AssertionError):
                _ip(*words)


def allowed() -> bool:
    """Whether namespaces can be made here."""
    return os.geteuid() == 0


@contextmanager
def network() -> Iterator[Network]:
    """A namespace with a cable to here."""
    made = _claim()
    try:
        made.lay()
        yield made
    finally:
        made.remove()


@contextmanager
def apart() -> Iterator[None]:
    """The calling thread, and all that it starts, in a namespace with nothing but a loopback.

    Networks that are made there come and go unseen by everybody else: Chromium ends its requests when one of the machine does
    (ERR_NETWORK_CHANGED).
    """
    with Path("/proc/thread-self/ns/net").open() as home:
        if _libc.unshare(_CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            _ip("link", "set", "lo", "up")
            yield
        finally:
            _set_namespace(home.fileno(), "home")


def _set_namespace(descriptor: int, name: str) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), f"setns {name}")


def _claim() -> Network:
    """A number that nobody on this machine has: of two who make the namespace of one name the second fails."""
    first = os.getpid()
    for tried in range(_COUNT):
        made = Network((first + tried) % _COUNT)
        try:
            _ip("netns", "add", made.name)
        except AssertionError as error:
            if "File exists" not in str(error):
                raise
            continue
        return made
    raise AssertionError("all networks are in use")


def _ip(*words: str) -> None:
    done = subprocess.run([program("ip", "iproute2"), *words], check=False, capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"
