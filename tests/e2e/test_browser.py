"""The player page in a real browser: thirty seconds live in every player, without an error."""

from __future__ import annotations

import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from lxml import etree

from tests.helpers.browser import assert_all_play, chromium, watch
from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.encoders import LADDER_PUBLISHES, push_isml, push_rtmp, wait_until
from tests.helpers.media import AUDIO_ONLY, EVENT, LADDER, LADDER_LONG, PLAIN, VIDEO_ONLY, Recipe, material
from tests.helpers.presentation import chunk_times
from tests.helpers.service import push_on_air

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]

LIVE_SECONDS = 30
PLAYERS = ("hls", "dash", "smooth", "ts", "ts3", "shaka-dash", "shaka-hls")
# With one fragment a segment a player has its three target durations when Smooth has its four chunks.
QUICK = "fragments_per_segment = 1"
# Alone, audio would be one endless fragment: nothing in it says where to cut.
CUT = ("-frag_duration", "2000000")


def wait_for_all(daemon: Daemon) -> None:
    """Until all formats are there: Smooth is the last."""
    daemon.wait_for(daemon.presentation("news", "manifest"), "<c ")


@pytest.mark.parametrize("protocol", ["fmp4", "rtmp"])
def test_players_play_live(protocol: str, tmp_path: Path) -> None:
    """All at once: together they take less than half a processor."""
    source = material(LADDER_LONG)
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, Channel("news", protocol=protocol, settings=QUICK)))
        log = tmp_path / "encoder.log"
        if protocol == "fmp4":
            stack.enter_context(push_isml(daemon.ingest("news"), source, log))
        else:
            stack.enter_context(push_rtmp(daemon.rtmp("news"), source, log, LADDER_PUBLISHES))
        wait_for_all(daemon)
        browser = stack.enter_context(chromium())
        players = {
            name: stack.enter_context(watch(browser, daemon.origin(f"play/news?muted=1&format={name}"), tmp_path / f"{name}.png"))
            for name in PLAYERS
        }
        assert_all_play(players, LIVE_SECONDS)
        for name, player in players.items():
            state = player.state()
            assert state["format"] == name
            assert state["live"], f"{name} does not know that it is live"
            assert len(state["layers"]) == 4, f"{name}: {state['layers']}"
            if name != "ts3":
                # RTMP cannot say languages: there the tracks' names tell them apart.
                assert len({audio["name"] for audio in state["audios"]}) == 2, f"{name}: {state['audios']}"


@pytest.mark.parametrize("protocol", ["fmp4", "rtmp"])
def test_who_comes_first_plays(protocol: str, tmp_path: Path) -> None:
    """Each player takes its manifest at the first instant at which it is there, and plays on."""
    source = material(EVENT)
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, Channel("news", protocol=protocol, settings=QUICK)))
        browser = stack.enter_context(chromium())
        log = tmp_path / "encoder.log"
        if protocol == "fmp4":
            stack.enter_context(push_isml(daemon.ingest("news"), source, log))
        else:
            stack.enter_context(push_rtmp(daemon.rtmp("news"), source, log, {"v1": ["0:0"], "v2": ["0:1", "0:2"]}))
        players = {}
        for name, manifest in (("hls", "manifest(format=m3u8-cmaf)"), ("dash", "manifest.mpd"), ("smooth", "manifest")):
            wait_at_once(daemon, daemon.presentation("news", manifest))
            players[name] = stack.enter_context(watch(browser, daemon.origin(f"play/news?muted=1&format={name}"), tmp_path / f"{name}.png"))
        begun = {name: player.wait_until_playing()["currentTime"] for name, player in players.items()}
        for name, player in players.items():
            state = player.wait_for_time(begun[name] + 20, 40)
            # It begins at the edge: what it asks for too early it is told so (412).
            faults = [fault for fault in player.faults if name != "smooth" or "status of 412" not in fault]
            assert not [*state["errors"], *faults, *player.outside], f"{name}: {player.report(state)}"


def wait_at_once(daemon: Daemon, url: str) -> None:
    """Until a URL answers, and not a moment longer."""
    deadline = time.monotonic() + 40
    while not daemon.probe(url):
        assert time.monotonic() < deadline, daemon.tail()
        time.sleep(0.01)


