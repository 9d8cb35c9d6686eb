"""Ten ladders on one process and on two workers: CPU in all, and how it is shared (`make bench-workers`).

All processes of the daemon have one core, the pusher the other: what is asked is what more processes cost, not how much faster they are.
Nobody watches. CPU seconds are those of the front process and its workers, put against media time.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time

from benchmarks.processes import anonymous_mib, cpu_seconds, pin
from benchmarks.report import finish, table
from benchmarks.system import CLIENT_CPU, IDLE, WARM_UP, WORK, daemon, pushing, spread
from tests.helpers.processes import children

LADDERS = 10
WORKERS = 2
MOST, APART = 1.1, 10.0
"""Times the CPU of one process; percent by which the busier worker has more than the other."""

Window = dict[int, float]
"""Percent of a core by process."""


def measure(protocol: str, workers: int, options: argparse.Namespace) -> tuple[list[Window], float]:
    """Windows of the daemon, its front process first, and the anonymous memory of all its processes in MiB at the end."""
    print(f"{workers} worker(s), {options.ladders} ladders over {protocol}", flush=True)
    out = []
    with daemon(options.ladders, protocol, workers=workers) as served:
        time.sleep(IDLE)
        processes = [served.pid, *(children(served.pid) if workers > 1 else [])]
        assert len(processes) == (1 if workers == 1 else workers + 1), processes
        with pushing(served.url(protocol), options.ladders) as push:
            time.sleep(WARM_UP)
            for _ in range(options.runs):
                began, before = time.monotonic(), {pid: cpu_seconds(pid) for pid in processes}
                time.sleep(options.seconds)
                took = time.monotonic() - began
                out.append({pid: (cpu_seconds(pid) - before[pid]) / took * 100 for pid in processes})
                print("  " + ", ".join(f"{percent:.2f}" for percent in out[-1].values()) + " % of a core", flush=True)
            assert push.poll() is None, (WORK / "push.log").read_text()[-2000:]
            return out, sum(map(anonymous_mib, processes))


def apart(windows: list[Window]) -> float:
    """By how many percent the busiest worker has more than the idlest, over all windows."""
    _front, *workers = windows[0]
    sums = [sum(window[pid] for window in windows) for pid in workers]
    return (max(sums) / min(sums) - 1) * 100


def main() -> None:
    """Measures and writes RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="media time of a window")
    parser.add_argument("--runs", type=int, default=3, help="windows")
    parser.add_argument("--ladders", type=int, default=LADDERS, help="at least one for each worker")
    parser.add_argument("--protocols", nargs="+", default=["rtmp", "fmp4"], choices=["rtmp", "fmp4"])
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md alone")
    options = parser.parse_args()
    if options.ladders < WORKERS:
        parser.error(f"--ladders: a worker of the {WORKERS} would have none")
    pin(0, CLIENT_CPU)
    rows = []
    for protocol in options.protocols:
        (one, alone), (two, both) = (measure(protocol, workers, options) for workers in (1, WORKERS))
        totals = [[sum(window.values()) / options.ladders for window in windows] for windows in (one, two)]
        times = statistics.median(totals[1]) / statistics.median(totals[0])
        front = statistics.median([next(iter(window.values())) for window in two])
        rows += [
            [f"{protocol}, one process, % of a core per ladder", "-", spread(totals[0])],
            [f"{protocol}, two workers and the front process, % of a core per ladder", "-", spread(totals[1])],
            [f"{protocol}, two workers against one process, CPU", f"≤ {MOST} times", f"{times:.2f} times"],
            [f"{protocol}, the busier worker against the other, CPU", f"≤ {APART:g} % more", f"{apart(two):.1f} % more"],
            [f"{protocol}, the front process, % of a core", "-", f"{front:.2f}"],
            [f"{protocol}, anonymous memory, one process / three", "-", f"{alone:.0f} / {both:.0f} MiB"],
        ]
    shutil.rmtree(WORK, ignore_errors=True)
    body = (
        f"{options.ladders} full ladders, DVR on disk, nobody watching, all processes on one core; {options.runs} windows of "
        f"{options.seconds:g} s; minimum / median.\n\n" + table(["figure", "target", "measured"], rows)
    )
    finish("workers", "Two workers", body, dry=options.dry)


if __name__ == "__main__":
    main()
