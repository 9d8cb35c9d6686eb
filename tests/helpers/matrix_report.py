"""What the whole fault matrix came to, for benchmarks/RESULTS.md: faults survived, the longest gap, added latency, reconnects held.

In: outcomes of runs. Out: a line for a person, a section of the page, in which each set-up owns a row. Never: a verdict; the runs have
theirs.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from benchmarks.report import read_section, read_table, table, write_section
from tests.helpers import matrix
from tests.helpers.daemon import Daemon
from tests.helpers.matrix_plan import SET_UPS, SINGLE, Hit, Plan, Protocol

STORM_S = 30.0
STORMED = 8
"""Channels, to begin with."""
EVERY_S = 0.5
"""So often each connection of one path is cut, to begin with."""
RISES = 1.1
"""A load that makes less more reconnects is no higher one."""
LONE = 4
"""Channels with one encoder on one path, which a row is compared with."""
UNMEASURED = "-"

_SET_UP, _PROTOCOL = "set-up", "protocol"
_HEADING = (
    _SET_UP, _PROTOCOL, "faults survived", "longest gap", "lag, median", "lag, most", "one path, median", "one path, most",
    "added, median", "added, most", "reconnects", "seed",
)  # fmt: skip
_HELD = re.compile(r"^Reconnects held over (\w+): .*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Held:
    """What a storm came to."""

    rate: float
    """The most reconnects a second at which no frame was lost and no healthy sender was held up; 0: even the least was too many."""
    channels: int
    every_s: float
    """Each connection of one path was cut so often."""
    limit: str
    """What became of the next load: what was lost, or that it made no more reconnects."""


def line(name: str, protocol: str, outcomes: Sequence[matrix.Outcome], seed: int) -> str:
    """A set-up's outcome, as far as it was measured."""
    cells = list(_row(name, protocol, outcomes, seed).items())[2:]
    return f"{name} over {protocol}: " + ", ".join(f"{head} {text}" for head, text in cells if text != UNMEASURED)


def write_row(name: str, protocol: Protocol, outcomes: Sequence[matrix.Outcome], seed: int) -> None:
    """Puts a set-up's row into the page, in place of the one that it has; all others stay.

    Args:
        name: of the set-up.
        protocol: what its encoders spoke.
        outcomes: its runs, and those of one encoder on one path without faults at the same time: what it adds in latency is the difference.
        seed: of the run.
    """
    rows = _rows()
    rows[name, protocol] = _row(name, protocol, outcomes, seed)
    _write(rows, _held())


def write_held(protocol: Protocol, held: Held, seed: int) -> None:
    """Puts into the page how many reconnects a second were held over a protocol, in place of what it says of that one."""
    text = f"""\
Reconnects held over {protocol}: **{held.rate:.0f} a second**, with the other path whole and not a frame lost ({held.channels} channels,
both layers and the sound of one path cut every {held.every_s:g} s; the most of loads that were raised step by step; seed {seed})."""
    _write(_rows(), _held() | {protocol: text})


def _rows() -> dict[tuple[str, str], dict[str, str]]:
    return {(row[_SET_UP], row[_PROTOCOL]): row for row in read_table(read_section("matrix"))}


def _held() -> dict[str, str]:
    return {found[1]: found[0] for found in _HELD.finditer(read_section("matrix"))}


def _write(rows: Mapping[tuple[str, str], Mapping[str, str]], held: Mapping[str, str]) -> None:
    order = {name: number for number, name in enumerate(SET_UPS)}
    ordered = sorted(rows.items(), key=lambda item: (item[0][1], order.get(item[0][0], len(order)), item[0][0]))
    reconnects = "\n\n".join(text for _, text in sorted(held.items()))
    told = f"""\
Written by `make soak` (tests/e2e/test_matrix.py), each row by a run of its own: every single fault and every pair of faults at drawn
instants, and every frame of the archive compared with what was sent. a: one encoder, both URLs; b: an encoder for each; c: two encoders,
both URLs each; active: two encoders on one URL. Lag: how far the newest listed fragment of 2 s was behind the clock, sampled through the
runs, faults included. One path: the same of {LONE} channels with one encoder on one URL and without faults, sampled at the same instants
of the same daemon. Added: the difference, which is what redundancy and the faults cost. Reconnects: of all encoders of the run.
RTMP clocks are placed at UTC by whole seconds, rounded down, so its lags count up to a second that nobody waited.

{table(_HEADING, [[row.get(head, UNMEASURED) for head in _HEADING] for _, row in ordered])}
{reconnects}"""
    write_section("matrix", "Faults of ingest redundancy", told)


