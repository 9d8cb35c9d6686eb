"""The player page in a real browser: thirty seconds live in every player, without an error."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.helpers.browser import Player, chromium, watch
from tests.helpers.daemon import Channel, running_daemon
from tests.helpers.encoders import LADDER_PUBLISHES, push_isml, push_rtmp
from tests.helpers.media import AUDIO_ONLY, LADDER, VIDEO_ONLY, Recipe, material

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]

LIVE_SECONDS = 30
# With one fragment a segment a player has its three target durations after six seconds.
QUICK = "fragments_per_segment = 1"
# Alone, audio would be one endless fragment: nothing in it says where to cut.
CUT = ("-frag_duration", "2000000")


@pytest.mark.timeout(150)
@pytest.mark.parametrize("formats", [("hls", "dash", "smooth"), ("ts", "ts3", "shaka-dash", "shaka-hls")], ids="+".join)
@pytest.mark.parametrize("protocol", ["fmp4", "rtmp"])
def test_players_play_live(formats: tuple[str, ...], protocol: str, tmp_path: Path) -> None:
    source = material(LADDER)
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, Channel("news", protocol=protocol, settings=QUICK)))
        log = tmp_path / "encoder.log"
        if protocol == "fmp4":
            stack.enter_context(push_isml(daemon.ingest("news"), source, log, loop=True))
        else:
            stack.enter_context(push_rtmp(daemon.rtmp("news"), source, log, LADDER_PUBLISHES, loop=True))
        daemon.wait_for(daemon.presentation("news", "manifest(format=m3u8-cmaf)"), "#EXT-X-STREAM-INF")
        time.sleep(6)
        browser = stack.enter_context(chromium())
        players = {
            name: stack.enter_context(watch(browser, daemon.origin(f"play/news?muted=1&format={name}"), tmp_path / f"{name}.png"))
            for name in formats
        }
        assert_all_play(players, LIVE_SECONDS)
        for name, player in players.items():
            state = player.state()
            assert state["format"] == name
            assert state["live"], f"{name} does not know that it is live"
            # On a busy machine shaka was seen to list two or three of the four layers, without an error; why is not known yet.
            assert 1 <= len(state["layers"]) <= 4 if "shaka" in name else len(state["layers"]) == 4, f"{name}: {state['layers']}"
            if name != "ts3":
                # RTMP cannot say languages: there the tracks' names tell them apart.
                assert len({audio["name"] for audio in state["audios"]}) == 2, f"{name}: {state['audios']}"


def assert_all_play(players: dict[str, Player], seconds: float) -> None:
    """All at once: the wait is the same for one and for many.

    Each plays `seconds` of media, which takes that long or, where several decoders share a core with other tests, up to twice as long.
    """
    began = {}
    for name, player in players.items():
        state = player.wait_until_playing()
        began[name] = (time.monotonic(), state["currentTime"], state["stalls"])
    deadline = time.monotonic() + 2 * seconds
    behind = set(players)
    while behind and time.monotonic() < deadline:
        next(iter(players.values())).page.wait_for_timeout(1000)
        behind = {name for name in behind if players[name].state()["currentTime"] - began[name][1] < seconds}
    faults = []
    for name, player in players.items():
        state, (start, position, stalls) = player.state(), began[name]
        elapsed, advanced = time.monotonic() - start, state["currentTime"] - position
        # A player may catch up with the live edge at up to 1.1 times the speed, or jump once over a gap.
        too_fast = advanced > elapsed * 1.15 + 2
        if state["errors"] or player.faults or player.outside or name in behind or too_fast or state["stalls"] > stalls + 1:
            faults.append(f"{name}: {advanced:.1f} s in {elapsed:.1f} s; outside {player.outside}; {player.report(state)}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("recipe", [AUDIO_ONLY, VIDEO_ONLY], ids=lambda recipe: recipe.name)
def test_feeds_without_picture_or_sound_play(recipe: Recipe, tmp_path: Path) -> None:
    source = material(recipe)
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, Channel("news", settings=QUICK)))
        stack.enter_context(push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", loop=True, extra=CUT))
        daemon.wait_for(daemon.presentation("news", "manifest(format=m3u8-cmaf)"), "#EXT-X-STREAM-INF")
        time.sleep(6)
        browser = stack.enter_context(chromium())
        page = daemon.origin("play/news?muted=1&format=")
        players = {name: stack.enter_context(watch(browser, page + name)) for name in ("hls", "dash", "smooth")}
        assert_all_play(players, 8)


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
