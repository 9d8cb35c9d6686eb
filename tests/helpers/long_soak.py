"""A day of media through a daemon in half an hour: everything that the clocks decide happens as often as in a day.

In: a daemon on fast clocks (fast_daemon.py) with CHANNELS. Out: samples of its memory, files and answers, for a test to judge.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

from tests.helpers.daemon import Channel, Daemon
from tests.helpers.encoders import Encoder
from tests.helpers.media import EVENT, material
from tests.helpers.presentation import fetcher
from tests.helpers.viewers import FORMATS

RATE = int(os.environ.get("PYPACKAGER_SOAK_RATE") or 48)
"""Media seconds in a second: the daemon takes a sixth of a processor at 48.

A moment for which the machine is busy is as many seconds of media: on two busy hardware threads the two paths of an encoder were no longer
in step at 150. What the daemon keeps was bounded there, too, but no longer the same from one hour to the next.
"""
CHANNELS = (Channel("rtmp", protocol="rtmp", window="5m"), Channel("fmp4", window="5m"))
SAMPLE_S = 5.0
CUT = "cut@?/1h"
"""Each connection breaks once in an hour of media, when the seed says."""


@dataclass
class Sample:
    """The daemon at an instant."""

    media_s: float
    """Media time since the beginning."""
    memory_kib: int
    """Anonymous."""
    descriptors: int
    disk_kib: int
    """Of all its files."""


@dataclass
class LongSoak:
    """What was seen."""

    samples: list[Sample] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    """How often a format gave no answer, by URL."""
    looks: int = 0
    """How often each was asked."""

    def growth_kib(self) -> float:
        """How much more memory the last third took than the second one; in the first one windows, caches and pools fill."""
        third = len(self.samples) // 3
        memory = [sample.memory_kib for sample in self.samples]
        return statistics.median(memory[2 * third :]) - statistics.median(memory[third : 2 * third])


@contextmanager
def fast_daemon(directory: Path) -> Iterator[Daemon]:
    """A daemon on clocks that run at RATE, ended as an operator does."""
    daemon = Daemon(directory, CHANNELS)
    daemon.command = [sys.executable, "-m", "tests.helpers.fast_daemon", str(RATE)]
    well = False
    try:
        daemon.start()
        yield daemon
        well = True
    finally:
        daemon.close(judge=well)


def long_soak(daemon: Daemon, directory: Path, hours: float, seed: int) -> LongSoak:
    """Pushes so much media over RTMP, and over both paths of fragmented MP4, and looks at everything all the time."""
    result, source = LongSoak(), material(EVENT)
    urls = {"rtmp": [daemon.rtmp("rtmp")], "fmp4": [_ingest(daemon, side) for side in ("primary", "secondary")]}
    with ExitStack() as stack:
        pushes = [stack.enter_context(_push(directory, name, source, to, seed)) for name, to in urls.items()]
        for channel in CHANNELS:
            for manifest, _ in FORMATS.values():
                daemon.wait_for(daemon.presentation(channel.name, manifest), seconds=60)
        began, told = time.monotonic(), 0.0
        while (media_s := (time.monotonic() - began) * RATE) < hours * 3600:
            for push in pushes:
                assert push.running(), push.log()[-2000:]
            _look(daemon, result)
            sample = Sample(media_s, daemon.memory_kib(), len(daemon.descriptors()), _disk_kib(daemon.data))
            result.samples.append(sample)
            if media_s >= told + 3600:
                told = media_s
                memory, disk = sample.memory_kib / 1024, sample.disk_kib / 1024
                seen = f"{memory:.1f} MiB, {sample.descriptors} descriptors, {disk:.0f} MiB on disk, {sum(result.refused.values())} refused"
                print(f"{media_s / 3600:.1f} h: {seen}", flush=True)
            time.sleep(SAMPLE_S)
    return result


def _ingest(daemon: Daemon, side: str) -> str:
    return daemon.ingest("fmp4", "{name}", side)


def _push(directory: Path, name: str, source: Path, urls: list[str], seed: int) -> Encoder:
    command = [sys.executable, "-m", "pypackager.cli.main", "push", "--ladder", str(source), "--speed", str(RATE)]
    for url in urls:
        command += ["--to", url]
    return Encoder([*command, "--fault", CUT, "--seed", str(seed)], directory / f"{name}.log")


def _look(daemon: Daemon, result: LongSoak) -> None:
    """Asks for every manifest, and for the newest segment of each track in it, as a viewer who has just come."""
    fetch = fetcher(daemon.client)
    result.looks += 1
    for channel in CHANNELS:
        for manifest, follow in FORMATS.values():
            url = daemon.presentation(channel.name, manifest)
            try:
                for track in follow(fetch, url)().tracks:
                    fetch(urljoin(url, track[-1]))
            except (AssertionError, LookupError, StopIteration, ValueError):
                result.refused[url] = result.refused.get(url, 0) + 1


def _disk_kib(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        # What left the window goes meanwhile.
        try:
            total += path.stat().st_blocks // 2
        except FileNotFoundError:
            continue
    return total
