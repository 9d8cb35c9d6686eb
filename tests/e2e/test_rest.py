"""An event that is run over REST alone, with a real daemon and ffmpeg, over a kill in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.daemon import running_daemon
from tests.helpers.encoders import push_isml
from tests.helpers.hands import call, carry_out
from tests.helpers.judged import assert_clean, judge_urls
from tests.helpers.media import SINGLE, material
from tests.helpers.presentation import OUTPUTS

pytestmark = pytest.mark.e2e


def test_an_event_over_rest_and_a_kill(tmp_path: Path) -> None:
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
        # A channel of that name uses none of its URLs again.
        assert [path.name for path in (daemon.data / "channels").rglob("*") if path.is_file()] == ["past.json"]
