"""Whatever encoders do, the published rows keep their promises: no time twice, no overlap, numbers that only rise, gaps said truthfully."""

from __future__ import annotations

import random
from itertools import groupby, pairwise

import pytest

from pypackager.model.errors import PackagerError
from pypackager.model.records import FLAG_GAP, FLAG_OPENS, FLAG_PERIOD, FLAG_SYNC
from tests.helpers.timeline_rig import Chunk, Header, Rig, audio_header

VIDEO = 90_000
LAYERS = 2
TARGET_S = 6


class Encoder:
    """An encoder session: its own clock, one connection, everything that can go wrong with it."""

    def __init__(self, rig: Rig, chance: random.Random, side: str, *, cuts: bool = False) -> None:
        self.rig, self.chance, self.side, self.cuts = rig, chance, side, cuts
        self.origin_s = 0
        self.next_slot = 0
        self.conn: int | None = None

    def headers(self) -> list[Header]:
        layers = [Header(n + 1, "video", name="video", bitrate=1_000_000 * (n + 1)) for n in range(LAYERS)]
        return [*layers, audio_header(LAYERS + 1, name="audio", bitrate=128_000)]

    def connect(self) -> None:
        try:
            self.conn = self.rig.connect(self.headers(), side=self.side)
        except PackagerError:
            self.conn = None

    def send(self, slot: int, *, partial: bool = False) -> None:
        if self.conn is None:
            return
        chunks = [Chunk(n + 1, (self.origin_s + 2 * slot) * VIDEO, 2 * VIDEO, partial=partial) for n in range(LAYERS)]
        chunks.append(Chunk(LAYERS + 1, (self.origin_s + 2 * slot) * 48_000, 96_000, 48_000, partial=partial))
        self.chance.shuffle(chunks)
        for chunk in chunks:
            for piece in self.pieces(chunk):
                if self.chance.random() < 0.95:
                    self.rig.send(self.conn, piece)

    def pieces(self, chunk: Chunk) -> list[Chunk]:
        """A GOP as it is sent: some encoders cut it."""
        if not self.cuts or chunk.timescale != VIDEO or chunk.partial:
            return [chunk]
        frame = chunk.duration // 50
        borders = [0, *sorted(self.chance.sample(range(1, 50), self.chance.choice([0, 0, 1, 3]))), 50]
        return [
            Chunk(chunk.track, chunk.time + begin * frame, (end - begin) * frame, samples=end - begin, sync=begin == 0)
            for begin, end in pairwise(borders)
        ]

    def step(self) -> None:
        dice = self.chance.random()
        if self.conn is None:
            self.connect()
            if dice < 0.5:
                for back in (2, 1):
                    self.send(max(0, self.next_slot - back))
        elif dice < 0.08:
            self.rig.disconnect(self.conn)
            self.conn = None
        elif dice < 0.12:
            self.rig.disconnect(self.conn)
            self.conn, self.next_slot, self.origin_s = None, 0, self.chance.choice([0, 0, 5000])
        elif dice < 0.18:
            self.send(self.next_slot - 1)
        self.send(self.next_slot)
        self.next_slot += 1


@pytest.mark.parametrize("cuts", [False, True], ids=["whole", "cut"])
@pytest.mark.parametrize("seed", [*range(150), 205, 245, 373, 706])
def test_rows_keep_their_promises(seed: int, cuts: bool) -> None:
    chance = random.Random(seed)
    rig = Rig()
    sides = ["primary", "secondary"] if seed % 2 else ["primary"]
    encoders = [Encoder(rig, chance, side, cuts=cuts) for side in sides]
    for _ in range(40):
        rig.wait(2)
        for encoder in encoders:
            encoder.step()
    rig.wait(10)
    assert rig.store.rows, f"seed {seed}"
    for info in rig.store.tracks:
        rows = rig.rows(info.id)
        slack = info.timescale // 20
        for before, after in pairwise(rows):
            where = f"seed {seed}: {info.id}: {before} then {after}"
            assert after.time >= before.time + before.duration - slack, f"overlap, {where}"
            assert after.segment - before.segment == bool(after.flags & FLAG_OPENS), f"numbering, {where}"
            if not after.flags & (FLAG_SYNC | FLAG_GAP) and info.kind == "video":
                continued = not before.flags & FLAG_GAP and abs(after.time - before.time - before.duration) <= info.timescale // 50
                assert continued, f"nobody can decode it, {where}"
            if after.flags & FLAG_PERIOD:
                assert after.flags & FLAG_OPENS, f"a period opens a segment, {where}"
            elif not (before.flags | after.flags) & FLAG_GAP:
                assert after.time <= before.time + before.duration + 2 * slack, f"an unsaid hole, {where}"
        for number, segment in groupby(rows, key=lambda row: row.segment):
            parts = list(segment)
            where = f"seed {seed}: {info.id}: segment {number}: {parts}"
            assert len({part.flags & FLAG_GAP for part in parts}) == 1, f"half a gap, {where}"
            length_s = (parts[-1].time + parts[-1].duration - parts[0].time) / info.timescale
            assert len(parts) == 1 or length_s < TARGET_S + 0.5, f"longer than the target, {where}"
    # Nothing that was written stays behind when all sources are gone.
    for encoder in encoders:
        if encoder.conn is not None:
            rig.disconnect(encoder.conn)
    rig.wait(10)
    assert all(not line.waiting for line in rig.timeline.lines.values()), f"seed {seed}"


@pytest.mark.parametrize("seed", range(60))
def test_while_one_of_two_synchronised_sources_runs_nothing_is_lost(seed: int) -> None:
    chance = random.Random(seed)
    rig = Rig()
    slots = 30
    names = ("primary", "secondary")
    conns: dict[str, int | None] = {name: rig.connect(Encoder(rig, chance, name).headers(), side=name) for name in names}
    for slot in range(slots):
        rig.wait(2)
        healthy = chance.choice(names)
        for name in names:
            conn = conns[name]
            if name != healthy and chance.random() < 0.5:
                if conn is not None:
                    rig.disconnect(conn)
                conns[name] = None
                continue
            if conn is None:
                conn = conns[name] = rig.connect(Encoder(rig, chance, name).headers(), side=name)
            rig.wait(chance.random() / 10)
            for track in range(LAYERS):
                rig.send(conn, Chunk(track + 1, (100 + 2 * slot) * VIDEO, 2 * VIDEO))
            rig.send(conn, Chunk(LAYERS + 1, (100 + 2 * slot) * 48_000, 96_000, 48_000))
    rig.wait(5)
    for info in rig.store.tracks:
        rows = rig.rows(info.id)
        assert [row.time // info.timescale for row in rows] == [100 + 2 * n for n in range(slots)], f"seed {seed}: {info.id}"
        assert not any(row.flags & FLAG_GAP for row in rows)
    assert len(rig.store.periods) == 1
    assert "ENCODERS_OUT_OF_SYNC" not in rig.codes()
