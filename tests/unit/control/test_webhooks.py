"""Webhooks: every event once, in order, signed; sent again until it is taken; nobody waits for a receiver."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from pypackager.control.events import Events
from pypackager.control.registry import Registry
from pypackager.control.settings import WebhookSettings
from pypackager.control.webhooks import PAUSES_S, Webhooks, shown, sign
from pypackager.model.errors import PackagerError

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
PAGE = (Path(__file__).parents[3] / "docs/reference/api.md").read_text()


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
        self.events = Events(lambda: NOW, kept=kept)
        self.receiver, self.log = Receiver(), Log()
        self.registry = Registry.open(directory, self.events.tell)
        self.webhooks = Webhooks(self.registry, self.events, self.receiver.post, lambda: NOW, self.log)

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
        assert world.receiver.got[-1][2] == {
            "type": "state",
            "timestamp": "2026-11-22T02:00:00Z",
            "subject": "channels/ch",
            "data": {"number": 3},
        }
        await world.webhooks.delete("ops")
        await wait_all_tasks_blocked()
        await world.tell(4)
        assert world.receiver.seen == [1, 2, 3], "nothing is sent to one that is gone"


async def test_only_what_is_wanted_is_sent(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, kinds=["alert"]) as world:
        await world.tell(1)
        await world.tell(2, kind="alert")
        assert [body["type"] for _, _, body in world.receiver.got] == ["alert"]


async def test_what_is_not_taken_is_sent_again_and_given_up(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, kinds=["state"]) as world:
        world.receiver.status = 0
        began = trio.current_time()
        await world.tell(1, 2)
        await trio.sleep(10)
        world.receiver.status = 503
        await trio.sleep(sum(PAUSES_S) - 10 + 0.5)
        first = world.receiver.got[0][1]["webhook-id"]
        times = [round(at - began) for at, headers, _ in world.receiver.got if headers["webhook-id"] == first]
        assert times == [0, 1, 3, 7, 15, 30, 60, 120, 240]
        assert [line["code"] for line in world.log.lines] == ["WEBHOOK_FAILED"]
        assert world.log.lines[0]["detail"] == "HTTP 503"
        world.receiver.status = 200
        await trio.sleep(2)
        assert world.receiver.seen[-2:] == [2, 2], "the next one after it, and no other"


async def test_a_receiver_that_hangs_is_told_what_it_lost(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path, kept=4, kinds=["state"]) as world:
        world.receiver.status = 500
        await world.tell(1)
        await world.tell(*range(2, 12))
        world.receiver.status = 200
        await trio.sleep(5)
        assert world.receiver.seen == [1, 1, 6, 8, 9, 10, 11], "six are lost between"


async def test_all_are_served_again_after_a_restart(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with serving(tmp_path):
        pass
    world = World(tmp_path, 8)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.webhooks.serve)
        await wait_all_tasks_blocked()
        await world.tell(1)
        assert world.receiver.seen == [1]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("url", ["", "example.org", "ftp://example.org/", "https://", "http://[::1/", "http://h:99999/"])
async def test_what_is_no_url_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(PackagerError, match="INVALID"):
        await World(tmp_path, 8).webhooks.create("ops", WebhookSettings(url=url))


def test_a_signature_is_that_of_the_standard() -> None:
    secret = base64.b64decode("plJ3nmyCDGBKInavdOK15jsl")
    headers = sign(secret, "msg_loFOjxBNrRLzqYUf", 1_731_705_121, b'{"event_type":"ping","data":{"success":true}}')
    assert headers["webhook-signature"] == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=", "the example of its documentation"
