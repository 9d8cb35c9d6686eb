"""The disk stops taking bytes and takes them again: what was listed stays, the hole is said, the feed goes on by itself."""

from __future__ import annotations

import re
import resource
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import push_isml, wait_until
from tests.helpers.media import SINGLE, material
from tests.helpers.processes import children

pytestmark = pytest.mark.e2e


def listed(daemon: Daemon) -> list[str]:
    """Media URLs of the video playlist that are no gaps."""
    return [name for gap, name in re.findall(r"(#EXT-X-GAP\n)?#EXTINF:.*\n(.+\.m4s)", playlist(daemon)) if not gap]


def playlist(daemon: Daemon) -> str:
    """The video playlist."""
    master = daemon.fetch(daemon.presentation("full", "master.m3u8")).decode()
    name = next(line for line in master.splitlines() if line.startswith("hls/"))
    return daemon.fetch(daemon.presentation("full", name)).decode()


def let_write(daemon: Daemon, limit: int) -> None:
    """Lets the daemon's files, those of its workers too, grow to `limit` bytes: a write beyond it fails as on a full disk."""
    for pid in (daemon.pid, *children(daemon.pid)):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def test_a_full_disk_costs_what_could_not_be_written_and_nothing_else(tmp_path: Path) -> None:
    source = material(SINGLE)
    with running_daemon(tmp_path, Channel("full", settings="fragments_per_segment = 1")) as daemon:
        with push_isml(daemon.ingest("full"), source, tmp_path / "encoder.log", loop=True) as encoder:
            wait_until(lambda: daemon.probe(daemon.presentation("full", "master.m3u8")), "nothing is published")
            wait_until(lambda: len(listed(daemon)) >= 3, "three fragments are listed")
            before = listed(daemon)
            let_write(daemon, 1)
            wait_until(lambda: b"DISK_WRITE_FAILED" in daemon.fetch(daemon.control("healthz")), "the alert is raised")
            time.sleep(4)
            assert encoder.running(), "a full disk must not end the encoder's connection"
            let_write(daemon, resource.RLIM_INFINITY)
            count = len(listed(daemon))
            wait_until(lambda: len(listed(daemon)) >= count + 2, "it goes on when there is space")
            daemon.wait_for(daemon.presentation("full", "manifest"), 'Type="video"')
        after = listed(daemon)
        assert after[: len(before)] == before
        for name in after:
            body = daemon.fetch(daemon.presentation("full", "hls/" + name))
            assert body[4:8] == b"moof"
        times = [int(re.findall(r"/(\d+)\.m4s", name)[0]) for name in after]
        assert times == sorted(set(times))
        assert max(b - a for a, b in pairwise(times)) > 180_000, "the hole is in the timeline"
        every = [int(time) for time in re.findall(r"/(\d+)\.m4s", playlist(daemon))]
        # Where there is no picture, audio says how long a gap is: a frame more or less.
        assert max(b - a for a, b in pairwise(every)) < 185_000, "and players are told of it"
        daemon.kill()
        daemon.start()
        assert listed(daemon)[: len(after)] == after, "a restart shows the same"
