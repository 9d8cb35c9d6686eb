"""What a process costs, read from /proc."""

from __future__ import annotations

import os
import platform
import re
import tempfile
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


TOUCHED = (
    "Before the runs without pace as much as they write was written and removed: the host of a virtual machine gives memory when it is "
    "touched first, and the first runs of a series would pay for it."
)
"""What RESULTS.md says of [touch_memory][]."""


def touch_memory(folder: Path, gigabytes: float) -> None:
    """Has the page cache that runs will fill given to this machine before they are measured.

    The host of a virtual machine gives a page at its first touch, on the bill of whoever touches it: runs in a row, all alike, were
    measured at 3.4, 2.2 and 1.7 CPU seconds per gigabyte.

    Args:
        folder: on the file system that the runs write to.
        gigabytes: what all that is on the disk at once has, of 1e9 bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    block = bytes(range(256)) * 4096
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(round(gigabytes * 1e9 / len(block))):
            file.write(block)


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
