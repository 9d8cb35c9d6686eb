"""Synchronised encoders whose connections break, on a store whose disk is as far as it likes at every instant.

While one of two is whole no frame is lost, nor of one that sends again what it had sent: one period, no gap, no alert that they are not
synchronised. `PYPACKAGER_SEEDS` runs as many.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from pypackager.model.records import FLAG_GAP
from pypackager.timeline.times import SECOND_NS
from tests.helpers.channel_node import VIDEO, ChannelNode
from tests.helpers.merge_rig import SOUND, border
from tests.helpers.timeline_rig import UTC0, Header, Stored, audio_header

FIRST_S, LAST_S = 100, 130
TRACKS = ("low", "high", "sound")
FRAME = 1024


class Outage(msgspec.Struct):
    """When an encoder's connections end and it is back with others, or, of a stall, when nothing arrives and all of it comes at once."""

    begin_s: float
    end_s: float
    stall: bool


class FmleEncoder:
    """Two layers and a sound over RTMP, a connection each. It is cut at key frames; pictures begin with one, sound with the connection."""

    def __init__(self, run: Run, side: str, begin_s: float, outages: list[Outage]) -> None:
        self.run, self.side = run, side
        self.late_s = run.chance.choice((0.0, run.chance.uniform(0, 0.8)))
        """How much longer its way is."""
        self.ahead = run.chance.choice((0, 0, 1))
        """By how many frames its sound is cut before the border."""
        self.stalls = [outage for outage in outages if outage.stall]
        breaks = [outage for outage in outages if not outage.stall]
        on = [begin_s, *(outage.end_s for outage in breaks)]
        off = [*(outage.begin_s for outage in breaks), float(LAST_S)]
        for begin, end in zip(on, off, strict=True):
            for track in TRACKS:
                self._connection(track, begin + run.chance.uniform(0, 0.1), end + run.chance.uniform(0, 0.01))

    def _connection(self, track: str, begin_s: float, end_s: float) -> None:
        run, conn = self.run, self.run.next_conn()
        is_sound = track == "sound"
        first = int(begin_s) // 2 * 2 + 2
        run.at(begin_s, partial(run.connect, conn, self.side, track))
        starts = begin_s if is_sound else first
        if starts >= end_s:
            return run.at(end_s, partial(run.leave, conn))
        run.at(starts + 0.01, partial(run.place, conn, round(starts * 1000)))
        borders = [second for second in range(first, LAST_S + 1, 2) if begin_s < second <= end_s]
        marks = [starts, *(second for second in borders if second > starts)]
        for begin, end in pairwise(marks):
            chunk = self._sound(begin, end) if is_sound else pictures(begin, end)
            # The fragment is whole when the next one has begun.
            run.at(self._arrival_s(end + 0.04 + run.chance.uniform(0, 0.15)), partial(run.take, conn, chunk))
        if marks[-1] < end_s < LAST_S:
            stump = self._sound(marks[-1], end_s) if is_sound else pictures(marks[-1], end_s)
            run.at(self._arrival_s(end_s) + 0.2, partial(run.take, conn, stump))
        return run.at(self._arrival_s(max(end_s, marks[-1])) + 0.25, partial(run.leave, conn))

    def _arrival_s(self, sent_s: float) -> float:
        held = (stall.end_s for stall in self.stalls if stall.begin_s <= sent_s < stall.end_s)
        return self.late_s + next(held, sent_s)

    def _sound(self, begin_s: float, end_s: float) -> Stored | None:
        first, last = (border(int(at)) - self.ahead if at == int(at) else int(at * SOUND / FRAME) for at in (begin_s, end_s))
        return Stored(2, first * FRAME, (last - first) * FRAME, SOUND, samples=last - first) if last > first else None


