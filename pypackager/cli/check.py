"""`pypackager check`: the strict judge of what is published, here or elsewhere."""

from __future__ import annotations

import argparse
import math
import re
import sys
from pathlib import Path
from typing import Any, Literal

import trio

from pypackager.check.documents import render_json, render_junit
from pypackager.check.finding import Report
from pypackager.check.http_origin import open_http_origin
from pypackager.check.run import WALKERS, CannotRunError
from pypackager.check.run import run as run_check
from pypackager.check.session import Progress, Settings
from pypackager.check.tables import print_report
from pypackager.cli import trust
from pypackager.cli.cause import sole_cause

_DEFAULT_SECONDS = 30.0


def add_to(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "check",
        help="walk a presentation as a strict player would",
        description="Walks published presentations as the strictest player would and says every breach with the clause it breaks. "
        "Exit codes: 0 clean or warnings, 1 errors, 2 could not run.",
    )
    parser.add_argument("urls", nargs="+", metavar="URL", help="a manifest: HLS, DASH, Smooth Streaming or HDS")
    parser.add_argument(
        "--for", dest="seconds", type=parse_seconds, default=_DEFAULT_SECONDS, metavar="TIME",
        help="how long a live presentation is watched: 90, 90s, 5m (default: 30s; 0 is one look)",
    )  # fmt: skip
    parser.add_argument("--format", dest="form", choices=["auto", *WALKERS], default="auto", help="default: what the manifest is")
    parser.add_argument("--depth", choices=["quick", "full"], default="full", help="quick: the first and last few segments of each track")
    parser.add_argument(
        "--most",
        type=parse_count,
        default=Settings().most_segments,
        metavar="N",
        help="segments of a track, the newest (default: %(default)s)",
    )
    parser.add_argument("--compare", action="store_true", help="all URLs must carry the same frames at the same times")
    parser.add_argument("--rate", type=parse_rate, default=0.0, metavar="N", help="most requests a second (default: no limit)")
    trust.add_argument(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the report as JUnit XML as well")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Checks, prints, and says by the exit code what came of it."""
    from rich.console import Console

    try:
        if options.junit is not None:
            _prove_writable(options.junit)
        report = _judge(options)
        if options.json:
            sys.stdout.write(render_json(report).decode())
        else:
            print_report(report, Console())
        if options.junit is not None:
            _write(options.junit, render_junit(report))
    except CannotRunError as fault:
        sys.stderr.write(f"pypackager check: {fault}\n")
        return 2
    return 1 if report.count("error") else 0


def _judge(options: argparse.Namespace) -> Report:
    try:
        return trio.run(_check, options, Settings(options.seconds, options.depth, options.most))
    except BaseExceptionGroup as group:
        cause = sole_cause(group, CannotRunError)
        if cause is not None:
            raise cause from None
        raise


def _prove_writable(path: Path) -> None:
    """A path that takes no report is said before the run, not after it; an old report stays until there is a new one."""
    fresh = not path.exists()
    _write(path, b"", mode="ab")
    if fresh:
        path.unlink()


def _write(path: Path, data: bytes, *, mode: Literal["ab", "wb"] = "wb") -> None:
    try:
        with path.open(mode) as file:
            file.write(data)
    except OSError as fault:
        raise CannotRunError(f"{path}: {fault.strerror}") from fault


async def _check(options: argparse.Namespace, settings: Settings) -> Report:
    async with open_http_origin(options.rate, options.trust) as origin, trio.open_nursery() as nursery:
        shown: list[Progress] = []

        def watch(progress: list[Progress]) -> None:
            shown.extend(progress)
            if sys.stderr.isatty():
                nursery.start_soon(_show, shown)

        report = await run_check(options.urls, origin, settings, form=options.form, compare=options.compare, watch=watch)
        nursery.cancel_scope.cancel()
    return report


async def _show(shown: list[Progress]) -> None:
    """One line that is written over and over."""
    try:
        while True:
            requests, size, segments = (sum(getattr(each, name) for each in shown) for name in ("requests", "bytes", "segments"))
            sys.stderr.write(f"\r{requests} requests, {size / 1e6:.1f} MB, {segments} segments \x1b[K")
            sys.stderr.flush()
            await trio.sleep(0.5)
    finally:
        sys.stderr.write("\r\x1b[K")


def parse_seconds(text: str) -> float:
    """A span of time such as `90`, `90s`, `5m` or `1h`.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: 90, 90s, 5m, 1h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]


def parse_count(text: str) -> int:
    """A number from 1.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1")
    return int(text)


def parse_rate(text: str) -> float:
    """Requests a second; 0 is no limit.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 <= rate < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of requests a second; 0 is no limit")
    return rate
