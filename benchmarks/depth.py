"""A window of 25 hours in a whole daemon: memory of its index, a start with five of them, every manifest watched (`make bench-depth`).

The hours are recorded at full speed from a ladder of 10 layers and 5 sounds whose frames are few and small: what is measured depends on
the number of fragments. The daemon is started again behind them, and the encoder that comes back then opens a period.
"""

from __future__ import annotations

import argparse
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import cycle
from statistics import median

import httpx
import msgspec

from benchmarks.bench_manifests import INTERVAL_S
from benchmarks.media import FULL_LADDER, fragmented
from benchmarks.peers.nginx_static import NGINX_STATIC
from benchmarks.processes import anonymous_mib, cpu_seconds, pin
from benchmarks.report import finish, table
from benchmarks.system import CLIENT_CPU, SERVER_CPU, WARM_UP, WORK, answers, daemon, pushing, spread, wait_for
from tests.helpers.media import Audio, Layer
from tests.helpers.presentation import attributes

CHANNELS = 5
INDEX_MIB, READY_S, WATCHED_MS = 32, 5.0, 10
THIN = replace(
    FULL_LADDER,
    name="thin-ladder",
    frame_rate=Fraction(5),
    gop_frames=10,
    layers=tuple(Layer(32 + 8 * number, 32, 10 + number) for number in range(10)),
    audio=tuple(Audio(language, 8_000, 16, 330) for language in ("eng", "deu", "fra", "spa", "ita")),
    noise=0,
)
MASTERS = ("manifest(format=m3u8-cmaf)", "manifest(format=m3u8-aapl)", "manifest(format=m3u8-aapl-v3)")
WHOLE = ("manifest(format=mpd-time-cmaf)", "manifest", "manifest(format=f4m-f4f)")


def record(hours: float, window: str) -> float:
    """Records so much; MiB of anonymous memory of a daemon that finds it: without what was on its way when it came."""
    with daemon(1, "fmp4", window=window) as served:
        # On a busy machine an answer may take longer than an encoder would wait that keeps the pace.
        how = ("--speed", "0", "--for", f"{hours * 3600:g}s", "--fault", "no-timeout")
        with pushing(served.url("fmp4"), 1, *how, material=fragmented(THIN)) as push:
            wait_for(lambda: push.poll() is not None, f"{hours:g} h of the recording", 3600)
        assert push.returncode == 0, (WORK / "push.log").read_text()[-2000:]
    with daemon(1, "fmp4", fresh=False, window=window) as served:
        wait_for(lambda: answers(f"http://{served.origin}/readyz"), "the daemon to be ready")
        return anonymous_mib(served.pid)


def copy_channel() -> None:
    """Gives the other channels what the first has recorded; of media, which nobody changes, the names alone are new."""
    first = WORK / "data" / "channels" / "bench1"
    for number in range(2, CHANNELS + 1):
        to = first.with_name(f"bench{number}")
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(first, to, copy_function=lambda source, target: (os.link if "blobs" in source else shutil.copy2)(source, target))


def ready(channels: int, hours: float) -> float:
    """Seconds from the command until a daemon that finds the hours in so many channels is ready."""
    began = time.monotonic()
    with daemon(channels, "fmp4", fresh=False, window=f"{hours:g}h") as served:
        wait_for(lambda: answers(f"http://{served.origin}/readyz"), "the daemon to be ready", pause=0.01)
        return time.monotonic() - began


class Watched(msgspec.Struct):
    """CPU milliseconds in a fragment interval of a paced push."""

    manifests: int
    """How many there are."""
    alone: list[float]
    """Nobody asks."""
    asked: list[float]
    """One viewer on each manifest."""
    nginx: list[float] | None
    """Of nginx, which gives them as files that nobody writes; None without it."""


def watched(seconds: float, runs: int, hours: float) -> Watched:
    """What viewers of every manifest cost."""
    with (
        daemon(1, "fmp4", fresh=False, window=f"{hours:g}h") as served,
        pushing(served.url("fmp4"), 1, material=fragmented(THIN)),
        httpx.Client(trust_env=False, timeout=10, headers={"Accept-Encoding": "gzip"}) as client,
    ):
        time.sleep(WARM_UP)
        alone = intervals(served.pid, seconds, runs)
        urls = list(listed(client, f"http://{served.origin}/bench1/bench1.ism/"))
        with asking(client, urls):
            time.sleep(WARM_UP)
            asked = intervals(served.pid, seconds, runs)
        return Watched(len(urls), alone, asked, given_by_nginx(client, urls, seconds, runs))


