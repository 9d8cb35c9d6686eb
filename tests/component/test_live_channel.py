"""A channel of the daemon on a real directory: reloads, faults of its own, records that the disk did not take."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from pypackager.config.schema import Channel
from pypackager.dvr import edge
from pypackager.dvr.ledger import KEPT_CLOCKS
from pypackager.model.records import FLAG_PERIOD, Anchored, ClockPlaced, TargetRaised, TrackPlaced
from tests.helpers.channel_node import ChannelNode
from tests.helpers.timeline_rig import UTC0, Stored


def test_a_reload_changes_who_may_push_and_nothing_that_runs(tmp_path: Path) -> None:
    channel = ChannelNode(tmp_path, "rtmp", ()).channel
    channel.apply(Channel(name="news", protocol="fmp4", ingest_allow=["198.51.100.0/24"]))
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
    assert channel.alarm.alerts["INTERNAL"].count == 2


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
    assert "Published" in node.channel.alarm.alerts["DISK_WRITE_FAILED"].detail
    node.writer.room = 1 << 40
    node.live(1, 108, 110)
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
    node.live(1, 104, 106)
    assert node.times("v") == [100, 102, 104, 106]
    (track,) = node.channel.programs.present("show").tracks
    assert track.duration.tolist() == [180_000] * 4
    assert not node.channel.alarm.alerts


def test_a_disk_that_stays_full_for_hours_costs_bounded_memory_and_looks_like_an_encoder_that_was_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edge, "MAX_ROWS", 4)
    node = ChannelNode(tmp_path)
    node.connect(1, "v")
    node.live(1, 100, 102, 104)
    node.writer.room = 0
    for start_s in range(106, 306, 2):
        node.wait(2)
        node.send(1, start_s)
        node.channel.keep_house()
        node.settle()
    refused = node.channel.alarm.alerts["EDGE_STUCK"]
    assert refused.count > 90
    assert node.channel.settled(1)
    assert node.channel.lost(1)
    assert "dropped" in refused.detail
    assert not node.channel.timeline.lines["v"].waiting
    node.writer.room = 1 << 40
    node.channel.keep_house()
    node.settle()
    node.live(1, 306, 308, 310)
    times = node.times("v")
    assert [time for time in times if time > 0] == [100, 102, 104, 306, 308, 310]
    (track,) = node.channel.programs.present("show").tracks
    assert np.diff(track.segment[:]).max() <= 1, "no media sequence number is missing"
    assert track.period.tolist() == [0] * (len(times) - 3) + [1] * 3
    assert bool(track.flags[-3] & FLAG_PERIOD)
    shown = [node.times("v"), track.segment.tolist()]
    node.restart()
    (track,) = node.channel.programs.present("show").tracks
    assert [node.times("v"), track.segment.tolist()] == shown, "a restart shows the same"


def test_decisions_that_a_full_disk_did_not_take_do_not_pile_up(tmp_path: Path) -> None:
    node = ChannelNode(tmp_path, "rtmp", ())
    node.settle()
    channel = node.channel
    node.writer.room = 0
    channel.store.append(Anchored(UTC0))
    for number in range(100):
        channel.store.append(ClockPlaced(number, "primary", number))
        channel.store.append(TargetRaised(number))
        node.settle()
    for _ in range(3):
        channel.keep_house()
        node.settle()
    node.writer.room = 1 << 40
    appended = channel.store.newest
    channel.keep_house()
    assert channel.store.newest - appended <= KEPT_CLOCKS + 3, "with a checkpoint's ticket"
    node.settle()
    ledger = channel.store.ledger
    assert (ledger.anchor_ns, ledger.target_duration_s) == (UTC0, 99)
    assert list(ledger.clocks) == list(range(100 - KEPT_CLOCKS, 100))


def test_a_decision_that_was_made_anew_is_not_taken_back(tmp_path: Path) -> None:
    node = ChannelNode(tmp_path)
    node.connect(1, "v")
    node.send(1, 100, 102)
    node.settle()
    track = next(iter(node.channel.store.ledger.tracks))
    for node.writer.room in (0, 1 << 40):
        node.channel.store.append(TrackPlaced("v", 9, "video", "", track))
        node.settle()
    newest = node.channel.store.newest
    node.channel.keep_house()
    assert node.channel.store.newest <= newest + 1, "the one that failed is not recorded behind it"


def test_a_connection_that_lost_a_fragment_to_the_disk_is_known_until_it_is_closed(tmp_path: Path) -> None:
    node = ChannelNode(tmp_path)
    for conn, stream in ((1, "v"), (2, "w")):
        node.connect(conn, stream)
        node.send(conn, 100)
    node.settle()
    assert not node.channel.lost(1)
    node.writer.room = 0
    node.send(1, 102)
    assert not node.channel.settled(1)
    node.settle()
    assert node.channel.settled(1)
    assert (node.channel.lost(1), node.channel.lost(2)) == (True, False)
    # The next body on the same connection is another.
    node.channel.close_feed(1)
    node.connect(1, "v")
    assert not node.channel.lost(1)


@pytest.mark.parametrize("listed", [False, True])
def test_who_sent_what_another_had_sent_shares_its_loss(tmp_path: Path, listed: bool) -> None:
    """A duplicate is not stored again: its sender is told so when what is stored is not."""
    node = ChannelNode(tmp_path)
    for conn in (1, 2):
        node.connect(conn, "v")
        node.send(conn, 100)
        node.settle()
    node.writer.room = 0
    node.send(1, 102)
    if listed:
        node.send(1, 104)
    node.send(2, 102)
    assert not node.channel.settled(2)
    node.settle()
    assert node.channel.settled(2)
    assert (node.channel.lost(1), node.channel.lost(2)) == (True, True)


def test_what_may_grow_is_stored_when_a_body_with_the_same_ends(tmp_path: Path) -> None:
    node = ChannelNode(tmp_path)
    for conn in (1, 2):
        node.connect(conn, "v")
        node.send(conn, 100)
    assert node.channel.settled(2)
    node.channel.complete(2)
    assert not node.channel.settled(2), "it is on its way"
    node.settle()
    assert node.channel.settled(2)
    assert not node.channel.lost(2)


def test_a_running_channel_without_a_program_is_told_of(tmp_path: Path) -> None:
    node = ChannelNode(tmp_path, programs=())
    node.connect(1, "video")
    for start_s in range(0, 620, 2):
        node.send(1, start_s)
        node.settle()
        node.wait(2)
        node.channel.keep_house()
        node.settle()
    assert node.channel.alarm.alerts["RUNNING_WITHOUT_PROGRAM"].count == 1
    assert "RUNNING_WITHOUT_DATA" not in node.channel.alarm.alerts
