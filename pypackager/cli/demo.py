"""`pypackager demo`: daemon, synthetic ladder encoder and player page in one."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import trio

from pypackager.cli.cause import run_to_end
from pypackager.config.schema import Channel, Config, Listen, Program, StreamingEndpoint
from pypackager.control.settings import Track
from pypackager.model.errors import PackagerError
from pypackager.runtime.daemon import Daemon
from pypackager.runtime.logs import configure_logs

LADDER = ((1280, 720, 2400), (854, 480, 1200), (640, 360, 700), (426, 240, 350))
"""Width, height, kbit/s of the layers."""
LANGUAGES = (("eng", 440), ("deu", 660))
"""Language and tone in Hz of the audio tracks."""
_FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts")


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


def find_ffmpeg() -> str:
    """The ffmpeg of the imageio-ffmpeg wheel, else the one on the PATH.

    Raises:
        PackagerError: ENCODER_MISSING.
    """
    try:
        import imageio_ffmpeg
    except ImportError:
        found = shutil.which("ffmpeg")
        if found is None:
            raise PackagerError("ENCODER_MISSING", "the demo needs ffmpeg: pip install 'pypackager[demo]'", fault="operator") from None
        return found
    return str(imageio_ffmpeg.get_ffmpeg_exe())


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


def encoder_arguments(ffmpeg: str, url: str) -> list[str]:
    """ffmpeg's command line: a test picture with a burnt-in clock in every layer, a tone for each language, pushed as fragmented MP4."""
    width, height, _ = LADDER[0]
    arguments = [
        ffmpeg,
        "-hide_banner",
        "-nostats",
        "-loglevel",
        "error",
        "-re",
        "-f",
        "lavfi",
        "-i",
        f"testsrc2=size={width}x{height}:rate=25",
    ]
    for _, tone in LANGUAGES:
        arguments += ["-re", "-f", "lavfi", "-i", f"sine=frequency={tone}:beep_factor=4:sample_rate=48000"]
    font = _any_font()
    # Without a font the test picture's own running time is the clock.
    clock = (
        f",drawtext=fontfile={font}:text='%{{localtime}}':fontsize=48:fontcolor=white:box=1:boxborderw=12:boxcolor=black@0.6:x=(w-tw)/2:y=40"
        if font
        else ""
    )
    split = f"[0:v]format=yuv420p{clock},split={len(LADDER)}" + "".join(f"[s{i}]" for i in range(len(LADDER)))
    scaled = ";".join(f"[s{i}]scale={w}:{h}[v{i}]" for i, (w, h, _) in enumerate(LADDER))
    arguments += ["-filter_complex", f"{split};{scaled}"]
    for index, (_, _, rate) in enumerate(LADDER):
        arguments += [
            "-map",
            f"[v{index}]",
            f"-b:v:{index}",
            f"{rate}k",
            f"-maxrate:v:{index}",
            f"{rate}k",
            f"-bufsize:v:{index}",
            f"{rate}k",
        ]
    for index, (language, _) in enumerate(LANGUAGES):
        arguments += ["-map", f"{index + 1}:a", f"-metadata:s:a:{index}", f"language={language}"]
    arguments += ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0"]
    arguments += ["-c:a", "aac", "-b:a", "128k", "-ac", "2", "-f", "ismv", "-movflags", "isml+frag_keyframe", url]
    return arguments


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
        line = "  ".join(channel.status_line(daemon.clock.now()) for channel in daemon.fleet.channels.values())
        sys.stdout.write(f"\r\x1b[2K{line}" if sys.stdout.isatty() else f"{line}\n")
        sys.stdout.flush()


def _any_font() -> str | None:
    for folder in _FONT_FOLDERS:
        found = next((path for path in Path(folder).rglob("*.ttf") if "Sans" in path.name and "Fallback" not in path.name), None)
        if found is not None:
            return str(found)
    return None
