"""A channel of the daemon on a real directory: reloads, faults of its own, records that the disk did not take."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from pypackager.config.schema import Channel
from pypackager.model.records import Anchored
from tests.helpers.channel_node import ChannelNode
from tests.helpers.timeline_rig import UTC0, Stored


def test_a_reload_changes_who_may_push_and_nothing_that_runs(tmp_path: Path) -> None:
    channel = ChannelNode(tmp_path, "rtmp", ()).channel
    channel.apply(Channel(name="news", protocol="fmp4", state="stopped", ingest_allow=["198.51.100.0/24"]))
    assert channel.protocol == "rtmp"
    assert channel.running
    assert channel.admits("198.51.100.7")
    assert not channel.admits("192.0.2.1")


def test_a_fault_of_one_channel_is_its_alert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = ChannelNode(tmp_path, "rtmp", ()).channel

    def fault(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(channel.timeline, "advance", fault)
    monkeypatch.setattr(channel.store, "trim", fault)
    channel.advance()
    channel.keep_house()
    assert channel.alerts["INTERNAL"].count == 2


def test_a_decision_that_the_disk_did_not_take_is_recorded_later(tmp_path: Path) -> None:
    node = ChannelNode(tmp_path, "rtmp", ())
    node.settle()
    node.writer.room = 0
    node.channel.store.append(Anchored(UTC0))
    node.settle()
    assert node.channel.store.ledger.anchor_ns is None
    node.writer.room = 1 << 40
    node.channel.keep_house()
    node.settle()
    assert node.channel.store.ledger.anchor_ns == UTC0


def test_an_edge_that_the_disk_did_not_take_is_said_and_moves_later_without_a_hole(tmp_path: Path) -> None:
    node = ChannelNode(tmp_path)
    node.connect(1, "v")
    for start_s in (100, 102, 104, 106):
        node.wait(2)
        node.send(1, start_s)
        if start_s == 106:
            # The fragment finds room on the disk, its row does not.
            node.writer.step(1)
            node.writer.room = 0
        node.settle()
    assert "Published" in node.channel.alerts["DISK_WRITE_FAILED"].detail
    node.writer.room = 1 << 40
    for start_s in (108, 110):
        node.wait(2)
        node.send(1, start_s)
        node.settle()
    assert node.times("v") == [100, 102, 104]
    node.channel.keep_house()
    node.settle()
    assert node.times("v") == [100, 102, 104, 106, 108, 110]


def test_a_whole_fragment_replaces_one_that_broke_off_and_is_still_being_written(tmp_path: Path) -> None:
    node = ChannelNode(tmp_path)
    node.connect(1, "v")
    node.wait(2)
    node.send(1, 100)
    node.settle()
    node.wait(2)
    node.channel.chunk(1, cast(Any, Stored(1, 102 * 90_000, 90_000, partial=True)))
    node.channel.chunk(1, cast(Any, Stored(1, 102 * 90_000, 180_000)))
    node.channel.advance()
    node.settle()
    for start_s in (104, 106):
        node.wait(2)
        node.send(1, start_s)
        node.settle()
    assert node.times("v") == [100, 102, 104, 106]
    (track,) = node.channel.program("show").tracks
    assert track.duration.tolist() == [180_000] * 4
    assert not node.channel.alerts
