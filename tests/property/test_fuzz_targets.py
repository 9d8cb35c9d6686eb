"""The Python fuzz targets in short: the seeds, and what a seeded chance makes of them. `make fuzz` goes on for as long as one likes."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.mutate import changed, rewritten
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import FEW, LIMITS, TARGETS

TRIES = {"dash_mpds": 500}
"""Of one target: of the others a thousand."""


@pytest.mark.parametrize("target", TARGETS)
def test_whatever_comes_is_refused_in_its_own_words(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in LIMITS:
        monkeypatch.setattr(module, name, FEW)
    run = TARGETS[target]
    known = seeds(target)
    assert known
    for seed in known:
        run(seed)
    chance = random.Random(target)
    for number in range(TRIES.get(target, 1000)):
        data = chance.choice([changed, rewritten])(chance.choice(known), chance)
        try:
            run(data)
        except Exception as fault:
            raise AssertionError(f"try {number} of {target}: {data!r}") from fault


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_are_short(target: str) -> None:
    """A fuzzer changes a few bytes at a time: in a long input they are mostly in what is there a hundred times."""
    assert max(map(len, seeds(target))) <= 2500
