"""`pypackager push`: the test encoder. Plays ladders to any RTMP or fragmented MP4 ingest, from one process, with faults on request."""

from __future__ import annotations

import argparse
import re
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live

from pypackager._core import Replay
from pypackager.cli.push_faults import KINDS, RULES, Plan, parse_faults
from pypackager.cli.push_report import as_json, as_table, status_line
from pypackager.cli.recordings import Part, load_ladder
from pypackager.cli.synthetic import synthetic_ladder
from pypackager.model.errors import PackagerError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_REFRESH = 0.5
_SIDES = ("primary", "secondary")
_DRAWN_WITHIN = 60.0
"""Seconds within which an instant is drawn in a run without an end."""
_EPILOG = f"""\
{{name}} in a URL becomes the track's name (video-1 is the layer with the highest bitrate, audio-eng a language), {{ladder}} the number of
the ladder from 1. Where {{name}} is missing it is put where the protocol has it: rtmp://HOST/news becomes rtmp://HOST/news/video-1,
http://HOST/news/ingest.isml becomes http://HOST/news/ingest.isml/Streams(video-1).

A fault is KIND[STREAMS]@TIME/PERIOD:VALUE: cut@10s, stall[video-*]@20s:5s, jump[secondary/audio-eng]@30s:-5s, cut@?/15s. TIME and PERIOD
are media time; 10s~40s is an instant between that the seed draws, ? one of the whole run or of each period, ?? one for each stream.

kinds:
{chr(10).join(f"  {name:<11} {kind.says}" for name, kind in KINDS.items())}
rules of an encoder, to be broken:
{chr(10).join(f"  {name:<11} {says}" for name, says in RULES.items())}
"""


@dataclass(frozen=True)
class Stream:
    """A track on its way to a URL."""

    url: str
    part: Part
    side: str
    ladder: int

    @property
    def name(self) -> str:
        """Name of the track."""
        return self.part.name


