"""A program that is told to stop, and a daemon that ends in order, lose nothing that was taken before."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.channel_node import ChannelNode


def two_layers(tmp_path: Path, slots: int = 3) -> ChannelNode:
    node = ChannelNode(tmp_path)
    for conn, stream in ((1, "v1"), (2, "v2")):
        node.connect(conn, stream)
    for slot in range(slots):
        node.wait(2)
        for conn in (1, 2):
            node.send(conn, 100 + 2 * slot)
        node.settle()
    return node


def test_a_fragment_that_waits_for_another_layer_is_in_the_asset(tmp_path: Path) -> None:
    node = two_layers(tmp_path)
    node.wait(2)
    node.send(1, 106)
    node.settle()
    node.stop_program()
    node.settle()
    assert node.times("v1") == [100, 102, 104], "the other layer may still bring its own"
    node.wait(1)
    node.send(2, 106)
    node.settle()
    assert node.ended()
    assert node.times("v1") == node.times("v2") == [100, 102, 104, 106]


def test_it_waits_for_no_layer_beyond_the_deadline(tmp_path: Path) -> None:
    node = two_layers(tmp_path)
    node.wait(2)
    node.send(1, 106)
    node.settle()
    node.stop_program()
    node.wait(5)
    assert node.ended()
    assert node.times("v1") == [100, 102, 104, 106]
    assert node.times("v2") == [100, 102, 104, -106]


def test_what_is_on_its_way_to_the_disk_is_in_the_asset(tmp_path: Path) -> None:
    node = two_layers(tmp_path)
    node.wait(2)
    node.send(1, 106)
    node.send(2, 106)
    node.stop_program()
    assert not node.ended()
    node.settle()
    assert node.ended()
    assert node.times("v1") == node.times("v2") == [100, 102, 104, 106]


def test_with_nothing_behind_the_edge_it_ends_at_once(tmp_path: Path) -> None:
    node = two_layers(tmp_path)
    node.stop_program()
    assert node.ended()


def test_what_came_after_the_stop_is_not_waited_for(tmp_path: Path) -> None:
    node = two_layers(tmp_path)
    node.wait(2)
    node.send(1, 106)
    node.stop_program()
    node.send(1, 108)
    node.settle()
    node.send(2, 106)
    node.settle()
    assert node.ended()
    assert node.times("v1") == node.times("v2") == [100, 102, 104, 106]


def test_a_restart_publishes_what_waited_though_no_encoder_comes_back(tmp_path: Path) -> None:
    node = two_layers(tmp_path)
    node.wait(2)
    node.send(1, 106)
    node.restart()
    node.wait(10)
    assert node.times("v1") == [100, 102, 104, 106]


def test_a_hole_is_not_frozen_by_a_restart(tmp_path: Path) -> None:
    node = two_layers(tmp_path)
    node.wait(2)
    node.send(1, 106)
    node.restart()
    node.connect(3, "v2")
    node.send(3, 104, 106)
    node.settle()
    assert node.times("v1") == node.times("v2") == [100, 102, 104, 106]


def test_a_program_that_was_to_stop_when_the_daemon_ended_stops_with_all_of_it(tmp_path: Path) -> None:
    node = two_layers(tmp_path)
    node.wait(2)
    node.send(1, 106)
    node.stop_program()
    node.restart()
    assert not node.ended()
    node.wait(10)
    assert node.ended()
    assert node.times("v1") == [100, 102, 104, 106]
