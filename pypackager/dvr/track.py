"""One track of a channel's ledger: its published rows, the fragments that wait, and where numbering stands.

In: fragments, rows, losses, snapshots. Out: columns, the state that a snapshot keeps. Never: a look at another track, I/O.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pypackager._core import FoldedTrack
from pypackager.dvr.index import Columns
from pypackager.dvr.records import TrackState
from pypackager.model.records import FLAG_GAP, FLAG_PERIOD, FragmentWritten, Row
from pypackager.model.track import TrackConfig, TrackInfo

GAP_BLOB = -1
"""Blob number of a row for which nothing is stored."""


class Track:
    """One track: what is published, what waits, and where numbering stands."""

    def __init__(self, info: TrackInfo, rows: int = 0) -> None:
        self.info = info
        self.columns = Columns(rows)
        self.configs: Mapping[int, TrackConfig] = {}
        self.pending: dict[int, FragmentWritten] = {}
        self.next_config = 1
        self.config = 0
        self.segment = -1
        self.discontinuity = 0
        self.last_time = -1
        self.last_end = 0
        self.peak_bps = 0
        self.begun = -1
        self.reached = 0
        self.absences = 0

    def state(self) -> TrackState:
        """Everything but the rows."""
        return TrackState(
            self.info,
            self.columns.end,
            # All of them: an encoder that goes back to what it sent before goes back to that number. Few differ in a channel's life.
            dict(self.configs),
            self.next_config,
            self.config,
            self.segment,
            self.discontinuity,
            self.last_time,
            self.last_end,
            self.peak_bps,
            tuple(self.pending.values()),
            self.begun,
            self.reached,
            self.absences,
        )

    def resume(self, state: TrackState) -> None:
        """Takes over a snapshot's state; rows are kept when they lead up to it, else forgotten."""
        self.info = state.info
        if self.columns.end != state.rows:
            self.columns = Columns(state.rows)
        self.configs = {**self.configs, **state.configs}
        self.pending = {fragment.time: fragment for fragment in state.pending}
        self.next_config = state.next_config
        self.config = state.config
        self.segment = state.segment
        self.discontinuity = state.discontinuity
        self.last_time = state.last_time
        self.last_end = state.last_end
        self.peak_bps = state.peak_bps
        self.begun = state.begun
        self.reached = state.reached
        self.absences = state.absences

    def open_period(self) -> None:
        """A period begins: what the track has in it starts later."""
        self.begun, self.absences = -1, 0

    def add_config(self, number: int, value: TrackConfig) -> None:
        """Takes a configuration."""
        # Presentations hold the mapping: a new one each time keeps theirs as it was.
        self.configs = {**self.configs, number: value}
        self.next_config = max(self.next_config, number + 1)

    def list(self, row: Row, period: int) -> FragmentWritten | None:
        """Publishes a row, which is behind the last one; returns its fragment, None when it is a gap."""
        time, flags = row.time, row.flags
        if flags & FLAG_PERIOD or self.last_time < 0:
            # Counted in periods, so that all renditions agree on it whenever they joined (RFC 8216bis 6.2.1).
            self.discontinuity = period
        pending = self.pending
        fragment = None if flags & FLAG_GAP else pending.pop(time, None)
        size, blob, offset = 0, GAP_BLOB, 0
        if fragment is None:
            flags |= FLAG_GAP
            self.begun = -1
        else:
            if self.begun < 0 or time - self.reached > self.info.timescale // 10:
                self.begun = time
            self.reached = time + row.duration
            size, blob, offset = fragment.size, fragment.blob, fragment.offset
            self.config = fragment.config
        self.columns.append(time, row.duration, size, row.segment, flags, self.config, period, self.discontinuity, blob, offset)
        self.segment = row.segment
        self.last_time = time
        self.last_end = max(self.last_end, time + row.duration)
        # What the edge has passed can never be listed.
        while pending and (oldest := next(iter(pending))) <= time:
            del pending[oldest]
        return fragment

    def take(self, folded: FoldedTrack) -> None:
        """Takes over what the native core has made of a stretch of the journal."""
        self.pending = {numbers[1]: FragmentWritten(*numbers) for numbers in folded.pending}
        self.columns.extend(np.frombuffer(folded.rows, np.int64).reshape(10, -1))
        self.last_time, self.last_end = folded.last_time, folded.last_end
        self.begun, self.reached = folded.begun, folded.reached
        self.segment, self.config, self.discontinuity = folded.segment, folded.config, folded.discontinuity

    def lose(self, time: int) -> None:
        """A fragment is no longer stored: it does not wait any more, or its row is a gap."""
        if self.pending.pop(time, None) is None:
            row = self.columns.first_from(time)
            if row < self.columns.end and self.columns.time_at(row) == time:
                self.columns.make_gap(row, self.columns.flags_at(row) | FLAG_GAP)

    def first_period(self) -> int:
        """Period of the oldest row; there is one."""
        first = self.columns.first
        return self.columns.window(first, first + 1)[6][0]

    def first_ns(self) -> int:
        """Start of the oldest row in nanoseconds; there is one."""
        return self.columns.time_at(self.columns.first) * 1_000_000_000 // self.info.timescale

    def last_ns(self) -> int:
        """Start of the newest row in nanoseconds."""
        return self.last_time * 1_000_000_000 // self.info.timescale
