"""The fault matrix of ingest redundancy: no single failure, and no pair of failures, loses a frame while a healthy path is left.

Every frame that is archived is compared with the recording that the encoders played (`looped`), in HLS CMAF and in transport streams, and
the strict judge looks at HLS and DASH. `PYPACKAGER_MATRIX_SEED` repeats a run; the whole matrix is behind the marker `soak`, and
`PYPACKAGER_MATRIX_ONLY=b-rtmp` does one set-up over one protocol of it, `storm` the reconnects over both, `storm-rtmp` over one. Each puts
what it found into benchmarks/RESULTS.md and leaves the rest of the table there. `real` does all of it with ffmpeg, `real-b-rtmp` one.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.helpers import matrix, matrix_ffmpeg, matrix_report
from tests.helpers.daemon import Daemon
from tests.helpers.matrix_ffmpeg import real_faults
from tests.helpers.matrix_plan import GOP_S, SET_UPS, SINGLE, Plan, Protocol, alone, drawn, faults_of, lanes, succeeded, swapped
from tests.helpers.netns import allowed, apart

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ALONE = pytest.mark.xdist_group("matrix")
"""One of these after the other: each has dozens of encoders, and how long a fault lasts is counted on the clock."""
PROTOCOLS: tuple[Protocol, ...] = ("fmp4", "rtmp")
HARMLESS = ("cut", "hangup", "truncate", "vanish", "stall", "slow", "garbage", "dup", "reorder")
"""What costs a sender of fragments nothing that sends again."""
BREAKS = ("cut", "hangup", "truncate", "vanish", "garbage", "kill")
"""What costs RTMP a gap each."""


def seed_of(usual: int | None) -> int:
    """The seed of this run, printed."""
    seed = int(os.environ.get("PYPACKAGER_MATRIX_SEED") or (random.SystemRandom().randrange(1 << 32) if usual is None else usual))
    print(f"matrix: seed {seed}", flush=True)
    return seed


@contextmanager
def daemon_for(directory: Path, plans: Sequence[Plan], settings: str = "") -> Iterator[Daemon]:
    """A daemon with a channel for each run; networks of encoders' own reach it."""
    directory.mkdir(parents=True, exist_ok=True)
    daemon = Daemon(directory, matrix.channels(plans, settings))
    matrix.serve_everywhere(daemon)
    good = False
    try:
        daemon.start()
        yield daemon
        good = True
    finally:
        daemon.close(judge=good)


def survive(directory: Path, plans: Sequence[Plan], seed: int) -> list[matrix.Outcome]:
    """Runs plans at once and demands that none lost, doubled or changed a frame."""
    with daemon_for(directory, plans) as daemon:
        outcomes = matrix.run(daemon, plans, seed)
        told = matrix.report(outcomes, seed)
        assert not told, f"{told}\n{daemon.tail()}"
    return outcomes


@ALONE
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_fault_on_every_set_up(protocol: Protocol, tmp_path: Path) -> None:
    seed = seed_of(16)
    chance = random.Random(f"{seed} {protocol}")
    plans = [swapped("swapped", protocol), succeeded("succeeded", protocol)]
    for name, set_up in SET_UPS.items():
        kinds = faults_of(set_up, protocol, networks=False)
        plans += lanes(f"{name}-single", set_up, protocol, [(kind,) for kind in kinds], 3, chance)
        plans += lanes(f"{name}-pair", set_up, protocol, [chance.choices(kinds, k=2) for _ in range(2)], 1, chance)
    plans += [alone(f"alone-{kind}", protocol, [(kind,)], chance) for kind in (HARMLESS if protocol == "fmp4" else BREAKS)]
    survive(tmp_path, plans, seed)


@ALONE
@pytest.mark.netns
def test_a_cable_is_pulled(tmp_path: Path) -> None:
    assert allowed(), "network namespaces need root: run as root, or leave these tests out by -m 'not netns'"
    seed = seed_of(17)
    chance = random.Random(seed)
    plans = [
        drawn(f"{name}-{protocol}", SET_UPS[name], protocol, [("down",), ("down", "down")], chance)
        for protocol in PROTOCOLS for name in ("b", "c", "active")
    ]  # fmt: skip
    lone = drawn("alone", SINGLE, "fmp4", [("down",), ("down",)], chance)
    with apart():
        survive(tmp_path, [*plans, lone], seed)


def restarts(daemon: Daemon, plans: Sequence[Plan]) -> list[tuple[float, Callable[[], None]]]:
    """The daemon is killed and started again, then it is stopped and started again.

    Fragments are sent again; of RTMP a gap is left, as long as the daemon was away, its encoder waited, and until the next key frames.
    """

    def restart(end: Callable[[], object]) -> None:
        began = time.monotonic()
        end()
        daemon.start()
        gap_s = time.monotonic() - began + matrix.BACK_S + GOP_S
        for plan in plans:
            if plan.protocol == "rtmp":
                plan.longest_gap, plan.holes = max(plan.longest_gap, gap_s), plan.holes + 1

    return [(11.0, lambda: restart(daemon.kill)), (24.0, lambda: restart(partial(daemon.stop, signal.SIGTERM)))]


