"""Real players: the console's player page in headless Chromium, driven through Playwright.

In: a page's URL. Out: what the page says of itself (`window.__player`) and what the browser's console said. Downloads no browser.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

from tests.helpers.encoders import program

_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--autoplay-policy=no-user-gesture-required", "--mute-audio",
    # Timers of a page nobody looks at must not slow down.
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows",
]  # fmt: skip
_STATE = """() => {
  const p = window.__player;
  if (!p) return null;
  const { format, currentTime, playing, latency, live, buffered, layer, layers, audios, audio, range, stalls, errors } = p;
  return { format, currentTime, playing, latency, live, buffered, layer, layers, audios, audio, range, stalls, errors: [...errors] };
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

    def wait_until_playing(self, seconds: float = 25.0) -> dict[str, Any]:
        """Waits for the first moving picture."""
        deadline = time.monotonic() + seconds
        while True:
            state = self.state()
            if state.get("playing") and state["currentTime"] > 0:
                return state
            assert time.monotonic() < deadline, f"no picture after {seconds} s: {self.report(state)}"
            self.page.wait_for_timeout(100)

    def assert_plays(self, seconds: float, *, stalls: int = 0) -> dict[str, Any]:
        """Demands that `seconds` of media play without an error, in at most twice that time (a browser shares its core with other tests).

        Args:
            seconds: For how long.
            stalls: How often it may run dry after it started.
        """
        first = self.wait_until_playing()
        began = time.monotonic()
        while self.state()["currentTime"] - first["currentTime"] < seconds and time.monotonic() < began + 2 * seconds:
            self.page.wait_for_timeout(500)
        state, elapsed = self.state(), time.monotonic() - began
        advanced = state["currentTime"] - first["currentTime"]
        assert not state["errors"], self.report(state)
        assert not self.faults, self.report(state)
        assert state["stalls"] - first["stalls"] <= stalls, self.report(state)
        # A player may catch up with the live edge at up to 1.1 times the speed, or jump once over a gap.
        assert seconds <= advanced <= elapsed * 1.15 + 1.0, f"{advanced:.1f} s played in {elapsed:.1f} s: {self.report(state)}"
        assert not self.outside, f"asked outside hosts: {self.outside}"
        return state

    def report(self, state: dict[str, Any]) -> str:
        """All there is to know, for a failure's message."""
        return f"{self.page.url}\nstate: {state}\nfaults: {self.faults}"


@contextmanager
def chromium() -> Iterator[Browser]:
    """The system's Chromium, headless, with a profile of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium", "chromium"), headless=True, args=_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def watch(browser: Browser, url: str, screenshot: Path | None = None) -> Iterator[Player]:
    """Opens a player page in a context of its own; `screenshot` keeps its last picture."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
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
