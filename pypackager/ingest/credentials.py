"""Whose encoder it is: HTTP Basic (RFC 7617) and Digest (RFC 7616), and Adobe's challenge over RTMP, with the users of a channel.

In: users with their passwords, the heads of requests, connects. Out: a seal of who it is, or a refusal with what to answer it. Never: a
password in a text, or a comparison whose time says how much of it was right.
"""

from __future__ import annotations

import re
import secrets
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from hashlib import md5, sha256
from hmac import compare_digest, digest
from typing import Protocol
from urllib.parse import unquote

from pypackager.ingest import adobe
from pypackager.ingest.nonces import Nonces
from pypackager.model.errors import PackagerError

ALGORITHMS = {"sha-256": ("SHA-256", sha256), "md5": ("MD5", md5)}
"""By strength. Clients that know one alone take the first that they know (curl) or the last one that there is (ffmpeg): MD5 stands last."""
_PARAMETER = re.compile(r'[\s,]*([A-Za-z0-9_*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))\s*(?=,|$)')
_COUNT = re.compile(r"[0-9a-fA-F]{8}")


class Head(Protocol):
    """A request's head."""

    @property
    def method(self) -> str:
        """The method."""
        ...

    @property
    def target(self) -> str:
        """The target as sent."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """Header fields; names in lower case."""
        ...


class CredentialsError(PackagerError):
    """Who asks has not said who it is, or not rightly."""

    def __init__(self, code: str, detail: str, status: int, challenges: Sequence[str] = ()) -> None:
        super().__init__(code, detail, status=status)
        self.challenges = challenges
        """Values of WWW-Authenticate; to an RTMP connect the text that its encoder acts on."""


class Gate:
    """Knows users by what they show.

    Args:
        now_ns: a clock that never goes back.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self._secret = secrets.token_bytes(32)
        self._nonces = Nonces(now_ns, self._secret)

    def identify(self, realm: str, users: Mapping[str, str], head: Head) -> bytes:
        """The seal of the user of a request.

        Raises:
            PackagerError: CREDENTIALS_MISSING (401, with challenges), CREDENTIALS_WRONG (403), CREDENTIALS_MALFORMED (400).
        """
        shown = [value for name, value in head.headers if name == "authorization"]
        if len(shown) > 1:
            raise _malformed("two Authorization headers")
        scheme, _, rest = shown[0].strip().partition(" ") if shown else ("", "", "")
        fields: dict[str, str] = {}
        match scheme.lower():
            case "basic":
                user, password = _basic(rest)
                right = _same(users.get(user), password)
            case "digest":
                fields = _digest(rest, head.target)
                user = fields["username"]
                right = self._answered(realm, users.get(user), head.method, fields)
            case _:
                raise missing(challenges=self._challenges(realm))
        if not right:
            raise wrong()
        if fields and not self._nonces.spend(fields["nonce"], realm, int(fields["nc"], 16)):
            raise missing("the nonce is too old, or was used", self._challenges(realm, stale=True))
        return self.seal(realm, user, users[user])

    def identify_connect(self, realm: str, users: Mapping[str, str], query: str) -> bytes:
        """The seal of the user of an RTMP connect.

        Raises:
            CredentialsError: CREDENTIALS_MISSING, CREDENTIALS_WRONG, with what to answer.
        """
        shown = adobe.read(query)
        if shown is None:
            raise missing(challenges=[adobe.NEEDED])
        user = unquote(shown.user)
        # One that there is not has a salt, too: who asks is not told.
        salt = digest(self._secret, f"{realm}\0{shown.user}".encode(), sha256).hex()[:8]
        asked = adobe.needed(shown.user, salt, self._nonces.make(realm))
        if not shown.response:
            raise missing(challenges=[asked])
        right = compare_digest(adobe.response(shown, salt, users.get(user, "")).encode(), shown.response.encode())
        if not right or user not in users:
            raise wrong([adobe.FAILED])
        if not self._nonces.spend(shown.opaque, realm):
            raise missing("the challenge is too old, or was answered before", [asked])
        return self.seal(realm, user, users[user])

    def seal(self, realm: str, user: str, password: str) -> bytes:
        """Stands for a user with a password, and tells neither."""
        return digest(self._secret, f"{realm}\0{user}\0{password}".encode(), sha256)

    def holds(self, seal: bytes, realm: str, users: Mapping[str, str]) -> bool:
        """Whether it is of one of these users, and the password still the same."""
        return any(compare_digest(seal, self.seal(realm, user, password)) for user, password in users.items())

    def _answered(self, realm: str, password: str | None, method: str, fields: Mapping[str, str]) -> bool:
        if fields["realm"] != realm:
            raise missing("the realm is another channel's", self._challenges(realm))
        # As much is worked out for a user that there is not.
        expected = answer(fields, password if password is not None else "", method)
        return compare_digest(expected.encode(), fields["response"].lower().encode()) and password is not None

    def _challenges(self, realm: str, *, stale: bool = False) -> list[str]:
        also = ", stale=true" if stale else ""
        digests = [
            f'Digest realm="{realm}", qop="auth", algorithm={name}, nonce="{self._nonces.make(realm)}"{also}'
            for name, _ in ALGORITHMS.values()
        ]
        return [*digests, f'Basic realm="{realm}", charset="UTF-8"']


