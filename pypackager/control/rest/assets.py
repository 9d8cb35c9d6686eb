"""`/v1/locators`, `/v1/assets`, `/v1/operations`."""

from __future__ import annotations

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from pypackager.control.desk import Desk
from pypackager.control.operations import Operation
from pypackager.control.publications import Publications
from pypackager.control.rest.bodies import NewLocator, NewSignature
from pypackager.control.rest.channels import After, Call, Changes, IfMatch, Limit, TheDesk, host
from pypackager.control.rest.replies import made, tagged
from pypackager.control.rest.signing import TheSigning
from pypackager.control.rest.views import LocatorView, Page, SignedView, locator_view, page, signed_view
from pypackager.control.settings import LocatorSettings
from pypackager.dvr.measure import Measure

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


class AssetItem(msgspec.Struct, frozen=True, kw_only=True):
    """An asset in a list."""

    name: str
    program: str | None
    """CHANNEL/PROGRAM that refers to it."""
    locators: list[str]


class AssetView(AssetItem, frozen=True, kw_only=True):
    """An asset in numbers."""

    measure: Measure


class Assets(Controller):
    """Assets."""

    path = "/v1/assets"
    tags = ("Assets",)

    @get(summary="Assets")
    async def list(self, desk: TheDesk, publications: ThePublications, after: After = "", limit: Limit = 100) -> Page[AssetItem]:
        """All assets."""
        here, following = page(await publications.names(), after, limit)
        return Page([AssetItem(name=name, program=_user(desk, name), locators=_locators(desk, name)) for name in here], following)

    @get("/{asset:str}", summary="An asset")
    async def show(self, desk: TheDesk, publications: ThePublications, asset: FromPath[str]) -> AssetView:
        """Measured: its duration, its tracks, what it costs and what deleting it would free."""
        found = await publications.measure(asset)
        return AssetView(name=asset, program=_user(desk, asset), locators=_locators(desk, asset), measure=found)

    @delete("/{asset:str}", summary="Delete an asset", status_code=204)
    async def delete(self, publications: ThePublications, asset: FromPath[str]) -> None:
        """With what publishes it; not while a program refers to it, be it running or not."""
        await publications.delete_asset(asset)


@get("/v1/operations/{operation:str}", summary="A command that was accepted", tags=["Operations"])
async def show_operation(desk: TheDesk, operation: FromPath[str]) -> Operation:
    """Whether it has ended, and how."""
    return desk.operations.get(operation)


def _user(desk: Desk, asset: str) -> str | None:
    user = desk.resources.user(asset)
    return None if user is None else f"{user.channel}/{user.name}"


def _locators(desk: Desk, asset: str) -> list[str]:
    return [each.path for each in desk.resources.locators.values() if each.asset == asset]
