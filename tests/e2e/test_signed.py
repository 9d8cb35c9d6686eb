"""A URL with a token plays live, in real players and for the judge; without one nothing does."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.browser import chromium, watch
from tests.helpers.daemon import Channel, Daemon, running_daemon
from tests.helpers.judged import assert_clean, judge_urls
from tests.helpers.media import SINGLE, material
from tests.helpers.presentation import OUTPUTS
from tests.helpers.service import push_on_air

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("browser")]


def call(daemon: Daemon, path: str, body: Any) -> Any:
    answer = daemon.client.post(daemon.control(f"v1/{path}"), json=body)
    assert answer.is_success, answer.text
    return answer.json()


def test_players_play_a_signed_url(tmp_path: Path) -> None:
    with ExitStack() as stack:
        channel = Channel("news", settings="fragments_per_segment = 1")
        daemon = stack.enter_context(running_daemon(tmp_path, channel))
        call(daemon, "signing-keys", {})
        call(daemon, "locators", {"asset": "news", "path": "vip", "signed": True})
        token = call(daemon, "locators/vip/sign", {"viewer": "127.0.0.1", "lifetime": "1h"})["token"]
        root = daemon.origin(f"vip/~{token}/news.ism/")
        with push_on_air(daemon.ingest("news"), material(SINGLE), tmp_path / "encoder.log", loop=True):
            daemon.wait_for(f"{root}manifest(format=m3u8-aapl-v3)", "#EXT-X-STREAM-INF")
            browser = stack.enter_context(chromium())
            pages = [daemon.origin(f"play/vip/~{token}?muted=1&format={name}") for name in ("hls", "dash")]
            for player in [stack.enter_context(watch(browser, page)) for page in pages]:
                assert player.wait_until_playing()["live"]
        daemon.end_program("news")
        assert_clean(judge_urls([f"{root}{output.manifest}" for output in OUTPUTS.values()], compare=True), warnings=False)
        refused = daemon.get(daemon.origin("vip/news.ism/manifest"))
        assert (refused.status_code, refused.json()["code"]) == (403, "TOKEN_MISSING")
        assert token not in daemon.log()
        assert "/vip/~/news.ism/" in daemon.log()
