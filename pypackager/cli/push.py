"""`pypackager push`: the test encoder. Plays recorded ladders to any RTMP or fragmented MP4 ingest, many connections from one process."""

from __future__ import annotations

import argparse
import re
import threading
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pypackager._core import Replay, StreamStats
from pypackager.cli.recordings import Part, load_ladder
from pypackager.model.errors import PackagerError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_REFRESH = 0.5
_FIELDS = ("url", "phase", "bytes", "samples", "media_seconds", "late_ms", "code", "detail")
_EPILOG = """\
{name} in a URL becomes the track's name (video-1 is the layer with the highest bitrate, audio-eng a language), {ladder} the number of
the ladder from 1. Where {name} is missing it is put where the protocol has it: rtmp://HOST/news becomes rtmp://HOST/news/video-1,
http://HOST/news/ingest.isml becomes http://HOST/news/ingest.isml/Streams(video-1).
"""


def add_to(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "push",
        help="play a recorded ladder to an ingest",
        description="Plays recorded tracks to an ingest at the pace of their media time, a connection for each track, over and over.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--ladder", type=Path, nargs="+", required=True, metavar="PATH", help="MP4 files with H.264 and AAC, or folders of them"
    )
    parser.add_argument("--to", required=True, metavar="URL", help="rtmp://HOST/CHANNEL or http://HOST/CHANNEL/ingest.isml")
    parser.add_argument("--ladders", type=_count, default=1, metavar="N", help="push the ladder N times at once; the URL needs {ladder}")
    parser.add_argument(
        "--speed", type=_speed, default=1.0, metavar="X", help="media seconds a second; 0 is as fast as the other side takes it"
    )
    parser.add_argument("--for", type=_duration, dest="seconds", metavar="TIME", help="stop after so much media time: 120s, 5m, 1h")
    parser.add_argument("--once", action="store_true", help="stop at the end of the recording")
    parser.add_argument("--json", action="store_true", help="report in JSON, and nothing else on standard output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Plays until the time is up or Ctrl-C; 1 when a stream failed."""
    console = Console(stderr=options.json)
    ladder = load_ladder(options.ladder)
    replay = make_replay(ladder, options.to, ladders=options.ladders, speed=options.speed, seconds=options.seconds, repeat=not options.once)
    player = threading.Thread(target=replay.run, name="replay")
    player.start()
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while player.is_alive():
                player.join(_REFRESH)
                if console.is_terminal:
                    live.update(status_line(replay.stats()), refresh=True)
    except KeyboardInterrupt:
        pass
    finally:
        replay.stop()
        player.join()
    stats = replay.stats()
    if options.json:
        print(msgspec.json.encode({"streams": [{name: getattr(one, name) for name in _FIELDS} for one in stats]}).decode())
    else:
        console.print(report(stats))
    return int(any(one.phase == "failed" for one in stats))


def make_replay(
    ladder: list[Part], url: str, *, ladders: int = 1, speed: float = 1.0, seconds: float | None = None, repeat: bool = True
) -> Replay:
    """The replay of a ladder to a URL pattern.

    Raises:
        PackagerError: CONFIG_PUSH_URL: the pattern can't be pushed to.
    """
    if ladders > 1 and "{ladder}" not in url:
        raise PackagerError("CONFIG_PUSH_URL", "more than one ladder needs {ladder} in the URL", where=url, fault="operator")
    streams = [(stream_url(url, part.name, number), part.track, part.name) for number in range(1, ladders + 1) for part in ladder]
    try:
        return Replay(streams, speed=speed, seconds=seconds, repeat=repeat)
    except ValueError as error:
        raise PackagerError("CONFIG_PUSH_URL", str(error), fault="operator") from error


def stream_url(pattern: str, name: str, ladder: int) -> str:
    """The URL of one track."""
    if "{name}" not in pattern:
        path, mark, query = pattern.partition("?")
        inner = "{name}" if path.lower().startswith("rtmp") else "Streams({name})"
        pattern = f"{path.rstrip('/')}/{inner}{mark}{query}"
    return pattern.replace("{name}", name).replace("{ladder}", str(ladder))


def status_line(stats: list[StreamStats]) -> Text:
    """What goes on, in one line."""
    playing, failed = (sum(one.phase == phase for one in stats) for phase in ("playing", "failed"))
    media = max((one.media_seconds for one in stats), default=0.0)
    megabytes, late = sum(one.bytes for one in stats) / 1e6, max((one.late_ms for one in stats), default=0.0)
    line = Text(f"{playing} of {len(stats)} streams playing · {media:.1f} s · {megabytes:.1f} MB · at most {late:.0f} ms late")
    if failed:
        line.append(f" · {failed} failed", style="bold red")
    return line


def report(stats: list[StreamStats]) -> Table:
    """What became of every stream."""
    table = Table(box=None, pad_edge=False)
    for heading in ("stream", "state"):
        table.add_column(heading, overflow="fold")
    for heading in ("media", "data", "rate", "late"):
        table.add_column(heading, justify="right")
    for one in stats:
        rate = one.bytes * 8 / one.media_seconds / 1000 if one.media_seconds > 0 else 0.0
        state = Text(one.phase) if not one.code else Text(f"{one.code}: {one.detail}", style="red")
        table.add_row(
            one.url, state, f"{one.media_seconds:.2f} s", f"{one.bytes / 1e6:.2f} MB", f"{rate:.0f} kbit/s", f"{one.late_ms:.0f} ms"
        )
    return table


def _duration(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if found is None or float(found[1]) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 120s, 5m or 1h")
    return float(found[1]) * _UNITS[found[2]]


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 <= speed <= 10_000:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 10000")
    return speed


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 1000")
    return count
