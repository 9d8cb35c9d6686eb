"""Thousands of events that come at once are handled in turns: all of them, in order, and others have theirs in between."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
import trio

from pypackager._core import Proxies
from pypackager.config.schema import Tuning
from pypackager.ingest import turns
from pypackager.ingest.turns import AT_ONCE, Turns
from pypackager.runtime.instant import MachineClock
from pypackager.runtime.metrics import Metrics
from pypackager.runtime.pressure import Pressure
from pypackager.runtime.works import Works


class Media:
    """Stands for a chunk."""


class Track:
    """Stands for a track of a header."""


@pytest.fixture(autouse=True)
def _media(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "ChunkReady", Media)


def taken(events: Sequence[object]) -> list[Sequence[Any]]:
    """The turns of events."""
    waiting = Turns()
    waiting.add(cast(Any, events))
    found = []
    while waiting:
        found.append(waiting.next())
    return found


@pytest.mark.parametrize("seed", range(20))
def test_all_events_come_once_and_in_order_and_no_header_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    events: list[object] = []
    for _ in range(chance.randrange(400)):
        events += [Track() for _ in range(chance.choice([0, 0, 1, 15]))]
        events += [Media() for _ in range(chance.choice([1, 1, 30, 2 * AT_ONCE]))]
    found = taken(events)
    assert [event for turn in found for event in turn] == events
    assert all(isinstance(turn[-1], Media) for turn in found)
    assert all(len(turn) <= AT_ONCE + 15 for turn in found)


def test_what_has_no_media_is_one_turn() -> None:
    assert [len(turn) for turn in taken([Track() for _ in range(3 * AT_ONCE)])] == [3 * AT_ONCE]


class Pump:
    """Has events once."""

    def __init__(self, events: list[object]) -> None:
        self._events = events
        self._bell = os.eventfd(1)

    def fileno(self) -> int:
        return self._bell

    def events(self) -> list[object]:
        if self._events:
            os.eventfd_read(self._bell)
        events, self._events = self._events, []
        return events

    def stop(self) -> None:
        os.close(self._bell)


def works(directory: Path, events: list[object], handled: list[object]) -> Works:
    """What runs no channels, with a pump and a router of the test's."""
    fleet = SimpleNamespace(elsewhere=None, channels={}, failed={}, owner=lambda _: None)
    nothing = cast(Any, lambda *_, **__: None)
    about = (MachineClock(), Metrics(), structlog.get_logger(), nothing, nothing, Proxies([]))
    made = Works(lambda *_: cast(Any, fleet), Tuning(), directory, *about)
    made.pump.stop()
    router = SimpleNamespace(handle=handled.extend, connections={}, settle=lambda: None, ending=False)
    made.pump, made.router = cast(Any, Pump(events)), cast(Any, router)
    return made


async def test_others_have_their_turn_and_an_end_takes_what_is_left(tmp_path: Path) -> None:
    events: list[object] = [Media() for _ in range(10 * AT_ONCE)]
    handled: list[object] = []
    made = works(tmp_path, events, handled)
    seen = [0]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made._take_events, Pressure(cast(Any, made.pump)))
        while seen[-1] < 3 * AT_ONCE:
            await trio.lowlevel.checkpoint()
            seen.append(len(handled))
        nursery.cancel_scope.cancel()
    # Of two tasks that may run either may be the first each time.
    assert max(after - before for before, after in pairwise(seen)) <= 2 * AT_ONCE
    assert len(handled) < len(events)
    await made.drain()
    assert handled == events
