"""Tokens for the API.

In: commands. Out: tokens, each shown once. Never: one that is kept.
"""

from __future__ import annotations

import secrets
from datetime import datetime

from pypackager.control.authority import digest
from pypackager.control.checks import conflict, match
from pypackager.control.ports import Runner
from pypackager.control.resources import ApiToken, Role

_PREFIX = "pypackager_"
"""By which those who look for lost secrets know one."""


class Tokens:
    """Takes commands on tokens.

    Args:
        runner: whose registry has them.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def create(self, name: str, role: Role, expires: datetime | None) -> tuple[ApiToken, str]:
        """Makes a token, which is in no other answer.

        Raises:
            PackagerError: API_TOKEN_EXISTS (409), …
        """
        registry = self._runner.registry
        async with registry.lock:
            if name in registry.resources.tokens:
                raise conflict("API_TOKEN_EXISTS", f"there is a token {name!r}")
            token = f"{_PREFIX}{secrets.token_urlsafe(32)}"
            now = self._runner.utc()
            made = ApiToken(name=name, role=role, digest=digest(token), expires=expires, created=now, modified=now)
            await registry.commit([made])
        return made, token

    async def delete(self, name: str, wanted: str | None = None) -> None:
        """Deletes a token, which is refused from now on.

        Raises:
            PackagerError: API_TOKEN_UNKNOWN (404), ETAG_MISMATCH (412).
        """
        registry = self._runner.registry
        async with registry.lock:
            gone = registry.resources.token(name)
            match(gone, wanted)
            await registry.commit(drop=[gone])
