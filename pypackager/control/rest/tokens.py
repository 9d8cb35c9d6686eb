"""`/v1/tokens`."""

from __future__ import annotations

from datetime import datetime

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from pypackager.control.resources import ApiToken, Role
from pypackager.control.rest.bodies import NewToken
from pypackager.control.rest.channels import After, IfMatch, Limit, TheDesk
from pypackager.control.rest.replies import made, tagged
from pypackager.control.rest.views import Page, page
from pypackager.control.tokens import Tokens

TheTokens = NamedDependency[Tokens]


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token for this API."""

    name: str
    role: Role
    expires: datetime | None
    created: datetime
    etag: str


class NewTokenView(TokenView, frozen=True, kw_only=True):
    """A token that was made."""

    token: str
    """For `Authorization: Bearer …`; it is not shown again."""


class ApiTokens(Controller):
    """Tokens for this API."""

    path = "/v1/tokens"
    tags = ("Tokens",)

    @get(summary="Tokens")
    async def list(self, desk: TheDesk, after: After = "", limit: Limit = 100) -> Page[TokenView]:
        """All tokens, as what they are kept: not as themselves."""
        tokens = desk.resources.tokens
        here, following = page(list(tokens), after, limit)
        return Page([_view(tokens[name]) for name in here], following)

    @post(summary="Make a token")
    async def create(self, tokens: TheTokens, data: JSONBody[NewToken]) -> Response[NewTokenView]:
        """viewer: may look. operator: may do everything but with tokens, keys and webhooks. admin: everything."""
        token, text = await tokens.create(data.name, data.role, data.expires)
        view = NewTokenView(**msgspec.structs.asdict(_view(token)), token=text)
        return made(view, f"/v1/tokens/{token.name}")

    @get("/{token:str}", summary="A token")
    async def show(self, desk: TheDesk, token: FromPath[str]) -> Response[TokenView]:
        """Its role, and until when it is good."""
        return tagged(_view(desk.resources.token(token)))

    @delete("/{token:str}", summary="Delete a token", status_code=204)
    async def delete(self, tokens: TheTokens, token: FromPath[str], if_match: IfMatch = None) -> None:
        """It is refused from now on."""
        await tokens.delete(token, if_match)


def _view(token: ApiToken) -> TokenView:
    return TokenView(name=token.name, role=token.role, expires=token.expires, created=token.created, etag=token.etag)
