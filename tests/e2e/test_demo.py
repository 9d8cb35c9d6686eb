"""What a newcomer does first: the demo starts, prints where to look, plays, and goes away at once."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.helpers.encoders import Encoder, wait_until
from tests.helpers.frames import Track
from tests.helpers.judged import assert_clean, judge_urls
from tests.helpers.presentation import OUTPUTS, fetcher

pytestmark = pytest.mark.e2e


def test_the_demo_runs_and_ends(tmp_path: Path) -> None:
    log = tmp_path / "demo.log"
    command = [sys.executable, "-m", "pypackager.cli.main", "demo", "--port", "0", "--data-dir", str(tmp_path / "data")]
    with Encoder(command, log) as demo, httpx.Client(timeout=10, trust_env=False) as client:
        wait_until(lambda: "player page" in log.read_text() or not demo.running(), "no URLs")
        assert demo.running(), demo.log()
        page = re.search(r"http://\S+/play/demo", demo.log())
        assert page, demo.log()
        root = page[0].replace("/play/demo", "/demo/demo.ism/")
        wait_until(lambda: client.get(root + "manifest(format=mpd-time-cmaf)").status_code == 200, "nothing to play")
        assert client.get(page[0]).status_code == 200
        tracks: list[Track] = OUTPUTS["dash"].read(fetcher(client), root + OUTPUTS["dash"].manifest)
        assert [track.kind for track in tracks].count("video") >= 4
        assert len({track.language for track in tracks if track.kind == "audio"}) >= 2
        urls = [root + output.manifest for output in OUTPUTS.values()]
        wait_until(lambda: all(client.get(url).status_code == 200 for url in urls), "not every format is there")
        assert_clean(judge_urls(urls, compare=True), warnings=False)
        encoders = children(demo.process.pid)
        assert encoders
        began = time.monotonic()
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(5) == 0, demo.log()
        assert time.monotonic() - began < 3.0
        assert not any(Path(f"/proc/{pid}").exists() for pid in encoders), "an encoder was left behind"
    assert "Traceback" not in log.read_text()


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "pypackager.cli.main", "demo", "--port", port, "--data-dir", str(tmp_path / "data")]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert [line for line in ended.stderr.splitlines() if not line.startswith("{")] == [
        f"pypackager: BIND_FAILED: can't listen on 127.0.0.1:{port}: Address already in use"
    ], ended.stderr
    assert "stopped" not in ended.stdout


def children(pid: int) -> list[int]:
    """Child processes."""
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, check=False)
    return [int(word) for word in done.stdout.split()]
