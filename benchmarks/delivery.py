"""What the front door answers: per CPU second by size, viewers that are idle, manifests while a ladder is taken in (`make bench-delivery`).

The server has one core, viewers the other. What counts is CPU time of the server's process: the load is wrk's, whose core may be the
limit, so the answers a second on the clock stand beside. nginx gives the same bytes as files in the same run.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

import httpx

from benchmarks.doorstep import SIZES
from benchmarks.peers import NGINX_STATIC
from benchmarks.plots import draw
from benchmarks.processes import anonymous_mib, cpu_seconds, pin
from benchmarks.report import table, write_section
from benchmarks.system import CLIENT_CPU, SERVER_CPU, WARM_UP, WORK, answers, daemon, pushing, wait_for
from benchmarks.viewers import ask, connected, most_viewers, poll, request

GOALS = {"manifest": 100_000, "segment": 50_000, "large": 2_000}
"""Answers per CPU second."""
NAMES = {"manifest": "manifest, 2 kB", "segment": "segment, 90 kB", "large": "segment, 1.7 MB"}
IDLE, IDLE_MB = 20_000, 500
POLLING, PERIOD, P99_MS = 5_000, 2.0, 5.0
PLOT = Path(__file__).with_name("delivery.png")
MANIFESTS = ("manifest(format=m3u8-cmaf)", "manifest(format=mpd-time-cmaf)")

Running = Callable[[Path], AbstractContextManager[tuple[int, str]]]
"""A server of the three files in a folder: its process and its address."""


@dataclass
class Rate:
    """Answers per second of CPU time, and on the clock; one value for each window."""

    cpu: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)


@dataclass
class Idle:
    """A crowd that does nothing."""

    viewers: int
    mib: float
    """Anonymous memory over that without viewers."""


@dataclass
class Polls:
    """Viewers of a live channel."""

    viewers: int
    took: list[float]
    """Seconds, of each answer."""
    percent: float
    """Of a core, the daemon with all that it does."""


@dataclass
class Result:
    """All of one server."""

    rates: dict[str, Rate] = field(default_factory=dict)
    """By the name of what was asked for."""
    crowds: dict[int, Rate] = field(default_factory=dict)
    """Of the manifest, by the number of viewers that ask for it without a pause."""
    idle: Idle | None = None


@contextmanager
def front(files: Path) -> Iterator[tuple[int, str]]:
    """The front door, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.doorstep", str(files)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        address = process.stdout.readline().strip()
        assert address, "the front door did not start"
        yield process.pid, address
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def nginx(files: Path) -> Iterator[tuple[int, str]]:
    """nginx, which keeps the files open."""
    with NGINX_STATIC.running(WORK, files, most_viewers(IDLE) + 100) as running:
        yield running


def loaded(pid: int, address: str, name: str, viewers: int, options: argparse.Namespace) -> Rate:
    """Windows of a server from which so many ask for one thing without a pause."""
    rate = Rate()
    for _ in range(options.runs):
        began, cpu = time.monotonic(), cpu_seconds(pid)
        count = wrk(f"http://{address}/{name}", viewers, options.seconds)
        rate.clock.append(count / (time.monotonic() - began))
        rate.cpu.append(count / max(cpu_seconds(pid) - cpu, 0.01))
    print(f"  {name}, {viewers} viewer(s): {spread(rate.cpu)} per CPU second, {spread(rate.clock)} a second", flush=True)
    return rate