def _row(name: str, protocol: str, outcomes: Sequence[matrix.Outcome], seed: int) -> dict[str, str]:
    hit = [outcome for outcome in outcomes if outcome.plan.set_up is not SINGLE]
    injected = sum(len(outcome.plan.hits) for outcome in hit)
    survived = sum(len(outcome.plan.hits) for outcome in hit if not outcome.faults)
    longest = max(outcome.longest_hole for outcome in hit)
    mine, lone = (_lags([one for one in outcomes if (one.plan.set_up is SINGLE) == single]) for single in (False, True))
    added = tuple(one - other for one, other in zip(mine, lone, strict=False))
    # A difference that is rounded to nothing has no sign.
    lags = [f"{round(lag[n], 2) + 0.0:.2f} s" if lag else UNMEASURED for lag in (mine, lone, added) for n in (0, 1)]
    reconnects = sum(outcome.reconnects for outcome in hit)
    cells = [name, protocol, f"{survived} / {injected}", f"{longest:.2f} s", *lags, str(reconnects), str(seed)]
    return dict(zip(_HEADING, cells, strict=True))


def _lags(outcomes: Sequence[matrix.Outcome]) -> tuple[float, ...]:
    """Median and most; nothing when nothing was sampled."""
    lags = [lag for outcome in outcomes for lag in outcome.lags]
    return (statistics.median(lags), max(lags)) if lags else ()


def beside(name: str, protocol: Protocol, plans: Sequence[Plan]) -> list[Plan]:
    """Runs of one encoder on one path, without faults, for as long as others: what redundancy costs is measured against them."""
    seconds = max(plan.seconds for plan in plans)
    return [Plan(f"{name}-single-{n}", SINGLE, protocol, seconds, begins=[0.0]) for n in range(LONE)]


def storm(attempt: Callable[[int, float], tuple[float, str]]) -> Held:
    """Cuts twice as often, as long as that makes more reconnects, then on twice as many channels, until something is lost.

    Args:
        attempt: a run with so many channels, cut every so many seconds: reconnects a second, and what was lost.
    """
    held = Held(0.0, STORMED, EVERY_S, "")
    channels, every_s, quicker = STORMED, EVERY_S, True
    while True:
        rate, lost = attempt(channels, every_s)
        if lost:
            return replace(held, limit=lost)
        if rate > RISES * held.rate:
            held = Held(rate, channels, every_s, "")
        elif quicker:
            # Encoders do not come back any sooner.
            quicker, every_s = False, held.every_s
        else:
            return replace(held, limit=f"{channels} channels made {rate:.0f} reconnects a second")
        channels, every_s = (channels, every_s / 2) if quicker else (2 * channels, every_s)


def cut_one_path(
    daemon_for: Callable[[str, Sequence[Plan]], AbstractContextManager[Daemon]],
    protocol: Protocol, seed: int, channels: int, every_s: float,
) -> tuple[float, str]:  # fmt: skip
    """Reconnects a second while one path of every channel is cut over and over and the other one is whole; and what was lost.

    Over RTMP a connection that is cut so soon never comes to a key frame: what it brings are its beginnings.
    """
    plans = []
    for number in range(channels):
        plan = Plan(f"storm-{number}", SET_UPS["b"], protocol, STORM_S, begins=[0.0, 0.5])
        begin, end = 5.0, STORM_S - 5.0
        plan.hits = [Hit("cut", begin + n * every_s, 0.0, 0, None) for n in range(int((end - begin) / every_s))]
        plans.append(plan)
    try:
        with daemon_for(f"{channels}-{every_s}", plans) as daemon:
            outcomes = matrix.run(daemon, plans, seed)
    except AssertionError as error:
        # Beyond its limit a daemon, or this machine, may not even come to an end in time.
        return 0.0, str(error)[:2000]
    # Not the plans: they have thousands of cuts.
    lost = [f"{outcome.plan.name}: {fault}" for outcome in outcomes for fault in outcome.faults]
    return sum(outcome.reconnects for outcome in outcomes) / (STORM_S - 10.0), "\n".join(lost)[:2000]
