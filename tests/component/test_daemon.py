"""The daemon with channels that cannot run: the others serve, and what is wrong is said."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.helpers.daemon import Channel, Daemon, running_daemon

EMPTY = "no media is sent"


def post(daemon: Daemon, channel: str) -> httpx.Response:
    return daemon.client.post(daemon.ingest(channel), content=b"")


def test_a_locked_and_a_damaged_channel_leave_the_third_alone_and_come_back(tmp_path: Path) -> None:
    data = tmp_path / "data" / "channels"
    (data / "locked").mkdir(parents=True)
    lock = os.open(data / "locked" / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    # A file where the directory of journals belongs.
    (data / "damaged").mkdir()
    (data / "damaged" / "journal").write_bytes(b"\0" * 100)
    with running_daemon(tmp_path, Channel("locked"), Channel("damaged"), Channel("fine"), unjudged=EMPTY) as daemon:
        assert post(daemon, "fine").status_code == 200
        for name in ("locked", "damaged"):
            answer = post(daemon, name)
            assert answer.status_code == 503
            assert answer.json()["code"] == "CHANNEL_FAILED"
        failed = msgspec.json.decode(daemon.client.get(daemon.control("healthz")).content)["failed"]
        assert sorted(failed) == ["damaged", "locked"]
        assert "CHANNEL_LOCKED" in failed["locked"]
        os.close(lock)
        (data / "damaged" / "journal").unlink()
        # The daemon tries again every five seconds.
        deadline = time.monotonic() + 40
        while post(daemon, "locked").status_code != 200 or post(daemon, "damaged").status_code != 200:
            assert time.monotonic() < deadline, daemon.log()[-2000:]
            time.sleep(0.2)


@pytest.mark.parametrize("kind", ["ingest", "origin"])
def test_an_address_in_use_is_one_line_and_no_traceback(tmp_path: Path, kind: str) -> None:
    with running_daemon(tmp_path / "first", Channel("news"), unjudged=EMPTY) as daemon:
        listen: dict[str, list[str]] = {name: [] for name in ("rtmp", "ingest", "control", "origin")} | {kind: daemon.addresses[kind]}
        config = tmp_path / "second.toml"
        lines = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in listen.items()]
        config.write_text(f'data_dir = "{tmp_path}/second"\n[listen]\n' + "\n".join(lines))
        command = [sys.executable, "-m", "pypackager.cli.main", "serve", "--config", str(config)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert "BIND_FAILED" in ended.stderr
    assert "Traceback" not in ended.stderr
