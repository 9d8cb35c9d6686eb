"""A channel that is told to stop and to start: what its encoders had brought is published, and output time goes on."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing

from pypackager.model.errors import PackagerError
from pypackager.model.records import Reset
from tests.helpers.channel_node import SHOW, ChannelNode


def layer(tmp_path: Path) -> ChannelNode:
    node = ChannelNode(tmp_path)
    node.connect(1, "v1")
    node.live(1, 100, 102, 104)
    return node


def shown(node: ChannelNode) -> str:
    return node.channel.life.status


def test_a_program_that_goes_on_keeps_its_channel_running(tmp_path: Path) -> None:
    node = layer(tmp_path)
    node.ask("stopped")
    node.settle()
    assert shown(node) == "Streaming"
    node.ask("stopped", program="stopped")
    node.settle()
    node.channel.advance()
    assert shown(node) == "Stopping"
    assert node.ended()


def test_it_is_stopped_when_its_connections_have_gone_and_all_is_published(tmp_path: Path) -> None:
    node = layer(tmp_path)
    before = node.channel.admission
    node.send(1, 106)
    node.ask("stopped", program="stopped")
    node.settle()
    node.channel.advance()
    assert (shown(node), node.channel.running) == ("Stopping", False)
    assert node.channel.admission > before, "the router has to look"
    with pytest.raises(PackagerError, match="Stopping") as refused:
        node.channel.showing.preview("192.0.2.9")
    assert (refused.value.code, refused.value.status) == ("CHANNEL_NOT_RUNNING", 503)
    node.channel.close_feed(1)
    node.channel.advance()
    node.wait(10)
    assert shown(node) == "Stopped"
    assert node.times("v1") == [100, 102, 104, 106]


def test_a_channel_that_is_to_run_again_finishes_its_stop_first_and_goes_on_in_time(tmp_path: Path) -> None:
    node = layer(tmp_path)
    node.ask("stopped", program="stopped")
    node.settle()
    node.channel.advance()
    node.ask("running", program="stopped")
    assert shown(node) == "Stopping"
    node.channel.close_feed(1)
    node.channel.advance()
    node.wait(1)
    node.channel.advance()
    assert shown(node) == "Ready"
    newest = node.channel.depth_ns()
    node.connect(2, "v1")
    node.wait(2)
    node.send(2, 110)
    node.settle()
    node.wait(10)
    assert node.channel.depth_ns() > newest


def test_a_stopped_channel_stays_so_over_a_restart(tmp_path: Path) -> None:
    node = layer(tmp_path)
    node.ask("stopped", program="stopped")
    node.settle()
    node.channel.close_feed(1)
    node.wait(10)
    node.restart()
    assert shown(node) == "Stopped"
    assert node.times("v1") == [100, 102, 104]


def test_a_program_waits_for_its_channel_and_begins_with_it(tmp_path: Path) -> None:
    node = layer(tmp_path)
    node.ask("stopped", program="stopped")
    node.settle()
    node.channel.close_feed(1)
    node.channel.advance()
    assert shown(node) == "Stopped"
    node.ask("stopped", program="running")
    assert (shown(node), node.ended()) == ("Stopped", True)
    node.restart()
    assert (shown(node), node.ended()) == ("Stopped", True)
    node.ask("running")
    assert (shown(node), node.ended()) == ("Streaming", False)


def test_a_program_that_waits_begins_when_a_stop_that_is_under_way_is_through(tmp_path: Path) -> None:
    node = layer(tmp_path)
    node.ask("stopped", program="stopped")
    node.settle()
    node.channel.advance()
    node.ask("running")
    assert (shown(node), node.ended()) == ("Stopping", True)
    node.channel.close_feed(1)
    node.channel.advance()
    node.wait(1)
    node.channel.advance()
    assert (shown(node), node.ended()) == ("Streaming", False)


def test_a_stop_of_both_that_a_restart_interrupts_is_carried_on(tmp_path: Path) -> None:
    node = layer(tmp_path)
    node.send(1, 106)
    node.config = msgspec.structs.replace(node.config, state="stopped", program=[msgspec.structs.replace(SHOW, state="stopped")])
    node.restart()
    node.wait(10)
    node.channel.advance()
    node.settle()
    assert (shown(node), node.ended()) == ("Stopped", True)
    assert node.times("v1") == [100, 102, 104, 106]


async def test_what_the_disk_answers_to_a_channel_that_is_being_deleted_changes_nothing(tmp_path: Path) -> None:
    node = layer(tmp_path)
    node.ask("stopped", program="stopped")
    node.settle()
    node.channel.close_feed(1)
    node.wait(10)
    node.channel.advance()
    assert shown(node) == "Stopped"
    # The window moves on behind a stop too: its record is on its way to the disk when the channel is deleted.
    node.channel.store.append(Reset(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(node.channel.end)
        await trio.testing.wait_all_tasks_blocked()
        node.channel.advance()
        assert shown(node) == "Deleting"
        node.settle()
    assert not node.channel.alarm.alerts
    assert shown(node) == "Deleting"
