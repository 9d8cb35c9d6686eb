"""What the API answers with: resources and how they are at this moment.

In: resources, what runs. Out: values that are encoded as they are. Never: a decision.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import asdict

from pypackager.control.desk import Desk
from pypackager.control.endpoints import Endpoints
from pypackager.control.ports import AlertView, Runner, TrackView
from pypackager.control.resources import Channel, Locator, Program, StreamingEndpoint
from pypackager.control.settings import ChannelSettings, EndpointSettings, LocatorSettings, ProgramSettings
from pypackager.control.signing import Signed
from pypackager.control.states import EndpointState, ProgramState, State, Status, status
from pypackager.control.usage import Amount

Item = TypeVar("Item")
HIDDEN = "(set)"
"""Stands for a secret."""


class Page(msgspec.Struct, Generic[Item], frozen=True):
    """A part of a list, in the order of names."""

    items: list[Item]
    next: str | None = None
    """`after` of the next page; null on the last."""


class Ingest(msgspec.Struct, frozen=True):
    """Where encoders push: URLs of all schemes that listen. `{stream}` is the encoder's to fill in."""

    primary: list[str]
    secondary: list[str]


class UsageView(msgspec.Struct, frozen=True):
    """What was used under a name, since there is one."""

    running_s: float
    """Seconds in which the channel was Running."""
    bytes_in: int
    """Media that encoders sent, repeated ones among them."""
    bytes_out: int
    """Bodies of answers to viewers."""


class ChannelView(ChannelSettings, frozen=True, kw_only=True):
    """A channel."""

    name: str
    state: State
    status: Status
    ingest: Ingest
    preview: list[str]
    """The Smooth manifest; other formats by its siblings."""
    programs: list[str]
    recording: list[str]
    """Programs that have not ended."""
    tracks: list[TrackView]
    gap_s: float | None
    """Seconds since the published edge moved; null when it has not since the daemon started."""
    depth_s: float
    """Seconds of media in the preview window."""
    interval_s: float | None
    """Key frame interval; null before it is known."""
    viewers: int
    """Of its programs' locators and its preview, in the last 30 s."""
    usage: UsageView
    alerts: list[AlertView]
    operation: str | None
    """Id of the one that is under way."""
    created: datetime
    modified: datetime
    etag: str


class ProgramView(ProgramSettings, frozen=True, kw_only=True):
    """A program."""

    name: str
    channel: str
    asset: str
    state: ProgramState
    locators: list[str]
    """Paths that publish its asset."""
    viewers: int
    """Of these, in the last 30 s."""
    trouble: str | None
    """Why it is not what it was told to be."""
    operation: str | None
    created: datetime
    modified: datetime
    etag: str


class LocatorView(LocatorSettings, frozen=True, kw_only=True):
    """A locator."""

    path: str
    asset: str
    urls: list[str]
    """The Smooth manifest; other formats by its siblings."""
    viewers: int
    """In the last 30 s."""
    bytes_out: int
    """Bodies of answers, ever."""
    created: datetime
    modified: datetime
    etag: str


class EndpointView(EndpointSettings, frozen=True, kw_only=True):
    """A streaming endpoint."""

    name: str
    state: EndpointState
    urls: list[str]
    """Of its addresses."""
    viewers: int
    """In the last 30 s."""
    bytes_out: int
    """Bodies of answers, ever."""
    trouble: str | None
    """Why its addresses are not open."""
    operation: str | None
    created: datetime
    modified: datetime
    etag: str


class SignedView(msgspec.Struct, frozen=True, kw_only=True):
    """A token for a locator."""

    token: str
    """It stands behind the locator: `/{locator}/~{token}/{asset}.ism/…`."""
    urls: list[str]
    """The Smooth manifest; other formats by its siblings."""
    expires: datetime
    viewer: str | None
    key: str


def channel_view(desk: Desk, channel: Channel, host: str) -> ChannelView:
    """A channel as it is; URLs have the host that the client knows the daemon by."""
    runner, name = desk.runner, channel.name
    state = runner.state(name)
    pending = desk.operations.pending(f"channels/{name}")
    flow, recording = runner.flow(name), runner.recording(name)
    shown = {field: getattr(channel.settings, field) for field in channel.settings.__struct_fields__}
    if channel.settings.stream_key is not None:
        shown["stream_key"] = HIDDEN
    shown["ingest_users"] = dict.fromkeys(channel.settings.ingest_users, HIDDEN)
    return ChannelView(
        **shown,
        name=name,
        state=state,
        status=status(state, recording),
        ingest=Ingest(*(_ingest_urls(runner, channel, host, side) for side in ("", "/secondary"))),
        preview=[f"{root}/preview/{name}.isml/manifest" for root in _roots(runner, host)],
        programs=[program.name for program in desk.resources.of(name)],
        recording=list(recording),
        tracks=list(runner.tracks(name)),
        gap_s=flow.gap_s,
        depth_s=flow.depth_s,
        interval_s=flow.interval_s,
        viewers=runner.meter.viewers("channel", name),
        usage=usage_view(runner.meter.total("channel", name)),
        alerts=list(runner.alerts(name)),
        operation=pending.id if pending is not None else None,
        created=channel.created,
        modified=channel.modified,
        etag=channel.etag,
    )


