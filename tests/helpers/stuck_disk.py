"""A disk that takes nothing: the thread of a daemon that writes is held, as the kernel holds one whose write does not return.

In: a daemon's process. Out: its writer stands still within a block, and goes on behind it. Linux lets a parent trace its children.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17
_WALL = 0x40000000
"""waitpid(2): of threads, too."""
_libc = ctypes.CDLL(None, use_errno=True)


def _ptrace(request: int, thread: int) -> None:
    if _libc.ptrace(request, thread, None, None) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace: {os.strerror(error)}")


@contextmanager
def stuck_disk(process: int) -> Iterator[None]:
    """Nothing is written by a process, nor answered to it as written.

    Raises:
        OSError: the system lets nobody trace.
    """
    (writer,) = (int(task.name) for task in Path(f"/proc/{process}/task").iterdir() if (task / "comm").read_text() == "writer\n")
    _ptrace(_SEIZE, writer)
    try:
        _ptrace(_INTERRUPT, writer)
        os.waitpid(writer, _WALL)
        yield
    finally:
        _ptrace(_DETACH, writer)


def may_hold() -> bool:
    """Whether the system lets this process hold a thread of its child."""
    child = subprocess.Popen(["sleep", "60"])
    try:
        _ptrace(_SEIZE, child.pid)
        _ptrace(_INTERRUPT, child.pid)
    except OSError:
        return False
    finally:
        child.kill()
        child.wait()
    return True
