"""The fault matrix of ingest redundancy: no single failure, and no pair of failures, loses a frame while a healthy path is left.

Every frame that is archived is compared with the recording that the encoders played (`looped`), in HLS CMAF and in transport streams, and
the strict judge looks at HLS and DASH. `PYPACKAGER_MATRIX_SEED` repeats a run; the whole matrix is behind the marker `soak`, and
`PYPACKAGER_MATRIX_ONLY=b-rtmp` does one set-up over one protocol of it, `storm` the reconnects over both, `storm-rtmp` over one. Each puts
what it found into benchmarks/RESULTS.md and leaves the rest of the table there.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.helpers import matrix, matrix_report
from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import Encoder
from tests.helpers.frames import read_file
from tests.helpers.looped import Loop, follow
from tests.helpers.matrix_ffmpeg import Pair, push
from tests.helpers.matrix_plan import GOP_S, SET_UPS, SINGLE, Plan, Protocol, alone, drawn, faults_of, lanes, succeeded, swapped
from tests.helpers.media import material
from tests.helpers.netns import allowed
from tests.helpers.presentation import OUTPUTS, read_hls

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

ALONE = pytest.mark.xdist_group("matrix")
"""One of these after the other: each has dozens of encoders, and how long a fault lasts is counted on the clock."""
PROTOCOLS: tuple[Protocol, ...] = ("fmp4", "rtmp")
HARMLESS = ("cut", "hangup", "truncate", "vanish", "stall", "slow", "garbage", "dup", "reorder")
"""What costs a sender of fragments nothing that sends again."""
BREAKS = ("cut", "hangup", "truncate", "vanish", "garbage", "kill")
"""What costs RTMP a gap each."""
EVENT_S = 40.0
"""How long real encoders play."""


def seed_of(usual: int | None) -> int:
    """The seed of this run, printed."""
    seed = int(os.environ.get("PYPACKAGER_MATRIX_SEED") or (random.SystemRandom().randrange(1 << 32) if usual is None else usual))
    print(f"matrix: seed {seed}", flush=True)
    return seed


@contextmanager
def daemon_for(directory: Path, plans: Sequence[Plan]) -> Iterator[Daemon]:
    """A daemon with a channel for each run; networks of encoders' own reach it."""
    directory.mkdir(parents=True, exist_ok=True)
    daemon = Daemon(directory, matrix.channels(plans))
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


# Chromium ends its requests when a network of the machine comes or goes (ERR_NETWORK_CHANGED): never beside a browser.
@pytest.mark.xdist_group("browser")
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
    survive(tmp_path, [*plans, lone], seed)


def restarts(daemon: Daemon) -> list[tuple[float, Callable[[], None]]]:
    """The daemon is killed and started again, then it is stopped and started again."""

    def killed() -> None:
        daemon.kill()
        daemon.start()

    def stopped() -> None:
        daemon.stop(signal.SIGTERM)
        daemon.start()

    return [(11.0, killed), (24.0, stopped)]


@ALONE
def test_the_daemon_itself_dies_and_is_restarted(tmp_path: Path) -> None:
    seed = seed_of(18)
    chance = random.Random(seed)
    plans = []
    for protocol in PROTOCOLS:
        for name, set_up in {"single": SINGLE, **SET_UPS}.items():
            plan = drawn(f"{name}-{protocol}", set_up, protocol, [], chance)
            plan.seconds, plan.resend = 38.0, 2
            # Fragments are sent again; of RTMP one gap is left, as long as the daemon was away and until the next key frames.
            plan.longest_gap = 0.0 if protocol == "fmp4" else matrix.AWAY_S + GOP_S
            plans.append(plan)
    with daemon_for(tmp_path, plans) as daemon:
        outcomes = matrix.run(daemon, plans, seed, during=restarts(daemon))
        told = matrix.report(outcomes, seed)
        assert not told, f"{told}\n{daemon.tail()}"


@ALONE
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_real_encoders_that_are_killed_frozen_and_started_again(protocol: Protocol, tmp_path: Path) -> None:
    seed = seed_of(19)
    source, origin = material(matrix.REDUNDANT), int(time.time())
    loops = [Loop(track, matrix.REDUNDANT.seconds) for track in read_file(source)]
    with running_daemon(tmp_path, Channel("news", protocol=protocol, settings=matrix.QUICK)) as daemon:

        def start(side: str, at: float) -> Encoder:
            url = f"{daemon.rtmp('news', side)}/main" if protocol == "rtmp" else daemon.ingest("news", "main", side)
            return push(url, protocol, source, tmp_path / f"{side or 'primary'}-{at:.0f}.log", origin, at)

        encoders = Pair([partial(start, side) for side in ("", "secondary")], random.Random(seed))
        encoders.play(EVENT_S, ["kill", "freeze", "kill"])
        daemon.end_program("news")
        tracks = read_hls(daemon.fetch, daemon.presentation("news", OUTPUTS["hls"].manifest))
        # An RTMP publish carries one layer.
        stories = follow(loops if protocol == "fmp4" else [loops[0], loops[2]], tracks)
    told = [f"{story.label}: {fault}" for story in stories for fault in [*story.faults, *story.holes]]
    assert not told, (seed, encoders.story, told)
    for story in stories:
        length = matrix.REDUNDANT.seconds
        assert story.begin % length < GOP_S, (seed, encoders.story, story)
        assert story.end % length > EVENT_S - GOP_S, (seed, encoders.story, story)


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
        held, fault = matrix_report.storm(partial(daemon_for, tmp_path / storm), protocol, seed)
        print(f"matrix: {held:.0f} reconnects a second over {protocol}\n{fault}", flush=True)
        if fault:
            told.append(fault)
        else:
            matrix_report.write_held(protocol, held, seed)
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
