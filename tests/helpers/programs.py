"""A model of a program and its asset: what was promised, and whether it is kept."""

from __future__ import annotations

from pathlib import Path

from pypackager.dvr.assets import Asset
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.records import FLAG_PERIOD
from tests.helpers.dvr import SECOND, stored

Rows = dict[int, list[tuple[int, bytes | None]]]
"""(time, bytes or None for a gap) by track number."""


def rows_of(shown: Presentation) -> Rows:
    """What a presentation shows."""
    data, out = iter(stored(shown)), {}
    for track in shown.tracks:
        out[track.info.number] = [(int(time), None if blob < 0 else next(data)) for time, blob in zip(track.time, track.blob, strict=True)]
    return out


class Program:
    """A program, and what its asset promised."""

    def __init__(self, directory: Path, window_ns: int) -> None:
        self.directory = directory
        self.window_ns = window_ns
        self.asset: Asset | None = None
        self.before: Rows = {}
        """What its earlier runs recorded and showed last."""
        self.starts: dict[int, int] = {}
        """Rows that had been listed when the run started."""
        self.begun: dict[int, int] = {}
        """Time of the run's first row that was shown."""
        self.ended: tuple[Presentation, list[bytes]] | None = None
        self.versions: dict[int, bytes] = {}
        self.clip = False

    @property
    def name(self) -> str:
        return self.directory.name

    def judge(self, shown: Presentation, listed: Rows) -> None:
        """What the asset shows of the channel's rows, while the program runs."""
        rows = rows_of(shown)
        ends = [int(t.time[-1] + t.duration[-1]) * SECOND // t.info.timescale for t in shown.tracks]
        low_ns = max(ends, default=0) - self.window_ns
        for track in shown.tracks:
            number = track.info.number
            run = listed[number][self.starts[number] :]
            before = self.before.get(number, [])
            here = [time for time, _ in rows[number]]
            assert here == sorted(set(here)), "no time twice"
            told = {*before, *run}
            assert told.issuperset(rows[number]), "what was recorded, and nothing else"
            self._judge_numbers(track, {time for time, _ in run})
            # Rows of the run that are shown stay, and none is left out behind them.
            ours = [row for row in run if row[0] in here]
            if ours:
                assert run[-len(ours) :] == ours
                begun = self.begun.setdefault(number, ours[0][0])
                assert ours[0][0] == begun or begun < here[0]
        self._judge_window(shown, rows, low_ns)
        content = repr((rows, [track.segment.tolist() for track in shown.tracks], [p.number for p in shown.periods])).encode()
        assert self.versions.setdefault(shown.version, content) == content, "a version names one content"

    def _judge_numbers(self, track: TrackWindow, run: set[int]) -> None:
        segment, period, discontinuity = (column.tolist() for column in (track.segment, track.period, track.discontinuity))
        assert segment == sorted(segment)
        assert discontinuity == sorted(discontinuity)
        first = next((i for i, time in enumerate(track.time.tolist()) if time in run), None)
        if self.before and first:
            assert segment[first] > segment[first - 1]
            assert period[first] > period[first - 1]
            assert discontinuity[first] > discontinuity[first - 1]
            assert int(track.flags[first]) & FLAG_PERIOD

    def _judge_window(self, shown: Presentation, rows: Rows, low_ns: int) -> None:
        """Of the track that windows are cut at, nothing that earlier runs had inside the window is missing."""
        inside = [t for t in shown.tracks if int(t.time[-1] + t.duration[-1]) * SECOND // t.info.timescale > low_ns]
        if inside and self.before:
            track = min(inside, key=lambda t: t.info.number)
            number, ticks = track.info.number, 2 * track.info.timescale
            kept = [row for row in self.before.get(number, []) if (row[0] + ticks) * SECOND // track.info.timescale > low_ns]
            assert set(kept) <= set(rows[number])
