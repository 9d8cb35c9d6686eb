"""`/v1/signing-keys`."""

from __future__ import annotations

from datetime import datetime

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from pypackager.control.resources import SigningKey
from pypackager.control.rest.bodies import NewSigningKey
from pypackager.control.rest.channels import After, IfMatch, Limit, TheDesk
from pypackager.control.rest.replies import made, tagged
from pypackager.control.rest.views import Page, page
from pypackager.control.signing import Signing

TheSigning = NamedDependency[Signing]


class SigningKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A signing key."""

    id: str
    created: datetime
    etag: str


class NewSigningKeyView(SigningKeyView, frozen=True, kw_only=True):
    """A signing key that was made."""

    secret: str
    """In hexadecimal digits, for programs that sign by themselves; it is not shown again."""


class SigningKeys(Controller):
    """Signing keys."""

    path = "/v1/signing-keys"
    tags = ("Signing keys",)

    @get(summary="Signing keys")
    async def list(self, desk: TheDesk, after: After = "", limit: Limit = 100) -> Page[SigningKeyView]:
        """All keys, without their secrets."""
        keys = desk.resources.signing_keys
        here, following = page(list(keys), after, limit)
        return Page([_view(keys[name]) for name in here], following)

    @post(summary="Make a signing key")
    async def create(self, signing: TheSigning, data: JSONBody[NewSigningKey]) -> Response[NewSigningKeyView]:
        """It signs from now on; what the others have signed stays good until they are deleted."""
        key = await signing.create_key(data.id, None if data.secret is None else bytes.fromhex(data.secret))
        view = NewSigningKeyView(id=key.id, created=key.created, etag=key.etag, secret=key.secret.hex())
        return made(view, f"/v1/signing-keys/{key.id}")

    @get("/{key:str}", summary="A signing key")
    async def show(self, desk: TheDesk, key: FromPath[str]) -> Response[SigningKeyView]:
        """Without its secret."""
        return tagged(_view(desk.resources.signing_key(key)))

    @delete("/{key:str}", summary="Delete a signing key", status_code=204)
    async def delete(self, signing: TheSigning, key: FromPath[str], if_match: IfMatch = None) -> None:
        """No URL that it signed is good any more."""
        await signing.delete_key(key, if_match)


def _view(key: SigningKey) -> SigningKeyView:
    return SigningKeyView(id=key.id, created=key.created, etag=key.etag)
