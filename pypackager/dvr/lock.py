"""Locks that end with the process: one owner per channel, and nobody clears up among assets while one is being made."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from pypackager.model.errors import PackagerError

LOCK = "lock"
"""Name of the file in a channel's directory that its owner has locked."""


def lock_directory(directory: Path) -> int:
    """Takes the lock; returns its descriptor, which the caller closes.

    Raises:
        PackagerError: CHANNEL_LOCKED.
    """
    lock = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        detail = "another process owns the channel"
        raise PackagerError("CHANNEL_LOCKED", detail, status=500, where=str(directory), fault="operator") from error
    return lock


@contextmanager
def held(directory: Path, *, alone: bool) -> Generator[None]:
    """Holds a directory together with others, or alone; waits for it.

    Raises:
        OSError: the directory can't be opened.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)
