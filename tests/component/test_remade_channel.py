"""A channel that is deleted and made again under its name: no URL of the first one is used again."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from pypackager.dvr.past import PAST, Past, bury, read_past
from pypackager.model.errors import PackagerError
from tests.helpers.channel_node import ChannelNode
from tests.helpers.timeline_rig import UTC0

SECOND_NS = 1_000_000_000


def fed(node: ChannelNode, *starts_s: int) -> list[int]:
    """An encoder's fragments of two seconds; where they are on the channel's timeline."""
    node.connect(1, "v1")
    node.live(1, *starts_s)
    (track,) = node.channel.showing.incoming.tracks
    return [time // 90_000 for time in track.time.tolist()]


def deleted(node: ChannelNode) -> Path:
    """What is left of it."""
    node.settle()
    node.channel.close()
    node.writer.step()
    directory = node.directory / "channel"
    bury(directory)
    return directory


@pytest.mark.parametrize("protocol", ["fmp4", "rtmp"])
def test_an_encoder_that_counts_from_the_same_time_is_placed_behind(tmp_path: Path, protocol: str) -> None:
    node = ChannelNode(tmp_path, protocol, programs=())
    before = fed(node, 100, 102, 104)
    version = node.channel.store.ledger.version
    assert [path.name for path in deleted(node).iterdir()] == [PAST]
    node.wait(10)
    node._start()
    shown = fed(node, 100, 102, 104)
    assert min(shown) >= max(before) + 2
    assert [time - shown[0] for time in shown] == [0, 2, 4]
    assert node.channel.store.ledger.version > version, "nor does an ETag name other content"
    node.restart()
    assert fed(node, 106, 108)[:3] == shown, "after a restart it goes on where it was"


def test_one_that_keeps_the_time_of_day_keeps_it(tmp_path: Path) -> None:
    node = ChannelNode(tmp_path, programs=())
    now_s = UTC0 // SECOND_NS
    fed(node, now_s, now_s + 2)
    deleted(node)
    node.wait(60)
    node._start()
    assert fed(node, now_s + 62, now_s + 64) == [now_s + 62, now_s + 64], "two data centres go on alike"


def test_an_asset_of_the_first_one_is_not_gone_on_with(tmp_path: Path) -> None:
    node = ChannelNode(tmp_path)
    fed(node, 100, 102, 104)
    node.stop_program()
    shown = node.times("v1")
    deleted(node)
    node.config = msgspec.structs.replace(node.config, program=[])
    node._start()
    # As many blobs as the first one had, and more.
    for start_s in range(100, 130, 10):
        fed(node, start_s, start_s + 2, start_s + 4)
        node.restart()
    node.start_program()
    assert "CHANNEL_REPLACED" in node.channel.programs.failed["show"]
    assert node.times("v1") == shown, "it is what it was"


def busy(directory: Path) -> None:
    raise OSError(16, "busy", str(directory))


def test_one_without_media_leaves_nothing(tmp_path: Path) -> None:
    assert not deleted(ChannelNode(tmp_path, programs=())).exists()


def test_a_deletion_that_was_interrupted_is_done_again_without_a_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = ChannelNode(tmp_path, programs=())
    end_s = max(fed(node, 100, 102, 104)) + 2
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", busy)
        with pytest.raises(OSError, match="busy"):
            deleted(node)
    directory = node.directory / "channel"
    shutil.rmtree(directory / "journal")
    bury(directory)
    assert read_past(directory).end_ns == end_s * SECOND_NS
    bury(directory)
    assert read_past(directory).end_ns == end_s * SECOND_NS, "also of one that was never used"


def test_a_past_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    assert read_past(tmp_path) == Past()
    (tmp_path / PAST).write_text("{")
    with pytest.raises(PackagerError) as unreadable:
        read_past(tmp_path)
    assert unreadable.value.code == "CHANNEL_PAST_UNREADABLE"
