"""Who may ask the control listener what.

In: a request's head, the tokens that there are. Out: nothing, or a refusal. Never: a token as such; what is kept is its digest.

A request with a token may do what the token's role may, wherever it comes from. One without may do everything when an operator on this
machine made it: it comes from a loopback address, through no proxy, names us by a loopback name, and no page of another site sent it.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from datetime import datetime
from urllib.parse import urlsplit

import msgspec

from pypackager.control.resources import ApiToken, Role
from pypackager.model.errors import PackagerError

_RANKS: tuple[Role, ...] = ("viewer", "operator", "admin")
_LOOKS = ("GET", "HEAD")
_SECRETS = ("tokens", "signing-keys", "webhooks")
"""Who makes these says who may do what, or where the daemon sends."""


class Asked(msgspec.Struct, frozen=True):
    """A request's head."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    peer: str
    """Address of the other side."""


def digest(token: str) -> bytes:
    """What is kept of a token. It is as random as a key, so that one round is enough."""
    return hashlib.sha256(token.encode()).digest()


def needed(method: str, path: str) -> Role:
    """The least role that may do it."""
    # As the router does: what stands between slashes counts, and how many these are does not.
    names = [name for name in path.split("/") if name]
    if names[1:] and names[1] in _SECRETS:
        return "admin"
    return "viewer" if method in _LOOKS else "operator"


def authorize(asked: Asked, tokens: Iterable[ApiToken], now: datetime) -> None:
    """Lets a request through.

    Raises:
        PackagerError: API_TOKEN_MISSING, API_TOKEN_INVALID (401), ROLE_FORBIDDEN, CONTROL_CROSS_SITE (403).
    """
    scheme, _, token = asked.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        _check_operator(asked)
        return
    # Found by its digest: how long a look takes tells nothing that helps to find another.
    wanted = digest(token.strip())
    found = next((each for each in tokens if each.digest == wanted), None)
    if found is None or (found.expires is not None and found.expires <= now):
        raise PackagerError("API_TOKEN_INVALID", "there is no such token, or its time is over", status=401, fault="operator")
    role = needed(asked.method, asked.path)
    if _RANKS.index(found.role) < _RANKS.index(role):
        detail = f"token {found.name!r} is that of a {found.role}, and this takes the role {role}"
        raise PackagerError("ROLE_FORBIDDEN", detail, status=403, fault="operator")


def _check_operator(asked: Asked) -> None:
    headers = asked.headers
    if not _is_loopback(asked.peer) or not headers.keys().isdisjoint({"forwarded", "x-forwarded-for", "via"}):
        detail = "from another machine, or through a proxy, the API takes a token: `pypackager token create` on its own machine makes one"
        raise PackagerError("API_TOKEN_MISSING", detail, status=401, fault="operator")
    host = headers.get("host", "")
    # A name that somebody else's DNS points here would make a page of theirs one of ours.
    if not _is_loopback(urlsplit(f"//{host}").hostname or "") or urlsplit(headers.get("origin", f"http://{host}")).netloc != host:
        raise PackagerError("CONTROL_CROSS_SITE", "the request comes from a page of another site", status=403, fault="operator")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.removeprefix("::ffff:")).is_loopback
    except ValueError:
        return False
