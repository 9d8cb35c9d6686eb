"""Reads and checks the TOML file; every fault names file, line and key."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import msgspec

from pypackager._core import Certificate, Certificates, CoreError, IngestTls, Networks
from pypackager.config.schema import Channel, Config, Locator, Program
from pypackager.control.settings import MAX_RUNNING, RESERVED, channel_faults, endpoint_faults, locator_faults, program_faults
from pypackager.model.address import parse_address
from pypackager.model.duration import parse_duration
from pypackager.model.errors import PackagerError


def load_config(path: Path) -> Config:
    """The checked configuration of a file.

    Raises:
        PackagerError: CONFIG_INVALID with file, line and key; CONFIG_MISSING when there is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PackagerError("CONFIG_MISSING", f"cannot read {path}: {error}", fault="operator") from error
    return parse_config(text, str(path))


def parse_config(text: str, source: str = "<string>") -> Config:
    """The checked configuration of TOML text."""
    try:
        config = msgspec.toml.decode(text, type=Config)
    except msgspec.ValidationError as error:
        message, key = _split(str(error))
        raise PackagerError("CONFIG_INVALID", message, where=_place(text, source, key), fault="operator") from None
    except msgspec.DecodeError as error:
        raise PackagerError("CONFIG_INVALID", str(error), where=source, fault="operator") from None
    for key, fault in _faults(config):
        raise PackagerError("CONFIG_INVALID", fault, where=_place(text, source, key), fault="operator")
    return config


def _faults(config: Config) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []

    def attempt(key: str, parse: object, value: object) -> int | None:
        try:
            return parse(value)  # type: ignore[operator, no-any-return]
        except PackagerError as error:
            found.append((key, error.detail))
        except ValueError as error:
            found.append((key, str(error)))
        return None

    for kind in ("rtmp", "rtmps", "ingest", "ingest_tls", "control", "control_tls", "origin"):
        for number, address in enumerate(getattr(config.listen, kind)):
            attempt(f"listen.{kind}[{number}]", parse_address, address)
    for key in ("ingest_tick", "ingest_idle", "drain_wait", "idle_alert"):
        attempt(f"tuning.{key}", parse_duration, getattr(config.tuning, key))
    found.extend(_tls_faults(config))
    if config.tuning.workers > 1 and not config.tuning.front_threads:
        found.append(("tuning.workers", "more than one worker needs front_threads: players are shown to theirs by the front"))
    attempt("access.trusted_proxies", Networks, config.access.trusted_proxies)
    for name, count in Counter(channel.name for channel in config.channel).items():
        if count > 1:
            found.append(("channel", f"two channels are called {name!r}"))
    hosts = Counter(host for channel in config.channel for host in channel.ingest_hosts)
    found.extend(("channel", f"ingest host {host!r} is named twice") for host, count in hosts.items() if count > 1)
    locators = Counter(path for c in config.channel for p in c.program if (path := _path(p)) is not None)
    assets = Counter(p.asset or p.name for c in config.channel for p in c.program)
    for value, what in ((locators, "locators"), (assets, "assets")):
        found.extend(("channel", f"two {what} are called {name!r}") for name, count in value.items() if count > 1)
    for name, count in Counter(endpoint.name for endpoint in config.streaming_endpoint).items():
        if count > 1:
            found.append(("streaming_endpoint", f"two streaming endpoints are called {name!r}"))
    for number, endpoint in enumerate(config.streaming_endpoint):
        found.extend((f"streaming_endpoint[{number}].{key}", fault) for key, fault in endpoint_faults(endpoint.name, endpoint))
    for number, channel in enumerate(config.channel):
        at = f"channel[{number}]"
        found.extend((f"{at}.{key}", fault) for key, fault in channel_faults(channel))
        found.extend(_program_faults(at, channel))
    return found


