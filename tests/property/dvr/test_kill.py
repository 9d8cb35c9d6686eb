"""kill -9 at any point, a full disk, restarts: nothing that was listed is lost or changed, and no (track, time) is used twice."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pypackager.dvr import edge
from pypackager.dvr.recovery import Replay
from pypackager.dvr.writing import Completion
from pypackager.model.errors import PackagerError
from pypackager.model.records import FLAG_GAP, FLAG_OPENS, FLAG_SYNC, FragmentWritten, Published, Row
from pypackager.model.track import TrackInfo
from tests.helpers.dvr import AUDIO, SECOND, VIDEO, Channel, config, content, data_of, fragment

TRACKS = st.sampled_from([VIDEO, AUDIO])


class Kill(RuleBasedStateMachine):
    """Drives a store and a model of what it promised."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(edge, "MAX_ROWS", 1)
        self.root = Path(tempfile.mkdtemp())
        self.directory = self.root / "channel"
        self.channel = Channel(self.directory)
        self.now_ns = 0
        # Listed rows of a track's whole life: (time, bytes or None for a gap).
        self.listed: dict[int, list[tuple[int, bytes | None]]] = {1: [], 2: []}
        self.stored: dict[tuple[int, int], bytes] = {}
        self.sent: dict[tuple[int, int], bytes] = {}
        self.underway: list[tuple[Row, ...]] = []
        self.clock = {1: 0, 2: 0}
        self.count = 0

    def teardown(self) -> None:
        self.patch.undo()
        self.channel.writer.die(0, 0)
        os.close(self.channel.store._lock)
        shutil.rmtree(self.root)

    @rule(info=TRACKS, size=st.integers(1, 60), skip=st.integers(0, 1))
    def put(self, info: TrackInfo, size: int, skip: int) -> None:
        track = info.number
        time = self.clock[track] + skip * info.timescale
        self.count += 1
        data = (b"%d.%d." % (track, self.count) * 30)[:size]
        # What recovery gave back is not sent again.
        if time > self.channel.store.ledger.tracks[track].last_time and (track, time) not in self.stored:
            number = self._config(track)
            try:
                self.channel.store.put_fragment(track, fragment(time, 2 * info.timescale, data), number, FLAG_SYNC)
            except PackagerError as error:
                if error.code != "EDGE_STUCK":
                    raise
                # It comes to nothing, and its time may be used again.
                return
            self.sent[track, time] = data
        self.clock[track] = time + 2 * info.timescale

    def _config(self, track: int) -> int:
        return self.channel.store.add_config(track, config("a" if self.count % 7 else "b"))

    @rule(info=TRACKS, count=st.integers(1, 3), gap=st.booleans())
    def publish(self, info: TrackInfo, count: int, gap: bool) -> None:
        track = info.number
        store = self.channel.store
        reserved = store._reserved.track(track)
        known = sorted({*store.ledger.tracks[track].pending, *reserved.times})
        times = [time for time in known if time > reserved.last_time][:count]
        rows = [Row(track, time, 2 * info.timescale, time // info.timescale, FLAG_SYNC | FLAG_OPENS) for time in times]
        if gap and rows:
            rows[-1] = Row(track, rows[-1].time, 2 * info.timescale, rows[-1].segment, FLAG_GAP)
        if rows:
            store.publish(rows)
            self.underway.append(tuple(rows))

    @rule(count=st.integers(1, 6))
    def write(self, count: int) -> None:
        self.channel.writer.step(count)
        for ticket, errno in self.channel.writer.done():
            for completion in self.channel.store.finished(ticket, errno):
                self._note(completion)

    def _note(self, completion: Completion) -> None:
        record = completion.record
        if isinstance(record, FragmentWritten) and completion.fine:
            self.stored[record.track, record.time] = self.sent[record.track, record.time]
        if isinstance(record, Published) and completion.fine:
            assert self.underway.pop(0) == record.rows, "in order, whatever failed in between"
            self._list(record.rows)

    def _list(self, rows: tuple[Row, ...]) -> None:
        for row in rows:
            data = None if row.flags & FLAG_GAP else self.stored.get((row.track, row.time))
            self.listed[row.track].append((row.time, data))

    @rule(seconds=st.integers(1, 400))
    def roll(self, seconds: int) -> None:
        self.now_ns += seconds * SECOND
        if self.channel.store.roll_due(self.now_ns):
            self.channel.store.roll(self.now_ns)

    @rule()
    def sync(self) -> None:
        self.channel.store.sync()

    @rule()
    def period(self) -> None:
        self.channel.store.open_period(self.channel.store.edge_ns())

    @rule(seconds=st.integers(0, 30))
    def trim(self, seconds: int) -> None:
        self.channel.store.trim(seconds * SECOND)

    @rule(room=st.integers(0, 200))
    def disk_full(self, room: int) -> None:
        self.channel.writer.room = room

    @rule()
    def disk_freed(self) -> None:
        self.channel.writer.room = 1 << 60

    @rule()
    def retry(self) -> None:
        self.channel.store.retry()

    @rule(parts=st.integers(0, 8), torn=st.integers(0, 40))
    def kill(self, parts: int, torn: int) -> None:
        self.channel.kill(parts, torn)
        report = self.channel.store.report
        assert not report.lost
        self._back()

    @rule()
    def restart(self) -> None:
        self.write(1 << 20)
        self.write(1 << 20)
        self.channel.close()
        self.channel.open()
        report = self.channel.store.report
        assert (report.cut_bytes, report.damage, report.lost) == (0, [], [])
        self._back()

    def _back(self) -> None:
        """What came back is what was listed, then perhaps a first part of what was on its way."""
        ledger = self.channel.store.ledger
        self.stored.clear()
        coming: dict[int, list[int]] = {1: [], 2: []}
        for submitted in self.underway:
            for row in submitted:
                coming[row.track].append(row.time)
        for number, track in ledger.tracks.items():
            rows = data_of(self.channel.store, number)
            first, listed = track.columns.first, self.listed[number]
            assert track.columns.end >= len(listed)
            assert rows[: len(listed) - first] == listed[first:]
            news = rows[max(len(listed) - first, 0) :]
            assert [time for time, _ in news] == coming[number][: len(news)]
            assert all(data is None or data == self.sent[number, time] for time, data in news)
            listed += news
            for time in track.pending:
                self.stored[number, time] = self.sent[number, time]
            # What was on its way and is not there may come again, with other bytes.
            ends = [fragment.time + fragment.duration for fragment in track.pending.values()]
            self.clock[number] = max([track.last_end, *ends])
        self.underway.clear()
        assert content(Replay(self.directory).ledger) == content(ledger)
        assert content(Replay(self.directory).ledger) == content(ledger)

    @invariant()
    def listed_rows_stand(self) -> None:
        for number, track in self.channel.store.ledger.tracks.items():
            rows = data_of(self.channel.store, number)
            assert track.columns.end == len(self.listed[number])
            assert rows == self.listed[number][track.columns.first :]
            times = [time for time, _ in self.listed[number]]
            assert times == sorted(set(times))


TestKill = Kill.TestCase
TestKill.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
