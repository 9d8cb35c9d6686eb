"""The daemon as a whole: CPU and memory of a live ladder with viewers, and CPU per gigabyte without pace (`make bench-system`).

The daemon has one core, encoders and viewers the other. CPU seconds are those of the process (/proc/PID/stat), put against media time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.media import fragmented_ladder
from benchmarks.peers import PEERS, Peer
from benchmarks.processes import GIVEN, anonymous_mib, cpu_seconds, given_memory, pin
from benchmarks.report import table, write_section
from pypackager._core import read_recording
from tests.helpers.viewers import FORMATS, Viewer, watching

WORK = Path(__file__).resolve().parents[1] / ".cache" / "bench-system"
"""On the file system of the checkout: a real one, not tmpfs."""
SERVER_CPU, CLIENT_CPU = 0, 1
WARM_UP = 15.0
IDLE = 3.0
PEER_COPIES = 2
"""HLS and DASH."""
TARGETS = {1: 2.5, 5: 1.5}
"""Percent of a core per channel, by the number of channels."""


@dataclass
class Live:
    """A paced run: one window after the other over the same ladder."""

    channels: int
    percent: list[float] = field(default_factory=list)
    """Of one core, per channel, per window."""
    idle_mib: float = 0.0
    busy_mib: float = 0.0
    viewers: list[Viewer] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def config(channels: int, data: Path, protocol: str = "rtmp", window: str = "1h", workers: int = 1) -> str:
    """The daemon's file: channels with one published program each."""
    listen = "\n".join(f'{name} = ["127.0.0.1:0"]' for name in ("rtmp", "ingest", "control", "origin"))
    tables = "\n".join(
        f'[[channel]]\nname = "bench{n}"\nprotocol = "{protocol}"\ningest_allow = ["127.0.0.1"]\n'
        f'[[channel.program]]\nname = "bench{n}"\nlocator = "bench{n}"\narchive_window = "{window}"\n'
        for n in range(1, channels + 1)
    )
    tables += '[[streaming_endpoint]]\nname = "default"\nstate = "running"\n'
    return f'data_dir = "{data}"\nlog = "json"\n[tuning]\nworkers = {workers}\n[listen]\n{listen}\n{tables}'


@dataclass
class Daemon:
    """A running daemon."""

    pid: int
    rtmp: str
    ingest: str
    origin: str

    def url(self, protocol: str) -> str:
        """Where each ladder is pushed."""
        return f"rtmp://{self.rtmp}/bench{{ladder}}" if protocol == "rtmp" else f"http://{self.ingest}/bench{{ladder}}/ingest.isml"