class FragmentEncoder:
    """The same over fragmented MP4. What it could not send waits, and goes first behind the last fragments, which are sent again."""

    def __init__(self, run: Run, side: str, begin_s: float, outages: list[Outage], *, resend: int) -> None:
        late_s, ahead = run.chance.choice((0.0, run.chance.uniform(0, 0.8))), run.chance.choice((0, 0, 1))
        for track in TRACKS:
            on = [begin_s, *(outage.end_s + run.chance.uniform(0, 0.5) for outage in outages)]
            off = [*(outage.begin_s + run.chance.uniform(0, 0.01) for outage in outages), LAST_S + 3.0]
            seconds = range(int(begin_s) // 2 * 2 + 2, LAST_S, 2)
            for n, (begin, end) in enumerate(zip(on, off, strict=True)):
                conn = run.next_conn()
                run.at(begin, partial(run.connect, conn, side, track))
                before = [second for second in seconds if second + 2 <= off[n - 1]][-resend:] if n and resend else []
                missed = [second for second in seconds if n and off[n - 1] < second + 2 <= begin] if resend else []
                for number, second in enumerate([*before, *missed]):
                    run.at(begin + late_s + 0.01 * (number + 1), partial(run.take, conn, fragment(track, second, ahead)))
                for second in (second for second in seconds if begin < second + 2 <= end):
                    arrives = second + 2 + late_s + run.chance.uniform(0, 0.15)
                    run.at(arrives, partial(run.take, conn, fragment(track, second, ahead)))
                run.at(end + late_s + 0.25, partial(run.leave, conn))


def fragment(track: str, second: int, ahead: int) -> Stored:
    """Two seconds; sound begins so many frames ahead of the picture."""
    if track != "sound":
        return Stored(1, second * VIDEO, 2 * VIDEO)
    first, last = (border(at) - ahead for at in (second, second + 2))
    return Stored(2, first * FRAME, (last - first) * FRAME, SOUND, samples=last - first)


def pictures(begin_s: float, end_s: float) -> Stored | None:
    """25 a second, as RTMP's cutter gives them out."""
    samples = round((end_s - begin_s) * 25)
    whole = samples == 50
    return Stored(1, round(begin_s * VIDEO), samples * 3600, samples=samples, partial=not whole) if samples else None


class Run:
    """The instants of a run, in order."""

    def __init__(self, directory: Path, protocol: str, chance: random.Random) -> None:
        self.node = ChannelNode(directory, protocol)
        self.chance = chance
        self._deeds: list[tuple[float, int, Callable[[], object]]] = []
        self._conns = 0

    def next_conn(self) -> int:
        self._conns += 1
        return self._conns

    def at(self, second: float, deed: Callable[[], object]) -> None:
        self._deeds.append((second, len(self._deeds), deed))

    def connect(self, conn: int, side: Any, track: str) -> None:
        header = audio_header(2, name="sound") if track == "sound" else Header(1, "video", name=track)
        self.node.channel.open_feed(conn, side, track)
        self.node.channel.track_found(conn, cast(Any, header))
        self.node.channel.admit(conn)

    def place(self, conn: int, time_ms: int) -> None:
        self.node.channel.place(conn, time_ms, 1000)

    def take(self, conn: int, chunk: Stored | None) -> None:
        if chunk is not None:
            self.node.channel.chunk(conn, cast(Any, chunk))
            self.node.channel.advance()

    def leave(self, conn: int) -> None:
        self.node.channel.close_feed(conn)
        self.node.channel.advance()

    def go(self) -> None:
        """Does everything in the order of its instants; the disk answers for some of what it has, and for all of it twice a second."""
        node, now_s, settled_s = self.node, float(FIRST_S - 1), 0.0
        ends = [(second, -1, node.channel.advance) for second in range(LAST_S + 1, LAST_S + 20)]
        for second, _, deed in sorted([*self._deeds, *ends], key=lambda each: each[:2]):
            target_ns = node.now.mono_ns + round((second - now_s) * SECOND_NS)
            while (wake := node.channel.timeline.wake_ns) is not None and wake <= target_ns:
                node._shift(max(0, wake - node.now.mono_ns))
                node.channel.advance()
                self._disk()
            node._shift(max(0, target_ns - node.now.mono_ns))
            now_s = second
            deed()
            if second - settled_s > 0.5:
                node.settle()
                settled_s = second
            else:
                self._disk()
        node.settle()

    def _disk(self) -> None:
        for _ in range(self.chance.choice((0, 0, 1, 2, 5, 20))):
            self.node.writer.step(1)
            for ticket, errno in self.node.writer.done():
                self.node.channel.finished(ticket, errno)
            self.node.channel.advance()


SEEDS = pytest.mark.parametrize("seed", range(int(os.environ.get("PYPACKAGER_SEEDS", "25"))))


def outages(chance: random.Random) -> dict[str, list[Outage]]:
    """One side at a time is away; it is whole again before the other one goes."""
    found: dict[str, list[Outage]] = {"primary": [], "secondary": []}
    at = FIRST_S + 5.0
    while at < LAST_S - 9:
        begin = at + chance.uniform(0, 2.5)
        end = begin + chance.choice((0.1, chance.uniform(0.2, 4)))
        found[chance.choice(("primary", "secondary"))].append(Outage(begin, end, stall=chance.random() < 0.3))
        at = end + 5.0
    return found


@SEEDS
def test_while_one_of_two_over_rtmp_is_whole_nothing_is_lost(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    run = Run(tmp_path, "rtmp", chance)
    for side, gone in outages(chance).items():
        FmleEncoder(run, side, FIRST_S - 1 + (0.0 if side == "primary" else chance.uniform(0.2, 2.5)), gone)
    run.go()
    judge(run, seed)


def judge(run: Run, seed: int) -> None:
    """All of it is there."""
    alerts = run.node.channel.alarm.alerts
    assert "ENCODERS_OUT_OF_SYNC" not in alerts, f"seed {seed}: {alerts['ENCODERS_OUT_OF_SYNC'].detail}"
    shown = run.node.channel.programs.present("show")
    assert len(shown.periods) == 1, f"seed {seed}"
    assert {track.info.id for track in shown.tracks} == set(TRACKS)
    # Fragmented MP4 has the encoder's own times.
    moved_s = UTC0 // SECOND_NS + 1 - FIRST_S if run.node.config.protocol == "rtmp" else 0
    for track in shown.tracks:
        rows = list(zip(track.time.tolist(), track.duration.tolist(), track.flags.tolist(), strict=True))
        where = f"seed {seed}: {track.info.id}: {[(round(time / track.info.timescale, 3), duration) for time, duration, _ in rows]}"
        assert not any(flags & FLAG_GAP for _, _, flags in rows), where
        assert all(before[0] + before[1] == after[0] for before, after in pairwise(rows)), where
        begin_s, end_s = (at / track.info.timescale - moved_s for at in (rows[0][0], rows[-1][0] + rows[-1][1]))
        assert begin_s <= FIRST_S + 2.03, where
        assert end_s >= LAST_S - 0.1, where


@SEEDS
@pytest.mark.parametrize("resend", [0, 2])
def test_while_one_of_two_over_fragmented_mp4_is_whole_nothing_is_lost(seed: int, resend: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    run = Run(tmp_path, "fmp4", chance)
    for side, gone in outages(chance).items():
        FragmentEncoder(run, side, FIRST_S - 1 + (0.0 if side == "primary" else chance.uniform(0.2, 2.5)), gone, resend=resend)
    run.go()
    judge(run, seed)


@SEEDS
def test_of_one_that_sends_again_nothing_is_lost(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    run = Run(tmp_path, "fmp4", chance)
    gone = sorted([outage for each in outages(chance).values() for outage in each], key=lambda outage: outage.begin_s)
    FragmentEncoder(run, "primary", FIRST_S - 1, gone, resend=2)
    run.go()
    judge(run, seed)
