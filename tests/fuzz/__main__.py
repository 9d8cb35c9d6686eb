"""`python -m tests.fuzz TARGET [--first=N] [options of libFuzzer]`: lets a target run under atheris; `make fuzz` does.

A long run is cut into slices. Each is a process of its own with its number as its seed, and starts from what the ones
before have found, so that a run that was broken off goes on with `--first`, the number of the first slice that is still to do.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import atheris  # pyright: ignore[reportMissingModuleSource] (only `make fuzz` installs it)

from tests.fuzz.mutate import rewritten

# Whatever imports pypackager: what was imported before is not seen by the fuzzer.
with atheris.instrument_imports(include=["pypackager"]):
    from tests.fuzz.seeds import seeds
    from tests.fuzz.targets import FEW, LIMITS, TARGETS

CORPUS = Path(__file__).parent / "corpus"
SLICE, SLICES = 200_000, {"ts_segments": 40_000}
"""Inputs of a slice. Atheris leaks what a comparison of arrays gives, and readers of media compare columns."""
_LONGEST_NS = 5_000_000_000
"""Of the processor, for one input: what the machine does beside does not count."""
_WARM, _MOST_GROWTH_KIB = 20_000, 200 << 10
"""After so many inputs everything is loaded; from then on memory may grow by so much in a slice."""
_OPTIONS = ["-max_len=4096", "-timeout=60", "-rss_limit_mb=1024"]
_SHORT = "-max_len=1024"
"""Of three slices in four: what takes no more than one row of a kind to find is found in half the time."""
_TEXT = {"hls_media_playlists", "hls_multivariant", "dash_mpds", "smooth_manifests", "hds_manifests", "viewer_urls", "ingest_urls"}


class Watch:
    """A target under which no input takes long, and all together take no more and more memory."""

    def __init__(self, target: Callable[[bytes], None]) -> None:
        self._target = target
        self._tried = 0
        self._warm_kib = 0

    def run(self, data: bytes) -> None:
        """Tries an input."""
        began = time.thread_time_ns()
        self._target(data)
        took = time.thread_time_ns() - began
        assert took < _LONGEST_NS, f"{took / 1e9:.1f} s for {len(data)} bytes"
        self._tried += 1
        if self._tried % _WARM == 0:
            peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            self._warm_kib = self._warm_kib or peak_kib
            assert peak_kib - self._warm_kib < _MOST_GROWTH_KIB, f"from {self._warm_kib} to {peak_kib} KiB in {self._tried} inputs"


def mutate(data: bytes, most: int, seed: int) -> bytes:
    """Every second input is changed as bytes, the others as text."""
    if seed % 2:
        return bytes(atheris.Mutate(data, most))
    return rewritten(data, random.Random(seed))[:most]


def fuzz(target: str, options: list[str]) -> None:
    """Fills the corpus and runs in this process; ends it."""
    corpus = CORPUS / target
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    for module, name in LIMITS:
        setattr(module, name, FEW)
    mutator = mutate if target in _TEXT else None
    atheris.Setup([sys.argv[0], *_OPTIONS, *options, str(corpus)], Watch(TARGETS[target]).run, custom_mutator=mutator)
    atheris.Fuzz()


def main() -> None:
    """Runs a target, in slices when it is told a number of inputs that is more than one slice."""
    names = [each for each in sys.argv[1:] if not each.startswith("-")]
    if len(names) != 1 or names[0] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz {'|'.join(TARGETS)} [--first=N] [-runs=N]")
    options = [each for each in sys.argv[1:] if each.startswith("-") and not each.startswith("--first=")]
    first = next((int(each.removeprefix("--first=")) for each in sys.argv[1:] if each.startswith("--first=")), 1)
    runs = next((int(each.removeprefix("-runs=")) for each in options if each.startswith("-runs=")), 0)
    size = SLICES.get(names[0], SLICE)
    if runs <= size and first == 1:
        fuzz(names[0], options)
    rest = [each for each in options if not each.startswith("-runs=")]
    for number in range(first, -(-runs // size) + 1):
        count = min(size, runs - size * (number - 1))
        print(f"==> slice {number}: {names[0]}, {count} inputs", flush=True)
        own = [f"-runs={count}", f"-seed={number}", *([_SHORT] if number % 4 else [])]
        subprocess.run([sys.executable, "-m", "tests.fuzz", names[0], *own, *rest], check=True)


if __name__ == "__main__":
    main()
