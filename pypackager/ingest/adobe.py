"""The challenge of Adobe's access manager (`authmod=adobe`), which RTMP encoders with a user and a password know: FMLE, OBS, ffmpeg.

In: the query of a connect. Out: which of its three steps it is, and the texts that encoders look for. Never: a decision.

Theory of operation. An encoder connects three times. The first connect is refused with `code=403 need auth; authmod=adobe`. The second
brings `?authmod=adobe&user=NAME` and is refused with a salt of the user and an opaque value. The third brings what a digest of the password
gives: base64(MD5(base64(MD5(user + salt + password)) + opaque + challenge)), the challenge being the encoder's. There is no specification;
all encoders that were seen bring the opaque value back, and then the server's own challenge counts for nothing.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import md5

import msgspec

_HEAD = "[ AccessManager.Reject ] : "
NEEDED = f"{_HEAD}[ code=403 need auth; authmod=adobe ] : "
FAILED = f"{_HEAD}[ authmod=adobe ] : ?reason=authfailed"
_MAX_USER = 64
"""Bytes of a name: ffmpeg takes 255 bytes of a text."""


class Answer(msgspec.Struct, frozen=True):
    """What an encoder brings to its third connect, or of which the second has the user alone."""

    user: str
    challenge: str = ""
    response: str = ""
    opaque: str = ""


def read(query: str) -> Answer | None:
    """What a query says; None where it has no answer to `authmod=adobe`. Values are as sent: base64 is not escaped."""
    parts = (part.partition("=") for part in reversed(query.split("&")))
    fields = {name: value for name, _, value in parts}
    if fields.get("authmod") != "adobe" or not 0 < len(fields.get("user", "").encode()) <= _MAX_USER:
        return None
    return Answer(fields["user"], fields.get("challenge", ""), fields.get("response", ""), fields.get("opaque", ""))


def needed(user: str, salt: str, opaque: str) -> str:
    """The answer to the second connect."""
    return f"{_HEAD}[ authmod=adobe ] : ?reason=needauth&user={user}&salt={salt}&challenge={opaque[-8:]}&opaque={opaque}"


def response(answer: Answer, salt: str, password: str) -> str:
    """What one who knows the password answers."""
    known = _hashed(answer.user + salt + password)
    return _hashed(known + answer.opaque + answer.challenge)


def _hashed(text: str) -> str:
    return b64encode(md5(text.encode()).digest()).decode()  # noqa: S324 (the protocol's)
