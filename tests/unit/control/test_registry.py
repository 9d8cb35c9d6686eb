"""The registry: what was committed is there after a crash at any moment, and nothing else."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from pypackager.control.database import STEPS, Database, peek
from pypackager.control.registry import FILE, Registry
from pypackager.control.resources import Channel, Locator, Program, Resources, touched
from pypackager.control.settings import ChannelSettings, ProgramSettings, Track
from pypackager.model.errors import PackagerError

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
NEWS = Channel(name="news", settings=ChannelSettings(track=[Track(match="a", language="de")]), created=NOW, modified=NOW)
SHOW = Program(channel="news", name="show", asset="show", settings=ProgramSettings(), filed="running", created=NOW, modified=NOW)
PATH = Locator(path="show", asset="show", created=NOW, modified=NOW)


def reopened(directory: Path) -> Resources:
    """What a process would find that starts now, whatever the first one still holds."""
    return Registry.open(directory).resources


async def test_what_was_committed_is_there_for_who_comes_after_a_crash(tmp_path: Path) -> None:
    registry = Registry.open(tmp_path)
    await registry.commit([NEWS, SHOW, PATH])
    assert reopened(tmp_path) == registry.resources
    assert list(registry.resources.all()) == [NEWS, SHOW, PATH]
    later = touched(replace(NEWS, desired="running"), datetime(2026, 11, 23, tzinfo=UTC))
    await registry.commit([later], [PATH])
    assert list(reopened(tmp_path).all()) == [later, SHOW]
    assert later.etag != NEWS.etag


async def test_a_disk_that_takes_nothing_changes_nothing(tmp_path: Path) -> None:
    registry = Registry.open(tmp_path)
    await registry.commit([NEWS])
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON resource WHEN NEW.kind = 'program' BEGIN SELECT RAISE(FAIL, 'disk full'); END")
    with pytest.raises(PackagerError, match="disk full") as caught:
        await registry.commit([PATH, SHOW], [NEWS])
    assert (caught.value.code, caught.value.status) == ("REGISTRY_NOT_WRITTEN", 507)
    assert list(registry.resources.all()) == list(reopened(tmp_path).all()) == [NEWS]
    await registry.commit([PATH])
    assert list(reopened(tmp_path).all()) == [NEWS, PATH]


async def test_who_gives_up_waiting_finds_what_is_on_the_disk(tmp_path: Path) -> None:
    registry = Registry.open(tmp_path)
    with trio.CancelScope() as scope:
        scope.cancel()
        await registry.commit([NEWS])
    assert list(registry.resources.all()) == list(reopened(tmp_path).all()) == [NEWS]


def test_a_file_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    Database(tmp_path / FILE).close()
    with sqlite3.connect(tmp_path / FILE) as other:
        other.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    for opening in (Registry.open, lambda path: peek(path / FILE)):
        with pytest.raises(PackagerError, match="format") as caught:
            opening(tmp_path)
        assert (caught.value.code, caught.value.where) == ("REGISTRY_UNUSABLE", str(tmp_path / FILE))


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database" * 100)
    with pytest.raises(PackagerError) as caught:
        Registry.open(tmp_path)
    assert caught.value.code == "REGISTRY_UNUSABLE"


def test_a_look_makes_no_file_and_changes_none(tmp_path: Path) -> None:
    assert peek(tmp_path / FILE) == Resources()
    assert not list(tmp_path.iterdir())
    Database(tmp_path / FILE).write([NEWS], [])
    assert peek(tmp_path / FILE) == Resources({"news": NEWS})


def test_what_is_not_there_has_a_code() -> None:
    there = Resources().changed([NEWS], [])
    for ask, code in (
        (lambda: there.channel("x"), "CHANNEL_UNKNOWN"),
        (lambda: there.program("x", "y"), "CHANNEL_UNKNOWN"),
        (lambda: there.program("news", "y"), "PROGRAM_UNKNOWN"),
        (lambda: there.locator("x"), "LOCATOR_UNKNOWN"),
    ):
        with pytest.raises(PackagerError) as caught:
            ask()
        assert (caught.value.code, caught.value.status) == (code, 404)