def add_to(commands: Any) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "push",
        help="play a ladder to an ingest, with faults on request",
        description="A test encoder: plays tracks to an ingest at the pace of their media time, over and over, a connection for each.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    material = parser.add_mutually_exclusive_group(required=True)
    material.add_argument("--ladder", type=Path, nargs="+", metavar="PATH", help="MP4 files with H.264 and AAC, or folders of them")
    material.add_argument("--synthetic", action="store_true", help="four layers with a clock in the picture and two tones; made once, kept")
    parser.add_argument(
        "--to",
        required=True,
        action="append",
        metavar="URL",
        help="rtmp[s]://[USER:PASSWORD@]HOST/CHANNEL or http[s]://…/CHANNEL/ingest.isml; a second one is the secondary",
    )
    parser.add_argument("--ladders", type=_count, default=1, metavar="N", help="push the ladder N times at once; the URL needs {ladder}")
    parser.add_argument(
        "--speed", type=_speed, default=1.0, metavar="X", help="media seconds a second; 0 is as fast as the other side takes it"
    )
    parser.add_argument("--for", type=_duration, dest="seconds", metavar="TIME", help="stop after so much media time: 120s, 5m, 1h")
    parser.add_argument("--once", action="store_true", help="stop at the end of the recording")
    parser.add_argument("--fault", action="append", default=[], metavar="FAULT,…", help="what is to go wrong, see below")
    parser.add_argument("--seed", type=_seed, metavar="N", help="decides drawn instants, noise and pauses (default: drawn, and reported)")
    parser.add_argument(
        "--resend", type=_fragments, default=2, metavar="N", help="fragments sent before that a new POST begins with (default: 2)"
    )
    parser.add_argument(
        "--sync", action="store_true", help="times are UTC: pushes of one recording send the same at the same time, whenever they begin"
    )
    parser.add_argument("--rtmp-resend", action="store_true", help="RTMP too sends its last GOPs and all that followed on a new connection")
    parser.add_argument("--give-up", type=_duration, metavar="TIME", help="a stream that is tried in vain for so long has failed")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="who has to vouch for the other side over TLS (PEM; default: the system's)")
    parser.add_argument("--insecure", action="store_true", help="take any certificate of the other side")
    parser.add_argument("--cert", type=Path, metavar="FILE", help="a certificate of the encoder's own (PEM), with --key")
    parser.add_argument("--key", type=Path, metavar="FILE", help="the key of --cert")
    parser.add_argument("--json", action="store_true", help="report in JSON, and nothing else on standard output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Plays until the time is up or Ctrl-C; 1 when a stream failed."""
    console = Console(stderr=options.json)
    if options.sync and (options.once or options.speed != 1):
        raise PackagerError("CONFIG_PUSH_SYNC", "--sync goes by the clock: not with --once, and at no other --speed", fault="operator")
    ladder = load_ladder([synthetic_ladder()] if options.synthetic else options.ladder)
    if (options.cert is None) != (options.key is None):
        raise PackagerError("CONFIG_PUSH_URL", "--cert and --key go together", fault="operator")
    seed = secrets.randbelow(1 << 32) if options.seed is None else options.seed
    length = options.seconds or (max(part.track.seconds for part in ladder) if options.once else _DRAWN_WITHIN)
    plan = parse_faults(options.fault, length)
    replay = make_replay(
        plan_streams(ladder, options.to, options.ladders),
        plan,
        seed,
        speed=options.speed,
        seconds=options.seconds,
        repeat=not options.once,
        synchronised=options.sync,
        resend=0 if "no-resend" in plan.rules else options.resend,
        rtmp_keeps=options.rtmp_resend,
        give_up=0.0 if "no-retry" in plan.rules else options.give_up,
        ca=options.ca,
        insecure=options.insecure,
        identity=(options.cert, options.key) if options.cert else None,
    )
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
        print(msgspec.json.encode(as_json(stats, seed)).decode())
    else:
        console.print(as_table(stats, seed))
    return int(any(one.phase == "failed" for one in stats))


def plan_streams(ladder: Sequence[Part], urls: Sequence[str], ladders: int = 1) -> list[Stream]:
    """Every track of every ladder to every URL pattern.

    Raises:
        PackagerError: CONFIG_PUSH_URL: patterns that don't keep the streams apart.
    """
    if len(urls) > len(_SIDES):
        raise PackagerError("CONFIG_PUSH_URL", "an encoder pushes to a primary and a secondary, no more", where=urls[-1], fault="operator")
    for url in urls:
        if ladders > 1 and "{ladder}" not in url:
            raise PackagerError("CONFIG_PUSH_URL", "more than one ladder needs {ladder} in the URL", where=url, fault="operator")
    sides = list(zip(_SIDES, urls, strict=False))
    return [
        Stream(stream_url(url, part.name, number), part, side, number)
        for number in range(1, ladders + 1)
        for side, url in sides
        for part in ladder
    ]


def make_replay(streams: Sequence[Stream], plan: Plan, seed: int, **how: Any) -> Replay:
    """The replay of streams with their faults; `how` goes to it as it is.

    Raises:
        PackagerError: CONFIG_PUSH_URL: a URL that can't be pushed to; CONFIG_PUSH_FAULT: a fault that no stream has.
    """
    faults = plan.stated(streams)
    broken = [_NATIVE_RULES[rule] for rule in plan.rules if rule in _NATIVE_RULES]
    try:
        return Replay([(one.url, one.part.track, one.name) for one in streams], seed=seed, broken=broken, faults=faults, **how)
    except ValueError as error:
        raise PackagerError("CONFIG_PUSH_URL", str(error), fault="operator") from error


_NATIVE_RULES = {"no-probe": "probe", "no-headers": "headers", "no-timeout": "timeout", "no-end": "end", "no-close": "idle"}


def stream_url(pattern: str, name: str, ladder: int) -> str:
    """The URL of one track."""
    if "{name}" not in pattern:
        path, mark, query = pattern.partition("?")
        inner = "{name}" if path.lower().startswith("rtmp") else "Streams({name})"
        pattern = f"{path.rstrip('/')}/{inner}{mark}{query}"
    return pattern.replace("{name}", name).replace("{ladder}", str(ladder))


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
    return _between(text, 1, 1000)


def _fragments(text: str) -> int:
    return _between(text, 1, 1_000_000)


def _seed(text: str) -> int:
    return _between(text, 0, (1 << 64) - 1)


def _between(text: str, low: int, high: int) -> int:
    number = int(text)
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
    return number