def missing(detail: str = "the channel has ingest_users: send a user and a password", challenges: Sequence[str] = ()) -> CredentialsError:
    """An answer to one of the challenges is needed."""
    return CredentialsError("CREDENTIALS_MISSING", detail, 401, challenges)


def wrong(challenges: Sequence[str] = ()) -> CredentialsError:
    """Which of the two it is, is not said."""
    return CredentialsError("CREDENTIALS_WRONG", "the user or the password is not the channel's", 403, challenges)


def answer(fields: Mapping[str, str], password: str, method: str) -> str:
    """The `response` of RFC 7616 3.4.1 with qop=auth, in lower case."""
    hashed = ALGORITHMS[fields.get("algorithm", "md5").lower()][1]

    def worked(*parts: str) -> str:
        return hashed(":".join(parts).encode()).hexdigest()

    who = worked(fields["username"], fields["realm"], password)
    what = worked(method, fields["uri"])
    return worked(who, fields["nonce"], fields["nc"], fields["cnonce"], "auth", what)


def _same(password: str | None, shown: str) -> bool:
    return compare_digest((password or "").encode(), shown.encode()) and password is not None


def _basic(text: str) -> tuple[str, str]:
    try:
        user, colon, password = b64decode(text.strip(), validate=True).decode().partition(":")
    except ValueError as error:
        raise _malformed("Basic is not followed by base64 of USER:PASSWORD") from error
    if not colon:
        raise _malformed("there is no colon behind the user")
    return user, password


def _digest(text: str, target: str) -> dict[str, str]:
    """The parameters of an Authorization, those that are needed among them."""
    fields: dict[str, str] = {}
    at = 0
    while (found := _PARAMETER.match(text, at)) is not None:
        name, quoted, plain = found.groups()
        if name.lower() in fields:
            raise _malformed(f"{name.lower()} comes twice")
        fields[name.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        at = found.end()
    if text[at:].strip(" ,\t"):
        raise _malformed("the parameters cannot be read")
    if missing := [name for name in ("username", "realm", "nonce", "uri", "response", "qop", "nc", "cnonce") if name not in fields]:
        raise _malformed(f"{missing[0]} is missing")
    if fields["qop"].lower() != "auth" or _COUNT.fullmatch(fields["nc"]) is None:
        raise _malformed("qop is not auth, or nc not eight hexadecimal digits")
    if fields.get("algorithm", "md5").lower() not in ALGORITHMS:
        raise _malformed("the algorithm was not offered")
    if unquote(fields["uri"]) != unquote(target):
        raise _malformed("uri names another resource")
    return fields


def _malformed(detail: str) -> PackagerError:
    return PackagerError("CREDENTIALS_MALFORMED", f"Authorization: {detail}", status=400)