@ALONE
def test_the_daemon_itself_dies_and_is_restarted(tmp_path: Path) -> None:
    seed = seed_of(18)
    chance = random.Random(seed)
    plans = []
    for protocol in PROTOCOLS:
        for name, set_up in {"single": SINGLE, **SET_UPS}.items():
            plan = drawn(f"{name}-{protocol}", set_up, protocol, [], chance)
            plan.seconds, plan.resend = 38.0, 2
            plans.append(plan)
    with daemon_for(tmp_path, plans) as daemon:
        outcomes = matrix.run(daemon, plans, seed, during=restarts(daemon, plans))
        told = matrix.report(outcomes, seed)
        assert not told, f"{told}\n{daemon.tail()}"


def dealt(protocol: Protocol, chance: random.Random) -> Iterator[Plan]:
    """Each set-up with a fault and a pair of faults; together they have every kind."""
    every = real_faults(SET_UPS["b"], protocol)
    left = chance.sample(every, len(every))
    # What a has is fewest kinds: its own come first.
    for name, set_up in SET_UPS.items():
        mine = [kind for kind in left if kind in real_faults(set_up, protocol)][:3]
        left = [kind for kind in left if kind not in mine]
        mine += chance.choices(real_faults(set_up, protocol), k=3 - len(mine))
        yield drawn(f"real-{name}-{protocol}", set_up, protocol, [mine[:1], mine[1:]], chance)


@ALONE
def test_real_encoders_on_every_set_up(tmp_path: Path) -> None:
    """All set-ups over both protocols at once, a channel each."""
    seed = seed_of(19)
    chance = random.Random(seed)
    plans = [plan for protocol in PROTOCOLS for plan in dealt(protocol, chance)]
    # An ffmpeg that a busy machine started late is behind the other one.
    with daemon_for(tmp_path, plans, 'merge_delay = "4s"\n') as daemon:
        outcomes = matrix_ffmpeg.run(daemon, plans, seed, tmp_path / "encoders")
        told = matrix.report(outcomes, seed)
        assert not told, f"{told}\n{daemon.tail()}"


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_the_whole_matrix_with_real_encoders(tmp_path: Path) -> None:
    seed = seed_of(None)
    only = os.environ.get("PYPACKAGER_MATRIX_ONLY", "real")
    told: list[str] = []
    for name, set_up in SET_UPS.items():
        for protocol in PROTOCOLS:
            whole = f"real-{name}-{protocol}"
            if not whole.startswith(only):
                continue
            kinds = real_faults(set_up, protocol)
            cases: list[Sequence[str]] = [(kind,) for kind in kinds]
            cases += [(one, other) for one in kinds for other in kinds]
            plans = lanes(whole, set_up, protocol, cases, matrix_ffmpeg.LANES, random.Random(f"{seed} {whole}"))
            with daemon_for(tmp_path / whole, plans) as daemon:
                outcomes = matrix_ffmpeg.run(daemon, plans, seed, tmp_path / whole / "encoders")
            told += [fault] if (fault := matrix.report(outcomes, seed)) else []
            print(f"matrix: real encoders, {matrix_report.line(name, protocol, outcomes, seed)}\n{fault}", flush=True)
    assert not told, "\n".join(told)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.netns
def test_the_whole_matrix(tmp_path: Path) -> None:
    seed = seed_of(None)
    told: list[str] = []
    only = os.environ.get("PYPACKAGER_MATRIX_ONLY", "")
    for protocol in PROTOCOLS:
        if only not in (storm := f"storm-{protocol}"):
            continue

        def daemons(load: str, plans: Sequence[Plan], place: Path = tmp_path / storm) -> AbstractContextManager[Daemon]:
            return daemon_for(place / load, plans)

        held = matrix_report.storm(partial(matrix_report.cut_one_path, daemons, protocol, seed))
        print(
            f"matrix: {held.rate:.0f} reconnects a second over {protocol}, {held.channels} channels, every {held.every_s:g} s", flush=True
        )
        print(f"matrix: the next load: {held.limit}", flush=True)
        if held.rate:
            matrix_report.write_held(protocol, held, seed)
        else:
            told.append(held.limit)
    for name, set_up in SET_UPS.items():
        for protocol in PROTOCOLS:
            whole = f"{name}-{protocol}"
            if only not in whole:
                continue
            kinds = faults_of(set_up, protocol, networks=allowed())
            cases: list[Sequence[str]] = [(kind,) for kind in kinds]
            cases += [(one, other) for one in kinds for other in kinds]
            # Of its own, so that a set-up alone is the same.
            chance = random.Random(f"{seed} {name} {protocol}")
            plans = lanes(whole, set_up, protocol, cases, matrix.LANES, chance)
            plans += matrix_report.beside(whole, protocol, plans)
            with daemon_for(tmp_path / whole, plans) as daemon:
                outcomes = matrix.run(daemon, plans, seed)
            told += [fault] if (fault := matrix.report(outcomes, seed)) else []
            print(f"matrix: {matrix_report.line(name, protocol, outcomes, seed)}\n{fault}", flush=True)
            # What is done is on the page, whatever comes of the rest.
            matrix_report.write_row(name, protocol, outcomes, seed)
    assert not told, "\n".join(told)
