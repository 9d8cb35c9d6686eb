"""A daemon without workers carries nothing of what several processes need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import trio
from pypackager.config.schema import Channel, Config, Listen
from pypackager.runtime.daemon import Daemon

async def main():
    listen = Listen(rtmp=["127.0.0.1:0"], ingest=["127.0.0.1:0"], control=["127.0.0.1:0"], origin=["127.0.0.1:0"])
    daemon = Daemon(Config(data_dir=sys.argv[1], listen=listen, channel=[Channel(name="news", state="running")]))
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        print("loaded:", *(name for name in sys.modules if name.startswith("pypackager.runtime.workers")))
        nursery.cancel_scope.cancel()

trio.run(main)
"""


def test_nothing_of_workers_is_loaded(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "loaded:" in ended.stdout.splitlines()
