"""What an operator may set of a channel and of a program: the keys of their tables in the file, and of their bodies over REST.

In: values. Out: which of them are impossible. Never: a look at what runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from pypackager._core import Networks
from pypackager.model.address import parse_address
from pypackager.model.duration import parse_duration
from pypackager.model.errors import PackagerError
from pypackager.model.news import NewsKind

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
TrackId = Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,64}$")]
Switch = Literal["running", "stopped"]
Secret = Annotated[str, Meta(pattern=r"^[!-~]{8,256}$")]
IngestHost = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
"""In lower case, without a port."""
UserName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.@-]{1,64}$")]
StreamKey = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.~-]{8,256}$")]
"""Nothing that a URL or an encoder's form would change."""

MAX_RUNNING = 3
"""Programs of a channel that may run at once."""
RESERVED = ("play", "static", "preview", "time", "healthz", "readyz", "v1", "metrics")
"""First path elements of the origin that are no locators."""
DEFAULT = "default"
"""The streaming endpoint that every daemon has."""
AT_ANY_TIME = (
    "description",
    "ingest_allow",
    "ingest_hosts",
    "ingest_users",
    "stream_key",
    "preview_allow",
    "client_access_policy",
    "cross_domain_policy",
)
"""Settings that may change while what has them runs."""
_MINUTE_NS = 60_000_000_000
_WINDOW_NS = (5 * _MINUTE_NS, 25 * 60 * _MINUTE_NS)


