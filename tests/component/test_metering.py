"""What channels, locators and endpoints used: exact over starts, stops, restarts and kills, on a clock that the test moves."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
import trio
from trio.testing import MockClock

from pypackager._core import Audience
from pypackager.control.database import STEPS, Database, peek
from pypackager.control.registry import FILE, Registry
from pypackager.control.resources import Channel, Resources
from pypackager.control.settings import ChannelSettings
from pypackager.control.usage import Amount, Used
from pypackager.runtime.metering import SAVE_S, Metering
from tests.component.test_locators import Both, both
from tests.component.test_operate import Capture
from tests.helpers.channel_node import ChannelNode

SECOND_NS = 10**9


class Metered:
    """A channel with what counts it, over a database on the disk."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.node = ChannelNode(directory)
        self.start()

    def start(self) -> None:
        self.registry, self.audience = Registry.open(self.directory), Audience()
        self.meter = Metering(self.registry, self.node.metrics.usage, self.audience, lambda: self.node.now, structlog.get_logger())

    def kill(self) -> None:
        """Nothing is saved."""
        self.registry.close()
        self.node.crash()
        self.start()

    @property
    def channel(self) -> Amount:
        return self.meter.total("channel", "news")

    @property
    def running_s(self) -> float:
        return self.channel.running_ns / SECOND_NS


async def test_what_others_have_counted_is_asked_for_before_it_is_saved(tmp_path: Path, autojump_clock: MockClock) -> None:
    node = ChannelNode(tmp_path)
    registry = Registry.open(tmp_path)

    async def look() -> None:
        await trio.lowlevel.checkpoint()
        node.metrics.usage.receive([Used("channel", "far", 0, Amount(bytes_in=7))])

    log, usage = structlog.get_logger(), node.metrics.usage
    meter = Metering(registry, usage, Audience(), lambda: node.now, log, look=look)
    with trio.move_on_after(SAVE_S + 1):
        await meter.run()
    assert ("channel", "far", Amount(bytes_in=7)) in registry.used_in_all()
    registry.close()


async def test_seconds_in_running_are_exact_over_stops_starts_and_ends_of_the_daemon(tmp_path: Path) -> None:
    metered = Metered(tmp_path)
    node = metered.node
    node.wait(10.25)
    assert metered.running_s == 10.25
    node.ask("stopped", program="stopped")
    node.settle()
    assert node.channel.life.state == "Stopped"
    node.wait(1000)
    assert metered.running_s == 10.25
    node.ask("running")
    node.wait(4)
    await metered.meter.save()
    node.wait(2)
    await metered.meter.save()
    metered.registry.close()
    node.restart()
    metered.start()
    node.wait(5)
    assert metered.running_s == 21.25


async def test_a_kill_loses_what_came_behind_the_last_save_and_counts_nothing_twice(tmp_path: Path) -> None:
    metered = Metered(tmp_path)
    metered.node.connect(1, "v")
    for start_s in range(100, 120, 2):
        metered.node.send(1, start_s)
    metered.audience.room("default", "news", "show").gave("192.0.2.1", "player", None, 500)
    metered.node.wait(60)
    await metered.meter.save()
    saved = metered.channel
    assert saved == Amount(60 * SECOND_NS, 10 * 1000, 500)
    metered.node.send(1, 120)
    metered.audience.room("default", "", "show").gave("192.0.2.1", "player", None, 70)
    metered.node.wait(59)
    assert metered.channel == saved + Amount(59 * SECOND_NS, 1000)
    assert metered.meter.total("locator", "show") == metered.meter.total("endpoint", "default") == Amount(bytes_out=570)
    for _ in range(2):
        metered.kill()
        assert metered.channel == saved
        assert metered.meter.total("locator", "show") == Amount(bytes_out=500)


async def test_a_disk_that_takes_nothing_loses_nothing(tmp_path: Path) -> None:
    metered = Metered(tmp_path)
    metered.node.wait(60)
    with closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON usage BEGIN SELECT RAISE(FAIL, 'disk full'); END")
        await metered.meter.save()
        metered.node.wait(60)
        other.execute("DROP TRIGGER full")
    await metered.meter.save()
    metered.kill()
    assert metered.running_s == 120


