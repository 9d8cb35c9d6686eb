"""`/v1/usage`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec
from litestar import get
from litestar.params import FromQuery, QueryParameter

from pypackager.control.rest.channels import TheDesk
from pypackager.control.rest.views import UsageView, usage_view
from pypackager.control.usage import Amount, Kind, Used
from pypackager.model.errors import PackagerError

MAX_ITEMS = 100_000
_HOURS = {"hour": 1, "day": 24}
At = datetime | None


class UsageItem(UsageView, frozen=True, kw_only=True):
    """What one used in an hour or a day."""

    kind: Kind
    name: str
    """Of the channel or streaming endpoint; the locator's path."""
    begin: datetime
    """Of the hour or day, UTC."""


class UsagePeriod(msgspec.Struct, frozen=True):
    """What was used."""

    items: list[UsageItem]
    """In the order of kinds, names and time; what used nothing in an hour or day is not there."""


@get("/v1/usage", summary="What was used", tags=["Usage"])
async def show_usage(
    desk: TheDesk,
    begin: Annotated[At, QueryParameter(name="from", description="RFC 3339; default: a day before `to`")] = None,
    end: Annotated[At, QueryParameter(name="to", description="RFC 3339; default: now")] = None,
    by: FromQuery[Literal["hour", "day"]] = "hour",
    kind: FromQuery[Kind | None] = None,
    name: FromQuery[str | None] = None,
) -> UsagePeriod:
    """By the hour or day of UTC, of those that begin in the period. What a name used stays when what had it is deleted."""
    end = _utc(end) if end is not None else desk.runner.utc()
    begin = _utc(begin) if begin is not None else end - timedelta(days=1)
    used = await desk.runner.meter.used(begin, end)
    found: dict[tuple[Kind, str, int], Amount] = {}
    for each in used:
        if kind in (None, each.kind) and name in (None, each.name):
            key = (each.kind, each.name, each.hour // _HOURS[by] * _HOURS[by])
            found[key] = found.get(key, Amount()) + each.amount
    if len(found) > MAX_ITEMS:
        detail = f"{len(found)} items are too many for one answer: ask for a shorter period, by day, or for one kind or name"
        raise PackagerError("USAGE_TOO_LONG", detail, status=400, fault="operator")
    return UsagePeriod([_item(Used(*key, amount)) for key, amount in found.items()])


def _item(used: Used) -> UsageItem:
    shown = msgspec.structs.asdict(usage_view(used.amount))
    return UsageItem(kind=used.kind, name=used.name, begin=datetime.fromtimestamp(used.hour * 3600, UTC), **shown)


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise PackagerError("INVALID", f"{at.isoformat()} has no time zone: write …Z", status=400, fault="operator")
    return at
