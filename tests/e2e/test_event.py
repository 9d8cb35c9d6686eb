"""The whole life of an event, run over REST, by commands and by the configuration file, with real encoders and a real browser."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from lxml import etree

from tests.helpers.browser import chromium, watch
from tests.helpers.daemon import Daemon, running_daemon
from tests.helpers.encoders import push_isml, wait_until
from tests.helpers.frames import assert_presentation, read_file
from tests.helpers.hands import Api, Commands, File, Hand, call
from tests.helpers.judged import assert_clean, judge_urls
from tests.helpers.media import EVENT, LADDER_SHORT, material
from tests.helpers.presentation import DASH, OUTPUTS, timeline
from tests.helpers.service import push_on_air

pytestmark = pytest.mark.e2e

MPD = OUTPUTS["dash"].manifest
SEEKABLE = "() => { const range = document.querySelector('video').seekable; return [range.start(0), range.end(0)]; }"
BEGUN_AT = "() => document.querySelector('video').played.start(0)"


def manifests(daemon: Daemon, asset: str) -> list[str]:
    return [daemon.origin(f"{asset}/{asset}.ism/{output.manifest}") for output in OUTPUTS.values()]


def refused(daemon: Daemon, method: str, path: str) -> tuple[int, str]:
    answer = daemon.client.request(method, daemon.control(f"v1/{path}"))
    return answer.status_code, answer.json()["code"]


def fragments(daemon: Daemon, asset: str) -> int:
    """How many of two seconds are listed."""
    mpd = etree.fromstring(daemon.fetch(daemon.origin(f"{asset}/{asset}.ism/{MPD}")))
    return min(len(timeline(template)) for template in mpd.iter(f"{DASH}SegmentTemplate"))


def see(url: str, *, live: bool) -> None:
    """A viewer: live until it plays, on demand from the beginning to the end."""
    with chromium() as browser, watch(browser, url) as player:
        state = player.wait_until_playing()
        assert state["live"] == live
        if not live:
            first, last = player.page.evaluate(SEEKABLE)
            # However long ago that was.
            assert player.page.evaluate(BEGUN_AT) - first < 3
            state = player.wait_for_time(last - 0.3, seconds=40)
        assert not [*state["errors"], *player.faults, *player.outside], player.report(state)


@pytest.mark.parametrize("make", [Api, Commands, File], ids=["rest", "commands", "file"])
def test_an_event(make: type[Api | Commands | File], tmp_path: Path) -> None:
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, unjudged="it is judged below, while it is there"))
        hand: Hand = make(daemon)
        seen = make is Api
        hand.create_channel()
        channel = call(daemon, "GET", "channels/news")
        assert (channel["state"], channel["status"]) == ("Stopped", "Stopped")
        ingest = channel["ingest"]["primary"][0].format(stream="ladder")
        preview = daemon.origin("preview/news.isml/manifest")
        hand.tell_channel("start")
        encoder = stack.enter_context(push_on_air(ingest, material(EVENT), tmp_path / "first.log"))
        assert daemon.wait_for(preview, "<c ").count("<QualityLevel ") == 3
        assert call(daemon, "GET", "channels/news")["status"] == "Ready"
        if seen:
            see(daemon.origin("play/preview/news?muted=1"), live=True)

        hand.create_program("archive", "6h", publish=False)
        hand.create_program("show", "10m", publish=True)
        hand.create_program("match", "5m", publish=True)
        for name in ("archive", "show", "match"):
            hand.tell_program(name, "start")
        assert call(daemon, "GET", "channels/news")["status"] == "Streaming"
        hand.create_program("fourth", "5m", publish=False)
        assert refused(daemon, "POST", "channels/news/programs/fourth/start") == (409, "TOO_MANY_PROGRAMS")
        hand.tell_program("fourth", "delete")
        daemon.wait_for(daemon.origin(f"match/match.ism/{MPD}"), "<S ")
        if seen:
            see(daemon.origin("play/show?muted=1"), live=True)
        wait_until(lambda: fragments(daemon, "match") >= 3, "it does not go on")
        assert refused(daemon, "POST", "channels/news/stop") == (409, "PROGRAMS_RUNNING")

        # One ends and is video on demand, whatever becomes of its program.
        hand.tell_program("match", "stop")
        # At once: within a second, and as long as a process takes to start here.
        daemon.wait_for(daemon.origin(f"match/match.ism/{MPD}"), 'type="static"', seconds=1 + daemon.start_seconds)
        hand.tell_program("match", "delete")
        hand.publish("match")
        sent = read_file(material(EVENT))
        for name, output in OUTPUTS.items():
            got = output.read(daemon.fetch, daemon.origin(f"match/match.ism/{output.manifest}"))
            assert min(len(track.frames) for track in got) > 5 * 25, f"{name}: of six seconds"
            assert_presentation(sent, got, whole=False, one_audio=output.one_audio)
        assert_clean(judge_urls(manifests(daemon, "match"), compare=True), warnings=False)
        if seen:
            see(daemon.origin("play/match?muted=1"), live=False)
        hand.delete("locator", "match")
        assert {daemon.get(url).status_code for url in manifests(daemon, "match")} == {httpx.codes.NOT_FOUND}
        hand.publish("match")
        assert {daemon.get(url).status_code for url in manifests(daemon, "match")} == {httpx.codes.OK}
        assert refused(daemon, "DELETE", "assets/show") == (409, "ASSET_IN_USE")

        # Another encoder, with other layers: reset, and the program goes on in a new period.
        for name in ("archive", "show"):
            hand.tell_program(name, "stop")
        assert refused(daemon, "DELETE", "assets/show") == (409, "ASSET_IN_USE")
        hand.tell_channel("reset")
        wait_until(lambda: not encoder.running(), "the encoder was not told")
        assert daemon.get(preview).status_code == httpx.codes.NOT_FOUND
        hand.tell_program("show", "start")
        stack.enter_context(push_isml(ingest, material(LADDER_SHORT), tmp_path / "second.log")).finish()
        daemon.wait_for_encoders()
        hand.tell_program("show", "stop")
        assert daemon.fetch(daemon.origin(f"show/show.ism/{MPD}")).decode().count("<Period ") == 2
        # Each by itself: where layers change in the middle, formats differ in what they can say of it.
        for url in manifests(daemon, "show"):
            assert_clean(judge_urls([url]), warnings=False)

        hand.tell_channel("stop")
        for name in ("archive", "show"):
            hand.tell_program(name, "delete")
        hand.tell_channel("delete")
        assert call(daemon, "GET", "channels")["items"] == []
        hand.publish("show")
        assert_clean(judge_urls([daemon.origin(f"show/show.ism/{MPD}")]), warnings=False)
        for name in ("match", "show"):
            hand.delete("locator", name)
        for name in ("archive", "match", "show"):
            hand.delete("asset", name)
        assert not any((daemon.data / "assets").iterdir())
        # A channel of that name uses none of its URLs again.
        assert [path.name for path in (daemon.data / "channels").rglob("*") if path.is_file()] == ["past.json"]
