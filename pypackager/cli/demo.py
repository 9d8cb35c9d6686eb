"""`pypackager demo`: daemon, synthetic ladder encoder and player page in one."""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import trio

from pypackager.cli.cause import run_to_end
from pypackager.cli.synthetic import LANGUAGES, encoder_arguments, find_ffmpeg
from pypackager.config.schema import Channel, Config, Listen, Program, StreamingEndpoint
from pypackager.control.settings import Track
from pypackager.runtime.daemon import Daemon
from pypackager.runtime.logs import configure_logs


def add_to(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "demo", help="daemon, synthetic encoder and player page in one", description="Runs the main job on this machine until Ctrl-C."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, help="port of the origin; ingest and control take +8 and +10 (0: any free ones)")
    parser.add_argument("--data-dir", type=Path, help="keep the recording here (default: a folder that goes away at the end)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Runs until Ctrl-C."""
    ffmpeg = find_ffmpeg()
    configure_logs("human" if sys.stderr.isatty() else "json", quiet=True)
    with contextlib.ExitStack() as stack:
        data_dir = options.data_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pypackager-demo-")))
        config = demo_config(options.host, options.port, data_dir)
        with contextlib.suppress(KeyboardInterrupt):
            run_to_end(lambda: _demo(config, ffmpeg))
    sys.stdout.write("\nstopped\n")
    return 0


def demo_config(host: str, port: int, data_dir: Path) -> Config:
    """The ready configuration: one channel, one program, published as `demo`."""

    def at(offset: int) -> list[str]:
        shown = f"[{host}]" if ":" in host else host
        return [f"{shown}:{port + offset if port else 0}"]

    return Config(
        data_dir=str(data_dir),
        listen=Listen(rtmp=[], ingest=at(8), control=at(10), origin=at(0)),
        channel=[
            Channel(
                name="demo",
                protocol="fmp4",
                ingest_allow=["127.0.0.1", "::1", host] if host not in ("0.0.0.0", "::") else ["127.0.0.1"],
                track=[Track(match=f"audio_{language}-128k", id=f"audio-{language[:2]}", language=language) for language, _ in LANGUAGES],
                program=[Program(name="demo", locator="demo", archive_window="5m")],
            )
        ],
        streaming_endpoint=[StreamingEndpoint(state="running")],
    )


async def _demo(config: Config, ffmpeg: str) -> None:
    daemon = Daemon(config)
    async with trio.open_nursery() as nursery:
        await nursery.start(daemon.run)
        addresses = daemon.addresses
        origin, ingest = f"http://{addresses['origin'][0]}", f"http://{addresses['ingest'][0]}/demo/ingest.isml/Streams(ladder)"
        _announce(origin, ingest, addresses)
        nursery.start_soon(_encode, ffmpeg, ingest)
        nursery.start_soon(_status, daemon)
        await daemon.stopped.wait()
        nursery.cancel_scope.cancel()


def _announce(origin: str, ingest: str, addresses: dict[str, list[str]]) -> None:
    root = f"{origin}/demo/demo.ism"
    lines = [
        ("player page", f"{origin}/play/demo"),
        ("HLS (CMAF)", f"{root}/master.m3u8"),
        ("HLS (TS, v4)", f"{root}/manifest(format=m3u8-aapl)"),
        ("HLS (TS, v3)", f"{root}/manifest(format=m3u8-aapl-v3)"),
        ("DASH", f"{root}/manifest.mpd"),
        ("Smooth", f"{root}/manifest"),
        ("HDS", f"{root}/manifest(format=f4m-f4f)"),
        ("ingest", ingest),
        ("metrics", f"http://{addresses['control'][0]}/metrics"),
    ]
    sys.stdout.write("\n" + "".join(f"  {name:<13} {url}\n" for name, url in lines) + "\n  Ctrl-C ends it.\n\n")
    sys.stdout.flush()


async def _encode(ffmpeg: str, url: str) -> None:
    """Runs the encoder and starts it again when it ends; its end comes with ours."""
    while True:
        process = await trio.lowlevel.open_process(encoder_arguments(ffmpeg, url), stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            status = await process.wait()
            sys.stdout.write(f"\nthe encoder ended with {status}; starting it again\n")
            await trio.sleep(1)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                with trio.move_on_after(1.5) as grace:
                    grace.shield = True
                    await process.wait()
                if process.returncode is None:
                    process.kill()


async def _status(daemon: Daemon) -> None:
    """One live line: what comes in, what is published."""
    while True:
        await trio.sleep(1)
        line = "  ".join(channel.showing.status_line(daemon.clock.now()) for channel in daemon.fleet.channels.values())
        sys.stdout.write(f"\r\x1b[2K{line}" if sys.stdout.isatty() else f"{line}\n")
        sys.stdout.flush()
