"""What the TOML file may say, key by key: the reference page docs/reference/config.md is generated from these docstrings."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pypackager.control.settings import DEFAULT, ChannelSettings, EndpointSettings, LocatorSettings, Name, ProgramSettings, Switch


class _Table(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    pass


class Listen(_Table, frozen=True):
    """Where the daemon listens; every list may be empty, port 0 lets the kernel choose."""

    rtmp: list[str] = msgspec.field(default_factory=lambda: ["0.0.0.0:1935"])
    """RTMP ingest."""
    rtmps: list[str] = []
    """The same over TLS, with the certificates of the [[tls]] tables."""
    ingest: list[str] = msgspec.field(default_factory=lambda: ["0.0.0.0:8088"])
    """Fragmented MP4 ingest over HTTP."""
    ingest_tls: list[str] = []
    """The same over HTTPS, with the certificates of the [[tls]] tables."""
    ingest_client_ca: str | None = None
    """PEM file of authorities: with it, an encoder that comes over TLS has to show a certificate that one of them has signed. SIGHUP reads
    it again."""
    control: list[str] = msgspec.field(default_factory=lambda: ["127.0.0.1:8090"])
    """REST API, /metrics, /healthz and /readyz for the operator; from another machine the first two take a token. Keep a loopback address
    in the list: tokens are made there."""
    control_tls: list[str] = []
    """The same over HTTPS, with the certificates of the [[tls]] tables."""
    origin: list[str] = msgspec.field(default_factory=lambda: ["0.0.0.0:8080"])
    """The default streaming endpoint: published presentations, preview, player page, /healthz."""


class Tls(_Table, frozen=True):
    """A certificate of listen.rtmps, listen.ingest_tls, listen.control_tls and of the streaming endpoints with `tls = true`.

    Clients are given the one that is for the host that they name, else that of the first table.
    """

    certificate: str
    """PEM file: the certificate, then those that lead from it to its authority."""
    key: str
    """PEM file: its private key, without a password."""


class Access(_Table, frozen=True):
    """Whose word about an address is believed: a viewer's, or that of an encoder that pushes over HTTP."""

    trusted_proxies: list[str] = []
    """Addresses and networks of the proxies and CDNs in front of the streaming endpoints and of HTTP ingest; of nobody else."""
    proxy_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    """The header that they append the address to which they saw; the other one may be the client's own, and is not read."""


class Locator(LocatorSettings, frozen=True, kw_only=True):
    """`locator` of a program as a table: `locator = { path = "show", expires = 2027-01-01T00:00:00Z, signed = true }`."""

    path: Name | None = None
    """URL path under which it is published; default: a GUID."""


class Program(ProgramSettings, frozen=True, kw_only=True):
    """A recorded and, with a locator, published part of the channel."""

    name: Name
    """Name, unique in its channel."""
    asset: Name | None = None
    """Asset that holds the content; default: the program's name."""
    locator: Name | bool | Locator | None = None
    """URL path under which it is published; true: a GUID; a table: with instants or tokens; left out: recorded, not published."""
    state: Switch = "running"
    """Whether it records; a stopped program is video on demand. Applied when the program is new, and when this value changes."""


class Channel(ChannelSettings, frozen=True, kw_only=True):
    """A pipeline from an encoder to its outputs."""

    name: Name
    """Name in ingest and preview URLs."""
    state: Switch = "running"
    """Whether it takes data; it stops when its programs have. Applied when the channel is new, and when this value changes."""
    program: list[Program] = msgspec.field(default_factory=list)
    """Programs of the channel."""


class StreamingEndpoint(EndpointSettings, frozen=True, kw_only=True):
    """A door for players; `default`, which every daemon has, serves on listen.origin."""

    name: Name = DEFAULT
    """What it is told by."""
    state: Switch = "stopped"
    """Content streams only from a running endpoint. Applied when the endpoint is new, and when this value changes."""


class Tuning(_Table, frozen=True):
    """Limits and rhythms that rarely need a change."""

    ingest_tick: str = "100ms"
    """How often ingest sockets are drained; those that bring little, every other time."""
    ingest_idle: str = "60s"
    """A POST or publish that sends nothing for so long is closed."""
    drain_wait: str = "30s"
    """How long a drain waits for the streams of a side to come back, before it goes on with the other (alert DRAIN_NOT_BACK)."""
    idle_alert: str = "10m"
    """A channel that runs for so long without data, or without a program, is told of (RUNNING_WITHOUT_DATA, RUNNING_WITHOUT_PROGRAM)."""
    max_unparsed: Annotated[int, Meta(ge=16_384, le=16_777_216)] = 262_144
    """Bytes of input held per connection beyond the fragment being received."""
    max_fragment: Annotated[int, Meta(ge=65_536, le=268_435_456)] = 33_554_432
    """Bytes of the largest fragment."""
    max_held: Annotated[int, Meta(ge=1_048_576)] = 16_777_216
    """Bytes of a channel's open fragments that are held in memory; what is beyond waits for the end of its fragment in a file of `data_dir`
    without a name."""
    channels: Annotated[int, Meta(ge=1)] = 5
    """Channels that there may be for one more to be created over REST; the file is not counted."""
    video_layers: Annotated[int, Meta(ge=1, le=64)] = 10
    """Video tracks of a channel."""
    audio_tracks: Annotated[int, Meta(ge=1, le=64)] = 5
    """Audio tracks of a channel."""
    layer_bitrate: Annotated[int, Meta(ge=1000)] = 10_000_000
    """Bits per second that a video layer may send on average over 30 s; one that passes it by more than 5 % is refused for half a minute
    (alert BITRATE_EXCEEDED)."""
    channel_bitrate: Annotated[int, Meta(ge=1000)] = 25_000_000
    """The same of all tracks of a channel together; the layer that was admitted last is refused."""
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    """Processes over which channels are spread; 1: all are in the daemon's own. More need `front_threads`. What is otherwise then, and
    what is not there yet, is in docs/design/workers.md."""
    front_threads: Annotated[int, Meta(ge=0, le=64)] = 1
    """Native threads that answer players; 0: the application answers everything by itself."""
    front_cache: Annotated[int, Meta(ge=1_048_576)] = 12_582_912
    """Bytes of segments that are kept for viewers who ask for the same."""
    front_connections: Annotated[int, Meta(ge=16)] = 32_768
    """Connections of players at once, each streaming endpoint; more wait. Less where the process may not open so many descriptors."""
    disk_reserve: Annotated[int, Meta(ge=0)] = 268_435_456
    """Free bytes below which the oldest of the longest window is trimmed (alert DISK_LOW)."""


class Config(_Table, frozen=True):
    """The whole file."""

    data_dir: str = "./pypackager-data"
    """Directory of blobs, journals and assets."""
    log: Literal["auto", "human", "json"] = "auto"
    """Log format; auto: human on a terminal, JSON otherwise."""
    prune: bool = False
    """Whether channels, programs, locators and streaming endpoints that came from this file are deleted when they are gone from it; else
    they stay."""
    listen: Listen = Listen()
    """Listen addresses."""
    tls: list[Tls] = []
    """Certificates; SIGHUP reads their files again."""
    access: Access = Access()
    """Proxies."""
    tuning: Tuning = Tuning()
    """Limits and rhythms."""
    channel: list[Channel] = []
    """Channels."""
    streaming_endpoint: list[StreamingEndpoint] = []
    """Streaming endpoints."""
