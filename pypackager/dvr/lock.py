"""One owner process per channel: a lock on its directory, which ends with the process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pypackager.model.errors import PackagerError


def lock_directory(directory: Path) -> int:
    """Takes the lock; returns its descriptor, which the caller closes.

    Raises:
        PackagerError: CHANNEL_LOCKED.
    """
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        detail = "another process owns the channel"
        raise PackagerError("CHANNEL_LOCKED", detail, status=500, where=str(directory), fault="operator") from error
    return lock
