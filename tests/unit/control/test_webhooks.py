"""Webhooks: every event once, in order, signed; sent again until it is taken; nobody waits for a receiver."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pypackager.control.events import Events
from pypackager.control.outbox import Outbox
from pypackager.control.registry import FILE, Registry
from pypackager.control.resources import Webhook
from pypackager.control.settings import WebhookSettings
from pypackager.control.webhooks import LONGEST_PAUSE_S, Webhooks, shown, sign
from pypackager.model.errors import PackagerError

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
PAGE = (Path(__file__).parents[3] / "docs/reference/api.md").read_text()


async def hop(function: Callable[..., Any], *values: Any) -> Any:
    """Without a thread: the clock would jump while one works."""
    await trio.lowlevel.checkpoint()
    return function(*values)


def now() -> datetime:
    return NOW + timedelta(seconds=trio.current_time())


class Receiver:
    """Answers with `status`, or not at all when it is 0."""

    def __init__(self) -> None:
        self.status = 204
        self.got: list[tuple[float, Mapping[str, str], dict[str, Any]]] = []

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        assert url == "https://example.org/hook"
        self.got.append((trio.current_time(), headers, msgspec.json.decode(body)))
        if not self.status:
            raise OSError("nobody there")
        return self.status

    @property
    def seen(self) -> list[object]:
        told = [body["data"] for _, _, body in self.got if body["type"] in ("state", "alert", "lost")]
        return [data.get("number", data.get("count")) for data in told]


class Log:
    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def warning(self, _: str, **fields: Any) -> None:
        self.lines.append(fields)


class World:
    def __init__(self, directory: Path, kept: int) -> None:
        self.events = Events(now)
        self.receiver, self.log = Receiver(), Log()
        self.registry = Registry.open(directory, self.events.tell)
        self.outbox = Outbox(directory / FILE, hop, kept)
        self.webhooks = Webhooks(self.registry, self.events, self.outbox, self.receiver.post, now, self.log)

    @property
    def webhook(self) -> Webhook:
        return self.registry.resources.webhook("ops")

    async def tell(self, *numbers: int, kind: Any = "state") -> None:
        for number in numbers:
            self.events.tell(kind, "channels/ch", number=number)
        await wait_all_tasks_blocked()


@asynccontextmanager
async def serving(directory: Path, kept: int = 64, **settings: Any) -> AsyncIterator[World]:
    world = World(directory, kept)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.webhooks.serve)
        await wait_all_tasks_blocked()
        await world.webhooks.create("ops", WebhookSettings(url="https://example.org/hook", **settings))
        await wait_all_tasks_blocked()
        yield world
        nursery.cancel_scope.cancel()


async def test_nothing_is_missed_behind_its_creation(tmp_path: Path, autojump_clock: MockClock) -> None:
    world = World(tmp_path, 64)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.webhooks.serve)
        await wait_all_tasks_blocked()
        await world.webhooks.create("ops", WebhookSettings(url="https://example.org/hook"))
        await world.tell(1)
        assert world.receiver.seen == [1]
        nursery.cancel_scope.cancel()


async def test_events_come_in_order_and_signed(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path) as world:
        await world.tell(1, 2, 3)
        assert world.receiver.seen == [1, 2, 3]
        secret = world.registry.resources.webhooks["ops"].secret
        names: dict[str, Any] = {}
        exec(PAGE.partition("## Webhooks")[2].partition("```python\n")[2].partition("```")[0], names)  # noqa: S102 (our own page)
        for _, headers, body in world.receiver.got:
            assert names["good"](shown(secret), headers, msgspec.json.encode(body))
            assert not names["good"](shown(b"guess"), headers, msgspec.json.encode(body))
        assert len({headers["webhook-id"] for _, headers, _ in world.receiver.got}) == len(world.receiver.got)
        said = world.receiver.got[-1][2]
        assert datetime.fromisoformat(said.pop("timestamp")) >= NOW
        assert said == {"type": "state", "subject": "channels/ch", "data": {"number": 3}}
        await world.webhooks.delete("ops")
        await wait_all_tasks_blocked()
        await world.tell(4)
        assert world.receiver.seen == [1, 2, 3], "nothing is sent to one that is gone"


async def test_only_what_is_wanted_is_sent(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, kinds=["alert"]) as world:
        await world.tell(1)
        await world.tell(2, kind="alert")
        assert [body["type"] for _, _, body in world.receiver.got] == ["alert"]


async def test_what_is_not_taken_is_sent_again_with_growing_pauses_and_given_up(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, kinds=["state"]) as world:
        world.receiver.status = 0
        began = trio.current_time()
        await world.tell(1)
        await trio.sleep(10)
        world.receiver.status = 503
        await world.tell(2)
        await trio.sleep(5000)
        times = [round(at - began) for at, _, _ in world.receiver.got]
        assert times[:12] == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1623]
        last = world.webhooks.last["ops"]
        assert (last.status, last.detail, last.tries) == (503, "HTTP 503", len(times))
        assert await world.webhooks.waiting(world.webhook) == 2
        await trio.sleep(24 * 3600 - 5000 + LONGEST_PAUSE_S)
        assert [line["code"] for line in world.log.lines] == ["WEBHOOK_FAILED"] * 2
        assert world.log.lines[0]["detail"] == "HTTP 503"
        assert len({headers["webhook-id"] for _, headers, _ in world.receiver.got}) == 2
        world.receiver.status = 200
        await world.tell(3)
        assert world.receiver.seen[-1] == 3
        assert await world.webhooks.waiting(world.webhook) == 0


async def test_a_receiver_that_hangs_is_told_what_it_lost(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, kept=4, kinds=["state"]) as world:
        world.receiver.status = 500
        await world.tell(1)
        for number in range(2, 12):
            await world.tell(number)
        assert await world.webhooks.waiting(world.webhook) == 4
        world.receiver.status = 200
        await trio.sleep(5)
        assert world.receiver.seen == [1, 1, 8, 10, 11], "eight are lost between"
        (lost,) = [body for _, _, body in world.receiver.got if body["type"] == "lost"]
        assert lost == {"type": "lost", "data": {"count": 8}}


async def test_what_was_queued_outlives_the_process(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, kinds=["state"]) as world:
        world.receiver.status = 500
        await world.tell(1, 2)
        ids = [headers["webhook-id"] for _, headers, _ in world.receiver.got]
    # Told in the moment of the end.
    world = World(tmp_path, 8)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.webhooks.serve)
        await world.tell(3)
        assert world.receiver.seen == [1, 2, 3]
        assert world.receiver.got[0][1]["webhook-id"] == ids[0]
        assert len({headers["webhook-id"] for _, headers, _ in world.receiver.got}) == 3
        world.receiver.status = 500
        world.events.tell("state", "channels/ch", number=4)
        nursery.cancel_scope.cancel()
    world = World(tmp_path, 8)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.webhooks.serve)
        await wait_all_tasks_blocked()
        assert world.receiver.seen == [4]
        nursery.cancel_scope.cancel()


async def test_one_that_is_changed_is_tried_at_once_and_one_that_is_gone_leaves_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, kinds=["state"]) as world:
        world.receiver.status = 500
        await world.tell(1)
        await trio.sleep(3000)
        before = len(world.receiver.got)
        world.receiver.status = 200
        changed = await world.webhooks.change("ops", {"kinds": ["alert"]})
        await wait_all_tasks_blocked()
        assert (changed.settings.kinds, changed.version) == (["alert"], 2)
        assert len(world.receiver.got) == before + 1, "what was queued is still sent"
        await world.tell(2)
        await world.tell(3, kind="alert")
        assert world.receiver.seen[-2:] == [1, 3]
        with pytest.raises(PackagerError, match="INVALID"):
            await world.webhooks.change("ops", {"url": None})
        with pytest.raises(PackagerError, match="ETAG_MISMATCH"):
            await world.webhooks.change("ops", {"kinds": []}, "x")
        world.receiver.status = 500
        await world.tell(4, kind="alert")
        await world.webhooks.delete("ops")
        world.receiver.status = 200
        await world.webhooks.create("ops", WebhookSettings(url="https://example.org/hook", kinds=["state"]))
        await world.tell(5)
        assert world.receiver.seen[-2:] == [4, 5], "the new one has nothing of the old one"
        assert await world.webhooks.waiting(world.webhook) == 0


async def test_a_secret_is_exchanged_without_a_break(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, kinds=["state"]) as world:
        former = world.webhook.secret
        fresh = (await world.webhooks.rotate("ops")).secret
        assert fresh != former
        await world.tell(1)
        await trio.sleep(24 * 3600)
        await world.tell(2)
        for (_, headers, body), good in zip(world.receiver.got, ([fresh, former], [fresh]), strict=True):
            data = msgspec.json.encode(body)
            expected = [sign(key, headers["webhook-id"], int(headers["webhook-timestamp"]), data)["webhook-signature"] for key in good]
            assert headers["webhook-signature"].split() == expected


async def test_a_disk_that_takes_nothing_ends_nobody(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, kinds=["state"]) as world:
        with sqlite3.connect(tmp_path / FILE) as other:
            other.execute("CREATE TRIGGER full BEFORE INSERT ON delivery BEGIN SELECT RAISE(FAIL, 'disk full'); END")
        await world.tell(1)
        assert [line["detail"] for line in world.log.lines] == ["disk full"]
        with sqlite3.connect(tmp_path / FILE) as other:
            other.execute("DROP TRIGGER full")
        await world.tell(2)
        assert world.receiver.seen == [2]


@pytest.mark.parametrize("url", ["", "example.org", "ftp://example.org/", "https://", "http://[::1/", "http://h:99999/"])
async def test_what_is_no_url_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(PackagerError, match="INVALID"):
        await World(tmp_path, 8).webhooks.create("ops", WebhookSettings(url=url))


def test_a_signature_is_that_of_the_standard() -> None:
    secret = base64.b64decode("plJ3nmyCDGBKInavdOK15jsl")
    headers = sign(secret, "msg_loFOjxBNrRLzqYUf", 1_731_705_121, b'{"event_type":"ping","data":{"success":true}}')
    assert headers["webhook-signature"] == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=", "the example of its documentation"
