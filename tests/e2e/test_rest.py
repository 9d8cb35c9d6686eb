"""An event that is run over REST alone, with a real daemon and ffmpeg, over a kill in between."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.daemon import Daemon, running_daemon
from tests.helpers.encoders import push_isml, wait_until
from tests.helpers.judged import assert_clean, judge_urls
from tests.helpers.media import LADDER_SHORT, SINGLE, material
from tests.helpers.presentation import OUTPUTS

pytestmark = pytest.mark.e2e


def call(daemon: Daemon, method: str, path: str, body: Any = None) -> Any:
    answer = daemon.client.request(method, daemon.control(f"v1/{path}"), json=body)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


def carry_out(daemon: Daemon, method: str, path: str) -> None:
    operation = call(daemon, method, path)
    deadline = time.monotonic() + 20
    while operation["status"] == "running":
        assert time.monotonic() < deadline, f"{path} does not end"
        time.sleep(0.05)
        operation = call(daemon, "GET", f"operations/{operation['id']}")
    assert operation["status"] == "done", operation


def test_an_encoder_with_other_layers_after_a_reset(tmp_path: Path) -> None:
    with running_daemon(tmp_path, unjudged="it is judged below, while it is there") as daemon:
        ingest = call(daemon, "POST", "channels", {"name": "news", "ingest_allow": ["127.0.0.1"]})["ingest"]["primary"][0]
        call(daemon, "POST", "channels/news/programs", {"name": "final", "archive_window": "10m"})
        carry_out(daemon, "POST", "channels/news/start")
        carry_out(daemon, "POST", "channels/news/programs/final/start")
        call(daemon, "POST", "locators", {"asset": "final", "path": "tv"})
        manifest = daemon.origin("tv/final.ism/manifest(format=mpd-time-cmaf)")
        preview = daemon.origin("preview/news.isml/manifest")
        with push_isml(ingest.format(stream="ladder"), material(SINGLE), tmp_path / "first.log", loop=True) as encoder:
            daemon.wait_for(manifest, "<S ")
            carry_out(daemon, "POST", "channels/news/programs/final/stop")
            carry_out(daemon, "POST", "channels/news/reset")
            wait_until(lambda: not encoder.running(), "the encoder was not told")
        first = daemon.fetch(manifest).decode()
        assert daemon.get(preview).status_code == 404
        carry_out(daemon, "POST", "channels/news/programs/final/start")
        call(daemon, "POST", "channels/news/programs", {"name": "next", "archive_window": "10m"})
        carry_out(daemon, "POST", "channels/news/programs/next/start")
        call(daemon, "POST", "locators", {"asset": "next", "path": "tv2"})
        with push_isml(ingest.format(stream="ladder"), material(LADDER_SHORT), tmp_path / "second.log"):
            shown = daemon.wait_for(preview, "<c ")
        assert shown.count("<QualityLevel ") == 6, "four layers, two languages, and none of the encoder before"
        daemon.wait_for_encoders()
        carry_out(daemon, "POST", "channels/news/programs/final/stop")
        carry_out(daemon, "POST", "channels/news/programs/next/stop")
        second = daemon.fetch(manifest).decode()
        assert (first.count("<Period "), second.count("<Period ")) == (1, 2)
        # Where layers change in the middle, formats differ in what they can say of it.
        for name in ("hls", "ts", "dash"):
            assert_clean(judge_urls([daemon.origin(f"tv/final.ism/{OUTPUTS[name].manifest}")]), warnings=False)
        urls = [daemon.origin(f"tv2/next.ism/{output.manifest}") for output in OUTPUTS.values()]
        assert_clean(judge_urls(urls, compare=True), warnings=False)


def test_an_event_over_rest(tmp_path: Path) -> None:
    with running_daemon(tmp_path, unjudged="it is judged below, while it is there") as daemon:
        settings = {"name": "news", "ingest_allow": ["127.0.0.1"], "fragments_per_segment": 1}
        ingest = call(daemon, "POST", "channels", settings)["ingest"]["primary"][0]
        call(daemon, "POST", "channels/news/programs", {"name": "final", "archive_window": "10m"})
        carry_out(daemon, "POST", "channels/news/start")
        carry_out(daemon, "POST", "channels/news/programs/final/start")
        call(daemon, "POST", "locators", {"asset": "final", "path": "tv"})
        manifest = daemon.origin("tv/final.ism/manifest(format=mpd-time-cmaf)")
        with push_isml(ingest.format(stream="ladder"), material(SINGLE), tmp_path / "encoder.log"):
            daemon.wait_for(manifest, "<S ")
            assert call(daemon, "GET", "channels/news")["status"] == "Streaming"
        # What was told stands, whatever happens to who was told.
        daemon.wait_for_encoders()
        daemon.kill()
        daemon.start()
        assert call(daemon, "GET", "channels/news")["status"] == "Streaming"
        carry_out(daemon, "POST", "channels/news/programs/final/stop")
        carry_out(daemon, "POST", "channels/news/stop")
        call(daemon, "DELETE", "channels/news/programs/final")
        carry_out(daemon, "DELETE", "channels/news")
        assert call(daemon, "GET", "channels")["items"] == []
        daemon.wait_for(manifest, 'type="static"')
        urls = [daemon.origin(f"tv/final.ism/{output.manifest}") for output in OUTPUTS.values()]
        assert_clean(judge_urls(urls, compare=True), warnings=False)
        call(daemon, "DELETE", "locators/tv")
        assert daemon.get(manifest).status_code == 404
        call(daemon, "DELETE", "assets/final")
        assert not any((daemon.data / "assets").iterdir())
        assert not any((daemon.data / "channels").iterdir())
