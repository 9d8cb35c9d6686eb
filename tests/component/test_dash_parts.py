"""A layer that joins a channel late, and one that leaves: from the encoder's connection to the Periods of the MPD."""

from __future__ import annotations

import re
from pathlib import Path

from pypackager.packaging import answer
from tests.helpers.channel_node import VIDEO, ChannelNode
from tests.helpers.presentations import body_of


def periods(node: ChannelNode) -> list[tuple[str, list[str]]]:
    """Period@id and the Representations of each."""
    text = body_of(answer(node.channel.programs.present("show"), "manifest.mpd", "")).decode()
    found = re.findall(r'<Period id="([^"]+)"(.*?)</Period>', text, re.DOTALL)
    return [(name, re.findall(r'<Representation id="([^"]+)"', part)) for name, part in found]


def send(node: ChannelNode, start_s: int, *conns: int) -> None:
    """A fragment of two seconds on each of the connections."""
    for conn in conns:
        node.send(conn, start_s)
    node.wait(2)
    node.settle()


def test_a_late_layer_opens_a_part_that_lasts_over_a_restart_and_ends_when_it_has_left(tmp_path: Path) -> None:
    node = ChannelNode(tmp_path)
    node.connect(1, "one")
    for start_s in range(0, 20, 2):
        send(node, start_s, 1)
    ((first, (one,)),) = periods(node)
    assert first == "0"
    node.connect(2, "two")
    for start_s in range(20, 40, 2):
        send(node, start_s, 1, 2)
    _, (name, (_, two)) = periods(node)
    assert name == "0.1"
    node.channel.close_feed(2)
    for start_s in range(40, 70, 2):
        send(node, start_s, 1)
    assert periods(node) == [("0", [one]), ("0.1", [one, two]), ("0.2", [one])]
    text = body_of(answer(node.channel.programs.present("show"), f"hls/{one}.m3u8", "")).decode()
    assert "#EXT-X-DISCONTINUITY\n" not in text, "no format but DASH knows of parts"
    node.restart()
    assert periods(node) == [("0", [one]), ("0.1", [one, two]), ("0.2", [one])]


def test_a_layer_that_begins_a_fragment_after_the_first_has_all_of_it(tmp_path: Path) -> None:
    """An encoder that connects at a key frame: one of its streams has that one, the other begins with the next."""
    node = ChannelNode(tmp_path)
    node.connect(1, "one")
    node.connect(2, "two")
    node.wait(2)
    send(node, 100, 1)
    for start_s in range(102, 120, 2):
        send(node, start_s, 1, 2)
    tracks = node.channel.programs.present("show").tracks
    assert [track.time.tolist()[0] // VIDEO for track in tracks] == [100, 102]
    assert [len(names) for _, names in periods(node)] == [1, 2]
    text = body_of(answer(node.channel.programs.present("show"), "manifest.mpd", "")).decode()
    starts = re.findall(r'<Period id="[^"]+" start="PT([0-9.]+)S"', text)
    assert [round(float(start)) for start in starts] == [100, 102]
