"""Real players: the console's player page in headless Chromium, driven through Playwright.

In: a page's URL. Out: what the page says of itself (`window.__player`) and what the browser's console said. Downloads no browser.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

from tests.helpers.encoders import program
from tests.helpers.media import PLAIN, material

_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
    # Timers of a page nobody looks at must not slow down.
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
]  # fmt: skip
SLOWEST, FASTEST = 0.95, 1.15
"""Media time against the clock."""
DROPPED = 0.1
SLOWEST_MACHINE = 0.75
_PLAIN_STATE = """() => {
  const video = document.querySelector("video"), quality = video.getVideoPlaybackQuality();
  return [video.currentTime, quality.droppedVideoFrames, quality.totalVideoFrames];
}"""
_STATE = """() => {
  const p = window.__player;
  if (!p) return null;
  const { format, currentTime, playing, latency, live, buffered, layer, layers, audios, audio, range, stalls, dropped } = p;
  const frames = document.querySelector("video").getVideoPlaybackQuality().totalVideoFrames;
  const errors = [...p.errors];
  return { format, currentTime, playing, latency, live, buffered, layer, layers, audios, audio, range, stalls, dropped, frames, errors };
}"""


@dataclass
class Player:
    """A player page and everything that went wrong in it."""

    page: Page
    host: str
    faults: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    """Requests to hosts other than ours: there must be none."""

    def state(self) -> dict[str, Any]:
        """What the page says of itself."""
        state = self.page.evaluate(_STATE)
        return dict(state) if state else {}

    def wait_until_playing(self, seconds: float = 60.0) -> dict[str, Any]:
        """Waits for the first moving picture."""
        return self._wait_until(lambda state: bool(state.get("playing")) and state["currentTime"] > 0, "no picture", seconds)

    def wait_for_width(self, width: int, seconds: float = 60.0) -> dict[str, Any]:
        """Waits until it plays a picture so wide in its own pixels."""

        def shown(state: dict[str, Any]) -> bool:
            return bool(state.get("playing")) and self.page.evaluate("document.querySelector('video').videoWidth") == width

        return self._wait_until(shown, f"no picture {width} wide", seconds)

    def wait_for_time(self, media_time: float, seconds: float = 60.0) -> dict[str, Any]:
        """Waits until it has played up to a time of the media."""
        return self._wait_until(lambda state: state["currentTime"] >= media_time, f"it does not reach {media_time:.1f} s", seconds)

    def duration(self) -> float:
        """Where what it plays ends, in its own time."""
        return float(self.page.evaluate("document.querySelector('video').duration"))

    def _wait_until(self, condition: Callable[[dict[str, Any]], bool], what: str, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while True:
            state = self.state()
            if condition(state):
                return state
            assert time.monotonic() < deadline, f"{what} after {seconds} s: {self.report(state)}"
            self.page.wait_for_timeout(100)

    def begin(self) -> Passage:
        """Starts to watch."""
        return Passage(self, self.wait_until_playing(), time.monotonic())

    def report(self, state: dict[str, Any]) -> str:
        """All there is to know, for a failure's message."""
        return f"{self.page.url}\nstate: {state}\nfaults: {self.faults}"


@dataclass
class Passage:
    """What a player plays from a moment on."""

    player: Player
    first: dict[str, Any]
    began: float

    def fault(self, machine: Machine) -> str:
        """What was wrong with it; empty when all went well.

        Media time goes on with the clock (a player may catch up with the live edge at 1.1 times the speed, or jump once over a gap), few
        frames are dropped, and nothing stalls, fails, or asks another host.
        """
        player, state = self.player, self.player.state()
        elapsed = time.monotonic() - self.began
        advanced, stalls, dropped, frames = (state[key] - self.first[key] for key in ("currentTime", "stalls", "dropped", "frames"))
        steady = SLOWEST * machine.pace * elapsed <= advanced <= FASTEST * elapsed + 1.0
        smooth = dropped <= (DROPPED + machine.dropped) * frames
        if steady and smooth and not stalls and not (state["errors"] or player.faults or player.outside):
            return ""
        played = f"{advanced:.1f} s in {elapsed:.1f} s, {stalls} stalls, {dropped} of {frames} frames dropped"
        return f"{played}; {machine}; outside {player.outside}; {player.report(state)}"


@dataclass(frozen=True)
class Machine:
    """How a plain file plays in the same browser at the same time: no player can do better than that."""

    pace: float
    """Of media time against the clock."""
    dropped: float
    """Share of the frames."""

    def __str__(self) -> str:
        """For a failure's message."""
        load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
        return f"{load}, a plain file plays at {self.pace:.2f} with {self.dropped:.2f} of its frames dropped"


def assert_all_play(players: Mapping[str, Player], seconds: float) -> None:
    """Demands that players play for `seconds` as a viewer expects; all at once, so that the wait is the same for one and for many.

    A plain file plays beside them: what a busy machine takes from that, it takes from every player.
    """
    for player in players.values():
        player.wait_until_playing()
    page = next(iter(players.values())).page
    with _plain_file(page.context.browser) as look:
        passages = {name: player.begin() for name, player in players.items()}
        first, began = look(), time.monotonic()
        page.wait_for_timeout(seconds * 1000)
        position, dropped, frames = (now - then for now, then in zip(look(), first, strict=True))
        machine = Machine(min(1.0, position / (time.monotonic() - began)), dropped / max(1.0, frames))
        assert machine.pace >= SLOWEST_MACHINE, f"nothing can be said of players here: {machine}"
        faults = [f"{name}: {fault}" for name, passage in passages.items() if (fault := passage.fault(machine))]
    assert not faults, "\n".join(faults)


@contextmanager
def _plain_file(browser: Browser | None) -> Iterator[Callable[[], list[float]]]:
    """Plays a small file without any library; gives a function that tells its position, the frames dropped, and all frames."""
    assert browser is not None
    source = base64.b64encode(material(PLAIN).read_bytes()).decode()
    context = browser.new_context(viewport={"width": 160, "height": 90})
    try:
        page = context.new_page()
        page.set_content(f'<video autoplay muted src="data:video/mp4;base64,{source}"></video>')
        page.wait_for_function("document.querySelector('video').currentTime > 0")
        yield lambda: list(page.evaluate(_PLAIN_STATE))
    finally:
        context.close()


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """The system's Chromium, headless, with a profile of its own, and with more flags."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium", "chromium"), headless=True, args=[*_FLAGS, *flags])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watch(browser: Browser, url: str, screenshot: Path | None = None, *, script: str = "") -> Iterator[Player]:
    """Opens a player page in a context of its own; `screenshot` keeps its last picture, `script` runs before the page's own."""
    # A telephone's size: without a graphics card each pixel costs processor time.
    context = browser.new_context(viewport={"width": 412, "height": 800})
    page = context.new_page()
    if script:
        page.add_init_script(script)
    player = Player(page, urlsplit(url).netloc)
    page.on("pageerror", lambda error: player.faults.append(f"page: {error}"))
    page.on("console", lambda line: player.faults.append(f"console: {line.text}") if line.type == "error" else None)
    page.on("request", lambda request: _note(player, request.url))
    try:
        page.goto(url, wait_until="domcontentloaded")
        yield player
    finally:
        if screenshot:
            page.screenshot(path=str(screenshot))
        context.close()


def _note(player: Player, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme in {"http", "https"} and parts.netloc != player.host:
        player.outside.append(url)
