"""What the whole fault matrix came to, for benchmarks/RESULTS.md: faults survived, the longest gap, latency, reconnects held.

In: outcomes of runs. Out: a line for a person, a section of the page. Never: a verdict; the runs have theirs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from benchmarks.report import table, write_section
from tests.helpers import matrix
from tests.helpers.daemon import Daemon
from tests.helpers.matrix_plan import SET_UPS, Hit, Plan

STORM_S = 30.0
STORMED = 8
"""Channels."""
EVERY_S = 0.5
"""So often each connection of one path is cut."""


def line(name: str, protocol: str, outcomes: Sequence[matrix.Outcome]) -> str:
    """A set-up's outcome."""
    return f"{name} over {protocol}: " + ", ".join(f"{head} {text}" for head, text in zip(_HEADING[2:], _row(outcomes), strict=True))


def write(outcomes: Sequence[matrix.Outcome], held: float, seed: int) -> None:
    """Puts the section into the page."""
    groups: dict[tuple[str, str], list[matrix.Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.plan.set_up.name, outcome.plan.protocol), []).append(outcome)
    rows = [[name, protocol, *_row(group)] for (name, protocol), group in groups.items()]
    told = f"""\
Written by `make soak` (tests/e2e/test_matrix.py): every single fault and every pair of faults at drawn instants, and every frame of
the archive compared with what was sent. Seed {seed}. a: one encoder, both URLs; b: an encoder for each; c: two encoders, both URLs
each; active: two encoders on one URL. Lag: how far the newest listed fragment of 2 s was behind the clock, sampled through the runs.

{table(_HEADING, rows)}
Reconnects held: **{held:.0f} a second**, with the other path whole and not a frame lost ({STORMED} channels, both layers and the
sound of one path cut every {EVERY_S} s)."""
    write_section("matrix", "Faults of ingest redundancy", told)


_HEADING = ["set-up", "protocol", "faults survived", "longest gap", "lag, median", "lag, most"]


def _row(outcomes: Sequence[matrix.Outcome]) -> list[str]:
    injected = sum(len(outcome.plan.hits) for outcome in outcomes)
    survived = sum(len(outcome.plan.hits) for outcome in outcomes if not outcome.faults)
    lags = [lag for outcome in outcomes for lag in outcome.lags] or [0.0]
    longest = max(outcome.longest_hole for outcome in outcomes)
    return [f"{survived} / {injected}", f"{longest:.2f} s", f"{statistics.median(lags):.1f} s", f"{max(lags):.1f} s"]


def storm(daemon_for: Callable[[Sequence[Plan]], AbstractContextManager[Daemon]], seed: int) -> float:
    """Reconnects a second while one path of every channel is cut over and over and the other one is whole.

    Raises:
        AssertionError: a frame was lost.
    """
    plans = []
    for number in range(STORMED):
        plan = Plan(f"storm-{number}", SET_UPS["b"], "fmp4", STORM_S, begins=[0.0, 0.5])
        begin, end = 5.0, STORM_S - 5.0
        plan.hits = [Hit("cut", begin + n * EVERY_S, 0.0, 0, None) for n in range(int((end - begin) / EVERY_S))]
        plans.append(plan)
    with daemon_for(plans) as daemon:
        began = time.monotonic()
        outcomes = matrix.run(daemon, plans, seed)
        assert time.monotonic() - began < STORM_S + 60
    told = matrix.report(outcomes, seed)
    assert not told, told
    return sum(outcome.reconnects for outcome in outcomes) / (STORM_S - 10.0)
