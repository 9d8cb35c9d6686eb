"""Encoders that stop, die and hang at random while viewers of every format follow: nothing breaks, nothing grows."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.helpers import long_soak
from tests.helpers.daemon import running_daemon
from tests.helpers.soak import CHANNELS, CONNECTIONS, TRACKS, Soak, soak

pytestmark = pytest.mark.e2e

MEMORY_KIB = (128 + 64 * len(CHANNELS)) * 1024
"""What the design allows: the idle daemon, and each channel."""

OPEN_FILES = len(CHANNELS) * (TRACKS + 1)
"""Blobs and journals that the channels have open; twice as many while they roll over."""

DAY_GROWTH_KIB = 8 * 1024
"""More than the allocator's noise, less than a hundred bytes for each of the day's fragments."""


def run(tmp_path: Path, seconds: float, seed: int, calm_s: tuple[float, float]) -> Soak:
    """A soak, judged by what holds at any length."""
    with running_daemon(tmp_path, *CHANNELS) as daemon:
        idle = len(daemon.descriptors())
        result = soak(daemon, tmp_path, seconds, seed, calm_s)
        peak = max(sample.memory_kib for sample in result.samples)
        most = max(sample.descriptors for sample in result.samples)
        restarts = sum(event.endswith("starts") for event in result.events)
        print(
            f"soak: {restarts} starts, {sum(viewer.segments for viewer in result.viewers)} segments, memory {peak // 1024} MiB at most, "
            f"{result.growth_kib() / 1024:.1f} MiB more at the end; descriptors: {idle} idle, {most} at most"
        )
        story = "\n".join([f"seed {seed}", *result.events, daemon.tail()])
        assert result.faults() == [], story
        for viewer in result.viewers:
            # Media of 2 s fragments in segments of up to 6 s, of two tracks; half of the time may be without an encoder.
            assert viewer.segments >= seconds / 12, (viewer.url, story)
        assert peak <= MEMORY_KIB, story
        # A hanging encoder's connections and its successor's are there at once; a viewer has one, and a question behind the front door.
        assert most <= idle + 2 * CONNECTIONS + 3 * len(result.viewers) + 2 * OPEN_FILES, story
        files = [name for name in daemon.descriptors() if name.startswith(f"{daemon.data}/channels/") and not name.endswith("/lock")]
        assert len(files) <= OPEN_FILES, (files, story)
    return result


def test_encoders_come_and_go_and_viewers_stay(tmp_path: Path) -> None:
    result = run(tmp_path, seconds=36, seed=194, calm_s=(4, 8))
    # The seed is one that has everything in it.
    for deed in ("rtmp stops", "rtmp is killed", "rtmp hangs", "fmp4 stops", "fmp4 is killed", "fmp4 hangs"):
        assert any(event.endswith(deed) for event in result.events), (deed, result.events)


@pytest.mark.soak
def test_twenty_minutes_of_encoders_that_come_and_go(tmp_path: Path) -> None:
    seed = int(os.environ.get("PYPACKAGER_SOAK_SEED") or random.SystemRandom().randrange(1 << 32))
    result = run(tmp_path, seconds=1200, seed=seed, calm_s=(5, 30))
    # The window and what is served behind it are full after seven minutes: what grows after that grows for ever.
    assert result.growth_kib() <= 12 * 1024, result.samples[:: len(result.samples) // 20]


@pytest.mark.soak
def test_a_day_of_media_leaves_nothing_behind(tmp_path: Path) -> None:
    """On clocks that run 48 times as fast: half an hour. PYPACKAGER_SOAK_HOURS of media make it shorter."""
    hours = float(os.environ.get("PYPACKAGER_SOAK_HOURS") or 24)
    seed = int(os.environ.get("PYPACKAGER_SOAK_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"soak: seed {seed}, {hours:g} h of media", flush=True)
    with long_soak.fast_daemon(tmp_path) as daemon:
        result = long_soak.long_soak(daemon, tmp_path, hours, seed)
        hourly = result.samples[:: max(1, len(result.samples) // 24)]
        story = "\n".join([f"seed {seed}", *map(str, hourly), str(result.refused), daemon.tail()])
        third = len(result.samples) // 3
        files, disk = ([getattr(sample, name) for sample in result.samples[third:]] for name in ("descriptors", "disk_kib"))
        growth = result.growth_kib() / 1024
        print(f"soak: {growth:.1f} MiB more in the last third than in the second, of {result.looks} looks failed {result.refused}")
        assert result.growth_kib() <= DAY_GROWTH_KIB, story
        assert max(files[len(files) // 2 :]) <= max(files[: len(files) // 2]) + 2 * CONNECTIONS, story
        assert max(disk[len(disk) // 2 :]) <= 1.25 * max(disk[: len(disk) // 2]), story
        # A viewer may come while an encoder is away.
        assert all(count <= result.looks // 10 for count in result.refused.values()), story
