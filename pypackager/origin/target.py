"""Request targets: from the bytes of the request line to a route.

In: an undecoded path. Out: a Route. Never: a look at what exists.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote, unquote_to_bytes

import msgspec

from pypackager._core import split_token
from pypackager.model.errors import PackagerError

MAX_TARGET = 4096
"""Bytes of path and query; no URL of ours comes near it."""

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
_ABSOLUTE = re.compile(rb"^[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
# A dot segment is no name, with an ending as without.
_PRESENTATION = re.compile(r"^(?!\.\.?\.isml?$)(?P<name>.+)\.isml?$", re.IGNORECASE)
_MANIFEST = re.compile(r"^manifest(?=$|\()", re.IGNORECASE)

Place = Literal["locator", "preview", "play", "play-preview", "static", "time", "health", "ready", "crossdomain", "clientaccess", "none"]

_FIXED: dict[str, Place] = {
    "time": "time",
    "healthz": "health",
    "readyz": "ready",
    "crossdomain.xml": "crossdomain",
    "clientaccesspolicy.xml": "clientaccess",
}


class Route(msgspec.Struct, frozen=True):
    """Where a request goes."""

    place: Place
    name: str = ""
    """Locator, channel, or file below /static/; of /healthz the locator that is asked for, if any."""
    asset: str = ""
    """Locator paths: the asset's name."""
    rest: str = ""
    """What follows the presentation's root."""
    token: str | None = None
    """Between the locator and the asset's name."""


def parse_target(path: bytes, query: bytes) -> Route:
    """The route of a request.

    Args:
        path: as in the request line, still percent-encoded; absolute-form is accepted (RFC 9112 3.2.2).
        query: without the question mark; only its length matters here.

    Raises:
        PackagerError: URI_TOO_LONG (414) or URI_MALFORMED (400).
    """
    if len(path) + len(query) > MAX_TARGET:
        raise PackagerError("URI_TOO_LONG", f"a request target has at most {MAX_TARGET} bytes", status=414)
    text = _decode(path)
    # An absolute form may have no path at all (RFC 9110 4.2.3).
    segments = (text or "/").split("/")
    if segments[0]:
        raise PackagerError("URI_MALFORMED", "a path starts with a slash", status=400)
    segments = segments[1:]
    if any(segment in (".", "..") for segment in segments):
        raise PackagerError("URI_MALFORMED", "a path has no dot segments", status=400)
    if len(segments) == 1:
        return Route("static", "favicon.svg") if segments[0].startswith("favicon.") else Route(_FIXED.get(segments[0], "none"))
    return _signed(text) or _route(segments)


def presentation_root(locator: str, asset: str) -> str:
    """The path below which a published asset lives."""
    return f"/{quote(locator)}/{quote(asset)}.ism"


def preview_root(channel: str) -> str:
    """The path below which a channel's preview lives."""
    return f"/preview/{quote(channel)}.isml"


def _decode(path: bytes) -> str:
    if _BAD_ESCAPE.search(path):
        raise PackagerError("URI_MALFORMED", "a percent sign is followed by two hex digits", status=400)
    # Exactly one round: what is still encoded after it is part of a name, and no name of ours has a percent sign.
    try:
        text = unquote_to_bytes(_ABSOLUTE.sub(b"", path)).decode()
    except UnicodeDecodeError as error:
        raise PackagerError("URI_MALFORMED", "a path is UTF-8", status=400) from error
    if _FORBIDDEN.search(text):
        raise PackagerError("URI_MALFORMED", "a path has no control characters and no backslash", status=400)
    return text


def _signed(text: str) -> Route | None:
    """The route of a path with a token: it stands behind a locator, and nowhere else."""
    found = split_token(text)
    if found is None:
        return None
    before, token, behind = found
    segments = (before + behind).split("/")[1:]
    if len(segments) == 1:
        return None
    route = _route(segments)
    place = {"locator": f"/{route.name}", "play": f"/play/{route.name}"}.get(route.place, before if route.place == "time" else "")
    return msgspec.structs.replace(route, token=token) if before == place else None


def _route(segments: list[str]) -> Route:
    head = segments[0]
    if head == "healthz":
        return Route("health", "/".join(segments[1:]))
    if head == "static":
        return Route("static", "/".join(segments[1:]))
    if head == "play":
        if segments[1] == "preview" and len(segments) == 3:
            return Route("play-preview", segments[2])
        return Route("play", "/".join(segments[1:]))
    for place, segment in enumerate(segments[1:], start=1):
        found = _PRESENTATION.match(segment)
        if found is None:
            continue
        rest = "/".join(segments[place + 1 :])
        if rest == "time":
            return Route("time")
        # AMS clients write Manifest, manifest and MANIFEST; the format in parentheses keeps its case.
        rest = _MANIFEST.sub("manifest", rest)
        if head == "preview" and place == 1:
            return Route("preview", found["name"], rest=rest)
        return Route("locator", "/".join(segments[:place]), found["name"], rest)
    return Route("none")
