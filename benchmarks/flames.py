"""Where the CPU time goes: flame graphs of ladders taken in, with and without pace, and of delivery (`make bench-flames`).

perf samples the daemon by its CPU clock, with the kernel's functions; the interpreter is one box there. What the Python functions take of
it is sampled by py-spy in a run of its own. Pictures and a table of shares go to docs/design/flames.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.delivery import CONNECTIONS, front, wrk
from benchmarks.doorstep import SIZES
from benchmarks.flame_graph import Stacks, draw, fold_perf, fold_raw, shares, table_rows
from benchmarks.media import fragmented_ladder
from benchmarks.processes import given_memory, machine, pin
from benchmarks.report import table
from benchmarks.system import CLIENT_CPU, SERVER_CPU, WARM_UP, WORK, daemon, push_unpaced, pushing

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "design" / "flames"
LADDERS = 10
OFTEN, SELDOM = 4999, 997
"""Samples a second of CPU time: of a daemon that does little, and of one that does much."""
STACK_BYTES = 16_384
"""What is kept of a thread's stack for each sample."""
PYTHON = "unpaced-python"
"""The picture of Python's functions alone."""
PARTS = {
    "memory touched first (page faults)": r"exc_page_fault_k",
    "the socket": r"(tcp|inet|sock|sk|skb)_\w+_k",
    "the page cache: copying into it": r"pwrite.*_k.*copy_folio_from_iter_atomic_k",
    "the page cache: all else of writing": r"pwrite.*_k",
    "the disk: fdatasync, sync_file_range": r"(fdatasync|fsync|sync_file_range)\w*_k",
    "the page cache: giving up": r"fadvise\w*_k",
    "the kernel, else": r"_k(;|$)",
    "check sums": r"crc32c",
    "native: the pump": r"^pump;",
    "native: the writer": r"^(writer|syncer);",
    "native: the front door": r"^frontdoor",
    "native, called by Python": r"Python;(?!.*Python$).*(pypackager_|pyo3)",
    "Python": r"Python",
}
"""What a share is spent on, by what its stack has."""


Sampler = Callable[[int, int], AbstractContextManager[list[Stacks]]]
"""Samples a process so many times a second of its CPU time; what was seen is in the list in the end."""


@contextmanager
def sampled(pid: int, every: int) -> Iterator[list[Stacks]]:
    """Samples a process by its CPU clock; what was seen is in the list in the end."""
    found: list[Stacks] = []
    data = WORK / "perf.data"
    command = ["perf", "record", "--quiet", "--event", "cpu-clock", "--freq", str(every), "--call-graph", f"dwarf,{STACK_BYTES}"]
    with watched([*command, "--pid", str(pid), "--output", str(data)]):
        yield found
    script = ["perf", "script", "--input", str(data), "--no-inline", "--fields", "comm,ip,sym,dso"]
    said = subprocess.run(script, check=True, capture_output=True, text=True, errors="replace").stdout
    data.unlink()
    found.append(fold_perf(said))


@contextmanager
def spied(pid: int, every: int) -> Iterator[list[Stacks]]:
    """Samples the Python functions of a process."""
    found: list[Stacks] = []
    out = WORK / "py-spy.txt"
    program = shutil.which("py-spy", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    assert program, "pip install py-spy"
    command = [program, "record", "--format", "raw", "--rate", str(every), "--output", str(out)]
    with watched([*command, "--pid", str(pid), "--duration", "3600", "--gil", "--nonblocking"], subprocess.DEVNULL):
        yield found
    found.append(fold_raw(out.read_text()))


@contextmanager
def watched(command: Sequence[str], output: int | None = None) -> Iterator[None]:
    """Runs a program that samples until it is interrupted, and writes down what it saw then."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    time.sleep(1)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def paced(protocol: str, options: argparse.Namespace) -> Stacks:
    """Ladders at their own pace, nobody watching."""
    with daemon(LADDERS, protocol) as served, pushing(served.url(protocol), LADDERS) as push:
        time.sleep(WARM_UP)
        with sampled(served.pid, OFTEN) as found:
            time.sleep(options.seconds)
        assert push.poll() is None, (WORK / "push.log").read_text()[-2000:]
    return found[0]


def unpaced(protocol: str, options: argparse.Namespace, sampler: Sampler = sampled) -> Stacks:
    """A ladder as fast as the daemon takes it."""
    with daemon(1, protocol) as served, given_memory(served.pid, options.gigabytes), sampler(served.pid, SELDOM) as found:
        push_unpaced(served.url(protocol).replace("{ladder}", "1"), options.gigabytes)
    return found[0]


def delivered(what: str, options: argparse.Namespace) -> Stacks:
    """The front door with one kind of answer."""
    files = WORK / "files"
    files.mkdir(parents=True, exist_ok=True)
    for name, size in SIZES.items():
        (files / name).write_bytes(os.urandom(size))
    with front(files) as (pid, address):
        pin(pid, SERVER_CPU)
        url = f"http://{address}/{what}"
        wrk(url, CONNECTIONS, 1)
        with sampled(pid, SELDOM) as found:
            wrk(url, CONNECTIONS, min(options.seconds, 10))
    return found[0]


def runs(options: argparse.Namespace) -> dict[str, Callable[[], Stacks]]:
    """All pictures by their names."""
    return {
        "paced-rtmp": lambda: paced("rtmp", options),
        "paced-fmp4": lambda: paced("fmp4", options),
        "unpaced-rtmp": lambda: unpaced("rtmp", options),
        "unpaced-fmp4": lambda: unpaced("fmp4", options),
        PYTHON: lambda: unpaced("fmp4", options, spied),
        "delivery-manifest": lambda: delivered("manifest", options),
        "delivery-segment": lambda: delivered("segment", options),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Samples, draws, and prints the shares."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flames", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of a run with pace")
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of a run without pace")
    parser.add_argument("--only", nargs="*", help="some of the pictures, by their names")
    options = parser.parse_args(arguments)
    fragmented_ladder()
    pin(0, CLIENT_CPU)
    FOLDER.mkdir(exist_ok=True)
    found = {}
    for name, run in runs(options).items():
        if options.only is None or name in options.only:
            print(name, flush=True)
            stacks = run()
            (FOLDER / f"{name}.svg").write_text(draw(stacks, f"{name}, {machine()}"))
            if name != PYTHON:
                found[name] = shares(stacks, PARTS)
    shutil.rmtree(WORK, ignore_errors=True)
    print(table(["share of the CPU time", *found], table_rows(found)))


if __name__ == "__main__":
    main()
