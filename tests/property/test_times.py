"""The rounding rule of media time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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
