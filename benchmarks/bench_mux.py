"""Segments on request: stored fragments of the top layer and one audio track rewritten for each output, blobs in the page cache."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.ingested import Stored, store
from benchmarks.media import fragmented_ladder
from pypackager import _core

SEGMENT = slice(0, 3)
"""Fragments of an HLS segment: six seconds."""


@dataclass
class Pair:
    """What one viewer watches."""

    video: Stored
    audio: Stored


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The top layer and an audio track, stored."""
    tracks = _core.read_recording(fragmented_ladder()) or []
    video = max(tracks, key=lambda track: track.bitrate)
    audio = next(track for track in tracks if track.header.kind == "audio")
    folder = tmp_path_factory.mktemp("blobs")
    return Pair(store(video, folder / "video.cmfv", 1), store(audio, folder / "audio.cmfa", 2))


def check(benchmark: BenchmarkFixture, made: bytes, least: int) -> None:
    """A segment is at least as large as its media, and its rate stands beside its time."""
    assert len(made) >= least
    benchmark.extra_info["MB"] = round(len(made) / 1e6, 2)
    if benchmark.stats:
        benchmark.extra_info["MB_per_s"] = round(len(made) / 1e6 / benchmark.stats["median"])


def media(ranges: list[tuple[str, int, int]]) -> int:
    """Bytes of fragments, boxes included, less what boxes may weigh."""
    return sum(size for _, _, size in ranges) * 9 // 10


def test_cmaf_segment(benchmark: BenchmarkFixture, pair: Pair) -> None:
    """HLS with CMAF: stored bytes as they are."""
    check(benchmark, benchmark(_core.read_ranges, pair.video.ranges[SEGMENT]), media(pair.video.ranges[SEGMENT]))


def test_ts_segment_v4(benchmark: BenchmarkFixture, pair: Pair) -> None:
    """HLS version 4: video alone."""
    made = benchmark(_core.ts_segment, pair.video.init, pair.video.ranges[SEGMENT], None, [])
    check(benchmark, made, media(pair.video.ranges[SEGMENT]))


def test_ts_segment_v4_audio(benchmark: BenchmarkFixture, pair: Pair) -> None:
    """HLS version 4: audio alone."""
    made = benchmark(_core.ts_segment, None, [], pair.audio.init, pair.audio.ranges[SEGMENT])
    check(benchmark, made, media(pair.audio.ranges[SEGMENT]))


def test_ts_segment_v3(benchmark: BenchmarkFixture, pair: Pair) -> None:
    """HLS version 3: audio muxed."""
    made = benchmark(_core.ts_segment, pair.video.init, pair.video.ranges[SEGMENT], pair.audio.init, pair.audio.ranges[SEGMENT])
    check(benchmark, made, media(pair.video.ranges[SEGMENT]))


def test_smooth_fragment(benchmark: BenchmarkFixture, pair: Pair) -> None:
    """Smooth: one fragment of two seconds."""
    first = pair.video.fragments[0]
    successors = [(one.time, one.duration) for one in pair.video.fragments[1:3]]
    made = benchmark(
        _core.smooth_fragment, pair.video.init, pair.video.ranges[:1], 1, 1, first.time, first.duration, 0, successors, False
    )  # fmt: skip
    check(benchmark, made, media(pair.video.ranges[:1]))


def test_hds_fragment(benchmark: BenchmarkFixture, pair: Pair) -> None:
    """HDS: one fragment of two seconds, audio muxed."""
    made = benchmark(_core.f4f_fragment, pair.video.init, pair.video.ranges[:1], pair.audio.init, pair.audio.ranges[:1], 0)
    check(benchmark, made, media(pair.video.ranges[:1]))
