"""Ingest URLs (docs/design/urls.md): which channel, side and stream a request or publish names."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

import msgspec

from pypackager.model.errors import PackagerError
from pypackager.model.side import Side

_STREAM = re.compile(r"streams\((?P<stream>[^()]*)\)", re.IGNORECASE)
_SIDES: dict[str, Side] = {"primary": "primary", "secondary": "secondary"}
_MAX_NAME = 256
_MAX_FIELDS = 64


class Target(msgspec.Struct, frozen=True):
    """Where an encoder wants to push."""

    channel: str
    side: Side
    stream: str
    key: str = ""
    """The stream key that the encoder brings."""


def parse_http_target(target: str, owner: str | None = None) -> Target:
    """``/{channel}[/secondary]/ingest.isml/Streams({stream})``, in any letter case and percent-encoding.

    Args:
        target: as sent.
        owner: the channel that has the host by which the encoder asks; its name may be left out of the path.

    Raises:
        PackagerError: INGEST_URL_INVALID (404), EVENTS_REFUSED (400).
    """
    raw, _, query = target.partition("?")
    path = unquote(raw, errors="replace")
    if len(path) > 4 * _MAX_NAME:
        raise PackagerError("INGEST_URL_INVALID", "the path is longer than 1 KiB", status=414)
    parts = [part for part in path.split("/") if part]
    at = next((i for i, part in enumerate(parts) if part.lower() == "ingest.isml"), None)
    if at is None or (at == 0 and owner is None) or any(part in (".", "..") for part in parts):
        raise PackagerError("INGEST_URL_INVALID", f"{_shown(path)} is not /CHANNEL/ingest.isml/Streams(NAME)", status=404)
    head, tail = parts[:at], "/".join(parts[at + 1 :])
    if tail.lower().startswith("events("):
        raise PackagerError("EVENTS_REFUSED", "Events() is not served; push to Streams(NAME)", status=400)
    match = _STREAM.fullmatch(tail)
    if match is None or not match["stream"] or len(match["stream"]) > _MAX_NAME:
        raise PackagerError("INGEST_URL_INVALID", f"{_shown(path)} does not end in Streams(NAME)", status=404)
    if owner is not None and (not head or (len(head) == 1 and head[0].lower() in _SIDES)):
        head = [owner, *head]
    return Target(*_channel_and_side(head, path), match["stream"], _key(query))


def parse_rtmp_target(app: str, stream: str, query: str, owner: str | None = None) -> Target:
    """Application ``{channel}[/secondary]`` and stream ``{track}``; encoders may move the border between the two.

    Where the host has an owner, its name is not in the path, and another may stand there: RTMP has no URL without an application.

    Raises:
        PackagerError: INGEST_URL_INVALID; STREAM_NAME_PATTERN (400) for the `%i` in whose place a multi-bitrate encoder was to put a
            number. It is no percent-encoding, and all layers would have one name.
    """
    path = f"{app}/{stream}"
    if "%i" in path:
        detail = f"{_shown(path)} still has its %i: the encoder was to put the number of the layer there; name each layer"
        raise PackagerError("STREAM_NAME_PATTERN", detail)
    parts = [part for part in path.split("/") if part]
    if owner is not None:
        sided = len(parts) > 1 and parts[-2].lower() in _SIDES
        application = parts[: -2 if sided else -1]
        if len(application) > 1:
            raise PackagerError("INGEST_URL_INVALID", f"{_shown(path)} is not APPLICATION/TRACK", status=404)
        parts = [owner, *parts[len(application) :]]
    if len(parts) < 2 or any(part in (".", "..") for part in parts) or max(map(len, parts)) > _MAX_NAME:
        raise PackagerError("INGEST_URL_INVALID", f"{_shown(path)} is not CHANNEL/TRACK", status=404)
    return Target(*_channel_and_side(parts[:-1], path), parts[-1], _key(query))


def host_of(authority: str) -> str:
    """The name in ``host[:port]``, as channels have theirs."""
    return authority.rpartition("@")[2].partition(":")[0].rstrip(".").lower()


def host_of_url(url: str) -> str:
    """The host of a `tcUrl`; empty where there is none."""
    return host_of(url.partition("://")[2].partition("/")[0].partition("?")[0])


def _channel_and_side(parts: list[str], path: str) -> tuple[str, Side]:
    if len(parts) == 1:
        return parts[0], "primary"
    if len(parts) == 2 and (side := _SIDES.get(parts[1].lower())) is not None:
        return parts[0], side
    raise PackagerError("INGEST_URL_INVALID", f"{_shown(path)}: what stands before the stream is CHANNEL or CHANNEL/secondary", status=404)


def _key(query: str) -> str:
    """The first key of a query."""
    try:
        fields = parse_qsl(query, errors="replace", max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise PackagerError("INGEST_URL_INVALID", f"the query has more than {_MAX_FIELDS} fields", status=414) from error
    return next((value for name, value in fields if name == "key"), "")


def _shown(path: str) -> str:
    return repr(path if len(path) <= 120 else path[:117] + "...")