@contextmanager
def daemon(channels: int, protocol: str = "rtmp", *, window: str = "1h", fresh: bool = True, workers: int = 1) -> Iterator[Daemon]:
    """Starts the daemon on its core and waits until it listens; one that is not fresh finds what the one before it recorded."""
    if fresh:
        shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "pypackager.toml").write_text(config(channels, WORK / "data", protocol, window, workers))
    (WORK / "data" / "run.json").unlink(missing_ok=True)
    command = [sys.executable, "-m", "pypackager.cli.main", "serve", "--config", str(WORK / "pypackager.toml")]
    with (WORK / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    pin(process.pid, SERVER_CPU)
    try:
        run = WORK / "data" / "run.json"
        wait_for(lambda: run.exists() or process.poll() is not None, "the daemon to start")
        assert process.poll() is None, (WORK / "daemon.log").read_text()[-2000:]
        addresses = json.loads(run.read_text())
        yield Daemon(process.pid, *(addresses[name][0] for name in ("rtmp", "ingest", "origin")))
    finally:
        end(process)


@contextmanager
def pushing(url: str, ladders: int, *options: str, material: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """`pypackager push` of the full ladder, or of other material, on the other core."""
    command = [sys.executable, "-m", "pypackager.cli.main", "push", "--ladder", str(material or fragmented_ladder()), "--to", url]
    with (WORK / "push.log").open("wb") as log:
        process = subprocess.Popen([*command, "--ladders", str(ladders), *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    pin(process.pid, CLIENT_CPU)
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Interrupts a process, and kills it when that does not help."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60.0, pause: float = 0.1) -> None:
    """Waits until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(pause)


def answers(url: str) -> bool:
    """Whether a URL answers 200."""
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def windows(pid: int, channels: int, seconds: float, runs: int) -> list[float]:
    """Percent of a core per channel in each of several windows."""
    out = []
    for number in range(1, runs + 1):
        began, cpu = time.monotonic(), cpu_seconds(pid)
        time.sleep(seconds)
        took = time.monotonic() - began
        out.append((cpu_seconds(pid) - cpu) / took / channels * 100)
        print(f"  window {number}: {out[-1]:.2f} % of a core per channel", flush=True)
    return out


def live(channels: int, seconds: float, runs: int) -> Live:
    """The paced run of the daemon."""
    print(f"pypackager, {channels} channel(s), paced", flush=True)
    result = Live(channels)
    with daemon(channels) as served, ExitStack() as stack:
        time.sleep(IDLE)
        result.idle_mib = anonymous_mib(served.pid)
        push = stack.enter_context(pushing(served.url("rtmp"), channels))
        roots = [f"http://{served.origin}/bench{n}/bench{n}.ism/" for n in range(1, channels + 1)]
        manifests = [f"{root}{manifest}" for root in roots for manifest, _ in FORMATS.values()]
        wait_for(lambda: push.poll() is not None or all(map(answers, manifests)), "the manifests")
        result.viewers = stack.enter_context(watching(roots))
        time.sleep(WARM_UP)
        result.percent = windows(served.pid, channels, seconds, runs)
        result.busy_mib = anonymous_mib(served.pid)
        assert push.poll() is None, f"the push ended: {(WORK / 'push.log').read_text()[-2000:]}"
    result.faults = [f"{viewer.label}: {fault}" for viewer in result.viewers for fault in viewer.faults]
    for fault in result.faults[:10]:
        print(f"  viewer fault: {fault}", flush=True)
    return result


def unpaced(gigabytes: float, runs: int) -> list[float]:
    """CPU seconds per gigabyte of the daemon, as fast as it takes the ladder."""
    print("pypackager, without pace", flush=True)
    out = []
    for _ in range(runs):
        with daemon(1) as served, given_memory(served.pid, gigabytes):
            cpu = cpu_seconds(served.pid)
            size = push_unpaced(f"rtmp://{served.rtmp}/bench1", gigabytes)
            out.append((cpu_seconds(served.pid) - cpu) / size)
            print(f"  {out[-1]:.2f} CPU s/GB", flush=True)
    return out


def push_unpaced(url: str, gigabytes: float) -> float:
    """Pushes about so much, and returns how much it was."""
    ladder = read_recording(fragmented_ladder()) or []
    media_seconds = gigabytes * 8e9 / sum(track.bitrate for track in ladder)
    with pushing(url, 1, "--speed", "0", "--for", f"{media_seconds:.0f}s", "--json") as push:
        code = push.wait(600)
    report = (WORK / "push.log").read_text()
    assert code == 0, report[-2000:]
    # What the last frames cost comes when they are sent.
    time.sleep(2)
    return float(sum(stream["bytes"] for stream in json.loads(report)["streams"])) / 1e9


def measure_peer(peer: Peer, options: argparse.Namespace) -> tuple[list[float], list[float]]:
    """Percent of a core over paced windows, and CPU seconds per gigabyte, of another server with one ladder and no viewers."""
    print(f"{peer.name}, 1 channel", flush=True)
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    with peer.running(WORK) as (pid, url):
        pin(pid, SERVER_CPU)
        with pushing(url, 1):
            time.sleep(WARM_UP)
            percent = windows(pid, 1, options.seconds, options.runs)
        time.sleep(1)
        per_gigabyte = []
        for _ in range(options.runs):
            with given_memory(pid, PEER_COPIES * options.gigabytes):
                cpu = cpu_seconds(pid)
                size = push_unpaced(url, options.gigabytes)
                per_gigabyte.append((cpu_seconds(pid) - cpu) / size)
            print(f"  {per_gigabyte[-1]:.2f} CPU s/GB", flush=True)
    return percent, per_gigabyte


def spread(values: Sequence[float]) -> str:
    """Minimum and median."""
    return f"{min(values):.2f} / {statistics.median(values):.2f}" if values else "-"


def render(options: argparse.Namespace, lives: list[Live], fast: list[float], peers: dict[str, tuple[list[float], list[float]]]) -> str:
    """The section of RESULTS.md."""
    rows = []
    for one in lives:
        target = f"≤ {TARGETS[one.channels]} %" if one.channels in TARGETS else "-"
        rows.append([f"live-paced, {one.channels} channel(s), % of a core per channel", target, spread(one.percent)])
        memory = (one.busy_mib - one.idle_mib) / one.channels
        rows.append([f"anonymous memory per channel, {one.channels} channel(s), over idle", "≤ 64 MiB", f"{memory:.1f} MiB"])
        rows.append([f"idle daemon with {one.channels} channel(s)", "≤ 128 MiB", f"{one.idle_mib:.1f} MiB"])
    if fast:
        rows.append(["without pace, CPU s per GB", "≤ 2", spread(fast)])
    for name, (percent, per_gigabyte) in peers.items():
        rows.append([f"{name}: live-paced, 1 channel, no viewers, % of a core", "-", spread(percent)])
        rows.append([f"{name}: without pace, CPU s per GB", "-", spread(per_gigabyte)])
    seen = sum(len(one.viewers) for one in lives)
    faults = sum(len(one.faults) for one in lives)
    return (
        f"10 video layers and 5 audio tracks at 25 Mbit/s in all over 15 RTMP connections a channel, DVR on disk, a viewer per format "
        f"(HLS CMAF, HLS TS v4, DASH, Smooth, HDS) and channel; {options.runs} windows of {options.seconds:g} s; minimum / median. "
        f"{GIVEN}\n\n"
        + table(["figure", "target", "measured"], rows)
        + f"\n{seen} viewers, {faults} faults; load average of the machine at the end {os.getloadavg()[1]:.2f}.\n"
    )


def main() -> None:
    """Measures and writes RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.system", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="media time of a window")
    parser.add_argument("--runs", type=int, default=3, help="windows")
    parser.add_argument(
        "--channels", type=lambda text: [int(part) for part in text.split(",")], default=[1, 5], help="numbers of channels: 1,5"
    )
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of a run without pace; 0: none")
    parser.add_argument("--no-peers", action="store_true", help="measure nobody else")
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md alone")
    options = parser.parse_args()
    fragmented_ladder()
    pin(0, CLIENT_CPU)
    lives = [live(channels, options.seconds, options.runs) for channels in options.channels]
    fast = unpaced(options.gigabytes, options.runs) if options.gigabytes else []
    peers = {}
    for peer in () if options.no_peers else PEERS:
        if missing := peer.missing():
            print(f"{peer.name} is not measured: {missing}", flush=True)
        else:
            peers[peer.name] = measure_peer(peer, options)
    shutil.rmtree(WORK, ignore_errors=True)
    body = render(options, lives, fast, peers)
    print(f"\n{body}")
    if not options.dry:
        write_section("system", "The daemon as a whole", body)


if __name__ == "__main__":
    main()
