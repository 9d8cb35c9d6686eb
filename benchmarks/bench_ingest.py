"""Ingest: box scanning, an RTMP and a fragmented MP4 session through the pump, and a fragment on its way to the disk.

Sessions are timed in CPU seconds of the pump's thread, reads from loopback sockets included; `MB_per_s` puts them against the bytes.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.ingested import Intake, feed, record, writing
from benchmarks.media import fragmented_ladder
from benchmarks.processes import thread_cpu_seconds
from pypackager import _core

_clock: list[Callable[[], float]] = []


def pump_time() -> float:
    """CPU seconds of the thread that a test has named."""
    return _clock[-1]()


@pytest.fixture(scope="module")
def top() -> _core.RecordedTrack:
    """The layer with the highest bitrate."""
    return max(_core.read_recording(fragmented_ladder()) or [], key=lambda track: track.bitrate)


@pytest.fixture
def intake() -> Iterator[Intake]:
    """A pump whose thread is the clock."""
    intake = Intake()
    _clock.append(lambda: thread_cpu_seconds(intake.thread))
    yield intake
    _clock.pop()
    intake.pump.stop()


TRACKS = 15


def rate(benchmark: BenchmarkFixture, size: int) -> None:
    """Puts the throughput beside the time."""
    benchmark.extra_info["MB"] = round(size / 1e6, 1)
    if benchmark.stats:
        benchmark.extra_info["MB_per_s"] = round(size / 1e6 / benchmark.stats["median"])


def test_read_fragmented_mp4(benchmark: BenchmarkFixture) -> None:
    """Box scanning, sample tables and payloads of the whole ladder, from a file in the page cache."""
    path = fragmented_ladder()
    tracks = benchmark(_core.read_recording, path)
    assert tracks is not None
    assert len(tracks) == 15
    rate(benchmark, path.stat().st_size)


@pytest.mark.benchmark(timer=pump_time)
@pytest.mark.parametrize("scheme", ["rtmp", "http"])
def test_session(benchmark: BenchmarkFixture, top: _core.RecordedTrack, intake: Intake, scheme: str) -> None:
    """Eight seconds of the top layer in one connection."""
    data = record(top, scheme)

    def session() -> None:
        intake.chunks.clear()
        feed(intake, scheme, data)

    # Every call of the timer reads a clock that stands still meanwhile: it cannot be calibrated.
    untyped: Any = benchmark
    untyped.pedantic(session, rounds=20, warmup_rounds=2)
    (chunks,) = intake.chunks.values()
    assert sum(chunk.samples for chunk in chunks) == 200
    rate(benchmark, len(data))


@pytest.fixture
def chunk(top: _core.RecordedTrack, intake: Intake) -> _core.Chunk:
    """One fragment of the top layer: two seconds, 1.6 MB."""
    feed(intake, "rtmp", record(top, "rtmp"))
    (chunks,) = intake.chunks.values()
    return chunks[1]


def test_mux_fragment(benchmark: BenchmarkFixture, chunk: _core.Chunk) -> None:
    """`moof`, times and CRC32C of a fragment; the payload is not copied."""
    muxed = benchmark(chunk.mux, 1, 1, 90_000, 0)
    assert muxed.samples == 50
    rate(benchmark, muxed.size)


def test_append_fragments(benchmark: BenchmarkFixture, chunk: _core.Chunk, tmp_path: Path) -> None:
    """A fragment of each track into the page cache with its journal record, handed to the writer's thread and back.

    A thread that sleeps gathers for ten milliseconds first; this one is kept awake.
    """
    muxed = chunk.mux(1, 1, 90_000, 0)
    with writing() as writer:
        blob, journal = writer.open(str(tmp_path / "blob")), writer.open(str(tmp_path / "journal"))

        def append() -> None:
            tickets = {writer.write_fragment(blob, 0, muxed, journal, bytes(64)) for _ in range(TRACKS)}
            done: dict[int, int] = {}
            while not tickets <= done.keys():
                select.select([writer.fileno()], [], [])
                done.update(writer.done())
            assert not any(done.values())

        benchmark(append)
    rate(benchmark, TRACKS * muxed.size)
