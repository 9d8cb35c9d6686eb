"""`/v1/locators`."""

from __future__ import annotations

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from pypackager.control.publications import Publications
from pypackager.control.rest.bodies import NewLocator, NewSignature
from pypackager.control.rest.channels import After, Call, Changes, IfMatch, Limit, TheDesk, host
from pypackager.control.rest.replies import made, tagged
from pypackager.control.rest.signing import TheSigning
from pypackager.control.rest.views import LocatorView, Page, SignedView, locator_view, page, signed_view
from pypackager.control.settings import LocatorSettings

ThePublications = NamedDependency[Publications]


class Locators(Controller):
    """Locators."""

    path = "/v1/locators"
    tags = ("Locators",)

    @get(summary="Locators")
    async def list(
        self, desk: TheDesk, request: Call, after: After = "", limit: Limit = 100, asset: FromQuery[str | None] = None
    ) -> Page[LocatorView]:
        """All locators, or those of an asset."""
        locators = desk.resources.locators
        here, following = page([path for path, each in locators.items() if asset in (None, each.asset)], after, limit)
        return Page([locator_view(desk.runner, locators[path], host(request)) for path in here], following)

    @post(summary="Publish an asset")
    async def create(
        self, desk: TheDesk, publications: ThePublications, request: Call, data: JSONBody[NewLocator]
    ) -> Response[LocatorView]:
        """Under a path of choice, or a new GUID; an asset can have several locators."""
        settings = LocatorSettings(**{name: getattr(data, name) for name in LocatorSettings.__struct_fields__})
        locator = await publications.create_locator(data.path, data.asset, settings)
        return made(locator_view(desk.runner, locator, host(request)), f"/v1/locators/{locator.path}")

    @get("/{path:str}", summary="A locator")
    async def show(self, desk: TheDesk, request: Call, path: FromPath[str]) -> Response[LocatorView]:
        """With its URLs."""
        return tagged(locator_view(desk.runner, desk.resources.locator(path), host(request)))

    @patch("/{path:str}", summary="Change settings")
    async def change(
        self, desk: TheDesk, publications: ThePublications, request: Call, path: FromPath[str], data: Changes, if_match: IfMatch = None
    ) -> Response[LocatorView]:
        """JSON merge patch (RFC 7396), at any time; it holds for the next request."""
        changed = await publications.change_locator(path, data, if_match)
        return tagged(locator_view(desk.runner, changed, host(request)))

    @post("/{path:str}/sign", summary="Sign a URL", status_code=200)
    async def sign(
        self, desk: TheDesk, signing: TheSigning, request: Call, path: FromPath[str], data: JSONBody[NewSignature]
    ) -> Response[SignedView]:
        """A token, which is kept nowhere: it ends with its time, or with its key."""
        signed = signing.sign(path, lifetime=data.lifetime, expires=data.expires, viewer=data.viewer, key=data.key)
        return Response(signed_view(desk.runner, signed, host(request)), headers={"Cache-Control": "no-store"})

    @delete("/{path:str}", summary="End a publication", status_code=204)
    async def delete(self, publications: ThePublications, path: FromPath[str], if_match: IfMatch = None) -> None:
        """Its URLs are 404 from now on; the asset stays."""
        await publications.delete_locator(path, if_match)