def wrk(url: str, viewers: int, seconds: float) -> int:
    """How many answers so many viewers got; raises AssertionError when one was not 200."""
    command = ["wrk", "--threads", "1", "--connections", str(viewers), "--duration", f"{max(round(seconds), 1)}s", "--timeout", "10s", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return parse_wrk(said)


def parse_wrk(said: str) -> int:
    """The count of answers.

    Raises:
        AssertionError: one was not 200, or was not there in time.
    """
    assert "Non-2xx" not in said, said
    assert "Socket errors" not in said, said
    found = re.search(r"^\s*(\d+) requests in ", said, re.MULTILINE)
    assert found, said
    return int(found[1])


def idle(pid: int, address: str) -> Idle:
    """Viewers that were given a manifest each and keep their connections."""
    count = most_viewers(IDLE)
    ask_for = request(address, "/manifest")
    before = anonymous_mib(pid)
    with connected(address, count) as sockets:
        for sock in sockets:
            ask(sock, ask_for)
        found = Idle(count, anonymous_mib(pid) - before)
    print(f"  {count} idle viewers: {found.mib:.0f} MiB", flush=True)
    return found


def measure(name: str, running: Running, files: Path, options: argparse.Namespace) -> Result:
    """All figures of one server. Each kind has a process of its own: memory that is free is not given back."""
    print(name, flush=True)
    result = Result()
    with running(files) as (pid, address):
        pin(pid, SERVER_CPU)
        for what in SIZES:
            loaded(pid, address, what, CONNECTIONS, argparse.Namespace(seconds=1, runs=1))
            result.rates[what] = loaded(pid, address, what, CONNECTIONS, options)
        for viewers in options.viewers:
            result.crowds[viewers] = loaded(pid, address, "manifest", viewers, options)
    with running(files) as (pid, address):
        pin(pid, SERVER_CPU)
        result.idle = idle(pid, address)
    return result


def live(options: argparse.Namespace) -> Polls:
    """Polls of the daemon's manifests while it takes a ladder in: media playlists of all tracks, and the MPD."""
    print("pypackager, a ladder and viewers that poll", flush=True)
    with daemon(1) as served, pushing(served.url("rtmp"), 1) as push:
        root = f"http://{served.origin}/bench1/bench1.ism/"
        wait_for(lambda: push.poll() is not None or all(answers(f"{root}{manifest}") for manifest in MANIFESTS), "the manifests")
        time.sleep(min(WARM_UP, options.seconds))
        viewers = most_viewers(POLLING)
        targets = [url.partition(served.origin)[2] for url in [*playlists(f"{root}{MANIFESTS[0]}"), f"{root}{MANIFESTS[1]}"]]
        poll(served.origin, targets, viewers, PERIOD, PERIOD)
        cpu = cpu_seconds(served.pid)
        seconds = options.seconds * options.runs
        took = poll(served.origin, targets, viewers, PERIOD, seconds)
        percent = (cpu_seconds(served.pid) - cpu) / seconds * 100
        assert push.poll() is None, (WORK / "push.log").read_text()[-2000:]
    print(f"  {len(took)} answers: median {percentile(took, 50) * 1e3:.2f} ms, p99 {percentile(took, 99) * 1e3:.2f} ms", flush=True)
    return Polls(viewers, took, percent)


def playlists(master: str) -> list[str]:
    """The media playlists that a master playlist names."""
    text = httpx.get(master, timeout=5, trust_env=False).text
    names = re.findall(r'URI="([^"]+)"', text) + [line for line in text.splitlines() if line and not line.startswith("#")]
    return [urljoin(master, name) for name in dict.fromkeys(names)]


def percentile(values: Sequence[float], percent: int) -> float:
    """So many percent of the values are not above it."""
    return sorted(values)[max(-(-len(values) * percent // 100) - 1, 0)]


def spread(values: Sequence[float]) -> str:
    """Median and maximum."""
    return f"{statistics.median(values):,.0f} / {max(values):,.0f}"


def plot(results: dict[str, Result]) -> None:
    """Draws answers per CPU second against the number of viewers."""
    curves = {name: {viewers: rate.cpu for viewers, rate in result.crowds.items()} for name, result in results.items()}
    goal = GOALS["manifest"], f"goal: {GOALS['manifest']:,}"
    draw(PLOT, curves, goal, "viewers that ask without a pause", "manifests of 2 kB per CPU second", logarithmic=True)


def render(options: argparse.Namespace, results: dict[str, Result], polls: Polls | None) -> str:
    """The section of RESULTS.md."""
    rates = [
        [f"{name}, {what}", *([spread(result.rates[key].cpu), spread(result.rates[key].clock)]), f"≥ {GOALS[key]:,}"]
        for key, what in NAMES.items()
        for name, result in results.items()
    ]
    crowds = sorted({viewers for result in results.values() for viewers in result.crowds})
    rows = [[name, *(spread(result.crowds[viewers].cpu) for viewers in crowds)] for name, result in results.items()]
    rest = []
    for name, result in results.items():
        if result.idle:
            size = result.idle.mib * 2**20
            rest.append(
                [
                    f"{name}, {result.idle.viewers:,} idle viewers, anonymous memory",
                    f"≤ {IDLE_MB} MB for {IDLE:,}",
                    f"{size / 1e6:.0f} MB, {size / result.idle.viewers / 1e3:.1f} kB each",
                ]
            )
    if polls:
        rest.append(
            [
                f"p99 of a manifest, a ladder taken in and {polls.viewers:,} viewers who ask every {PERIOD:g} s",
                f"≤ {P99_MS:g} ms",
                "{:.2f} ms (median {:.2f}, most {:.1f})".format(*(percentile(polls.took, percent) * 1e3 for percent in (99, 50, 100))),
            ]
        )
        rest.append(["the daemon meanwhile, % of a core", "-", f"{polls.percent:.1f}"])
    few = f" This machine lets a process have no more than {most_viewers(IDLE):,} viewers." if most_viewers(IDLE) < IDLE else ""
    return (
        f"One core serves, the other asks (wrk, one thread, {CONNECTIONS} connections): a process with nothing but a front door, which has "
        f"the answers in memory, and nginx with the same bytes as files that it keeps open; "
        f"{options.runs} windows of {options.seconds:g} s, median / maximum.{few}\n\n"
        f"{table(['answers', 'per CPU second', 'per second on the clock', 'goal per CPU second'], rates)}\n"
        f"{table(['manifests per CPU second, by viewers', *(f'{viewers:,}' for viewers in crowds)], rows)}\n"
        f"![Answers by viewers]({PLOT.name})\n\n"
        f"{table(['figure', 'target', 'measured'], rest)}\n"
        f"Load average of the machine at the end {os.getloadavg()[1]:.2f}.\n"
    )


CONNECTIONS = 64


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, plots, and writes RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delivery", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="a window")
    parser.add_argument("--runs", type=int, default=3, help="windows")
    parser.add_argument("--viewers", type=int, nargs="+", default=[1, 10, 100, 1000, 5000], help="for the plot")
    parser.add_argument("--no-peers", action="store_true", help="measure nobody else")
    parser.add_argument("--no-live", action="store_true", help="without a ladder that is taken in")
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md alone")
    options = parser.parse_args(arguments)
    assert shutil.which("wrk"), "apt-get install wrk"
    most_viewers(IDLE)
    pin(0, CLIENT_CPU)
    polls = None if options.no_live else live(options)
    shutil.rmtree(WORK, ignore_errors=True)
    files = WORK / "files"
    files.mkdir(parents=True)
    for name, size in SIZES.items():
        (files / name).write_bytes(bytes(range(256)) * (size // 256) + bytes(size % 256))
    results = {"pypackager": measure("pypackager", front, files, options)}
    if missing := NGINX_STATIC.missing():
        print(f"{NGINX_STATIC.name} is not measured: {missing}", flush=True)
    elif not options.no_peers:
        results[NGINX_STATIC.name] = measure(NGINX_STATIC.name, nginx, files, options)
    shutil.rmtree(WORK, ignore_errors=True)
    body = render(options, results, polls)
    print(f"\n{body}")
    if not options.dry:
        plot(results)
        write_section("delivery", "Delivery", body)


if __name__ == "__main__":
    main()
