"""`pypackager channel|program|locator|endpoint|key|token|webhook|asset …`: what an operator tells a running daemon, over its REST API."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from pypackager.cli import assets, sign
from pypackager.cli.api import Api, add_control
from pypackager.cli.tables import print_one, print_table
from pypackager.model.errors import PackagerError


class Kind(msgspec.Struct, frozen=True):
    """A kind of resource on the command line."""

    path: str
    """Of the list, below /v1; `{}` is the channel's name."""
    columns: tuple[str, ...]
    named: str
    """What names one, for people."""
    commands: tuple[str, ...] = ()
    made: bool = True
    """Whether an operator makes it."""
    set: bool = False
    """Whether it has settings."""
    fixed: bool = False
    """Whether these stay as they were made."""


KINDS = {
    "channel": Kind(
        "channels", ("name", "status", "protocol", "programs", "alerts", "description"), "NAME", ("start", "stop", "reset"), set=True
    ),
    "program": Kind(
        "channels/{}/programs",
        ("name", "state", "asset", "archive_window", "locators", "trouble"),
        "CHANNEL/NAME",
        ("start", "stop"),
        set=True,
    ),
    "locator": Kind("locators", ("path", "asset", "starts", "expires", "signed", "urls"), "PATH", set=True),
    "endpoint": Kind("streaming-endpoints", ("name", "state", "urls", "allow", "hosts", "trouble"), "NAME", ("start", "stop"), set=True),
    "token": Kind("tokens", ("name", "role", "expires", "created"), "NAME", set=True, fixed=True),
    "webhook": Kind("webhooks", ("name", "url", "kinds", "waiting", "last"), "NAME", ("rotate",), set=True),
    "key": Kind("signing-keys", ("id", "created"), "ID"),
    "asset": Kind("assets", ("name", "channel", "program", "state", "clip", "locators", "alerts"), "NAME", made=False),
}


def add_to(commands: Any) -> None:
    """Adds a command for each kind to the parser."""
    for name, kind in KINDS.items():
        parser = commands.add_parser(
            name, help=f"{name}s of a running daemon", description=f"Lists, shows and changes {name}s over the API."
        )
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        listing = _verb(verbs, name, "list", f"list {name}s")
        if "{}" in kind.path:
            listing.add_argument("name", metavar="CHANNEL")
        if name == "asset":
            assets.add_verbs(partial(_verb, verbs, name), listing)
        _verb(verbs, name, "show", f"show one {name}").add_argument("name", metavar=kind.named)
        if kind.made:
            create = _verb(verbs, name, "create", f"make a {name}")
            # A key's name says nothing, and one that is free will do.
            free: dict[str, Any] = {"nargs": "?"} if name == "key" else {}
            create.add_argument("name", metavar="ASSET" if name == "locator" else kind.named, **free)
            if name == "locator":
                signing = _verb(verbs, name, "sign", "make a URL with a token")
                signing.add_argument("name", metavar=kind.named)
                sign.add_arguments(signing)
                create.add_argument("--path", help="URL path (default: a new GUID)")
            if name == "program":
                create.add_argument("--asset", help="asset that it records to (default: its name)")
            if kind.set:
                create.add_argument("settings", nargs="*", metavar="KEY=VALUE", help="as in the file; JSON, or text")
        if kind.set and not kind.fixed:
            change = _verb(verbs, name, "set", "change settings")
            change.add_argument("name", metavar=kind.named)
            change.add_argument("settings", nargs="+", metavar="KEY=VALUE", help="as in the file; JSON, or text; null: the default")
        for command in (*kind.commands, "delete"):
            told = _verb(verbs, name, command, f"{command} a {name}")
            told.add_argument("name", metavar=kind.named)
            told.add_argument("--wait", action="store_true", help="return when it has happened")


def _verb(verbs: Any, kind: str, verb: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(verb, help=text)
    add_control(parser)
    parser.add_argument("--json", action="store_true", help="print the API's answer")
    parser.set_defaults(run=run, kind=kind)
    return parser


def run(options: argparse.Namespace) -> int:
    """Asks the daemon, and prints what it says."""
    kind = KINDS[options.kind]
    with closing(Api(options.control, options.trust)) as ask:
        answer = _told(options, kind, ask)
        if getattr(options, "wait", False) and answer is not None:
            answer = ask.ended(answer)
    if answer is None:
        return 0
    if options.json:
        sys.stdout.write(f"{json.dumps(answer, indent=2)}\n")
    elif options.verb == "list":
        print_table(kind.columns, answer)
    else:
        print_one(answer)
    return 0


def _told(options: argparse.Namespace, kind: Kind, ask: Api) -> Any:
    match options.verb:
        case "list":
            wanted = {key: found for key in assets.FILTERS if (found := getattr(options, key, None)) is not None}
            return ask.pages(kind.path.format(quote(options.name, safe="")) if "{}" in kind.path else kind.path, wanted)
        case "create":
            return ask("POST", *_creation(options, kind))
        case "set":
            return ask("PATCH", _place(options, kind), _settings(options.settings))
        case "sign":
            return ask("POST", f"{_place(options, kind)}/sign", sign.body(options))
        case "show":
            return ask("GET", _place(options, kind))
        case "delete":
            return ask("DELETE", _place(options, kind))
        case command:
            return ask("POST", f"{_place(options, kind)}/{command}")


def _creation(options: argparse.Namespace, kind: Kind) -> tuple[str, dict[str, Any]]:
    if options.kind == "locator":
        return kind.path, {"asset": options.name, **_settings(options.settings)} | ({"path": options.path} if options.path else {})
    if options.kind == "key":
        return kind.path, {"id": options.name} if options.name else {}
    where, _, name = _place(options, kind).rpartition("/")
    asset = {"asset": options.asset} if getattr(options, "asset", None) else {}
    return where, {"name": name, **asset, **_settings(options.settings)}


def _place(options: argparse.Namespace, kind: Kind) -> str:
    """Path of the resource that the command line names."""
    if "{}" not in kind.path:
        return f"{kind.path}/{quote(options.name, safe='')}"
    channel, slash, name = options.name.partition("/")
    if not slash:
        raise PackagerError("CONFIG_INVALID", f"{options.name!r} names no {options.kind}: write {kind.named}", fault="operator")
    return f"{kind.path.format(quote(channel, safe=''))}/{quote(name, safe='')}"


def _settings(texts: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise PackagerError("CONFIG_INVALID", f"{text!r} is no setting: write KEY=VALUE", fault="operator")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
