"""A program that is started again on its asset, by its table: what players are told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from pypackager import packaging
from pypackager.dvr import recorded
from pypackager.model.plan import Published
from tests.component.test_rest import api, made
from tests.helpers.channel_node import ChannelNode
from tests.helpers.presentations import avc, body_of
from tests.helpers.timeline_rig import Header


def encoder(node: ChannelNode, conn: int) -> None:
    node.channel.open_feed(conn, "primary", "v1")
    node.channel.track_found(conn, cast(Any, Header(1, "video", codec_private=avc(640, 360).codec_private)))
    node.channel.admit(conn)


def ended(tmp_path: Path) -> ChannelNode:
    """From 100 to 120 seconds, segments of six seconds at multiples of six."""
    node = ChannelNode(tmp_path)
    encoder(node, 1)
    node.live(1, *range(100, 120, 2))
    node.stop_program()
    assert node.ended()
    return node


def lines(node: ChannelNode, path: str, *starts: str) -> list[str]:
    """The lines of a manifest that start with one of these."""
    body = body_of(packaging.answer(node.channel.programs.present("show"), path, "")).decode()
    return [line for line in body.split("\n") if line.startswith(starts)]


def chunks(node: ChannelNode) -> int:
    """Fragments that the Smooth manifest lists."""
    return sum(int(line.partition(' r="')[2].partition('"')[0] or 1) for line in lines(node, "manifest", "<c "))


def test_players_of_each_format_are_told_of_the_stretch_between_the_runs(tmp_path: Path) -> None:
    node = ended(tmp_path)
    node.live(1, *range(120, 134, 2))
    node.start_program()
    assert not node.ended()
    assert node.times("v1") == [*range(100, 120, 2)], "live at once, with what it had"
    listed = lines(node, "hls/v1.m3u8", "../v1")
    node.live(1, *range(134, 148, 2))
    assert node.times("v1") == [*range(100, 120, 2), *range(138, 148, 2)], "from the next segment on"
    assert lines(node, "hls/v1.m3u8", "../v1", "#EXT-X-DIS", "#EXT-X-END", "#EXT-X-PROGRAM")[1:] == [
        *listed,
        "#EXT-X-DISCONTINUITY",
        "#EXT-X-PROGRAM-DATE-TIME:2026-09-21T14:13:58.000Z",
        "../v1/12420000-3.m4s",
    ]
    assert lines(node, "manifest(format=mpd-time-cmaf)", "<Period", "<S ") == [
        '<Period id="0" start="PT100S">',
        '<S t="9000000" d="180000" r="9"/>',
        '<Period id="1" start="PT138S">',
        '<S t="12420000" d="180000" r="4"/>',
    ]
    assert lines(node, "manifest", "<c ")[1:3] == ['<c t="10620000" d="180000"/>', '<c t="12420000" d="180000"/>']
    assert len(body_of(packaging.answer(node.channel.programs.present("show"), "hds/v1.abst", ""))) > 100
    node.stop_program()
    assert lines(node, "hls/v1.m3u8", "#EXT-X-MEDIA-SEQ", "../v1", "#EXT-X-END") == [
        "#EXT-X-MEDIA-SEQUENCE:16",
        *listed,
        "../v1/12420000-3.m4s",
        "../v1/12960000-2.m4s",
        "#EXT-X-ENDLIST",
    ]


def test_the_last_smooth_fragments_of_a_run_stay_what_they_were_when_it_ended(tmp_path: Path) -> None:
    node = ended(tmp_path)

    def plans() -> list[Published]:
        shown = node.channel.programs.present("show")
        times = [time * 90_000 for time in range(100, 120, 2)]
        return [packaging.answer(shown, f"QualityLevels(4000)/Fragments(video={time})", "") for time in times]

    served = plans()
    assert len({published.etag[-2:] for published in served}) == 2, "the last two name no successors"
    node.start_program()
    assert plans() == served, "while nothing of the new run is listed"
    assert chunks(node) == 10, "listed as they were"
    node.live(1, 120)
    assert chunks(node) == 10
    node.live(1, 122, 124, 126)
    assert plans() == served
    assert chunks(node) == 12, "of the new run those that have their look-ahead"


def test_an_encoder_that_began_anew_in_between_makes_one_discontinuity(tmp_path: Path) -> None:
    node = ended(tmp_path)
    node.channel.close_feed(1)
    node.wait(600)
    node.start_program()
    encoder(node, 2)
    node.live(2, *range(720, 734, 2))
    assert node.times("v1") == [*range(100, 120, 2), *range(720, 734, 2)]
    assert len(lines(node, "hls/v1.m3u8", "#EXT-X-DISCONTINUITY")) == 1
    assert lines(node, "manifest(format=mpd-time-cmaf)", "<Period") == ['<Period id="0" start="PT100S">', '<Period id="1" start="PT720S">']


def test_it_goes_on_after_a_restart_of_the_daemon(tmp_path: Path) -> None:
    node = ended(tmp_path)
    node.restart()
    assert node.ended(), "the table says stopped"
    node.start_program()
    encoder(node, 2)
    node.live(2, *range(118, 130, 2))
    node.restart()
    assert not node.ended()
    encoder(node, 3)
    node.live(3, *range(126, 134, 2))
    assert node.times("v1") == [*range(100, 134, 2)]
    node.stop_program()
    node.restart()
    assert (node.ended(), node.times("v1")) == (True, [*range(100, 134, 2)])


async def test_the_event_loop_reads_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 25 hours it takes a third of a second, in which no channel could take or publish anything."""
    seen: list[tuple[str, bool]] = []

    def noted(name: str) -> Callable[..., Any]:
        real = getattr(recorded, name)

        def call(*values: Any) -> Any:
            seen.append((name, threading.current_thread() is threading.main_thread()))
            return real(*values)

        return call

    life = api(tmp_path)
    async with life.running():
        await made(life)
        await life.carried_out("POST", "channels/ch/start")
        await life.carried_out("POST", "channels/ch/programs/show/start")
        await life.push()
        await life.carried_out("POST", "channels/ch/programs/show/stop")
        await life.fine("DELETE", "channels/ch/programs/show", status=204)
        for name in ("fold", "taken"):
            monkeypatch.setattr(recorded, name, noted(name))
        await life.fine("POST", "channels/ch/programs", {"name": "again", "asset": "show"}, 201)
        await life.carried_out("POST", "channels/ch/programs/again/start")
        assert (await life.fine("GET", "channels/ch/programs/again"))["state"] == "Running"
    assert set(seen) == {("fold", False), ("taken", False)}
