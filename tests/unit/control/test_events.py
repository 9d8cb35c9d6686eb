"""Events: everybody who follows has them all in order, or is told what was lost; nobody waits for anybody."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from pypackager.control.events import Event, Events, Lost

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


def made(kept: int = 8) -> Events:
    return Events(lambda: NOW, kept=kept)


async def told(events: Events, *numbers: int) -> None:
    for number in numbers:
        events.tell("state", "channels/ch", number=number)
    await wait_all_tasks_blocked()


async def seen(events: Events, after: str | None, count: int) -> list[Event | Lost | None]:
    found: list[Event | Lost | None] = []
    with trio.fail_after(60):
        async for event in events.follow(after):
            found.append(event)
            if len(found) == count:
                break
    return found


def numbers(found: list[Event | Lost | None]) -> list[object]:
    return [event.data["number"] if isinstance(event, Event) else event for event in found]


async def test_who_follows_sees_what_comes_and_who_comes_back_goes_on(nursery: trio.Nursery) -> None:
    events = made()
    await told(events, 1)
    found: list[Event | Lost | None] = []

    async def follow() -> None:
        found.extend(await seen(events, None, 2))

    nursery.start_soon(follow)
    await wait_all_tasks_blocked()
    await told(events, 2, 3, 4)
    assert numbers(found) == [2, 3]
    last = found[-1]
    assert isinstance(last, Event)
    assert (last.kind, last.at, last.subject) == ("state", NOW, "channels/ch")
    assert numbers(await seen(events, last.id, 1)) == [4]


async def test_who_is_slow_is_told_what_it_lost() -> None:
    events = made(kept=8)
    follower = events.follow(f"{await life(events)}-0")
    await told(events, *range(1, 21))
    lost = await follower.__anext__()
    assert isinstance(lost, Lost)
    assert lost.count == 12
    assert numbers([await follower.__anext__() for _ in range(3)]) == [13, 14, 15]
    await told(events, *range(21, 41))
    again = await follower.__anext__()
    assert isinstance(again, Lost)
    assert again.count == 17
    assert numbers(await seen(events, again.id, 8)) == list(range(33, 41))


async def life(events: Events) -> str:
    """What the ids of its events begin with; tells one."""
    events.tell("state", "probe")
    await wait_all_tasks_blocked()
    (found,) = await seen(events, "other-0", 1)
    assert isinstance(found, Lost)
    return found.id.partition("-")[0]


@pytest.mark.parametrize("after", ["other-5", "", "-", "x", "é-\u0663"])
async def test_what_another_life_told_is_lost(after: str) -> None:
    events = made()
    await told(events, 1, 2)
    lost, *rest = await seen(events, after, 3)
    assert isinstance(lost, Lost)
    assert (lost.count, numbers(rest)) == (None, [1, 2])


async def test_an_id_from_the_future_is_not_waited_for() -> None:
    events = made()
    await told(events, 1)
    name = await life(events)
    lost, *_ = await seen(events, f"{name}-99", 1)
    assert isinstance(lost, Lost)


async def test_news_come_from_threads(nursery: trio.Nursery) -> None:
    events = made()
    found: list[Event | Lost | None] = []

    async def follow() -> None:
        found.extend(await seen(events, None, 1))

    nursery.start_soon(follow)
    await wait_all_tasks_blocked()
    await trio.to_thread.run_sync(lambda: events.tell("alert", "channels/ch", number=7))
    await wait_all_tasks_blocked()
    assert numbers(found) == [7]


async def test_silence_has_a_heartbeat(autojump_clock: trio.testing.MockClock) -> None:
    began = trio.current_time()
    assert await seen(made(), None, 2) == [None, None]
    assert trio.current_time() - began == 30
