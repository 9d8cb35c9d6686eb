"""Signals in real players: hls.js, dash.js and Shaka Player tell of them at their time, while a real encoder sends."""

from __future__ import annotations

import base64
import json
import time
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.helpers.browser import chromium
from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.media import EVENT, material
from tests.helpers.presentation import OUTPUTS
from tests.helpers.raw import post
from tests.helpers.service import push_on_air
from tests.helpers.sparse import TIMESCALE, fragment, header

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]

SCHEME = "urn:example:ads"
PAYLOAD = b"<Acquire id='7'/>"
UTC_IN_DASH_S = 1_577_836_800
"""Presentation time zero where media time is UTC: 2020."""
LATE_S = 1.0
"""Players look a few times a second at what begins; a busy machine adds the longest pause of the page."""
PAUSES = """() => {
  window.longest = 0;
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    window.longest = Math.max(window.longest, (now - last) / 1000);
    last = now;
  }, 20);
}"""

HLS = """async ({ url, scheme }) => {
  const video = document.querySelector("video"), player = new Hls();
  player.on(Hls.Events.ERROR, (_, data) => { if (data.fatal) window.faults.push(data.details); });
  const look = () => {
    for (const track of video.textTracks) {
      if (track.kind !== "metadata") continue;
      track.mode = "hidden";
      for (const cue of track.activeCues ?? []) {
        if (cue.value?.key === "X-PAYLOAD" && !window.seen.length) {
          const utc = player.playingDate.getTime() / 1000;
          window.seen.push({ utc, cue: utc + cue.startTime - video.currentTime, data: String(cue.value.data ?? cue.value.info ?? "") });
        }
      }
    }
  };
  setInterval(look, 50);
  player.loadSource(url);
  player.attachMedia(video);
}"""
DASH = """async ({ url, scheme }) => {
  const video = document.querySelector("video"), player = dashjs.MediaPlayer().create();
  player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) => window.faults.push(error.message));
  player.on(scheme, ({ event }) => {
    const data = typeof event.messageData === "string" ? event.messageData : String.fromCharCode(...event.messageData);
    window.seen.push({ utc: video.currentTime, cue: event.calculatedPresentationTime, data });
  }, null, { mode: "eventModeOnStart" });
  player.initialize(video, url, true);
}"""
SHAKA = """async ({ url, scheme }) => {
  const video = document.querySelector("video"), player = new shaka.Player();
  await player.attach(video);
  player.addEventListener("error", ({ detail }) => window.faults.push(String(detail.code)));
  player.addEventListener("timelineregionenter", ({ detail }) => {
    if (detail.schemeIdUri === scheme) {
      const data = detail.eventElement?.textContent ?? detail.eventNode.children.join("");
      window.seen.push({ utc: video.currentTime, cue: detail.startTime, data });
    }
  });
  await player.load(url);
  await video.play();
}"""
PLAYERS = {
    "hls.js": ("hls.min.js", HLS, "hls", 0),
    "dash.js": ("dash.mediaplayer.min.js", DASH, "dash", UTC_IN_DASH_S),
    "shaka": ("shaka-player.js", SHAKA, "dash", UTC_IN_DASH_S),
}
"""Library, what it is told, output, and UTC of what it calls zero."""


def open_player(browser: Browser, daemon: Daemon, name: str) -> Page:
    """A page of the origin with nothing but a player that remembers signals when their time comes."""
    library, script, output, _ = PLAYERS[name]
    page = browser.new_context(viewport={"width": 160, "height": 90}).new_page()
    page.goto(daemon.origin("healthz"))
    page.set_content("<video autoplay muted></video>")
    page.evaluate("() => { window.seen = []; window.faults = []; }")
    page.evaluate(PAUSES)
    page.add_script_tag(url=daemon.origin(f"static/vendor/{library}"))
    page.evaluate(script, {"url": daemon.presentation("news", OUTPUTS[output].manifest), "scheme": SCHEME})
    return page


def send(daemon: Daemon, *bodies: bytes) -> int:
    url = urlsplit(daemon.ingest("news", "ads"))
    return post(url.port or 80, url.path, bodies).status


def test_players_tell_of_a_signal_at_its_time(tmp_path: Path) -> None:
    source = material(EVENT)
    with running_daemon(tmp_path, Channel("news", settings="fragments_per_segment = 1")) as daemon, ExitStack() as stack:
        stack.enter_context(push_on_air(daemon.ingest("news"), source, tmp_path / "encoder.log"))
        # All formats are judged at the end, and Smooth comes last.
        daemon.wait_for(daemon.presentation("news", OUTPUTS["smooth"].manifest))
        browser = stack.enter_context(chromium())
        pages = {name: open_player(browser, daemon, name) for name in PLAYERS}
        for page in pages.values():
            page.wait_for_function("document.querySelector('video').currentTime > 0", timeout=25_000)
        tracks = json.loads(daemon.fetch(daemon.control("v1/channels/news")))["tracks"]
        parent = next(track["id"] for track in tracks if track["kind"] == "video")
        at = int(time.time()) + 2
        signal = fragment(1, at * TIMESCALE, 4 * TIMESCALE, PAYLOAD)
        assert send(daemon, header("ads", parent, scheme=SCHEME), signal) == HTTPStatus.OK
        found: dict[str, Any] = {}
        for name, page in pages.items():
            page.wait_for_function("window.seen.length > 0", timeout=40_000)
            found[name] = page.evaluate("({ ...window.seen[0], pause: window.longest })")
            assert page.evaluate("window.faults") == [], name
        for name, seen in found.items():
            zero_s = PLAYERS[name][3]
            assert base64.b64decode(seen["data"]) == PAYLOAD, (name, seen)
            assert abs(zero_s + seen["cue"] - at) < 0.05, (name, seen, at)
            assert 0 <= zero_s + seen["utc"] - at + 0.05 < LATE_S + seen["pause"], (name, seen, at)
