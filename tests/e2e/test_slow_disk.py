"""A disk that takes less than the feeds bring: encoders are read more slowly, memory does not grow, and nothing is lost (DISK_SLOW)."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import push_isml, wait_until
from tests.helpers.frames import assert_presentation, read_file
from tests.helpers.media import HEAVY, material
from tests.helpers.presentation import OUTPUTS
from tests.helpers.stuck_disk import may_hold, stuck_disk

pytestmark = pytest.mark.e2e

CHANNELS = [Channel(f"news{number}") for number in range(8)]
"""A hundred megabytes, of which 64 may wait for the disk."""
HELD_S = 3.0
GROWS_KIB = 32 * 1024
"""What the process may grow by while nothing is read: fifty megabytes are left to read."""


def told(daemon: Daemon, event: str) -> Collection[str]:
    """The channels of which the log says so of the disk."""
    lines = [line for line in daemon.log().splitlines() if '"DISK_SLOW"' in line and f'"event":"{event}"' in line]
    return {found[1] for line in lines if (found := re.search(r'"channel":"(\w+)"', line))}


def test_a_disk_that_hangs_makes_encoders_wait(tmp_path: Path) -> None:
    # Asked here, and not of every run that collects this file.
    if not may_hold():
        pytest.skip("the system lets no process hold a thread of its child (ptrace)")
    source, names = material(HEAVY), {channel.name for channel in CHANNELS}
    # One process has all channels, and so one queue.
    with running_daemon(tmp_path, *CHANNELS, tuning="workers = 1") as daemon, ExitStack() as stack:
        with stuck_disk(daemon.pid):
            encoders = [stack.enter_context(push_isml(daemon.ingest(name), source, tmp_path / f"{name}.log", rate=0)) for name in names]
            wait_until(lambda: told(daemon, "alert") == names, "DISK_SLOW is not told of")
            time.sleep(HELD_S)
            grown = daemon.memory_kib()
            time.sleep(HELD_S)
            assert any(encoder.running() for encoder in encoders), "nobody has to wait"
            assert daemon.memory_kib() < grown + GROWS_KIB
            assert not told(daemon, "alert cleared")
        for encoder in encoders:
            encoder.finish()
        wait_until(lambda: told(daemon, "alert cleared") == names, "DISK_SLOW is not cleared")
        for name in names:
            daemon.end_program(name)
        sent = read_file(source)
        for name in names:
            assert_presentation(sent, OUTPUTS["dash"].read(daemon.fetch, daemon.presentation(name, OUTPUTS["dash"].manifest)))
