"""Key frame interval, fragments of a segment, TARGETDURATION: the mission's rule on playlists of a real channel, borders included."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from pypackager.packaging.publish import answer
from tests.helpers.channel_node import VIDEO, ChannelNode
from tests.helpers.presentations import AVCC, body_of
from tests.helpers.timeline_rig import Header, Stored

NTSC = 1001 / 1000


def listed(node: ChannelNode, path: str) -> str:
    return body_of(answer(node.channel.programs.present("show"), path, "")).decode()


def pushed(directory: Path, interval_s: float, **settings: Any) -> tuple[ChannelNode, list[str]]:
    """A channel that got 24 fragments of one interval, with a restart between, and the target durations that it listed."""
    node, targets = ChannelNode(directory), []
    node.config = msgspec.structs.replace(node.config, **settings)
    length = round(interval_s * VIDEO)
    begin = round(600 / interval_s) * length
    for conn, numbers in enumerate((range(13), range(13, 24))):
        node.restart()
        node.channel.open_feed(conn, "primary", "v")
        node.channel.track_found(conn, cast(Any, Header(1, "video", codec_private=AVCC)))
        node.channel.admit(conn)
        for number in numbers:
            node.wait(interval_s)
            node.channel.chunk(conn, cast(Any, Stored(1, begin + number * length, length)))
            node.channel.advance()
            node.settle()
        node.channel.close_feed(conn)
        node.channel.advance()
        node.settle()
        targets += re.findall(r"TARGETDURATION:(\d+)", listed(node, "hls/v.m3u8"))
    return node, targets


@pytest.mark.parametrize(
    ("interval_s", "settings", "fragments", "target_s"),
    [
        (1, {}, 3, 3),
        (2, {}, 3, 6),
        (2 * NTSC, {}, 3, 6),
        (2.96, {}, 3, 9),
        (3.0, {}, 3, 9),
        (3 * NTSC, {}, 3, 9),
        (3.2, {}, 2, 6),
        (4, {}, 2, 8),
        (5.0, {}, 2, 10),
        (5 * NTSC, {}, 2, 10),
        (5.2, {}, 1, 5),
        (6, {}, 1, 6),
        (10, {}, 1, 10),
        # Set, it feeds the rule, whatever comes.
        (2, {"key_frame_interval": "4s"}, 2, 8),
        (2, {"key_frame_interval": "6s"}, 1, 6),
        (1, {"key_frame_interval": "2s"}, 3, 6),
        (2, {"fragments_per_segment": 1}, 1, 2),
        (2, {"fragments_per_segment": 5}, 5, 10),
        (6, {"fragments_per_segment": 2}, 2, 12),
        (2, {"key_frame_interval": "2s", "fragments_per_segment": 2}, 2, 4),
    ],
)
def test_segments(interval_s: float, settings: dict[str, Any], fragments: int, target_s: int, tmp_path: Path) -> None:
    node, targets = pushed(tmp_path, interval_s, **settings)
    assert targets == [str(target_s)] * 2
    playlist = listed(node, "hls/v.m3u8")
    durations = [float(found) for found in re.findall(r"#EXTINF:([\d.]+)", playlist)]
    # The first is cut where the grid of segments begins.
    assert {round(duration, 3) for duration in durations[1:]} == {round(fragments * interval_s, 3)}, durations
    assert max(round(duration) for duration in durations) <= target_s
    ticks, count = round(interval_s * VIDEO), 24
    # Neither DASH nor Smooth knows of segments: each fragment is listed.
    assert re.findall(r'<S t="\d+" d="(\d+)" r="(\d+)"/>', listed(node, "manifest.mpd")) == [(str(ticks), str(count - 1))]
    chunks = re.findall(r'<c(?: t="\d+")? d="(\d+)"(?: r="(\d+)")?/>', listed(node, "manifest"))
    assert {duration for duration, _ in chunks} == {str(ticks)}
    # Two are the look-ahead.
    assert sum(int(repeated or 1) for _, repeated in chunks) == count - 2
