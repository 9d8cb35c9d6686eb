"""A daemon that is killed at any point and started again publishes what one that never stopped would have."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from pypackager.dvr.store import ChannelStore
from pypackager.model.records import FLAG_GAP, FLAG_PERIOD
from pypackager.runtime.resume import resume_timeline
from pypackager.timeline.feeds import Now
from pypackager.timeline.ports import Options
from pypackager.timeline.timeline import Timeline
from pypackager.timeline.times import SECOND_NS
from tests.helpers.fake_writer import FakeWriter
from tests.helpers.timeline_rig import UTC0, Chunk, Header, Stored, audio_header

VIDEO = 90_000


class Node:
    """One channel on disk, and the encoder in front of it."""

    def __init__(self, directory: Path, kills: random.Random | None, protocol: str = "fmp4") -> None:
        self.directory, self.kills, self.protocol = directory, kills, protocol
        self.now = Now(UTC0, 1_000 * SECOND_NS)
        self.conn = 0
        self.killed = 0
        self._start()

    def _start(self) -> None:
        self.writer = FakeWriter()
        self.store = ChannelStore.open(self.directory, cast(Any, self.writer), self.now.utc_ns)
        options = Options(protocol=self.protocol, mode="source")
        self.timeline = Timeline(options, self.store, lambda *_: None)
        resume_timeline(self.timeline, self.store.ledger, self.now)

    def connect(self, headers: list[Header]) -> None:
        self.conn += 1
        self.headers = headers
        self.timeline.open_feed(self.conn, "primary", "v", self.now)
        for header in headers:
            self.timeline.track_found(self.conn, cast(Any, header))
        self.timeline.admit(self.conn, self.now)

    def disconnect(self) -> None:
        self.timeline.close_feed(self.conn, self.now)

    def wait(self, seconds: float) -> None:
        target = self.now.mono_ns + int(seconds * SECOND_NS)
        while (wake := self.timeline.wake_ns) is not None and wake <= target:
            self._shift(max(0, wake - self.now.mono_ns))
            self.timeline.advance(self.now)
            self.settle()
        self._shift(target - self.now.mono_ns)

    def send(self, *chunks: Chunk, resent: tuple[Chunk, ...] = ()) -> None:
        for chunk in chunks:
            self.timeline.chunk(self.conn, cast(Any, chunk), self.now)
        self.timeline.advance(self.now)
        if self.kills is not None and self.kills.random() < 0.3:
            self.killed += 1
            self.writer.die(self.kills.randrange(12), self.kills.choice((0, 0, 5)))
            self._unlock()
            self._start()
            self.connect(self.headers)
            # Encoders send the last two fragments of each track again.
            for chunk in (*resent, *chunks):
                self.timeline.chunk(self.conn, cast(Any, chunk), self.now)
            self.timeline.advance(self.now)
        self.settle()

    def settle(self) -> None:
        while True:
            self.writer.step()
            done = self.writer.done()
            if not done:
                return
            for ticket, errno in done:
                for completion in self.store.finished(ticket, errno):
                    assert completion.fine, completion
                    self.timeline.written(completion.ticket, completion.errno)
            self.timeline.advance(self.now)

    def restart(self) -> None:
        """The daemon ends with everything written, and comes back."""
        self.writer.die(1000, 0)
        self._unlock()
        self._start()

    def rows(self) -> dict[str, list[tuple[int, ...]]]:
        found = {}
        for track in self.store.ledger.tracks.values():
            time, duration, size, segment, flags, config, *_ = track.columns.window(track.columns.first, track.columns.end)
            found[track.info.id] = [tuple(map(int, row)) for row in zip(time, duration, size, segment, flags, config, strict=True)]
        return found

    def _unlock(self) -> None:
        os.close(self.store._lock)

    def _shift(self, ns: int) -> None:
        self.now = Now(self.now.utc_ns + ns, self.now.mono_ns + ns)


def headers(version: bytes = b"a") -> list[Header]:
    layers = [Header(n, "video", name=f"v{n}", codec_private=version) for n in (1, 2)]
    return [*layers, audio_header(3, name="a")]


def slot(start_s: float, only: tuple[int, ...] = (1, 2, 3), size: int = 1000) -> tuple[Chunk, ...]:
    every = [Stored(n, round(start_s * VIDEO), 2 * VIDEO, size=size) for n in (1, 2)]
    every.append(Stored(3, round(start_s * 48_000), 96_000, 48_000, size=size))
    return tuple(chunk for chunk in every if chunk.track in only)


def play(node: Node) -> None:
    """Steady, a layer lost and back, a restart with another header, a layer gone for good."""
    node.connect(headers())
    before: tuple[Chunk, ...] = ()
    sessions = [(headers(), (1, 2, 3), 0, 9), (headers(), (1, 3), 18, 3), (headers(), (1, 2, 3), 24, 4)]
    for _, only, start, count in sessions:
        for n in range(count):
            node.wait(2)
            now = slot(start + 2 * n, only)
            node.send(*now, resent=before)
            before = now
    node.disconnect()
    node.wait(5)
    fewer = [header for header in headers(b"b") if header.number != 2]
    node.connect(fewer)
    before = ()
    for n in range(8):
        node.wait(2)
        now = slot(100_000 + 2 * n, (1, 3))
        node.send(*now, resent=before)
        before = now
    node.wait(6)


@pytest.mark.parametrize("seed", range(60))
def test_killed_anywhere_it_goes_on_as_if_nothing_had_been(tmp_path: Path, seed: int) -> None:
    straight = Node(tmp_path / "straight", None)
    play(straight)
    killed = Node(tmp_path / "killed", random.Random(seed))
    play(killed)
    expected, found = straight.rows(), killed.rows()
    assert expected.keys() == found.keys()
    for track, rows in expected.items():
        assert found[track] == rows, f"seed {seed}, {killed.killed} kills: {track}"
    assert killed.killed >= 1 or seed % 2
    assert len(expected["v1"]) == 24
    assert sum(bool(row[4] & FLAG_PERIOD) for row in expected["v1"]) == 2
    assert sum(bool(row[4] & FLAG_GAP) for row in expected["v2"]) == 3


def test_a_track_keeps_its_id_over_restarts_of_daemon_and_encoder_whatever_the_bit_rate(tmp_path: Path) -> None:
    node = Node(tmp_path, None)
    for turn in range(4):
        node.connect([Header(n, "video", name="v", bitrate=n * (1_000_000 + 10_000 * turn)) for n in (1, 2)])
        for n in range(3):
            node.wait(2)
            node.send(*slot(100 + 6 * turn + 2 * n, (1, 2)))
        if turn % 2:
            node.restart()
        else:
            node.disconnect()
    rows = node.rows()
    assert rows.keys() == {"v-1000k", "v-2000k"}
    assert [len(found) for found in rows.values()] == [12, 12]


def test_a_layer_that_had_proven_its_configuration_may_change_it_after_a_restart(tmp_path: Path) -> None:
    node = Node(tmp_path, None)
    node.connect(headers())
    for n in range(20):
        node.wait(2)
        node.send(*slot(2 * n))
    node.restart()
    node.connect([header if header.number != 2 else msgspec.structs.replace(header, codec_private=b"c") for header in headers()])
    for n in range(20, 24):
        node.wait(2)
        node.send(*slot(2 * n))
    for rows in node.rows().values():
        assert len(rows) == 24
        assert [n for n, row in enumerate(rows) if row[4] & FLAG_PERIOD] == [0, 20]
        assert not any(row[4] & FLAG_GAP for row in rows)


def test_a_track_that_had_ended_stays_ended_after_a_restart(tmp_path: Path) -> None:
    node = Node(tmp_path, None)
    play(node)
    count = len(node.rows()["v2"])
    node.restart()
    node.connect([header for header in headers(b"b") if header.number != 2])
    for n in range(8, 11):
        node.wait(2)
        node.send(*slot(100_000 + 2 * n, (1, 3)))
    assert len(node.rows()["v1"]) == 27
    assert len(node.rows()["v2"]) == count, "no gap of hours"
