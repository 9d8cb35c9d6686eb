"""Runs of rows with holes, gaps and periods, in a window that slides: a model that knows of no runs says what is listed."""

from __future__ import annotations

import re
from random import Random
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from pypackager.model.presentation import TrackWindow
from pypackager.model.records import FLAG_GAP
from pypackager.packaging.rows import Page
from pypackager.packaging.runs import Run, RunStrip, ticks
from tests.helpers.presentations import Row, Spec, present, video

TICKS = 90
"""A millisecond."""
Listed = list[tuple[int, int]]
"""Times and durations, in ticks."""


def _element(run: Run, head: bool) -> bytes:
    stated = f"t{run.time} " if head or not run.joined else ""
    return f"{stated}d{run.duration} x{run.count}\n".encode()


def _strip(start: int) -> RunStrip:
    return RunStrip(start, _element, bridges=True, gap=lambda time, duration: f"{time} {duration}\n".encode())


def _text(strip: RunStrip, start: int, stop: int) -> str:
    page = Page()
    page.add_rows(strip.slice(start, stop))
    return page.join().decode()


def _rows(text: str) -> Listed:
    """What a client makes of the runs."""
    out, at = [], -1
    for stated, duration, count in re.findall(r"(?:t(\d+) )?d(\d+) x(\d+)\n", text):
        at = int(stated) if stated else at
        for _ in range(int(count)):
            out.append((at, int(duration)))
            at += int(duration)
    return out


def _gaps(strip: RunStrip, start: int, stop: int) -> Listed:
    page = Page()
    page.add_rows(strip.gaps(start, stop))
    return [(int(time), int(duration)) for time, duration in (line.split() for line in page.join().decode().splitlines())]


def _model(track: TrackWindow, start: int, stop: int) -> tuple[Listed, Listed]:
    """What is listed of the absolute rows [start, stop), and where it has gaps."""
    listed, gaps = [], []
    rows = [row for row in range(start - track.first, stop - track.first) if not int(track.flags[row]) & FLAG_GAP]
    for row, after in zip(rows, [*rows[1:], None], strict=False):
        time, lasts = int(track.time[row]), int(track.duration[row])
        hole = int(track.time[after]) - time - lasts if after is not None and track.period[after] == track.period[row] else 0
        listed.append((time, lasts + hole))
        if hole >= 100 * TICKS:
            gaps.append((time + lasts, hole))
    return listed, gaps


def _channel(chance: Random) -> list[Row]:
    rows, end, period = [], 0, 0
    for _ in range(chance.randint(1, 60)):
        period += chance.random() < 0.06
        duration = chance.choice([2000, 2000, 2000, 2021, 2040, 2100]) * TICKS
        end += chance.choice([0, 0, 0, 0, 21, 40, 99, 100, 500, 3000]) * TICKS
        rows.append(Row(end, duration, period=period, gap=chance.random() < 0.2))
        end += duration
    return rows


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 32))
def test_a_window_that_slides_lists_what_one_that_is_seen_at_once_lists(seed: int) -> None:
    chance = Random(seed)
    spec = Spec([video(1, _channel(chance))], fragments_per_segment=1)
    count, low, high = len(spec.tracks[0].rows), 0, 0
    strip = _strip(0)
    # Blocks of a few rows, so that a window has many.
    with patch("pypackager.packaging.rows.BLOCK", 4), patch("pypackager.packaging.runs.BLOCK", 4):
        while high < count:
            high = min(count, high + chance.choice([1, 1, 1, 2, 5]))
            low = chance.choice([low, low, low, min(high - 1, low + 3), max(low, high - 12)])
            (track,) = present(spec, rows=slice(low, high)).tracks
            if track.first > strip.end:
                # It moved on unwatched: a new one is made (`cache.strip`).
                strip = _strip(track.first)
            strip.trim(track.first)
            strip.feed(track, ticks, high)
            fresh = _strip(track.first)
            fresh.feed(track, ticks, high)
            start = chance.choice([low, chance.randint(low, high)])
            for stop in (high, chance.randint(start, high)):
                listed, gaps = _model(track, start, stop)
                text = _text(strip, start, stop)
                assert text == _text(fresh, start, stop)
                assert _rows(text) == listed
                assert _gaps(strip, start, stop) == _gaps(fresh, start, stop) == gaps
                assert strip.count(start, stop) == len(listed)
                ends = {time + duration for time, duration in gaps}
                assert strip.longest(start, stop) == max((lasts for time, lasts in listed if time + lasts in ends), default=0)
