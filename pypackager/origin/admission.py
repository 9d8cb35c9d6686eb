"""Who is let through to what a locator publishes.

In: publications, tokens, the time. Out: refusals; paths without their tokens. Never: a judgement of its own, that is the native core's,
which the front door asks as well.
"""

from __future__ import annotations

from collections.abc import Mapping

from pypackager._core import split_token
from pypackager.model.errors import PackagerError
from pypackager.origin.ports import Endpoint, Publication
from pypackager.origin.reply import ANY_ORIGIN

Fields = tuple[tuple[bytes, bytes], ...]

_REFUSALS = {
    "ENDPOINT_STOPPED": (503, "the streaming endpoint is stopped"),
    "CDN_SECRET_MISSING": (403, "this is served through a CDN"),
    "HOST_NOT_SERVED": (421, "the streaming endpoint has no such name"),
    "VIEWER_NOT_ALLOWED": (403, "the viewer's address is not on the streaming endpoint's list"),
    "LOCATOR_EARLY": (404, "it is not published yet"),
    "LOCATOR_EXPIRED": (404, "it is published no longer"),
    "TOKEN_MISSING": (403, "this is for viewers whose URL has a token"),
    "TOKEN_INVALID": (403, "the token of this URL is not good for it, or not for this viewer's address"),
    "TOKEN_EXPIRED": (403, "the token of this URL is too old"),
}
"""Not 401: no header that a client could send would help (RFC 9110 15.5.2)."""


def enter(endpoint: Endpoint, viewer: str, headers: Mapping[str, str]) -> None:
    """Lets a viewer in to the content of an endpoint.

    Args:
        endpoint: the endpoint.
        viewer: address of who asks.
        headers: of the request, names in lower case.

    Raises:
        PackagerError: ENDPOINT_STOPPED (503), CDN_SECRET_MISSING, VIEWER_NOT_ALLOWED (403), HOST_NOT_SERVED (421).
    """
    _refuse(endpoint.policy.judge(viewer, headers.get("host", ""), headers.get("x-cdn-secret", "")))


def let_read(endpoint: Endpoint, origin: str, fields: Fields) -> Fields:
    """The header fields of an answer for a page of a site, where not all sites' pages may read it."""
    if endpoint.policy.open:
        return fields
    named = ((b"access-control-allow-origin", origin.encode("latin-1")),) if endpoint.policy.reads(origin) else ()
    return (*(pair for pair in fields if pair != ANY_ORIGIN), *named, (b"vary", b"Origin"))


def admit(publication: Publication, token: str | None, viewer: str, now_us: int) -> None:
    """Lets a viewer through.

    Raises:
        PackagerError: LOCATOR_EARLY, LOCATOR_EXPIRED (404), TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED (403).
    """
    _refuse(publication.gate.judge(now_us, token, viewer))


def streams(endpoint: Endpoint, publication: Publication, now_us: int) -> None:
    """Whether a locator is published by an endpoint now, to whomever: for who balances load, and is no viewer.

    Raises:
        PackagerError: ENDPOINT_STOPPED (503), LOCATOR_EARLY, LOCATOR_EXPIRED (404).
    """
    for code in (endpoint.policy.judge("", "", ""), publication.gate.judge(now_us, None, "")):
        _refuse(code if code in ("ENDPOINT_STOPPED", "LOCATOR_EARLY", "LOCATOR_EXPIRED") else None)


def _refuse(code: str | None) -> None:
    if code is not None:
        status, detail = _REFUSALS[code]
        raise PackagerError(code, detail, status=status)


def without_token(path: str) -> str:
    """A path as it would be if it had no token: all that is kept is kept under it."""
    found = split_token(_normal(path))
    return path if found is None else found[0] + found[2]


def shown(path: str) -> str:
    """A path for logs and error messages."""
    found = split_token(_normal(path))
    return path if found is None else f"{found[0]}/~{found[2]}"


def _normal(path: str) -> str:
    # RFC 3986 6.2.2.2: a tilde that is escaped is a tilde.
    return path.replace("%7E", "~").replace("%7e", "~") if "%7" in path else path
