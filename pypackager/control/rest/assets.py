"""`/v1/assets`, `/v1/operations`."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from pypackager.control.archive import Archive, damage
from pypackager.control.desk import Desk
from pypackager.control.operations import Operation
from pypackager.control.ports import AlertView
from pypackager.control.rest.bodies import NewClip
from pypackager.control.rest.channels import After, Limit, TheDesk
from pypackager.control.rest.replies import accepted
from pypackager.control.rest.views import Page, page
from pypackager.dvr.description import Description, Verified
from pypackager.dvr.measure import Measure

TheArchive = NamedDependency[Archive]
AssetState = Literal["Live", "OnDemand", "Unreadable"]
"""Live: its program records to it. Unreadable: its description is damaged."""
Of = Annotated[AssetState | None, QueryParameter(name="state", description="Those in a state only")]


class AssetItem(msgspec.Struct, frozen=True, kw_only=True):
    """An asset in a list."""

    name: str
    channel: str | None
    """From which it was recorded; it need not be there any more."""
    program: str | None
    """CHANNEL/PROGRAM that refers to it."""
    state: AssetState
    clip: bool
    """Whether it was made of a part of another one."""
    locators: list[str]
    alerts: list[AlertView]
    operation: str | None
    """Id of the one that is under way."""


class AssetView(AssetItem, frozen=True, kw_only=True):
    """An asset in numbers."""

    start: datetime | None
    """UTC of its first fragment; null: it has none."""
    end: datetime | None
    measure: Measure
    verified: Verified | None
    """What was found when all of it was read last; null: it never was, or its program has run since."""


class Assets(Controller):
    """Assets."""

    path = "/v1/assets"
    tags = ("Assets",)

    @get(summary="Assets")
    async def list(
        self,
        desk: TheDesk,
        archive: TheArchive,
        after: After = "",
        limit: Limit = 100,
        channel: FromQuery[str | None] = None,
        program: FromQuery[str | None] = None,
        only: Of = None,
    ) -> Page[AssetItem]:
        """All assets, or those recorded from a channel, that a program (CHANNEL/PROGRAM) refers to, in a state."""
        items = {name: _item(desk, archive, name, said) for name, said in (await archive.all()).items()}
        names = [
            name
            for name, item in items.items()
            if channel in (None, item.channel) and program in (None, item.program) and only in (None, item.state)
        ]
        here, following = page(names, after, limit)
        return Page([items[name] for name in here], following)

    @post(summary="Make a clip")
    async def create(self, desk: TheDesk, archive: TheArchive, data: JSONBody[NewClip]) -> Response[AssetItem]:
        """Of a part of an asset, as an asset of its own: nothing is copied, and neither needs the other. Publish it with a locator."""
        name = data.name or f"{data.asset[:55]}-{secrets.token_hex(4)}"
        await archive.clip(data.asset, name, data.start, data.end)
        item = _item(desk, archive, name, await archive.describe(name))
        return Response(item, status_code=201, headers={"Location": f"/v1/assets/{name}"})

    @get("/{asset:str}", summary="An asset")
    async def show(self, desk: TheDesk, archive: TheArchive, asset: FromPath[str]) -> AssetView:
        """Measured: its duration, its tracks, what it costs and what deleting it would free; and what its verification found."""
        said, found = await archive.describe(asset), await archive.measure(asset)
        first_ns = found.anchor_ns + found.measure.start_ns
        start, end = (_utc(first_ns), _utc(first_ns + found.measure.duration_ns)) if found.measure.tracks else (None, None)
        item = msgspec.structs.asdict(_item(desk, archive, asset, said))
        return AssetView(**item, start=start, end=end, measure=found.measure, verified=said.verified)

    @post("/{asset:str}/verify", summary="Verify an asset", status_code=202)
    async def verify(self, archive: TheArchive, asset: FromPath[str]) -> Response[Operation]:
        """Reads all of it: what is damaged is left out from then on. The operation's result, and the asset, say what was found."""
        return accepted(await archive.verify(asset))

    @delete("/{asset:str}", summary="Delete an asset", status_code=204)
    async def delete(self, archive: TheArchive, asset: FromPath[str]) -> None:
        """With what publishes it; not while a program refers to it, be it running or not."""
        await archive.delete(asset)


@get("/v1/operations/{operation:str}", summary="A command that was accepted", tags=["Operations"])
async def show_operation(desk: TheDesk, operation: FromPath[str]) -> Operation:
    """Whether it has ended, and how."""
    return desk.operations.get(operation)


def _item(desk: Desk, archive: Archive, name: str, said: Description | None) -> AssetItem:
    user = desk.resources.user(name)
    alerts = [AlertView("ASSET_UNREADABLE", "its description can't be read")] if said is None else []
    if said is not None and said.damaged:
        alerts = [AlertView("ASSET_DAMAGED", damage(len(said.damaged)))]
    return AssetItem(
        name=name,
        channel=None if said is None else said.channel,
        program=None if user is None else f"{user.channel}/{user.name}",
        state="Unreadable" if said is None else "Live" if said.stop is None else "OnDemand",
        clip=said is not None and said.part is not None,
        locators=[each.path for each in desk.resources.locators.values() if each.asset == name],
        alerts=alerts,
        operation=archive.pending(name),
    )


def _utc(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // 1_000_000_000, UTC).replace(microsecond=ns // 1000 % 1_000_000)
