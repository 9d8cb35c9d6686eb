"""Who is let through to what a locator publishes.

In: publications, tokens, the time. Out: refusals; paths without their tokens. Never: a judgement of its own, that is the native core's,
which the front door asks as well.
"""

from __future__ import annotations

from pypackager._core import split_token
from pypackager.model.errors import PackagerError
from pypackager.origin.ports import Publication

_REFUSALS = {
    "LOCATOR_EARLY": (404, "it is not published yet"),
    "LOCATOR_EXPIRED": (404, "it is published no longer"),
    "TOKEN_MISSING": (403, "this is for viewers whose URL has a token"),
    "TOKEN_INVALID": (403, "the token of this URL is not good for it, or not for this viewer's address"),
    "TOKEN_EXPIRED": (403, "the token of this URL is too old"),
}
"""Not 401: no header that a client could send would help (RFC 9110 15.5.2)."""


def admit(publication: Publication, token: str | None, viewer: str, now_us: int) -> None:
    """Lets a viewer through.

    Raises:
        PackagerError: LOCATOR_EARLY, LOCATOR_EXPIRED (404), TOKEN_MISSING, TOKEN_INVALID, TOKEN_EXPIRED (403).
    """
    code = publication.gate.judge(now_us, token, viewer)
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
