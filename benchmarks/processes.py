"""What a process costs, read from /proc."""

from __future__ import annotations

import mmap
import os
import platform
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from pypackager import __version__

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process, those that ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def thread_cpu_seconds(thread: int) -> float:
    """CPU time of one thread of this process, to the nanosecond."""
    return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0]) / 1e9


def anonymous_mib(pid: int) -> float:
    """Anonymous memory in MiB."""
    found = re.search(r"^Anonymous:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found, "smaps_rollup has no Anonymous line"
    return int(found[1]) / 1024


GIVEN = (
    "The host of a virtual machine gives memory when it is touched first, on the bill of who touches it, and takes back what is free. For "
    "the runs without pace another process holds as much as they write, and lets go of it while they write."
)
"""What RESULTS.md says of [given_memory][]."""
_AHEAD = 256 << 20
"""So much more is let go of than was written: page cache of what is not counted yet, and the process' own memory."""
_PIECE = 2 << 20
"""The largest pieces that the kernel gives out and takes back."""


@contextmanager
def given_memory(pid: int, gigabytes: float, ahead: int = _AHEAD) -> Iterator[None]:
    """Lets a process find memory, for what it writes, that the host of a virtual machine has given to this one already.

    Where the kernel reports free pages (page_reporting.c) the host takes them back two seconds after they are free, and gives them anew at
    their first touch: writing a gigabyte to fresh pages was measured at 1.5 to 2.1 CPU seconds, and to these at 0.22. Memory that is
    touched and freed before a run is cold again when the run begins, so it is held, and freed piece by piece as the process writes.

    Args:
        pid: of the process.
        gigabytes: what it will write, of 1e9 bytes.
        ahead: bytes that are let go of before they are written.
    """
    size = (int(gigabytes * 1e9) + ahead) // _PIECE * _PIECE
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as held:
        # In large pieces, as the page cache of a file that grows wants them.
        held.madvise(mmap.MADV_HUGEPAGE)
        for at in range(0, size, mmap.PAGESIZE):
            held[at] = 1
        ended, begun = threading.Event(), written(pid)

        def let_go() -> None:
            free = 0
            while free < size and not ended.wait(0.004):
                until = min((written(pid) - begun + ahead) // _PIECE * _PIECE, size)
                if until > free:
                    held.madvise(mmap.MADV_DONTNEED, free, until - free)
                    free = until

        thread = threading.Thread(target=let_go)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def written(pid: int) -> int:
    """Bytes that a process has handed to the kernel."""
    found = re.search(r"^wchar: (\d+)$", Path(f"/proc/{pid}/io").read_text(), re.MULTILINE)
    assert found, "the process tells nothing of what it writes"
    return int(found[1])


def pin(pid: int, cpu: int) -> None:
    """Keeps a process and all its threads on one CPU, where the machine has more than one."""
    cpus = sorted(os.sched_getaffinity(0) if pid == 0 else range(os.cpu_count() or 1))
    if len(cpus) > 1 or pid:
        os.sched_setaffinity(pid, {cpus[min(cpu, len(cpus) - 1)]})


def machine() -> str:
    """Processor, cores, kernel."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{model[1].strip() if model else platform.processor()}, {os.cpu_count()} cores, Linux {platform.release().partition('-')[0]}"


def versions() -> str:
    """What is measured, and on what."""
    names = ("trio", "hypercorn", "numpy", "msgspec")
    return ", ".join([f"pypackager {__version__}", f"CPython {platform.python_version()}", *(f"{name} {version(name)}" for name in names)])
