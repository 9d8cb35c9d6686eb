"""The rounding rule of media time."""

from __future__ import annotations

import re
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypackager import _core
from pypackager.timeline.times import SECOND_NS, from_ns, rescale, to_ns

SCALES = st.sampled_from([1000, 2500, 12_800, 24_000, 30_000, 44_100, 48_000, 90_000, 10_000_000])


@given(st.integers(-(10**12), 2 * 10**14), SCALES, SCALES)
def test_a_conversion_is_off_by_at_most_half_a_tick(time: int, source: int, target: int) -> None:
    converted = rescale(time, source, target)
    assert abs(2 * (converted * source - time * target)) <= source


@given(st.integers(0, 10**9), st.sampled_from([(3003, 90_000), (3600, 90_000), (1024, 48_000), (1024, 44_100), (2048, 48_000)]))
def test_a_frame_grid_survives_ten_megahertz(frame: int, grid: tuple[int, int]) -> None:
    step, scale = grid
    assert rescale(rescale(frame * step, scale, 10_000_000), 10_000_000, scale) == frame * step


@given(st.lists(st.integers(1, 10_000_000), min_size=1, max_size=200), SCALES)
def test_durations_from_absolute_times_never_drift(durations: list[int], target: int) -> None:
    time, total = 0, 0
    for duration in durations:
        total += rescale(time + duration, 10_000_000, target) - rescale(time, 10_000_000, target)
        time += duration
    assert total == rescale(time, 10_000_000, target)


@given(st.integers(0, 2 * 10**14), SCALES)
def test_nanoseconds_carry_every_tick(time: int, scale: int) -> None:
    assert from_ns(to_ns(time, scale), scale) == time or scale > SECOND_NS // 2


CAPTURE = Path(__file__).parents[2] / "rust" / "core" / "tests" / "data" / "ffmpeg-9.0-ismv.http"
TFXD = bytes.fromhex("6d1d9b0542d544e680e2141daff757b2")
"""The box that states a fragment's time in its track's timescale ([MS-SSTR] 2.2.4.4)."""
TICKS = st.sampled_from([180_000, 200_000, 10_000_000]) | st.integers(100_000, (1 << 32) - 1)
STORED = st.sampled_from([1000, 44_100, 48_000, 90_000, 100_000]) | st.integers(1, 1_000_000)
PLACES = st.lists(st.tuples(STORED, st.integers(0, 10**9)), min_size=20, max_size=20)
"""Stored timescales, and the seconds that a source clock adds."""


@pytest.fixture(scope="module")
def pump() -> Iterator[_core.Pump]:
    """A pump that ticks fast."""
    pump = _core.Pump(tick_ms=2)
    yield pump
    pump.stop()


def received(pump: _core.Pump, body: bytes) -> list[_core.Chunk]:
    """The chunks that the native core reads from an encoder's request."""
    client, server = socket.socketpair()
    chunks: list[_core.Chunk] = []
    with client:
        conn = pump.add(server.detach(), "http")
        client.sendall(body)
        while True:
            assert select.select([pump.fileno()], [], [], 10)[0]
            for event in pump.events():
                match event:
                    case _core.Request():
                        pump.accept(conn)
                    case _core.ChunkReady():
                        chunks.append(event.chunk)
                    case _core.BodyEnd():
                        pump.close(conn)
                    case _core.Closed():
                        return chunks
                    case _:
                        pass


@settings(max_examples=40, deadline=None, print_blob=True)
@given(st.randoms(use_true_random=False), TICKS, PLACES)
def test_python_and_rust_round_alike(pump: _core.Pump, random: Random, source: int, targets: list[tuple[int, int]]) -> None:
    """`times.rescale` says where a fragment goes before the native core has moved it there: a tick of difference is another URL."""
    body = bytearray(CAPTURE.read_bytes())
    for box in re.finditer(b"mdhd", body):
        struct.pack_into(">I", body, box.start() + 24, source)
    for box in re.finditer(re.escape(TFXD), body):
        most = 1 << random.randrange(20, 61)
        struct.pack_into(">q", body, box.end() + 4, random.randrange(-most, most))
    chunks = received(pump, bytes(body))
    assert len(chunks) == 9
    assert {chunk.timescale for chunk in chunks} == {source}
    for chunk in chunks:
        for target, shift_s in targets:
            begin, end = (rescale(time, source, target) + shift_s * target for time in (chunk.time, chunk.time + chunk.duration))
            if begin >= 0 and end < 1 << 53:
                muxed = chunk.mux(1, 1, target, shift_s * target)
                assert (muxed.time, muxed.duration) == (begin, end - begin)