def usage_view(amount: Amount) -> UsageView:
    """An amount, for people and programs that know of no nanoseconds."""
    return UsageView(round(amount.running_ns / 1e9, 3), amount.bytes_in, amount.bytes_out)


def program_view(desk: Desk, program: Program) -> ProgramView:
    """A program as it is."""
    pending = desk.operations.pending(f"channels/{program.channel}/programs/{program.name}")
    locators = [each.path for each in desk.resources.locators.values() if each.asset == program.asset]
    return ProgramView(
        **asdict(program.settings),
        name=program.name,
        channel=program.channel,
        asset=program.asset,
        state=desk.program_state(program),
        locators=locators,
        viewers=sum(desk.runner.meter.viewers("locator", path) for path in locators),
        trouble=desk.runner.trouble(program.channel, program.name),
        operation=pending.id if pending is not None else None,
        created=program.created,
        modified=program.modified,
        etag=program.etag,
    )


def locator_view(runner: Runner, locator: Locator, host: str) -> LocatorView:
    """A locator with its URLs."""
    return LocatorView(
        **asdict(locator.settings),
        path=locator.path,
        asset=locator.asset,
        urls=[f"{root}{locator.root}/manifest" for root in _roots(runner, host)],
        viewers=runner.meter.viewers("locator", locator.path),
        bytes_out=runner.meter.total("locator", locator.path).bytes_out,
        created=locator.created,
        modified=locator.modified,
        etag=locator.etag,
    )


def endpoint_view(endpoints: Endpoints, endpoint: StreamingEndpoint, host: str) -> EndpointView:
    """An endpoint as it is."""
    name = endpoint.name
    shown = asdict(endpoint.settings)
    if shown["cdn_secret"] is not None:
        shown["cdn_secret"] = HIDDEN
    return EndpointView(
        **shown,
        name=name,
        state=endpoints.state(endpoint),
        urls=list(_places(endpoints.fronts.roots(name), host)),
        viewers=endpoints.meter.viewers("endpoint", name),
        bytes_out=endpoints.meter.total("endpoint", name).bytes_out,
        trouble=endpoints.fronts.trouble(name),
        operation=endpoints.pending(name),
        created=endpoint.created,
        modified=endpoint.modified,
        etag=endpoint.etag,
    )


def signed_view(runner: Runner, signed: Signed, host: str) -> SignedView:
    """A token with its URLs."""
    locator = signed.locator
    urls = [f"{root}/{locator.path}/~{signed.token}/{locator.asset}.ism/manifest" for root in _roots(runner, host)]
    return SignedView(token=signed.token, urls=urls, expires=signed.expires, viewer=signed.viewer, key=signed.key)


def page(names: Sequence[str], after: str, limit: int) -> tuple[list[str], str | None]:
    """The names of a page, and what the next one is after."""
    rest = sorted(name for name in names if name > after)
    return rest[:limit], rest[limit - 1] if len(rest) > limit else None


def _ingest_urls(runner: Runner, channel: Channel, host: str, side: str) -> list[str]:
    """With the channel's own host names where it has some, and then without its name."""
    rtmp, hosts = channel.settings.protocol == "rtmp", channel.settings.ingest_hosts
    app = "live" if rtmp and hosts else "" if hosts else channel.name
    path = f"{app}{side}/{{stream}}" if rtmp else f"{app}{side}/ingest.isml/Streams({{stream}})"
    plain, secure = runner.addresses("rtmp" if rtmp else "ingest"), runner.addresses("rtmps" if rtmp else "ingest_tls")
    urls: list[str] = []
    for scheme, addresses in zip(("rtmp", "rtmps") if rtmp else ("http", "https"), (plain, secure), strict=True):
        ports = [address.rpartition(":")[2] for address in addresses]
        places = [f"{name}:{port}" for name in hosts for port in ports] if hosts else _places(addresses, host)
        urls.extend(f"{scheme}://{place}/{path.lstrip('/')}" for place in places)
    return urls


def _roots(runner: Runner, host: str) -> list[str]:
    return list(_places(runner.roots(), host))


def _places(addresses: Sequence[str], host: str) -> Iterator[str]:
    for address in addresses:
        scheme, slashes, place = address.rpartition("://")
        bound, _, port = place.rpartition(":")
        # Who listens everywhere is reached where the client reached us.
        yield f"{scheme}{slashes}{host if bound in ('0.0.0.0', '[::]') else bound}:{port}"  # noqa: S104
