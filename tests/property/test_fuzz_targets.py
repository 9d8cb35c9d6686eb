"""The Python fuzz targets in short: the seeds, and what a seeded chance makes of them. `make fuzz` goes on for as long as one likes."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

TRIES = {"judge_manifests": 2000, "judge_media": 3000}
LONGEST = 20_000
"""Bytes of a seed that is changed: a manifest of some hundred lines has everything."""


def changed(data: bytes, chance: random.Random) -> bytes:
    """Some bytes of it are others, missing, or there twice."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(out) + 1)
        end = min(len(out), at + chance.choice([1, 1, 2, 4, 8, 30]))
        match chance.randrange(4):
            case 0:
                out[at:end] = chance.randbytes(end - at)
            case 1:
                del out[at:end]
            case 2:
                out[at:at] = out[at:end]
            case _:
                out[at:at] = chance.choice([b"0", b"-", b"%", b"\xff", b"\0\0\0\0", b"99999999999999999999", b'"', b"\n", b"<", b"="])
    return bytes(out)


@pytest.mark.parametrize("target", TARGETS)
def test_whatever_comes_is_refused_in_its_own_words(target: str) -> None:
    run = TARGETS[target]
    known = seeds(target)
    assert known
    for seed in known:
        run(seed)
    short = [seed for seed in known if len(seed) < LONGEST]
    chance = random.Random(target)
    for number in range(TRIES.get(target, 3000)):
        data = changed(chance.choice(short), chance)
        try:
            run(data)
        except Exception as fault:
            raise AssertionError(f"try {number} of {target}: {data!r}") from fault