def test_players_play_on_when_the_encoder_restarts_at_zero_with_another_size(tmp_path: Path) -> None:
    first, second = material(PLAIN), material(LADDER)
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, Channel("news", settings=QUICK)))
        with push_isml(daemon.ingest("news"), first, tmp_path / "first.log", loop=True):
            wait_for_all(daemon)
            browser = stack.enter_context(chromium())
            page = daemon.origin("play/news?muted=1&format=")
            players = {name: stack.enter_context(watch(browser, page + name)) for name in ("hls", "dash", "smooth", "shaka-dash")}
            before = {name: player.wait_for_width(160) for name, player in players.items()}
        # As long as a restart takes at the least.
        time.sleep(2)
        stack.enter_context(push_isml(daemon.ingest("news"), second, tmp_path / "second.log", maps=["0:1", "0:4"], loop=True))
        after = {name: player.wait_for_width(320) for name, player in players.items()}
        for name, player in players.items():
            state = player.wait_for_time(after[name]["currentTime"] + 4)
            # A Smooth player asks for what should come next; while no encoder is there, 412 says that it is not there yet.
            faults = [fault for fault in player.faults if name != "smooth" or "status of 412" not in fault]
            assert not [*state["errors"], *faults, *player.outside], f"{name}: {player.report(state)}"
            # Nothing came for a moment: players that were near the live edge wait there once.
            assert after[name]["stalls"] - before[name]["stalls"] <= 1, f"{name}: {player.report(after[name])}"


@pytest.mark.parametrize("recipe", [AUDIO_ONLY, VIDEO_ONLY], ids=lambda recipe: recipe.name)
def test_feeds_without_picture_or_sound_play(recipe: Recipe, tmp_path: Path) -> None:
    source = material(recipe)
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, Channel("news", settings=QUICK)))
        stack.enter_context(push_on_air(daemon.ingest("news"), source, tmp_path / "encoder.log", loop=True, extra=CUT))
        wait_for_all(daemon)
        browser = stack.enter_context(chromium())
        page = daemon.origin("play/news?muted=1&format=")
        players = {name: stack.enter_context(watch(browser, page + name)) for name in ("hls", "dash", "smooth")}
        assert_all_play(players, 8)


def test_layers_stay_listed_when_the_machine_drops_frames(tmp_path: Path) -> None:
    """Shaka bans a layer for half a minute when the machine can't show its frames; what the stream offers is another question."""
    source = material(LADDER)
    every_frame_dropped = """HTMLVideoElement.prototype.getVideoPlaybackQuality = function () {
        const frames = Math.round(this.currentTime * 25);
        return { totalVideoFrames: frames, droppedVideoFrames: frames };
    }"""
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, Channel("news")))
        push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", rate=0).finish()
        browser = stack.enter_context(chromium())
        page = daemon.origin("play/news?muted=1&format=")
        names = ("hls", "dash", "shaka-dash", "shaka-hls")
        players = {name: stack.enter_context(watch(browser, page + name, script=every_frame_dropped)) for name in names}
        for player in players.values():
            player.wait_until_playing()
        # Shaka looks every two seconds.
        players["hls"].page.wait_for_timeout(5000)
        for name, player in players.items():
            assert len(player.state()["layers"]) == 4, f"{name}: {player.state()['layers']}"
        # All came at once, so that a judge of what is live would find it early.
        daemon.end_program("news")


def test_the_window_plays_on_demand_after_the_end(tmp_path: Path) -> None:
    source = material(LADDER)
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, Channel("news")))
        push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", rate=0).finish()
        daemon.end_program("news")
        browser = stack.enter_context(chromium())
        page = daemon.origin("play/news?muted=1&format=")
        players = {name: stack.enter_context(watch(browser, page + name)) for name in ("hls", "ts", "dash", "shaka-dash", "smooth")}
        assert_all_play(players, 8)
        assert not any(player.state()["live"] for player in players.values())


SEEKS = """window.seeks = [];
const held = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "currentTime");
Object.defineProperty(HTMLMediaElement.prototype, "currentTime", {
  get() { return held.get.call(this); },
  set(value) { window.seeks.push(value); held.set.call(this, value); },
});"""


def test_smooth_begins_where_there_is_a_picture(tmp_path: Path) -> None:
    """Where a chunk begins there is none yet, and dash.js, which has to seek once more then, may lose its way."""
    source = material(EVENT)
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, Channel("news", settings=QUICK)))
        stack.enter_context(push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log"))
        browser = stack.enter_context(chromium())
        # At the first instant the window is as short as it can be, and a little later it is long enough for the usual distance.
        for chunks in (4, 8):
            daemon.wait_for(daemon.presentation("news", "manifest"), "<c ")
            wait_until(partial(lists, daemon, chunks), "the window does not grow")
            player = stack.enter_context(watch(browser, daemon.origin("play/news?muted=1&format=smooth"), script=SEEKS))
            player.wait_until_playing()
            assert len(player.page.evaluate("window.seeks")) == 1, player.report(player.state())


def lists(daemon: Daemon, chunks: int) -> bool:
    """Whether so many chunks of pictures are listed."""
    manifest = etree.fromstring(daemon.fetch(daemon.presentation("news", "manifest")))
    return len(chunk_times(next(iter(manifest.iter("StreamIndex"))))) >= chunks
