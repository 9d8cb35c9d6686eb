"""`pypackager asset clip|measure|verify|download`: what is done with a recording, over the API of a running daemon and its origin."""

from __future__ import annotations

import argparse
import json
import ssl
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from pypackager.cli.api import Api
from pypackager.cli.tables import print_one, print_table
from pypackager.model.errors import PackagerError

FILTERS = ("channel", "program", "state")
"""By which lists of assets are cut down."""
TRIES = 5
"""Of a download that breaks off; each goes on where the one before ended."""
_TRACKS = ("id", "codec", "language", "bitrate_bps", "duration", "gaps", "bytes")


def add_verbs(verb: Callable[[str, str], argparse.ArgumentParser], listing: argparse.ArgumentParser) -> None:
    """Adds the commands of assets alone to the parser."""
    listing.add_argument("--channel", help="those recorded from a channel")
    listing.add_argument("--program", metavar="CHANNEL/NAME", help="those that a program refers to")
    listing.add_argument("--state", choices=("Live", "OnDemand", "Unreadable"), help="those in a state")
    clip = verb("clip", "make an asset of a part of another, without a copy")
    clip.add_argument("name", metavar="NAME", help="the asset of which it is a part")
    clip.add_argument("clip", metavar="CLIP", help="what it is called")
    clip.add_argument("--start", help="an instant (2027-03-01T18:00:00Z), or seconds of media time (default: where the asset starts)")
    clip.add_argument("--end", help="likewise (default: where it ends)")
    clip.set_defaults(run=_clip)
    measure = verb("measure", "say how long an asset is, what is in it, and what it costs")
    measure.add_argument("name", metavar="NAME")
    measure.set_defaults(run=_measure)
    verify = verb("verify", "read all of an asset; what is damaged is left out from then on")
    verify.add_argument("name", metavar="NAME")
    verify.add_argument("--wait", action="store_true", help="return when it has been read")
    verify.set_defaults(run=_verify)
    download = verb("download", "get a published asset as one MP4 file")
    download.add_argument("name", metavar="NAME")
    download.add_argument("-o", "--output", metavar="FILE", type=Path, help="default: NAME.mp4")
    download.add_argument("--tracks", help="ids of the tracks that are wanted, with commas between them (default: all)")
    download.add_argument("--progressive", action="store_true", help="for what knows no fragments: one picture, all sounds, up to 4 hours")
    download.set_defaults(run=_download)


def _clip(options: argparse.Namespace) -> int:
    body = {"asset": options.name, "name": options.clip, "start": options.start, "end": options.end}
    with closing(Api(options.control, options.trust)) as ask:
        made = ask("POST", "assets", {key: value for key, value in body.items() if value is not None})
    return _print(options, made)


def _measure(options: argparse.Namespace) -> int:
    with closing(Api(options.control, options.trust)) as ask:
        found = ask("GET", f"assets/{quote(options.name, safe='')}")
    if options.json:
        return _print(options, found)
    measure = found["measure"]
    sizes = {key: f"{measure[key]} bytes" for key in ("disk_bytes", "shared_bytes", "freed_bytes")}
    times = {"start": found["start"], "end": found["end"], "duration": _time(measure["duration_ns"])}
    print_one({"name": found["name"], "state": found["state"], **times, **sizes, "alerts": found["alerts"]})
    print_table(_TRACKS, [{**track, "duration": _time(track["duration_ns"])} for track in measure["tracks"]])
    if found["verified"] is not None:
        print_one({f"sha256 {track['id']}": track["sha256"] for track in found["verified"]["tracks"]})
    return 0


def _verify(options: argparse.Namespace) -> int:
    with closing(Api(options.control, options.trust)) as ask:
        operation = ask("POST", f"assets/{quote(options.name, safe='')}/verify")
        if not options.wait:
            return _print(options, operation)
        with _bar(options.name) as told:
            operation = ask.ended(operation, told)
    _print(options, operation)
    damaged = operation["result"]["damaged"]
    if damaged:
        lost = sum(each["fragments"] for each in damaged)
        detail = f"{lost} fragments are damaged and left out from now on; put the files back and verify it again"
        raise PackagerError("ASSET_DAMAGED", detail, where=options.name, fault="operator")
    return 0


def _download(options: argparse.Namespace) -> int:
    with closing(Api(options.control, options.trust)) as ask:
        url = _url(ask, options.name)
    asked = {"tracks": options.tracks, "format": "progressive" if options.progressive else None}
    url += "?" + urlencode({key: value for key, value in asked.items() if value}, safe=",")
    target: Path = options.output or Path(f"{options.name}.mp4")
    part = target.with_name(f"{target.name}.part")
    with _bar(target.name) as told:
        _fetch(url, part, told, options.trust)
    part.replace(target)
    sys.stdout.write(f"{target}\n")
    return 0


def _url(ask: Api, name: str) -> str:
    locators = ask("GET", f"assets/{quote(name, safe='')}")["locators"]
    if not locators:
        detail = f"nothing publishes it; `pypackager locator create {name}` does"
        raise PackagerError("ASSET_UNPUBLISHED", detail, where=name, fault="operator")
    place = f"locators/{quote(locators[0], safe='')}"
    locator = ask("GET", place)
    urls = (ask("POST", f"{place}/sign", {}) if locator["signed"] else locator)["urls"]
    if not urls:
        detail = "no streaming endpoint serves; `pypackager endpoint start default` lets one"
        raise PackagerError("ENDPOINT_STOPPED", detail, where=name, fault="operator")
    return str(urls[0]).removesuffix("manifest") + "download.mp4"


def _fetch(url: str, part: Path, told: Callable[[float], None], trust: ssl.SSLContext | bool) -> None:
    import httpx

    etag, trouble = "", ""
    with part.open("wb") as file, httpx.Client(timeout=30.0, trust_env=False, verify=trust) as client:
        for _ in range(TRIES):
            headers = {"range": f"bytes={file.tell()}-", "if-range": etag} if etag else {}
            try:
                with client.stream("GET", url, headers=headers) as answer:
                    if not answer.is_success:
                        answer.read()
                        problem = answer.json()
                        raise PackagerError(problem["code"], problem["detail"], status=answer.status_code, where=url, fault="operator")
                    if answer.status_code != HTTPStatus.PARTIAL_CONTENT:
                        file.seek(0)
                        file.truncate()
                    etag = answer.headers["etag"]
                    size = file.tell() + int(answer.headers["content-length"])
                    for data in answer.iter_raw():
                        file.write(data)
                        told(file.tell() / size)
            except (httpx.TransportError, ValueError, KeyError) as error:
                trouble = f"{type(error).__name__}: {error}"
            else:
                return
    raise PackagerError("DOWNLOAD_FAILED", f"it broke off {TRIES} times: {trouble}; try again later", where=url, fault="operator")


@contextmanager
def _bar(what: str) -> Generator[Callable[[float], None]]:
    """Shows which part is done, to who looks on."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda done: bar.update(task, completed=done)


def _print(options: argparse.Namespace, answer: dict[str, Any]) -> int:
    if options.json:
        sys.stdout.write(f"{json.dumps(answer, indent=2)}\n")
    else:
        print_one(answer)
    return 0


def _time(ns: int) -> str:
    seconds, ms = divmod(ns // 1_000_000, 1000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"
