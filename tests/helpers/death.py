"""How a process dies in a test: before any of its calls of the system, without a word, with what it held given back by the kernel."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from pypackager.control.database import Database
from pypackager.dvr.lock import LOCK

CALLS = ("link", "replace", "rename", "unlink", "fsync", "mkdir", "rmdir")
"""Of the system: a process may be killed before one of them, and before and behind each transaction."""


class KilledError(BaseException):
    """The process is gone."""


def locks(directory: Path) -> list[int]:
    """What this process holds of channels, also of such as were being opened when it died."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            held = str(link.readlink()).removesuffix(" (deleted)")
            if held.startswith(f"{directory}/channels/") and Path(held).name == LOCK:
                found.append(int(link.name))
    return found


@contextmanager
def dying(calls: int, write: Callable[[Callable[[], None]], None] | None = None) -> Iterator[None]:
    """The process is killed before its next call of the system but `calls`.

    Args:
        calls: that it lives to do.
        write: when a transaction is that call, it does as much of it as is to happen.
    """
    left = calls

    def mortal(real: Callable[..., Any], *, last: bool = False) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left == -1 and last and write is not None:
                write(lambda: real(*args, **named))
            if left < 0:
                raise KilledError
            return real(*args, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, mortal(getattr(os, name)))
        patch.setattr(Database, "write", mortal(Database.write, last=True))
        yield
