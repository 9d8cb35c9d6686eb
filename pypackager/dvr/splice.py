"""The runs of a program as one ledger: what earlier runs recorded, and behind it what the channel has published in the last one.

In: the fold of the earlier runs, the last run, the channel's ledger (or the fold of the run's own files). Out: a ledger in the asset's own
numbers. Never: I/O, a change to the channel's ledger.

Rows, HLS segments and periods of a run follow on those of the run before without a hole, since players count them; times, blobs and
configurations are the channel's, which never repeat. A run opens a period in the asset, though the channel may have been in the same one
all the time: what it published between the runs is not here, and each format has to tell its players so. The run begins with the first
segment that is listed after the program started, in every track with that segment's number. Which one that is depends on what is listed by
then, so it is decided once (`find_begin`), and written down by the caller before anything of it is shown.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from pypackager.dvr.clip import NS
from pypackager.dvr.description import Begin, Join, Run
from pypackager.dvr.index import Columns
from pypackager.dvr.ledger import File, Ledger
from pypackager.dvr.lineup import TOLERANCE_NS
from pypackager.dvr.track import Track
from pypackager.model.presentation import Period
from pypackager.model.records import FLAG_OPENS, FLAG_PERIOD

TIME, SIZE, SEGMENT, FLAGS, PERIOD, DISCONTINUITY, BLOB, OFFSET = 0, 2, 3, 4, 6, 7, 8, 9
"""Places of columns in a window of rows."""

Rows = npt.NDArray[np.int64]


class Splice:
    """A ledger that follows another one. `ledger` is current after `advance`."""

    def __init__(self, history: Ledger, run: Run, join: Join, source: Ledger) -> None:
        self.ledger = history
        self.begin = msgspec.structs.replace(run.begin, rows={**run.begin.rows}) if run.begin is not None else None
        """Where the run begins; until the caller has set it nothing of the run is here."""
        self._run = run
        self._join = join
        self._source = source
        self._seen: int | None = None
        self._dropped = 0
        self._taken: dict[int, int] = {}
        """By track: rows of the channel up to this one are here, or are not the run's."""

    def advance(self) -> None:
        """Takes over what the source has published since."""
        source, ledger = self._source, self.ledger
        if source.version == self._seen:
            return
        self._seen = source.version
        ledger.anchor_ns = source.anchor_ns
        ledger.measured = source.measured
        ledger.target_duration_s = max(ledger.target_duration_s, source.target_duration_s)
        if self.begin is not None:
            self._add_periods(self.begin)
            for number, track in source.tracks.items():
                self._add_rows(number, track, self.begin)
            if source.signals.changes != ledger.signals.changes:
                ledger.signals.merge(source.signals)
        self._add_files()
        ledger.version = source.version + self._join.version + self._dropped

    def forget_before(self, file: int) -> None:
        """Forgets the rows of journal files before this one."""
        while len(self.ledger.files) > 1 and self.ledger.files[0].number < file:
            self.ledger.forget_file()
            self._dropped += 1

    def find_begin(self) -> Begin | None:
        """The first segment of the run: that of the first video track which has one, else of the first track. None while there is none."""
        openings: dict[int, int] = {}
        for number, track in self._source.tracks.items():
            row = track.columns.next_flagged(self._run.start_rows.get(number, 0), FLAG_OPENS)
            if row < track.columns.end:
                openings[number] = row
        if not openings:
            return None
        tracks = self._source.tracks
        first = min(openings, key=lambda number: (tracks[number].info.kind != "video", number))
        columns, row = tracks[first].columns, openings[first]
        segment, flags, period = (columns.window(row, row + 1)[place][0] for place in (SEGMENT, FLAGS, PERIOD))
        together = [(n, row) for n, row in openings.items() if tracks[n].columns.segment_at(row) == segment]
        start_ns = min(tracks[n].columns.time_at(row) * NS // tracks[n].info.timescale for n, row in together)
        if flags & FLAG_PERIOD:
            start_ns = next((known.start_ns for known in self._source.periods if known.number == period), start_ns)
        return Begin({}, segment, period, start_ns)

    def _add_periods(self, begin: Begin) -> None:
        shift = self._period_shift(begin)
        first = Period(begin.period + shift, begin.start_ns)
        news = {(first.number, first.part): first}
        for period in self._source.periods:
            own = msgspec.structs.replace(period, number=period.number + shift)
            if period.number == begin.period and period.start_ns <= begin.start_ns + TOLERANCE_NS:
                # The run begins inside this part, and with it all that is listed there.
                members = period.members and tuple(msgspec.structs.replace(member, since=period.part) for member in period.members)
                own, news = msgspec.structs.replace(own, start_ns=begin.start_ns, members=members), {}
            if period.number >= begin.period:
                news[own.number, own.part] = own
        known = {(period.number, period.part): period for period in self.ledger.periods}
        known.pop((first.number, first.part), None)
        self.ledger.periods = tuple(period for _, period in sorted({**known, **news}.items()))

    def _add_rows(self, number: int, track: Track, begin: Begin) -> None:
        columns = track.columns
        first = begin.rows.get(number)
        if first is None:
            row = max(columns.first_of_segment(begin.segment), self._run.start_rows.get(number, 0))
            first = columns.next_flagged(row, FLAG_OPENS)
            if first >= columns.end:
                return
            begin.rows[number] = first
        own = self.ledger.tracks.get(number)
        if own is None:
            own = self.ledger.tracks[number] = Track(track.info, self._join.rows.get(number, first))
        low = max(self._taken.get(number, first), columns.first)
        at = low + self._row_shift(number, first)
        if at != own.columns.end:
            # The channel has given up rows that are not here: neither is anything before them inside the window any more.
            own.columns = Columns(at)
        if low < columns.end:
            own.columns.extend(self._renumbered(columns.table(low, columns.end), begin, first - low))
        self._taken[number] = columns.end
        own.configs = {**own.configs, **track.configs}
        own.peak_bps = max(own.peak_bps, track.peak_bps)
        own.last_time, own.last_end = track.last_time, track.last_end
        own.segment = own.columns.segment_at(own.columns.end - 1)

    def _renumbered(self, rows: Rows, begin: Begin, first: int) -> Rows:
        """Rows of the channel as rows of the asset; `first` is the place of the run's first one, if it is among them."""
        rows[SEGMENT] += self._segment_shift(begin)
        rows[DISCONTINUITY] = np.maximum(rows[DISCONTINUITY], begin.period)
        for place in (PERIOD, DISCONTINUITY):
            rows[place] += self._period_shift(begin)
        if first >= 0:
            rows[FLAGS, first] |= FLAG_PERIOD
        for number in np.unique(rows[BLOB]).tolist():
            if number in self._source.blobs and number not in self.ledger.blobs:
                # The very same: the channel notes in it which journal file points into it last.
                self.ledger.blobs[number] = self._source.blobs[number]
                self.ledger.blobs_version += 1
        return rows

    def _add_files(self) -> None:
        files = self.ledger.files
        newest = files[-1].number if files else self._run.first_file - 1
        firsts: Mapping[int, int] = self.begin.rows if self.begin is not None else {}
        for file in self._source.files:
            if file.number <= newest:
                continue
            rows = {number: track.columns.end for number, track in self.ledger.tracks.items()}
            for number, first in firsts.items():
                rows[number] = max(file.rows.get(number, 0), first) + self._row_shift(number, first)
            files.append(File(file.number, rows))

    def _row_shift(self, number: int, first: int) -> int:
        return self._join.rows.get(number, first) - first

    def _segment_shift(self, begin: Begin) -> int:
        return self._join.segment - begin.segment if self._join.segment >= 0 else 0

    def _period_shift(self, begin: Begin) -> int:
        return self._join.period - begin.period if self._join.period >= 0 else 0
