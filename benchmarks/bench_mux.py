"""Segments on request: stored fragments of the top layer and one audio track rewritten for each output, blobs in the page cache."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks import ingested
from benchmarks.media import fragmented_ladder
from pypackager import _core
from pypackager.model.plan import F4fFragment, SmoothFragment, Source, Stored, TsSegment

SEGMENT = slice(0, 3)
"""Fragments of an HLS segment: six seconds."""
FIRST = slice(0, 1)


@dataclass
class Pair:
    """What one viewer watches."""

    video: ingested.Stored
    audio: ingested.Stored


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The top layer and an audio track, stored."""
    tracks = _core.read_recording(fragmented_ladder()) or []
    video = max(tracks, key=lambda track: track.bitrate)
    audio = next(track for track in tracks if track.header.kind == "audio")
    folder = tmp_path_factory.mktemp("blobs")
    return Pair(ingested.store(video, folder / "video.cmfv", 1), ingested.store(audio, folder / "audio.cmfa", 2))


def source(track: ingested.Stored, fragments: slice) -> Source:
    """Some fragments of a track as a plan has them."""
    return Source(track.init, tuple(track.ranges[fragments]))


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
    ranges = pair.video.ranges[SEGMENT]
    check(benchmark, benchmark(_core.make_body, Stored(tuple(ranges))), media(ranges))


def test_ts_segment_v4(benchmark: BenchmarkFixture, pair: Pair) -> None:
    """HLS version 4: video alone."""
    made = benchmark(_core.make_body, TsSegment(source(pair.video, SEGMENT), None))
    check(benchmark, made, media(pair.video.ranges[SEGMENT]))


def test_ts_segment_v4_audio(benchmark: BenchmarkFixture, pair: Pair) -> None:
    """HLS version 4: audio alone."""
    made = benchmark(_core.make_body, TsSegment(None, source(pair.audio, SEGMENT)))
    check(benchmark, made, media(pair.audio.ranges[SEGMENT]))


def test_ts_segment_v3(benchmark: BenchmarkFixture, pair: Pair) -> None:
    """HLS version 3: audio muxed."""
    made = benchmark(_core.make_body, TsSegment(source(pair.video, SEGMENT), source(pair.audio, SEGMENT)))
    check(benchmark, made, media(pair.video.ranges[SEGMENT]))


def test_smooth_fragment(benchmark: BenchmarkFixture, pair: Pair) -> None:
    """Smooth: one fragment of two seconds."""
    first = pair.video.fragments[0]
    successors = tuple((one.time, one.duration) for one in pair.video.fragments[1:3])
    plan = SmoothFragment(source(pair.video, FIRST), 1, 1, first.time, first.duration, 0, successors, inband=False)
    check(benchmark, benchmark(_core.make_body, plan), media(pair.video.ranges[:1]))


def test_hds_fragment(benchmark: BenchmarkFixture, pair: Pair) -> None:
    """HDS: one fragment of two seconds, audio muxed."""
    made = benchmark(_core.make_body, F4fFragment(source(pair.video, FIRST), source(pair.audio, FIRST), 0))
    check(benchmark, made, media(pair.video.ranges[:1]))
