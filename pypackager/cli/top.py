"""`pypackager top`: how the channels of a running daemon are, each second, over its REST API."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pypackager.cli.api import Api, add_control
from pypackager.model.errors import PackagerError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

SLOW = 3.0
"""So many key frame intervals without a new fragment are more than waiting for the next one."""


def add_to(commands: Any) -> None:
    """Adds the command to the parser."""
    about = "Shows the channels of a running daemon, each second, until Ctrl-C."
    parser = commands.add_parser("top", help="watch the channels of a running daemon", description=about)
    add_control(parser)
    parser.add_argument("--interval", type=float, default=1.0, metavar="SECONDS", help="how often (default: 1)")
    parser.add_argument("--once", action="store_true", help="print once; also where nobody sees a terminal")
    parser.add_argument("--json", action="store_true", help="print once, what the API answers")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Shows until it is interrupted.

    Raises:
        PackagerError: the daemon did not answer at the start.
    """
    from rich.console import Console

    console = Console(highlight=False)
    with closing(Api(options.control, options.trust)) as ask:
        if options.json:
            sys.stdout.write(f"{json.dumps(ask.pages('channels', {}), indent=2)}\n")
        elif options.once or not console.is_terminal:
            console.print(render(ask.pages("channels", {})))
        else:
            follow(ask, console, max(0.1, options.interval), time.sleep)
    return 0


def follow(ask: Api, console: Console, interval_s: float, sleep: Callable[[float], None]) -> None:
    """Shows until Ctrl-C; a daemon that is gone for a while is said, and waited for."""
    from rich.live import Live

    shown = render(ask.pages("channels", {}))
    with Live(shown, console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(shown, refresh=True)
                sleep(interval_s)
                try:
                    shown = render(ask.pages("channels", {}))
                except PackagerError as error:
                    shown.caption = f"[bold red]{error.code}[/]: {_plain(error.detail)}"
        except KeyboardInterrupt:
            return


def render(channels: list[Any]) -> Table:
    """The channels as a table."""
    from rich.table import Table

    viewers, rate = sum(each["viewers"] for each in channels), sum(_rate(each) for each in channels)
    title = f"{len(channels)} channels   {rate / 1e6:.1f} Mbit/s in   {viewers} viewers   {time.strftime('%H:%M:%S')}"
    table = Table(title=title, title_justify="left", title_style="bold", caption_justify="left", box=None, pad_edge=False, expand=True)
    for name in ("CHANNEL", "STATUS", "TRACKS"):
        table.add_column(name, no_wrap=True)
    for name in ("MBIT/S", "GAP", "DVR", "VIEWERS"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("PROGRAMS", overflow="fold", min_width=8)
    table.add_column("ALERTS", overflow="fold", min_width=6, style="yellow")
    for each in channels:
        table.add_row(*_row(each))
    return table


_COLOURS = {"Streaming": "green", "Ready": "cyan", "Starting": "yellow", "Stopping": "yellow"}


def _row(channel: Any) -> list[str]:
    status, kinds = channel["status"], [track["kind"] for track in channel["tracks"]]
    tracks = " ".join(f"{kinds.count(kind)}{kind[0]}" for kind in dict.fromkeys(kinds))
    recording = set(channel["recording"])
    return [
        f"[bold]{_plain(channel['name'])}[/]",
        f"[{_COLOURS.get(status, 'dim')}]{status}[/]",
        tracks or "[dim]none[/]",
        f"{_rate(channel) / 1e6:.2f}",
        _gap(channel),
        _span(channel["depth_s"]),
        str(channel["viewers"]),
        " ".join(f"[green]{name}[/]" if name in recording else f"[dim]{name}[/]" for name in channel["programs"]),
        ", ".join(f"{alert['code']} {alert['count']}" for alert in channel["alerts"]),
    ]


def _rate(channel: Any) -> int:
    return sum(track["bitrate_bps"] for track in channel["tracks"])


def _gap(channel: Any) -> str:
    gap = channel["gap_s"]
    if gap is None or channel["state"] != "Running":
        return "[dim]-[/]"
    return f"[bold red]{_span(gap)}[/]" if gap > SLOW * (channel["interval_s"] or 2) else f"{gap:.1f} s"


def _span(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02}"


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