def _tls_faults(config: Config) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for number, pair in enumerate(config.tls):
        try:
            Certificate(pair.certificate, pair.key)
        except CoreError as error:
            found.append((f"tls[{number}].{error.path}", error.detail))
    listen = config.listen
    if listen.ingest_client_ca is not None:
        try:
            IngestTls(Certificates([]), listen.ingest_client_ca)
        except CoreError as error:
            found.append((f"listen.{error.path}", error.detail))
        if not listen.rtmps and not listen.ingest_tls:
            found.append(("listen.ingest_client_ca", "nobody is asked for one: listen.rtmps and listen.ingest_tls are empty"))
    if not config.tls:
        speaking = [f"listen.{kind}" for kind in ("rtmps", "ingest_tls", "control_tls") if getattr(listen, kind)]
        speaking += [f"streaming_endpoint[{number}].tls" for number, each in enumerate(config.streaming_endpoint) if each.tls]
        found.extend((key, "there is no certificate: add a [[tls]] table with `certificate` and `key`") for key in speaking)
    return found


def _program_faults(at: str, channel: Channel) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    names = Counter(program.name for program in channel.program)
    found.extend((f"{at}.program", f"two programs are called {name!r}") for name, count in names.items() if count > 1)
    if sum(program.state == "running" for program in channel.program) > MAX_RUNNING:
        found.append((f"{at}.program", f"at most {MAX_RUNNING} programs of a channel can run at once"))
    for number, program in enumerate(channel.program):
        if (path := _path(program)) in RESERVED:
            found.append((f"{at}.program[{number}].locator", f"{path!r} is a path of the daemon's own"))
        if isinstance(program.locator, Locator):
            found.extend((f"{at}.program[{number}].locator.{key}", fault) for key, fault in locator_faults(program.locator))
        found.extend((f"{at}.program[{number}].{key}", fault) for key, fault in program_faults(program))
    return found


def _path(program: Program) -> str | None:
    """The path that is chosen for its locator."""
    path = program.locator.path if isinstance(program.locator, Locator) else program.locator
    return path if isinstance(path, str) else None


def _split(error: str) -> tuple[str, str]:
    """msgspec says ``Expected `str`, got `int` - at `$.channel[0].name` ``; an unknown key is named in the text instead."""
    message, _, path = error.partition(" - at `$")
    key = path.rstrip("`").lstrip(".")
    unknown = re.search(r"unknown field `([^`]+)`", message)
    if unknown:
        key = f"{key}.{unknown[1]}".lstrip(".")
        message = f"there is no key {unknown[1]!r} here"
    return message, key


def _place(text: str, source: str, key: str) -> str:
    """``file:line: key``, by the last table header or assignment of the key's path that the text has."""
    wanted = [part for part in re.split(r"\.", key) if part]
    line_number = 0
    depth: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*(\[\[?)\s*([A-Za-z0-9_.]+)\s*\]", line)
        if header:
            table = header[2]
            if header[1] == "[[":
                depth[table] = depth.get(table, -1) + 1
                for inner in [name for name in depth if name.startswith(table + ".")]:
                    del depth[inner]
        assigned = re.match(r"\s*([A-Za-z0-9_]+)\s*=", line)
        path = _numbered(table, depth) + ([assigned[1]] if assigned and not header else [])
        if path and [_bare(p) for p in path] == [_bare(p) for p in wanted[: len(path)]] and _fits(path, wanted):
            line_number = number
            if len(path) == len(wanted):
                break
    return f"{source}:{line_number}: {key}" if line_number else f"{source}: {key}"


def _numbered(table: str, depth: dict[str, int]) -> list[str]:
    parts: list[str] = []
    name = ""
    for part in table.split(".") if table else []:
        name = f"{name}.{part}".lstrip(".")
        parts.append(f"{part}[{depth[name]}]" if name in depth else part)
    return parts


def _bare(part: str) -> str:
    return part.partition("[")[0]


def _fits(path: list[str], wanted: list[str]) -> bool:
    """An index named on both sides must be the same one; `[...]` in msgspec's path is any."""
    return all("[" not in here or "[" not in there or "[...]" in there or here == there for here, there in zip(path, wanted, strict=False))