async def test_hours_add_up_to_the_whole_and_end_where_the_next_begins(tmp_path: Path) -> None:
    metered = Metered(tmp_path)
    begun = datetime.fromtimestamp(metered.node.now.utc_ns / 1e9, UTC)
    for _ in range(5):
        metered.node.wait(2000)
        await metered.meter.save()
    metered.node.wait(100)
    used = await metered.meter.used(begun - timedelta(hours=1), begun + timedelta(hours=4))
    assert sum((each.amount for each in used), Amount()) == metered.channel == Amount(running_ns=10_100 * SECOND_NS)
    hours = {each.hour: each.amount.running_ns // SECOND_NS for each in used}
    assert [hours[hour] for hour in sorted(hours)][1:-1] == [3600] * (len(hours) - 2)
    second = datetime.fromtimestamp(min(hours) * 3600 + 3600, UTC)
    parts = [await metered.meter.used(*part) for part in ((begun - timedelta(hours=1), second), (second, begun + timedelta(hours=4)))]
    assert [*parts[0], *parts[1]] == used
    assert len(parts[0]) == 1


@pytest.mark.parametrize("version", range(1, len(STEPS)))
def test_a_file_of_a_format_before_is_upgraded_and_may_be_looked_at_as_it_is(tmp_path: Path, version: int) -> None:
    path, now = tmp_path / FILE, datetime(2026, 11, 22, tzinfo=UTC)
    news = Channel(name="news", settings=ChannelSettings(), created=now, modified=now)
    with closing(Database(path)) as made:
        made.write([news], [])
    with closing(sqlite3.connect(path)) as older:
        for table in ("usage", "delivery")[version - 1 :]:
            older.execute(f"DROP TABLE {table}")
        older.execute(f"PRAGMA user_version = {version}")
    assert peek(path) == Resources({"news": news}), "a look changes nothing"
    with closing(Database(path)) as upgraded:
        assert upgraded.load() == Resources({"news": news})
        upgraded.add([Used("channel", "news", 1, Amount(1, 2, 3))] * 2)
        assert upgraded.used_in_all() == [("channel", "news", Amount(2, 4, 6))]
    with closing(sqlite3.connect(path)) as seen:
        assert seen.execute("PRAGMA user_version").fetchone() == (len(STEPS),)
        assert seen.execute("SELECT count(*) FROM delivery").fetchone() == (0,)


async def watched(life: Both) -> int:
    """An event that one viewer watches, by its session; the bytes of the answers."""
    await life.fine("POST", "channels", {"name": "ch", "ingest_allow": ["127.0.0.1"]}, 201)
    await life.fine("POST", "channels/ch/programs", {"name": "show"}, 201)
    await life.carried_out("POST", "channels/ch/start")
    await life.carried_out("POST", "channels/ch/programs/show/start")
    await life.fine("POST", "locators", {"asset": "show", "path": "tv"}, 201)
    await life.push()
    sent = 0
    for target in ("tv/show.ism/master.m3u8", "preview/ch.isml/manifest.mpd"):
        for query in ("", "?CMCD=sid%3D%22one%22"):
            url = f"http://{life.daemon.addresses['origin'][0]}/{target}{query}"
            answer = await life.client.get(url, headers={"cmcd-session": 'sid="one"', "accept-encoding": "identity"})
            assert answer.status_code == 200
            sent += len(answer.content)
    return sent


async def test_the_api_a_command_and_the_metrics_say_what_was_used_and_who_watches(tmp_path: Path, capsys: Capture) -> None:
    life = both(tmp_path)
    async with life.running():
        sent = await watched(life)
        channel, program = await life.fine("GET", "channels/ch"), await life.fine("GET", "channels/ch/programs/show")
        locator, endpoint = await life.fine("GET", "locators/tv"), await life.fine("GET", "streaming-endpoints/default")
        assert [each["viewers"] for each in (channel, program, locator, endpoint)] == [2, 1, 1, 2], "a preview is a place of its own"
        assert channel["usage"]["bytes_out"] == endpoint["bytes_out"] == sent > locator["bytes_out"] > 0
        assert channel["usage"]["bytes_in"] > 20_000
        assert (channel["recording"], channel["gap_s"] >= 0, channel["depth_s"] > 1) == (["show"], True, True)
        capsys.readouterr()
        assert await life.tell("channel show ch") == 0
        assert f"bytes_out={sent}" in capsys.readouterr().out
        metrics = (await life.ask("control", "metrics")).text
        for line in (f'given_bytes_total{{kind="channel",name="ch"}} {sent}.0', 'viewers{kind="locator",name="tv"} 1.0'):
            assert f"pypackager_{line}\n" in metrics
        assert 'pypackager_running_seconds_total{channel="ch"} ' in metrics
        items = (await life.fine("GET", "usage?by=day"))["items"]
        assert {(item["kind"], item["name"]) for item in items} == {("channel", "ch"), ("locator", "tv"), ("endpoint", "default")}
        assert sum(item["bytes_out"] for item in items if item["kind"] == "channel") == sent
        assert (await life.fine("GET", "usage?kind=locator&name=other"))["items"] == []
        assert (await life.fine("GET", "usage?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z"))["items"] == []
        assert await life.refused("GET", "usage?from=2020-01-01T00:00:00") == (400, "INVALID")
        before = channel["usage"]
    life = both(tmp_path)
    async with life.running():
        capsys.readouterr()
        assert await life.tell("channel show ch --json") == 0
        after = json.loads(capsys.readouterr().out)["usage"]
        assert (after["bytes_in"], after["bytes_out"]) == (before["bytes_in"], before["bytes_out"])
        assert after["running_s"] >= before["running_s"]
