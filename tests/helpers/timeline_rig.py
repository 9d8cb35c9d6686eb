"""A timeline with a store of its own and made-up chunks: media time, arrival and faults are the test's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, cast

import msgspec

from pypackager._core import Chunk as NativeChunk
from pypackager._core import CoreError, TrackHeader, crc32c
from pypackager.dvr.reserve import Reserved
from pypackager.model.records import FLAG_GAP, FLAG_OPENS, FLAG_PARTIAL, FLAG_PERIOD, ClockPlaced, Row, SignalReceived
from pypackager.model.signal import Signal
from pypackager.model.track import TrackConfig, TrackInfo
from pypackager.timeline.clocks import Mode
from pypackager.timeline.feeds import Now
from pypackager.timeline.ports import Options
from pypackager.timeline.timeline import Timeline
from pypackager.timeline.times import SECOND_NS, rescale
from tests.helpers.fake_writer import FakeFragment

UTC0 = 1_790_000_000 * SECOND_NS


class Header(msgspec.Struct):
    """A track header as the native core gives it."""

    number: int
    kind: str
    timescale: int = 90_000
    stored_timescale: int = 90_000
    codec: str = "avc1.42C01E"
    codec_private: bytes = b"cfg"
    name: str = ""
    language: str = "und"
    bitrate: int = 0
    frame_rate: tuple[int, int] = (25, 1)
    width: int = 640
    height: int = 360
    pixel_aspect: tuple[int, int] = (1, 1)
    sample_rate: int = 0
    channels: int = 0
    frame_ticks: int = 0

    def init(self, track_id: int, timescale: int, language: str) -> bytes:
        return b"init:%d:%d:%s:%s" % (track_id, timescale, language.encode(), self.codec_private)


def audio_header(number: int = 2, **changes: Any) -> Header:
    """A 48 kHz AAC header."""
    values: dict[str, Any] = {
        "kind": "audio",
        "timescale": 48_000,
        "stored_timescale": 48_000,
        "codec": "mp4a.40.2",
        "sample_rate": 48_000,
        "channels": 2,
    }
    return Header(number, **(values | changes))


class Muxed(msgspec.Struct):
    """A muxed fragment: times and size only."""

    time: int
    duration: int
    size: int
    crc: int = 0
    samples: int = 1


class Chunk(msgspec.Struct):
    """A chunk: times and size only."""

    track: int
    time: int
    duration: int
    timescale: int = 90_000
    size: int = 1000
    samples: int = 50
    sync: bool = True
    partial: bool = False
    index: int | None = None

    def join(self, others: Sequence[Chunk]) -> Chunk:
        assert [chunk.time for chunk in others] == list(accumulate([c.duration for c in [self, *others[:-1]]], initial=self.time))[1:]
        total = {name: sum(getattr(c, name) for c in [self, *others]) for name in ("duration", "size", "samples")}
        return msgspec.structs.replace(self, **total)

    def within(self, begin: int, end: int) -> Chunk | None:
        frame = self.duration // self.samples
        inside = [time for time in range(self.time, self.time + frame * self.samples, frame) if begin <= time < end]
        if not inside:
            return None
        values = {"time": inside[0], "duration": frame * len(inside), "samples": len(inside)}
        return msgspec.structs.replace(self, **values, size=self.size * len(inside) // self.samples)

    def mux(self, track_id: int, sequence: int, timescale: int, offset: int) -> Muxed:
        begin = rescale(self.time, self.timescale, timescale) + offset
        if begin < 0:
            raise CoreError("TIME_NEGATIVE")
        end = rescale(self.time + self.duration, self.timescale, timescale) + offset
        return Muxed(begin, end - begin, self.size + 100)


class Stored(Chunk):
    """A chunk whose bytes can be checked."""

    def mux(self, track_id: int, sequence: int, timescale: int, offset: int) -> Any:
        muxed = super().mux(track_id, sequence, timescale, offset)
        data = b"%d %d %d" % (track_id, muxed.time, self.size)
        return FakeFragment(muxed.time, muxed.duration, data, crc32c(data))


class MemoryStore:
    """Keeps what the timeline journals; fragments are written when `flush` is called, or at once."""

    def __init__(self) -> None:
        self.tracks: list[TrackInfo] = []
        self.configs: list[tuple[int, TrackConfig]] = []
        self.records: list[Any] = []
        self.fragments: dict[tuple[int, int], Muxed] = {}
        self.rows: list[Row] = []
        self.periods: list[int] = []
        self.queued: list[int] = []
        self._reserved: dict[int, Reserved] = {}
        self._on_its_way: dict[int, tuple[int, int, bool]] = {}
        self.rolls = 0
        self._ticket = 0

    def add_track(self, info: TrackInfo) -> int:
        self.tracks.append(info)
        return self._next()

    def add_config(self, track: int, value: TrackConfig) -> int:
        self.configs.append((track, value))
        return len(self.configs)

    def put_fragment(self, track: int, fragment: Any, config: int, flags: int, index: int = -1) -> int:
        assert not any(row.track == track and row.time == fragment.time for row in self.rows), "a time was used twice"
        info = next(info for info in self.tracks if info.number == track)
        reserved, partial = self._reserved.setdefault(track, Reserved(info)), bool(flags & FLAG_PARTIAL)
        assert reserved.may_put(fragment.time, fragment.duration, partial=partial), "the store would refuse it"
        reserved.put(fragment.time, fragment.duration, partial=partial)
        self.fragments[track, fragment.time] = fragment
        self.queued.append(self._next())
        self._on_its_way[self._ticket] = track, fragment.time, partial
        return self._ticket

    def answer(self, ticket: int) -> None:
        """A fragment is written, or is not."""
        track, time, partial = self._on_its_way.pop(ticket)
        self._reserved[track].answered(time, partial=partial)

    def append(self, record: Any) -> int:
        self.records.append(record)
        return self._next()

    def open_period(self, start_ns: int) -> int:
        self.periods.append(start_ns)
        return self._next()

    def publish(self, rows: Sequence[Row]) -> int:
        for row in rows:
            last = next((old for old in reversed(self.rows) if old.track == row.track), None)
            assert last is None or row.time > last.time, f"{row} after {last}"
            assert last is None or row.segment >= last.segment, f"{row} after {last}"
            assert row.flags & FLAG_GAP or (row.track, row.time) in self.fragments, f"{row} was never written"
            self.rows.append(row)
        return self._next()

    def roll_due(self, now_ns: int) -> bool:
        return False

    def roll(self, now_ns: int) -> None:
        self.rolls += 1

    def stored(self, track: int, time: int, slack_ns: int = 10_000_000) -> tuple[int, int, bool] | None:
        slack = next(info.timescale for info in self.tracks if info.number == track) * slack_ns // SECOND_NS
        found = (row for row in self.rows if row.track == track and abs(row.time - time) <= slack and not row.flags & FLAG_GAP)
        return next(((row.duration, self.fragments[track, row.time].size, not row.flags & FLAG_PARTIAL) for row in found), None)

    def signal_at(self, track: int, time: int) -> Signal | None:
        received = [record for record in self.records if isinstance(record, SignalReceived) and record.track == track]
        return next((record.signal for record in received if record.signal.time == time), None)

    def _next(self) -> int:
        self._ticket += 1
        return self._ticket


class Rig:
    """One channel's timeline at a moment that the test moves."""

    def __init__(self, protocol: str = "fmp4", mode: Mode = "source", **options: Any) -> None:
        self.store = MemoryStore()
        self.alerts: list[tuple[str, str]] = []
        self.now = Now(UTC0, 1_000 * SECOND_NS)
        self.timeline = Timeline(Options(protocol=protocol, mode=mode, **options), self.store, self._alert)
        self._conn = 0

    def _alert(self, code: str, detail: str, track: str = "") -> None:
        self.alerts.append((code, f"track {track}: {detail}" if track else detail))

    def wait(self, seconds: float) -> None:
        """Time passes; deadlines are met."""
        target = self.now.mono_ns + int(seconds * SECOND_NS)
        while self.timeline.wake_ns is not None and self.timeline.wake_ns <= target:
            step = max(0, self.timeline.wake_ns - self.now.mono_ns)
            self._shift(step)
            self.advance()
        self._shift(target - self.now.mono_ns)
        self.advance()

    def connect(self, headers: Sequence[Header], stream: str = "ladder", side: str = "primary") -> int:
        """A connection that announces tracks."""
        self._conn += 1
        self.timeline.open_feed(self._conn, side, stream, self.now)
        self.announce(self._conn, headers)
        return self._conn

    def announce(self, conn: int, headers: Sequence[Header]) -> None:
        """A connection announces tracks, or changes them."""
        for header in headers:
            self.timeline.track_found(conn, cast(TrackHeader, header))
        self.timeline.admit(conn, self.now)

    def disconnect(self, conn: int) -> None:
        """The connection is gone."""
        self.timeline.close_feed(conn, self.now)
        self.flush()
        self.advance()

    def receive(self, conn: int, chunk: Chunk) -> None:
        """A chunk arrives; it is not written yet."""
        self.timeline.chunk(conn, cast(NativeChunk, chunk), self.now)

    def send(self, conn: int, *chunks: Chunk, errno: int = 0) -> None:
        """Chunks arrive together and are written at once."""
        for chunk in chunks:
            self.receive(conn, chunk)
        self.flush(errno)
        self.advance()

    def advance(self) -> None:
        """The edge moves as far as it goes; what it has the store write is written at once."""
        before, self.store.queued = self.store.queued, []
        self.timeline.advance(self.now)
        while self.store.queued:
            self.flush()
            self.timeline.advance(self.now)
        self.store.queued = before

    def flush(self, errno: int = 0) -> None:
        """The writer finishes everything."""
        for ticket in self.store.queued:
            self.store.answer(ticket)
            self.timeline.written(ticket, errno)
        self.store.queued.clear()

    def rows(self, track: str) -> list[Row]:
        """Published rows of a track."""
        number = next(info.number for info in self.store.tracks if info.id == track)
        return [row for row in self.store.rows if row.track == number]

    def codes(self) -> list[str]:
        """Alert codes so far, each once."""
        return list(dict.fromkeys(code for code, _ in self.alerts))

    def offsets(self) -> list[int]:
        """Offsets of the clocks placed so far, in seconds."""
        return [record.offset_s for record in self.store.records if isinstance(record, ClockPlaced)]

    def _shift(self, ns: int) -> None:
        self.now = Now(self.now.utc_ns + ns, self.now.mono_ns + ns)


def shown(rows: Sequence[Row]) -> list[str]:
    """Rows as short text: start-end, segment, G gap, O opens, P period."""
    marks = ((FLAG_GAP, "G"), (FLAG_OPENS, "O"), (FLAG_PERIOD, "P"))
    return [f"{row.time}+{row.duration} s{row.segment}" + "".join(m for flag, m in marks if row.flags & flag) for row in rows]