def given_by_nginx(client: httpx.Client, urls: list[str], seconds: float, runs: int) -> list[float] | None:
    """The same of nginx, which has the same bytes as files, beside a daemon that goes on taking the ladder in."""
    if missing := NGINX_STATIC.missing():
        print(f"nginx is not measured: {missing}", flush=True)
        return None
    files = WORK / "files"
    files.mkdir()
    for number, url in enumerate(urls):
        with client.stream("GET", url) as answer:
            (files / f"{number}").write_bytes(b"".join(answer.iter_raw()))
    with NGINX_STATIC.running(WORK, files, 1024) as (pid, address):
        pin(pid, SERVER_CPU)
        with asking(client, [f"http://{address}/{number}" for number in range(len(urls))]):
            time.sleep(WARM_UP)
            return intervals(pid, seconds, runs)


def intervals(pid: int, seconds: float, runs: int) -> list[float]:
    """CPU milliseconds in a fragment interval, in each of several windows."""
    out = []
    for number in range(1, runs + 1):
        began, cpu = time.monotonic(), cpu_seconds(pid)
        time.sleep(seconds)
        out.append((cpu_seconds(pid) - cpu) / (time.monotonic() - began) * INTERVAL_S * 1000)
        print(f"  window {number}: {out[-1]:.2f} ms of CPU in {INTERVAL_S} s", flush=True)
    return out


@contextmanager
def asking(client: httpx.Client, urls: list[str]) -> Iterator[None]:
    """Each is asked for once in each fragment interval, one after the other, evenly."""
    stopping, faults = threading.Event(), list[str]()

    def ask() -> None:
        for url in cycle(urls):
            if stopping.wait(INTERVAL_S / len(urls)):
                return
            if (status := client.get(url).status_code) != httpx.codes.OK:
                faults.append(f"{status} for {url}")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
    assert not faults, faults[:5]


def listed(client: httpx.Client, root: str) -> Iterator[str]:
    """The manifests, and what they name that is fetched again and again."""
    for master in MASTERS:
        yield root + master
        lines = client.get(root + master).raise_for_status().text.splitlines()
        playlists = {line for line in lines if line and not line.startswith("#")}
        playlists |= {attributes(line)["URI"] for line in lines if line.startswith("#EXT-X-MEDIA:") and "URI=" in line}
        yield from (str(httpx.URL(root + master).join(name)) for name in sorted(playlists))
    for name in WHOLE:
        yield root + name
    f4m = client.get(root + WHOLE[-1]).raise_for_status().text
    yield from (str(httpx.URL(root).join(part.split('"')[0])) for part in f4m.split('url="')[1:] if ".abst" in part.split('"')[0])


def main() -> None:
    """Measures and writes RESULTS.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.depth", description=__doc__)
    parser.add_argument("--hours", type=float, default=25)
    parser.add_argument("--seconds", type=float, default=60, help="a window")
    parser.add_argument("--runs", type=int, default=3, help="windows, and starts")
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md alone")
    options = parser.parse_args()
    fragmented(THIN)
    pin(0, CLIENT_CPU)
    print(f"recording {options.hours:g} hours", flush=True)
    window = f"{options.hours:g}h"
    early, late = record(1 / 12, window), record(options.hours, window)
    starts = [ready(1, options.hours) for _ in range(options.runs)]
    seen = watched(options.seconds, options.runs, options.hours)
    copy_channel()
    many = [ready(CHANNELS, options.hours) for _ in range(options.runs)]
    shutil.rmtree(WORK, ignore_errors=True)
    rows = [
        [f"memory of {options.hours:g} h over that of five minutes, anonymous, MiB", f"≤ {INDEX_MIB}", f"{late - early:.1f}"],
        ["from the command until it is ready, 1 channel, s", "-", spread(starts)],
        [f"the same, {CHANNELS} channels, s", f"≤ {READY_S:g}", spread(many)],
        ["the whole daemon in a fragment interval, nobody asks, ms of CPU", "-", spread(seen.alone)],
        [f"the same, one viewer on each of {seen.manifests} manifests and playlists, ms of CPU", "-", spread(seen.asked)],
        ["what the viewers add, ms of CPU", f"≤ {WATCHED_MS}", f"{median(seen.asked) - median(seen.alone):.2f}"],
    ]
    if seen.nginx is not None:
        rows.append(["nginx giving the same bytes as files, which nobody renders, ms of CPU", "-", spread(seen.nginx)])
    body = (
        f"{options.hours:g} h of 10 layers and 5 sounds in fragments of {INTERVAL_S} s, few and small frames; "
        f"windows of {options.seconds:g} s; minimum / median. "
        "Without viewers nothing is rendered: what they add is publication and answers.\n\n" + table(["figure", "target", "measured"], rows)
    )
    finish("depth", "A window of 25 hours", body, dry=options.dry)


if __name__ == "__main__":
    main()
