"""The benchmarks' viewers against the benchmarks' server: `make bench-delivery` measures what it says, and every answer is looked at."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.doorstep import SIZES
from benchmarks.viewers import ask, connected, most_viewers, poll, request


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A front door with the three answers, and nothing behind."""
    for name, size in SIZES.items():
        (tmp_path / name).write_bytes(name[:1].encode() * size)
    command = [sys.executable, "-m", "benchmarks.doorstep", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_answers_are_what_was_published(address: str) -> None:
    with connected(address, 1) as (sock,):
        for name, size in SIZES.items():
            _, _, body = ask(sock, request(address, f"/{name}")).partition(b"\r\n\r\n")
            assert body == name[:1].encode() * size


def test_each_viewer_asks_once_in_a_period(address: str) -> None:
    took = poll(address, ["/manifest", "/segment"], viewers=20, period=0.5, seconds=2.75)
    # The last ones may be under way at the end.
    assert 90 <= len(took) <= 120
    assert all(0 < each < 2.75 for each in took)


def test_an_answer_that_is_none_is_a_fault(address: str) -> None:
    with pytest.raises(AssertionError, match="503"):
        poll(address, ["/missing"], viewers=1, period=0.1, seconds=5)


def test_a_crowd_leaves_descriptors(address: str) -> None:
    most = most_viewers(10**9)
    assert 0 < most < os.sysconf("SC_OPEN_MAX")
    assert most_viewers(10) == 10
