"""CPU of taking ladders in, recorded to disk, by their number and protocol, beside peers (`make bench-ladders`).

Nobody watches: what is measured is the way from the socket to the disk and to manifests that are ready. The daemon has one core, the pusher
the other; CPU seconds are those of the process, put against media time.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.media import fragmented_ladder
from benchmarks.peers import NGINX_INTAKE, NGINX_RTMP
from benchmarks.peers.nginx_rtmp import NginxRtmp
from benchmarks.plots import draw
from benchmarks.processes import GIVEN, anonymous_mib, cpu_seconds, given_memory, pin
from benchmarks.report import finish, table
from benchmarks.series import Series
from benchmarks.system import CLIENT_CPU, IDLE, SERVER_CPU, WARM_UP, WORK, daemon, push_unpaced, pushing, spread, windows

TARGET = 0.8
"""Percent of a core per ladder, of ten at once."""
TARGET_PER_GIGABYTE = 0.6
PLOT = Path(__file__).with_name("ladders.png")

Curve = dict[int, list[float]]
"""Percent of a core per ladder, in windows, by the number of ladders."""


def ours(protocol: str, ladders: int, options: argparse.Namespace) -> list[float]:
    """Windows of the daemon, and behind them the memory of a channel over idle in MiB."""
    print(f"pypackager, {ladders} ladder(s) over {protocol}", flush=True)
    with daemon(ladders, protocol) as served:
        time.sleep(IDLE)
        idle = anonymous_mib(served.pid)
        with pushing(served.url(protocol), ladders) as push:
            time.sleep(WARM_UP)
            percent = windows(served.pid, ladders, options.seconds, options.runs)
            assert push.poll() is None, (WORK / "push.log").read_text()[-2000:]
            return [*percent, (anonymous_mib(served.pid) - idle) / ladders]


def fast(protocol: str, options: argparse.Namespace) -> list[float]:
    """CPU seconds per gigabyte as fast as the daemon takes one ladder."""
    print(f"pypackager, without pace over {protocol}", flush=True)
    out = []
    for _ in range(options.runs):
        with daemon(1, protocol) as served, given_memory(served.pid, options.gigabytes):
            cpu = cpu_seconds(served.pid)
            size = push_unpaced(served.url(protocol).replace("{ladder}", "1"), options.gigabytes)
            out.append((cpu_seconds(served.pid) - cpu) / size)
            print(f"  {out[-1]:.2f} CPU s/GB", flush=True)
    return out


def theirs(peer: NginxRtmp, ladders: int, options: argparse.Namespace) -> list[float]:
    """Windows of a peer."""
    print(f"{peer.name}, {ladders} ladder(s)", flush=True)
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    with peer.running(WORK) as (pid, url):
        pin(pid, SERVER_CPU)
        with pushing(f"{url}{{ladder}}", ladders):
            time.sleep(WARM_UP)
            return windows(pid, ladders, options.seconds, options.runs)


def plot(curves: dict[str, Curve]) -> None:
    """Draws percent of a core per ladder against the number of ladders."""
    goal = TARGET, f"goal at ten ladders: {TARGET} %"
    draw(PLOT, curves, goal, "ladders at once (15 tracks, 25 Mbit/s each)", "percent of a core per ladder")


def render(
    options: argparse.Namespace, curves: dict[str, Curve], memory: dict[str, float], unpaced: dict[str, list[float]], told: str
) -> str:
    """The section of RESULTS.md."""
    counts = sorted({count for curve in curves.values() for count in curve})
    rows = [[name, *(spread(curve.get(count, [])) for count in counts)] for name, curve in curves.items()]
    text = table(["% of a core per ladder", *(f"{count}" for count in counts)], rows)
    rest = [
        [f"pypackager, {name}, without pace, CPU s per GB", f"≤ {TARGET_PER_GIGABYTE}", spread(values)] for name, values in unpaced.items()
    ]
    rest += [[f"{name}, anonymous memory of a channel over idle", "≤ 48 MiB", f"{mib:.1f} MiB"] for name, mib in memory.items()]
    return (
        f"10 video layers and 5 audio tracks at 25 Mbit/s in all over 15 connections a ladder, DVR on disk, nobody watching; "
        f"{options.runs} windows of {options.seconds:g} s; minimum / median. Goal: {TARGET} % at ten ladders. {GIVEN}\n\n"
        f"{text}\n{table(['figure', 'target', 'measured'], rest)}\n"
        f"![CPU per ladder]({PLOT.name})\n\n{told}\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, plots, and writes RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ladders", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="media time of a window")
    parser.add_argument("--runs", type=int, default=3, help="windows")
    parser.add_argument("--ladders", type=int, nargs="+", default=[1, 2, 5, 10, 20])
    parser.add_argument("--protocols", nargs="+", default=["rtmp", "fmp4"], choices=["rtmp", "fmp4"])
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of a run without pace; 0: none")
    parser.add_argument("--no-peers", action="store_true", help="measure nobody else")
    parser.add_argument("--kept", type=Path, help="a file of what runs before this one measured, which is not measured again")
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md alone")
    options = parser.parse_args(arguments)
    fragmented_ladder()
    pin(0, CLIENT_CPU)
    curves: dict[str, Curve] = {}
    memory: dict[str, float] = {}
    series = Series(options.kept)
    how = f"{options.runs} x {options.seconds:g} s"
    for protocol in options.protocols:
        curve = curves[f"pypackager, {protocol}"] = {}
        for ladders in options.ladders:
            measured = series.part(f"{protocol}, {ladders}, {how}", partial(ours, protocol, ladders, options))
            *curve[ladders], memory[f"{protocol}, {ladders} ladder(s)"] = measured
    unpaced = {
        protocol: series.part(f"{protocol}, {options.gigabytes:g} GB, {options.runs}", partial(fast, protocol, options))
        for protocol in (options.protocols if options.gigabytes else ())
    }
    for peer in () if options.no_peers else (NGINX_INTAKE, NGINX_RTMP):
        if missing := peer.missing():
            print(f"{peer.name} is not measured: {missing}", flush=True)
            continue
        curves[peer.name] = {
            ladders: series.part(f"{peer.name}, {ladders}, {how}", partial(theirs, peer, ladders, options)) for ladders in options.ladders
        }
    shutil.rmtree(WORK, ignore_errors=True)
    body = render(options, curves, memory, unpaced, series.told())
    if not options.dry:
        plot(curves)
    finish("ladders", "Taking ladders in", body, dry=options.dry)


if __name__ == "__main__":
    main()
