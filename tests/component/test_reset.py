"""A channel that is reset: what its encoders said of themselves and the preview are gone, output time goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation
from tests.helpers.channel_node import SHOW, VIDEO, ChannelNode
from tests.helpers.timeline_rig import Header, Stored


def encoder(node: ChannelNode, conn: int, *layers: str, codec_private: bytes = b"cfg") -> None:
    """One connection for each layer, each with one track."""
    for number, layer in enumerate(layers):
        node.channel.open_feed(conn + number, "primary", layer)
        node.channel.track_found(conn + number, cast(Any, Header(1, "video", codec_private=codec_private)))
        node.channel.admit(conn + number)


def feed(node: ChannelNode, conns: range, *starts_s: int, length_s: int = 2) -> None:
    for start_s in starts_s:
        node.wait(length_s)
        for conn in conns:
            node.channel.chunk(conn, cast(Any, Stored(1, start_s * VIDEO, length_s * VIDEO)))
        node.channel.advance()
        node.settle()


def ready(tmp_path: Path) -> ChannelNode:
    """Two layers from 100 to 120 seconds; the program has ended, its encoder still pushes."""
    node = ChannelNode(tmp_path)
    encoder(node, 1, "v1", "v2")
    feed(node, range(1, 3), *range(100, 120, 2))
    node.stop_program()
    assert node.ended()
    return node


def leave(node: ChannelNode, *conns: int) -> None:
    """The router ends the connections."""
    for conn in conns:
        node.channel.close_feed(conn)
    node.channel.advance()
    node.settle()


def was_reset(tmp_path: Path) -> ChannelNode:
    node = ready(tmp_path)
    node.reset()
    leave(node, 1, 2)
    assert shown(node) == "Ready"
    return node


def shown(node: ChannelNode) -> str:
    return node.channel.life.status


def preview(node: ChannelNode) -> Presentation:
    return node.channel.showing.preview("192.0.2.9")


def starts(seen: Presentation, track: str) -> list[int]:
    return next((each.time[:] // VIDEO).tolist() for each in seen.tracks if each.info.id == track)


def test_it_takes_nothing_until_it_has_let_go_of_its_encoders(tmp_path: Path) -> None:
    node = ready(tmp_path)
    before = node.channel.admission
    node.reset()
    assert (shown(node), node.channel.running) == ("Stopping", False)
    assert node.channel.admission > before, "the router has to look"
    leave(node, 1, 2)
    assert (shown(node), node.channel.running) == ("Ready", True)
    with pytest.raises(PackagerError) as empty:
        preview(node)
    assert empty.value.code == "NO_MEDIA"
    assert not node.channel.showing.incoming.tracks
    assert node.times("v1") == [*range(100, 120, 2)], "what was recorded stays"


def test_without_an_encoder_it_is_done_as_soon_as_the_journal_has_it(tmp_path: Path) -> None:
    node = ready(tmp_path)
    leave(node, 1, 2)
    node.reset()
    assert shown(node) == "Stopping"
    node.settle()
    ledger = node.channel.store.ledger
    copy = ledger.frozen()
    assert (copy.reset_ns, copy.since, copy.fresh) == (node.reset_ns, {1: 10, 2: 10}, True), "later journal files say so, too"
    assert shown(node) == "Ready"
    changes = node.channel.life.changes
    node.channel.apply(node.config, node.reset_ns)
    assert node.channel.life.changes == changes, "once for each command"


def test_an_encoder_with_other_layers_begins_anew_behind_all_that_was_there(tmp_path: Path) -> None:
    node = was_reset(tmp_path)
    node.wait(40)
    encoder(node, 11, "v2", "v3", codec_private=b"other")
    feed(node, range(11, 13), *range(0, 24, 4), length_s=4)
    now = preview(node)
    assert [track.info.id for track in now.tracks] == ["v2", "v3"]
    assert starts(now, "v2") == starts(now, "v3")
    assert starts(now, "v2")[0] >= 120
    assert starts(now, "v2")[1] - starts(now, "v2")[0] == 4
    assert not any(track.flags[0] & 4 for track in now.tracks), "no gap for the layer that is gone"
    assert (now.interval_ns, now.fragments_per_segment, now.target_duration_s) == (4 * 10**9, 2, 8), "the rhythm is the new encoder's"
    old = next(track for track in node.channel.programs.present("show").tracks if track.info.id == "v2")
    new = now.tracks[0]
    assert new.info == old.info, "the same track"
    assert new.segment[0] > old.segment[-1]
    assert new.period[0] > old.period[-1]
    assert not {"TRACK_GAP", "HEADER_MISMATCH", "GOPS_MISALIGNED"} & node.channel.alarm.alerts.keys()


def test_nobody_waits_for_a_layer_that_does_not_come_back(tmp_path: Path) -> None:
    node = was_reset(tmp_path)
    encoder(node, 11, "v2")
    for start_s in (0, 2, 4):
        node.send(11, start_s)
    node.settle()
    assert len(starts(preview(node), "v2")) == 3, "at once"


def test_a_period_begins_also_where_the_sound_leaves_no_hole(tmp_path: Path) -> None:
    node = was_reset(tmp_path)
    encoder(node, 11, "v1")
    node.channel.open_feed(12, "primary", "a")
    node.channel.track_found(12, cast(Any, Header(1, "audio", codec="mp4a.40.2")))
    node.channel.admit(12)
    for start_s in (0, 2, 4):
        node.channel.chunk(11, cast(Any, Stored(1, start_s * VIDEO + VIDEO // 2, 2 * VIDEO)))
        node.channel.chunk(12, cast(Any, Stored(1, start_s * VIDEO + VIDEO // 20, 2 * VIDEO)))
        node.wait(2)
        node.channel.advance()
        node.settle()
    tracks = {track.info.id: track for track in preview(node).tracks}
    begin_s = {name: int(track.time[0]) / VIDEO for name, track in tracks.items()}
    assert begin_s == {"v1": 120.5, "a": 120.05}
    assert {int(track.period[0]) for track in tracks.values()} == {1}


def test_an_encoder_that_keeps_the_time_of_day_goes_on_with_its_own_times(tmp_path: Path) -> None:
    node = ready(tmp_path)
    node.reset()
    leave(node, 1, 2)
    encoder(node, 11, "v1")
    feed(node, range(11, 12), *range(122, 134, 2))
    assert starts(preview(node), "v1")[:5] == [122, 124, 126, 128, 130]


def test_the_program_is_started_again_on_its_asset(tmp_path: Path) -> None:
    node = was_reset(tmp_path)
    node.start_program()
    assert not node.ended()
    encoder(node, 11, "v1", "v3")
    feed(node, range(11, 13), *range(0, 24, 4), length_s=4)
    times = node.times("v1")
    assert times[:10] == [*range(100, 120, 2)]
    assert len(times) > 12
    assert times == sorted(set(times))
    assert times[10] >= 120


@pytest.mark.parametrize("steps", range(4))
def test_a_crash_at_any_moment_leaves_it_before_or_behind_and_the_next_start_carries_it_out(tmp_path: Path, steps: int) -> None:
    node = ready(tmp_path)
    if steps == 0:
        # The command is durable, and nothing was done.
        node.reset_ns = node.now.utc_ns
    else:
        node.reset()
    if steps > 1:
        node.channel.close_feed(1)
        node.channel.close_feed(2)
        node.channel.advance()
    if steps > 2:
        node.settle()
    node.crash()
    node.wait(10)
    node.channel.advance()
    node.settle()
    assert (shown(node), node.channel.store.ledger.reset_ns) == ("Ready", node.reset_ns)
    with pytest.raises(PackagerError, match="nothing has been published"):
        preview(node)
    assert node.times("v1") == [*range(100, 120, 2)]
    encoder(node, 11, "v1")
    feed(node, range(11, 12), *range(0, 12, 2))
    before = starts(preview(node), "v1")
    assert before[0] >= 120
    node.restart()
    assert starts(preview(node), "v1") == before
    assert shown(node) == "Ready"
    encoder(node, 21, "v1")
    feed(node, range(21, 22), *range(12, 18, 2))
    assert starts(preview(node), "v1")[: len(before)] == before
    assert len(starts(preview(node), "v1")) > len(before)


def test_a_disk_that_does_not_take_it_holds_it_up(tmp_path: Path) -> None:
    node = ready(tmp_path)
    leave(node, 1, 2)
    node.writer.room = 0
    node.reset()
    node.settle()
    assert shown(node) == "Stopping"
    assert "DISK_WRITE_FAILED" in node.channel.alarm.alerts
    node.writer.room = 1 << 40
    node.channel.keep_house()
    node.settle()
    assert shown(node) == "Ready"


def test_one_that_was_stopped_meanwhile_is_reset_when_it_runs_again(tmp_path: Path) -> None:
    node = ready(tmp_path)
    node.reset()
    node.ask("stopped", program="stopped")
    leave(node, 1, 2)
    assert shown(node) == "Stopped"
    node.ask("running", program="running")
    node.settle()
    assert shown(node) == "Streaming"
    assert node.channel.store.ledger.reset_ns == node.reset_ns
    assert not node.channel.showing.incoming.tracks


def test_a_program_that_is_to_run_begins_behind_the_reset(tmp_path: Path) -> None:
    node = ready(tmp_path)
    node.reset()
    node.start_program()
    assert (shown(node), node.ended()) == ("Stopping", True)
    leave(node, 1, 2)
    assert (shown(node), node.ended()) == ("Streaming", False)


@pytest.mark.parametrize("restarts", [False, True])
def test_a_program_that_is_told_to_run_together_with_the_reset_begins_behind_it(tmp_path: Path, *, restarts: bool) -> None:
    node = ready(tmp_path)
    node.reset_ns = node.now.utc_ns
    if restarts:
        node.config = msgspec.structs.replace(node.config, program=[SHOW])
        node.crash()
    else:
        node.start_program()
        assert (shown(node), node.ended()) == ("Stopping", True)
        leave(node, 1, 2)
    node.wait(10)
    node.channel.advance()
    node.settle()
    assert (shown(node), node.ended()) == ("Streaming", False)
    assert not node.channel.showing.incoming.tracks
