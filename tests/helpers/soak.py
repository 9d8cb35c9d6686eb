"""A daemon under encoders that come and go and viewers that stay: what it must keep over any length of time.

In: a running daemon with an `rtmp` and an `fmp4` channel, a length and a seed. Out: what happened, for a test to judge. The seed decides
what happens to the encoders and when; the machine decides what that meets.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.daemon import Channel, Daemon
from tests.helpers.encoders import LADDER_PUBLISHES, Encoder, push_isml, push_rtmp
from tests.helpers.media import LADDER, material
from tests.helpers.viewers import FORMATS, Viewer, watching

CHANNELS = (Channel("rtmp", protocol="rtmp", window="5m"), Channel("fmp4", window="5m"))
"""The shortest window that there is: in twenty minutes whole files leave it."""
CONNECTIONS = len(LADDER_PUBLISHES) + 1
"""Of both encoders."""
TRACKS = len(LADDER.layers) + len(LADDER.audio)
SAMPLE_S = 0.5

Start = Callable[[Path], Encoder]


@dataclass
class Sample:
    """The daemon at an instant."""

    at: float
    """Seconds since the beginning."""
    memory_kib: int
    """Anonymous."""
    descriptors: int


@dataclass
class Soak:
    """What happened."""

    seed: int
    events: list[str] = field(default_factory=list)
    """What was done to the encoders, in order."""
    samples: list[Sample] = field(default_factory=list)
    viewers: list[Viewer] = field(default_factory=list)

    def faults(self) -> list[str]:
        """What viewers complained of."""
        return [f"{viewer.url}: {fault}" for viewer in self.viewers for fault in viewer.faults]

    def growth_kib(self) -> float:
        """How much memory the last third took more than the second one: in the first one windows and caches fill."""
        third = len(self.samples) // 3
        memory = [sample.memory_kib for sample in self.samples]
        return statistics.median(memory[2 * third :]) - statistics.median(memory[third : 2 * third])


class _Feed:
    """One encoder and what befalls it."""

    def __init__(self, name: str, start: Start, directory: Path, chance: random.Random, calm_s: tuple[float, float], soak: Soak) -> None:
        self._name = name
        self._start = start
        self._directory = directory
        self._chance = chance
        self._calm_s = calm_s
        self._soak = soak
        self._count = 0
        self._hangs = False
        self._encoder: Encoder | None = None
        self._next = 0.0

    def step(self, now: float) -> None:
        """Does what is due."""
        if self._encoder is not None and not self._hangs and not self._encoder.running():
            raise AssertionError(f"the {self._name} encoder ended by itself:\n{self._encoder.log()[-2000:]}")
        if now < self._next:
            return
        if self._encoder is None:
            self._count += 1
            self._encoder = self._start(self._directory / f"{self._name}{self._count}.log")
            self._plan(now, "starts", *self._calm_s)
        elif self._hangs:
            self._encoder.kill()
            self._encoder, self._hangs = None, False
            self._plan(now, "is killed at last", 0, 0)
        else:
            deed = self._chance.choice(["stops", "is killed", "hangs"])
            if deed == "hangs":
                self._encoder.freeze()
                self._hangs = True
            else:
                (self._encoder.stop if deed == "stops" else self._encoder.kill)()
                self._encoder = None
            self._plan(now, deed, 0, 4)

    def _plan(self, now: float, deed: str, least: float, most: float) -> None:
        self._soak.events.append(f"{now:.1f} {self._name} {deed}")
        self._next = now + self._chance.uniform(least, most)

    def end(self) -> None:
        """Ends the encoder."""
        if self._encoder is not None:
            (self._encoder.kill if self._hangs else self._encoder.stop)()


def soak(daemon: Daemon, directory: Path, seconds: float, seed: int, calm_s: tuple[float, float]) -> Soak:
    """Lets it all happen.

    Args:
        daemon: with CHANNELS.
        directory: for the encoders' logs.
        seconds: how long.
        seed: of everything that is random.
        calm_s: the least and the most seconds that an encoder runs undisturbed.
    """
    result = Soak(seed)
    print(f"soak: seed {seed}, {seconds:.0f} s", flush=True)
    source = material(LADDER)
    starts: dict[str, Start] = {
        "rtmp": lambda log: push_rtmp(daemon.rtmp("rtmp"), source, log, LADDER_PUBLISHES, loop=True),
        "fmp4": lambda log: push_isml(daemon.ingest("fmp4"), source, log, loop=True),
    }
    # Each feed has a chance of its own: what happens to one does not depend on how fast the other went.
    feeds = [_Feed(name, start, directory, random.Random(f"{seed} {name}"), calm_s, result) for name, start in starts.items()]
    with ExitStack() as stack:
        for feed in feeds:
            stack.callback(feed.end)
            feed.step(0.0)
        for name in starts:
            for manifest, _ in FORMATS.values():
                daemon.wait_for(daemon.presentation(name, manifest))
        result.viewers = stack.enter_context(watching([daemon.presentation(name) for name in starts]))
        began = time.monotonic()
        while (now := time.monotonic() - began) < seconds:
            for feed in feeds:
                feed.step(now)
            result.samples.append(Sample(now, daemon.memory_kib(), len(daemon.descriptors())))
            time.sleep(SAMPLE_S)
    daemon.wait_for_encoders()
    return result