class Track(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
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


class ChannelSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What can be set of a channel."""

    protocol: Literal["rtmp", "fmp4"] = "fmp4"
    """Ingest protocol; cannot change while the channel runs."""
    encoding: Literal["none"] = "none"
    """none: pass-through."""
    description: str = ""
    """For people."""
    ingest_allow: list[str] = []
    """Addresses that may push: single, CIDR or dotted mask; empty: nobody; 0.0.0.0/0: everybody."""
    ingest_hosts: list[IngestHost] = []
    """Host names that are the channel's alone: encoders that push to one of them leave the channel's name out of their URL."""
    ingest_users: dict[UserName, Secret] = {}
    """Names and passwords of the encoders that may push: `{ studio = "a-password" }`, for HTTP Basic and Digest and for RTMP with Adobe's
    challenge; empty: they are not asked who they are."""
    stream_key: StreamKey | None = None
    """What an encoder has to bring behind its URL, as `?key=…`; default: nothing."""
    preview_allow: list[str] = []
    """Addresses that may see the preview; empty: everybody."""
    client_access_policy: str | None = None
    """Body of clientaccesspolicy.xml beside the preview's manifest; default: everybody is let; empty: there is none. What plugins ask at
    the root of a host is the streaming endpoint's."""
    cross_domain_policy: str | None = None
    """The same of crossdomain.xml."""
    preview_window: str = "5m"
    """DVR depth of the preview."""
    clock: Literal["utc", "source"] | None = None
    """utc: media time is UTC of arrival (default for RTMP); source: the encoder's times are kept (default for fragmented MP4)."""
    key_frame_interval: str | None = None
    """Key frame interval; default: measured on the first fragment."""
    fragments_per_segment: Annotated[int, Meta(ge=1, le=20)] | None = None
    """Fragments of an HLS segment; default: 3 for key frame intervals up to 3 s, 2 up to 5 s, else 1."""
    reorder: Annotated[int, Meta(ge=0, le=8)] = 2
    """So many fragments late may a fragment of fragmented MP4 come on its connection; later ones are dropped. 0: none."""
    merge_delay: str = "0s"
    """How much longer than a fragment a hole waits for another source that may fill it, as far as the slower one of two encoders or paths
    is behind the other; at most 60s. Without a hole nothing waits."""
    prefer_primary: bool = False
    """Of two encoders that are not synchronised one is shown until it fails. true: the primary one is gone back to, with a discontinuity,
    when it has delivered for five seconds."""
    track: list[Track] = []
    """Tracks that need a name, a language or a role."""


class ProgramSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What can be set of a program."""

    description: str = ""
    """For people."""
    archive_window: str = "1h"
    """How long content is kept and how far viewers can seek back: 5m .. 25h."""


Instant = Annotated[datetime, Meta(tz=True)]
"""RFC 3339, with its offset from UTC."""


class LocatorSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What can be set of a locator."""

    starts: Instant | None = None
    """Its URLs are 404 before; default: they hold at once."""
    expires: Instant | None = None
    """Its URLs are 404 from then on; default: they hold until it is deleted."""
    signed: bool = False
    """Whether viewers need a URL with a token (`pypackager locator sign`)."""


class WebhookSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What can be set of a webhook."""

    url: str
    """Where events are POSTed: http or https."""
    kinds: list[NewsKind] = []
    """Those that are sent: state, alert, publish, operation, resource; none named: all."""


Host = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.\[\]:-]{1,255}$")]
Site = Annotated[str, Meta(pattern=r"^(\*|https?://[^/\s]+)$")]


class EndpointSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What can be set of a streaming endpoint."""

    description: str = ""
    """For people."""
    listen: list[str] = []
    """Addresses that it serves on; none for `default`, which has those of listen.origin."""
    tls: bool = False
    """Whether HTTPS is spoken there, with the certificates of the [[tls]] tables; else HTTP in the clear."""
    allow: list[str] = []
    """Addresses that may watch: single, CIDR or dotted mask; empty: everybody."""
    hosts: list[Host] = []
    """Names by which players may ask, without a port; empty: any."""
    cdn_secret: Secret | None = None
    """What the CDN in front has to send as X-CDN-Secret with each request; default: nothing."""
    cors: list[Site] = msgspec.field(default_factory=lambda: ["*"])
    """Sites whose pages may read what is served, as `https://player.example`; *: all."""
    manifest_age: str | None = None
    """How long caches may keep manifests; default: half the key frame interval."""
    segment_age: str | None = None
    """How long caches may keep segments; default: a year."""
    client_access_policy: str | None = None
    """Body of /clientaccesspolicy.xml (Silverlight); default: everybody is let; empty: there is none."""
    cross_domain_policy: str | None = None
    """Body of /crossdomain.xml (Flash); default: everybody is let; empty: there is none."""


ENDPOINT_AT_ANY_TIME = tuple(name for name in EndpointSettings.__struct_fields__ if name not in ("listen", "tls"))
"""Settings that may change while the endpoint runs."""


def endpoint_faults(name: str, settings: EndpointSettings) -> Iterator[tuple[str, str]]:
    """What is impossible: (key, why)."""
    try:
        Networks(settings.allow)
    except ValueError as error:
        yield "allow", str(error)
    for address in settings.listen:
        try:
            parse_address(address)
        except PackagerError as error:
            yield "listen", error.detail
    if name == DEFAULT and settings.listen:
        yield "listen", f"{DEFAULT} serves on listen.origin"
    if name != DEFAULT and not settings.listen:
        yield "listen", "it has no address to serve on"
    for key in ("manifest_age", "segment_age"):
        text = getattr(settings, key)
        try:
            if text is not None:
                parse_duration(text)
        except PackagerError as error:
            yield key, error.detail


LONGEST_MERGE_NS = 60_000_000_000
"""No two encoders of one event are further apart."""


def channel_faults(settings: ChannelSettings) -> Iterator[tuple[str, str]]:
    """What is impossible: (key, why)."""
    for key in ("ingest_allow", "preview_allow"):
        try:
            Networks(getattr(settings, key))
        except ValueError as error:
            yield key, str(error)
    for key in ("preview_window", "key_frame_interval"):
        text = getattr(settings, key)
        try:
            if text is not None and parse_duration(text) == 0:
                yield key, f"{text!r} is no time at all"
        except PackagerError as error:
            yield key, error.detail
    try:
        if parse_duration(settings.merge_delay) > LONGEST_MERGE_NS:
            yield "merge_delay", f"{settings.merge_delay!r} is more than 60s"
    except PackagerError as error:
        yield "merge_delay", error.detail


def program_faults(settings: ProgramSettings) -> Iterator[tuple[str, str]]:
    """What is impossible: (key, why)."""
    try:
        window = parse_duration(settings.archive_window)
    except PackagerError as error:
        yield "archive_window", error.detail
        return
    if not _WINDOW_NS[0] <= window <= _WINDOW_NS[1]:
        yield "archive_window", f"{settings.archive_window!r} is not between 5m and 25h"


def locator_faults(settings: LocatorSettings) -> Iterator[tuple[str, str]]:
    """What is impossible: (key, why)."""
    if settings.starts is not None and settings.expires is not None and settings.expires <= settings.starts:
        yield "expires", "it is over before it starts"


def webhook_faults(settings: WebhookSettings) -> Iterator[tuple[str, str]]:
    """What is impossible: (key, why)."""
    try:
        parts = urlsplit(settings.url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        yield "url", f"{settings.url[:200]!r} is no URL with http or https"
