"""What the TOML file may say, key by key: the reference page docs/reference/config.md is generated from these docstrings."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
TrackId = Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,64}$")]
Switch = Literal["running", "stopped"]


class _Table(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    pass


class Listen(_Table, frozen=True):
    """Where the daemon listens; every list may be empty, port 0 lets the kernel choose."""

    rtmp: list[str] = msgspec.field(default_factory=lambda: ["0.0.0.0:1935"])
    """RTMP ingest."""
    ingest: list[str] = msgspec.field(default_factory=lambda: ["0.0.0.0:8088"])
    """Fragmented MP4 ingest over HTTP."""
    control: list[str] = msgspec.field(default_factory=lambda: ["127.0.0.1:8090"])
    """/metrics, /healthz and /readyz for the operator."""
    origin: list[str] = msgspec.field(default_factory=lambda: ["0.0.0.0:8080"])
    """The default streaming endpoint: published presentations, preview, player page, /healthz."""


class Track(_Table, frozen=True):
    """Names what the encoder cannot say."""

    match: str
    """The track id that would have been chosen, else the RTMP stream name, or the Streams() id of a stream with one track. Audio that RTMP
    encoders mux into their layers is one track, `audio`; `STREAM/audio` is that of the layer STREAM alone, and comes first: give it an `id`
    when the layers carry different languages."""
    id: TrackId | None = None
    """Track id in URLs and on disk."""
    language: str | None = None
    """BCP 47 or ISO 639-2 code."""
    role: Literal["main", "alternate", "commentary", "description", "dub"] = "main"
    """DASH role; the first main audio track is the default one."""


class Program(_Table, frozen=True):
    """A recorded and, with a locator, published part of the channel."""

    name: Name
    """Name, unique in its channel."""
    asset: Name | None = None
    """Asset that holds the content; default: the program's name."""
    archive_window: str = "1h"
    """How long content is kept and how far viewers can seek back: 5m .. 25h."""
    locator: Name | bool | None = None
    """URL path under which it is published; true: a GUID; left out: recorded, not published."""
    state: Switch = "running"
    """Whether it records; a stopped program is video on demand."""


class Channel(_Table, frozen=True):
    """A pipeline from an encoder to its outputs."""

    name: Name
    """Name in ingest and preview URLs."""
    protocol: Literal["rtmp", "fmp4"] = "fmp4"
    """Ingest protocol; cannot change while the channel runs."""
    encoding: Literal["none"] = "none"
    """none: pass-through."""
    state: Switch = "running"
    """Whether it takes data; it stops when its programs have."""
    description: str = ""
    """For people."""
    ingest_allow: list[str] = []
    """Addresses that may push: single, CIDR or dotted mask; empty: nobody; 0.0.0.0/0: everybody."""
    preview_allow: list[str] = []
    """Addresses that may see the preview; empty: everybody."""
    preview_window: str = "5m"
    """DVR depth of the preview."""
    clock: Literal["utc", "source"] | None = None
    """utc: media time is UTC of arrival (default for RTMP); source: the encoder's times are kept (default for fragmented MP4)."""
    key_frame_interval: str | None = None
    """Key frame interval; default: measured on the first fragment."""
    fragments_per_segment: Annotated[int, Meta(ge=1, le=20)] | None = None
    """Fragments of an HLS segment; default: 3 for key frame intervals up to 3 s, 2 up to 5 s, else 1."""
    track: list[Track] = []
    """Tracks that need a name, a language or a role."""
    program: list[Program] = []
    """Programs of the channel."""


class StreamingEndpoint(_Table, frozen=True):
    """A door for players; `default` serves on listen.origin."""

    name: Literal["default"] = "default"
    """Name; one endpoint, `default`, exists."""
    state: Switch = "stopped"
    """Content streams only from a running endpoint; it is created stopped."""


class Tuning(_Table, frozen=True):
    """Limits and rhythms that rarely need a change."""

    ingest_tick: str = "50ms"
    """How often ingest sockets are drained; those that bring little, every other time."""
    ingest_idle: str = "60s"
    """A POST or publish that sends nothing for so long is closed."""
    max_unparsed: Annotated[int, Meta(ge=16_384, le=16_777_216)] = 262_144
    """Bytes of input held per connection beyond the fragment being received."""
    max_fragment: Annotated[int, Meta(ge=65_536, le=268_435_456)] = 33_554_432
    """Bytes of the largest fragment."""
    max_held: Annotated[int, Meta(ge=1_048_576)] = 16_777_216
    """Bytes of a channel's open fragments that are held in memory; what is beyond waits for the end of its fragment in a file of `data_dir`
    without a name."""
    video_layers: Annotated[int, Meta(ge=1, le=64)] = 10
    """Video tracks of a channel."""
    audio_tracks: Annotated[int, Meta(ge=1, le=64)] = 5
    """Audio tracks of a channel."""
    front_threads: Annotated[int, Meta(ge=0, le=64)] = 1
    """Native threads that answer players; 0: the application answers everything by itself."""
    front_cache: Annotated[int, Meta(ge=1_048_576)] = 16_777_216
    """Bytes of segments that are kept for viewers who ask for the same."""
    disk_reserve: Annotated[int, Meta(ge=0)] = 268_435_456
    """Free bytes below which the oldest of the longest window is trimmed (alert DISK_LOW)."""


class Config(_Table, frozen=True):
    """The whole file."""

    data_dir: str = "./pypackager-data"
    """Directory of blobs, journals and assets."""
    log: Literal["auto", "human", "json"] = "auto"
    """Log format; auto: human on a terminal, JSON otherwise."""
    listen: Listen = Listen()
    """Listen addresses."""
    tuning: Tuning = Tuning()
    """Limits and rhythms."""
    channel: list[Channel] = []
    """Channels."""
    streaming_endpoint: list[StreamingEndpoint] = []
    """Streaming endpoints."""
