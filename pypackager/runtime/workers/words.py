"""What the front process and its workers say to each other (docs/design/workers.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from pypackager._core import Given
from pypackager.config.schema import Config
from pypackager.control.ports import AlertView, Flow, TrackView
from pypackager.control.resources import Channel, Locator, Program, Resources, SigningKey, StreamingEndpoint
from pypackager.control.states import State
from pypackager.control.usage import Used
from pypackager.dvr.verify import Findings
from pypackager.model.news import NewsKind
from pypackager.model.side import Side


class Begin(msgspec.Struct, frozen=True):
    """The first question to a worker."""

    config: Config
    number: int
    """The worker's, from 0."""
    folder: str
    """Where the Unix sockets of applications are; nobody else can enter it."""
    verbose: bool = False


class Wanted(msgspec.Struct, frozen=True):
    """What there is to be, for one worker."""

    channels: list[Channel]
    """Its own."""
    programs: list[Program]
    """Of these."""
    locators: list[Locator]
    endpoints: list[StreamingEndpoint]
    signing_keys: list[SigningKey]
    others: frozenset[str]
    """Channels of other workers."""
    hosts: Mapping[str, str]
    """The channels that have a host name."""

    def resources(self) -> Resources:
        """The same as the registry has them."""
        return Resources().changed([*self.channels, *self.programs, *self.locators, *self.endpoints, *self.signing_keys], [])


class Taken(msgspec.Struct, frozen=True):
    """A connection on its way; its socket goes with it."""

    channel: str
    peer: str
    protocol: Literal["rtmp", "http"]
    opening: bytes
    decided: int
    unsent: bytes


class Status(msgspec.Struct, frozen=True):
    """How a channel is."""

    state: State
    recording: list[str]
    trouble: Mapping[str, str]
    """Why programs are not what they are to be."""
    tracks: list[TrackView]
    flow: Flow
    alerts: list[AlertView]
    windows_ns: list[int]
    """Of its programs."""
    depth_ns: int = 0
    """Media time that it keeps."""


class Is(msgspec.Struct, frozen=True):
    """How the channels of a worker are."""

    channels: Mapping[str, Status]
    failed: Mapping[str, str]
    """Why a channel could not be opened."""
    used: list[Used] = []
    """Since it said so last."""
    viewers: list[tuple[str, str, str, int]] = []
    """Those to whom it gave something in the last 30 s: of an endpoint, a channel and a locator."""


class Told(msgspec.Struct, frozen=True):
    """Something happened."""

    kind: NewsKind
    subject: str
    data: Mapping[str, Any]


class Alerted(msgspec.Struct, frozen=True):
    """An alert of a channel that the front process has found cause for."""

    channel: str
    code: str
    detail: str


class AssetCall(msgspec.Struct, frozen=True):
    """A command on an asset whose program a worker has."""

    asset: str
    what: Literal["anchor", "measure", "clip", "conclude"]
    name: str = ""
    """Of what is made of a part: a clip's."""
    start_ns: int = 0
    end_ns: int = 0
    now_ns: int = 0
    found: Findings | None = None
    """By a verification."""


class DrainSide(msgspec.Struct, frozen=True):
    """A drain that is asked for."""

    channel: str
    side: Side
    wait_ns: int


def socket_name(worker: int, endpoint: str) -> str:
    """The Unix socket of a worker's application for an endpoint, in their folder; short, since such a path has 108 bytes (unix(7))."""
    return f"{worker}-{hashlib.blake2s(endpoint.encode(), digest_size=6).hexdigest()}"


def parcel(given: Given, channel: str, peer: str) -> Taken:
    """A connection that was given away, as it is sent."""
    return Taken(channel, peer, given.protocol, given.opening, given.decided, given.unsent)
