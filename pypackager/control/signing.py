"""Keys that sign URLs, and URLs that are signed with them.

In: commands. Out: keys, tokens. Never: a secret that was shown before, or one in a log.
"""

from __future__ import annotations

import ipaddress
import secrets
from datetime import UTC, datetime, timedelta

import msgspec

from pypackager._core import sign_token
from pypackager.control.checks import conflict, match
from pypackager.control.ports import Runner
from pypackager.control.resources import Locator, SigningKey
from pypackager.model.duration import parse_duration
from pypackager.model.errors import PackagerError

SECRET_BYTES = 32
"""As many as the digest has (RFC 2104 3)."""


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A token for a locator."""

    locator: Locator
    token: str
    key: str
    expires: datetime
    viewer: str | None


class Signing:
    """Takes commands on keys, and signs.

    Args:
        runner: the channels that run.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def create_key(self, name: str | None, secret: bytes | None) -> SigningKey:
        """Makes a key, which signs from now on; those that are there stay good.

        Args:
            name: its id; None: one that is free.
            secret: what another program signs with already; None: a new one.

        Raises:
            PackagerError: SIGNING_KEY_EXISTS (409), …
        """
        registry = self._runner.registry
        async with registry.lock:
            known = registry.resources.signing_keys
            name = name or next(free for number in range(1, len(known) + 2) if (free := f"k{number}") not in known)
            if name in known:
                raise conflict("SIGNING_KEY_EXISTS", f"there is a signing key {name!r}")
            now = self._runner.utc()
            made = SigningKey(id=name, secret=secret or secrets.token_bytes(SECRET_BYTES), created=now, modified=now)
            await registry.commit([made])
        return made

    async def delete_key(self, name: str, wanted: str | None = None) -> None:
        """Deletes a key: what it signed is good no longer.

        Raises:
            PackagerError: SIGNING_KEY_UNKNOWN (404), ETAG_MISMATCH (412).
        """
        registry = self._runner.registry
        async with registry.lock:
            gone = registry.resources.signing_key(name)
            match(gone, wanted)
            await registry.commit(drop=[gone])
        self._runner.review()

    def sign(self, path: str, *, lifetime: str, expires: datetime | None, viewer: str | None, key: str | None) -> Signed:
        """A token for a locator.

        Args:
            path: of the locator.
            lifetime: how long it is good, as in the configuration file.
            expires: until when, instead of that.
            viewer: the only address that it is good for; None: any.
            key: who signs; None: the newest.

        Raises:
            PackagerError: LOCATOR_UNKNOWN, SIGNING_KEY_UNKNOWN (404), NO_SIGNING_KEY (409), INVALID (400).
        """
        resources = self._runner.registry.resources
        locator = resources.locator(path)
        signer = resources.signing_key(key)
        try:
            address = None if viewer is None else ipaddress.ip_address(viewer)
            until = expires or self._runner.utc() + timedelta(microseconds=parse_duration(lifetime) // 1000)
            # To the second, and never longer than was asked for.
            seconds = int(until.timestamp())
        except (PackagerError, ValueError, OverflowError) as error:
            detail = error.detail if isinstance(error, PackagerError) else str(error)
            raise PackagerError("INVALID", detail, fault="operator") from None
        token = sign_token((signer.id, signer.secret), locator.root, seconds, address)
        return Signed(locator=locator, token=token, key=signer.id, expires=datetime.fromtimestamp(seconds, UTC), viewer=viewer)
