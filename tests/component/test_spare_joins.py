"""A second synchronised encoder whose first picture comes at any instant of the first one's: it is a spare, and no rival."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from pypackager.model.records import FLAG_GAP
from tests.helpers.channel_node import VIDEO, ChannelNode
from tests.helpers.timeline_rig import Header, Stored

FIRST, SPARE = 1, 2


def connect(node: ChannelNode, conn: int, side: Any) -> None:
    node.channel.open_feed(conn, side, "v")
    node.channel.track_found(conn, cast(Any, Header(1, "video")))
    node.channel.admit(conn)


def arrive(node: ChannelNode, conn: int, start_s: int) -> None:
    node.channel.chunk(conn, cast(Any, Stored(1, start_s * VIDEO, 2 * VIDEO)))
    node.channel.advance()


@pytest.mark.parametrize("steps", range(6))
def test_however_far_the_disk_is_with_what_is_published(tmp_path: Path, steps: int) -> None:
    """Its fragment is the one that has just been listed: the journal has that, or not yet."""
    node = ChannelNode(tmp_path)
    connect(node, FIRST, "primary")
    node.live(FIRST, *range(100, 110, 2))
    connect(node, SPARE, "secondary")
    node.wait(2)
    arrive(node, FIRST, 110)
    for _ in range(steps):
        node.writer.step(1)
        for ticket, errno in node.writer.done():
            node.channel.finished(ticket, errno)
        node.channel.advance()
    arrive(node, SPARE, 110)
    node.settle()
    assert "ENCODERS_OUT_OF_SYNC" not in node.channel.alarm.alerts
    # The first one breaks off: the spare has the whole of it.
    node.wait(1)
    node.channel.close_feed(FIRST)
    node.channel.advance()
    node.live(SPARE, 112, 114)
    node.wait(10)
    node.settle()
    (track,) = node.channel.programs.present("show").tracks
    assert track.time.tolist() == [start_s * VIDEO for start_s in range(100, 116, 2)]
    assert not any(flag & FLAG_GAP for flag in track.flags.tolist())
