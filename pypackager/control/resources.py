"""What the operator made: channels, programs and locators as they are meant to be, with who may delete what.

In: nothing. Out: frozen values. Never: how a channel is at this moment; that is the runtime's to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from pypackager.control.settings import ChannelSettings, EndpointSettings, LocatorSettings, Name, ProgramSettings, Switch, WebhookSettings
from pypackager.model.errors import PackagerError

_T = TypeVar("_T")
_R = TypeVar("_R", bound="Resource")
KeyId = Annotated[str, Meta(pattern=r"^[a-z0-9]{1,16}$")]
Role = Literal["viewer", "operator", "admin"]
Desired = Literal["running", "stopped", "deleted"]


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """When a resource was made and changed."""

    created: datetime
    modified: datetime
    version: int = 1

    @property
    def etag(self) -> str:
        """Of this version of this resource and of no other, though one of the same name was there before."""
        return f"{int(self.created.timestamp() * 1_000_000):x}-{self.version}"


class Channel(Stamp, frozen=True, kw_only=True):
    """A channel."""

    name: Name
    settings: ChannelSettings
    desired: Desired = "stopped"
    filed: Switch | None = None
    """`state` in the configuration file when the file was last applied; None: it was never in the file."""
    reset: datetime | None = None
    """When it was last told to reset; it does so once."""

    @property
    def reset_ns(self) -> int | None:
        """The same as the channel's journal has it."""
        return None if self.reset is None else int(self.reset.timestamp() * 1_000_000) * 1000


class Program(Stamp, frozen=True, kw_only=True):
    """A program of a channel."""

    channel: Name
    name: Name
    asset: Name
    settings: ProgramSettings
    desired: Switch = "stopped"
    filed: Switch | None = None
    """As a channel's."""


class Locator(Stamp, frozen=True, kw_only=True):
    """Publishes an asset under a path."""

    path: Name
    asset: Name
    settings: LocatorSettings = LocatorSettings()
    filed: bool = False
    """Whether it came from the configuration file."""

    @property
    def root(self) -> str:
        """The path below which its URLs are, for which tokens are signed."""
        return f"/{self.path}/{self.asset}.ism"


class StreamingEndpoint(Stamp, frozen=True, kw_only=True):
    """Serves what locators publish."""

    name: Name
    settings: EndpointSettings
    desired: Switch = "stopped"
    filed: Switch | None = None
    """As a channel's."""


class SigningKey(Stamp, frozen=True, kw_only=True):
    """Signs the tokens of locators."""

    id: KeyId
    secret: bytes

    def __repr__(self) -> str:
        """Without the secret: what is shown may be logged."""
        return f"SigningKey({self.id})"


class ApiToken(Stamp, frozen=True, kw_only=True):
    """Lets its bearer ask the API."""

    name: Name
    role: Role
    digest: bytes
    """Of the token, which is nowhere."""
    expires: datetime | None = None


class Webhook(Stamp, frozen=True, kw_only=True):
    """Is sent what happens."""

    name: Name
    settings: WebhookSettings
    secret: bytes
    former: bytes | None = None
    """The secret before that: what is sent is signed with both until a day behind the change."""
    rotated: datetime | None = None
    """When that was."""

    def __repr__(self) -> str:
        """Without the secret: what is shown may be logged."""
        return f"Webhook({self.name})"


Resource = Channel | Program | Locator | StreamingEndpoint | SigningKey | ApiToken | Webhook
Key = tuple[str, ...]
"""Of a resource: its kind, then what names it."""


def key(resource: Resource) -> Key:
    """What names a resource among all."""
    match resource:
        case Channel():
            return "channel", resource.name
        case Program():
            return "program", resource.channel, resource.name
        case Locator():
            return "locator", resource.path
        case StreamingEndpoint():
            return "streaming-endpoint", resource.name
        case SigningKey():
            return "signing-key", resource.id
        case ApiToken():
            return "api-token", resource.name
        case Webhook():
            return "webhook", resource.name


def place(resource: Resource) -> str:
    """Its path in the API, below /v1."""
    match resource:
        case Channel():
            return f"channels/{resource.name}"
        case Program():
            return f"channels/{resource.channel}/programs/{resource.name}"
        case Locator():
            return f"locators/{resource.path}"
        case StreamingEndpoint():
            return f"streaming-endpoints/{resource.name}"
        case SigningKey():
            return f"signing-keys/{resource.id}"
        case ApiToken():
            return f"tokens/{resource.name}"
        case Webhook():
            return f"webhooks/{resource.name}"


def touched(resource: _R, now: datetime) -> _R:
    """The next version of a resource."""
    return replace(resource, modified=now, version=resource.version + 1)


class Resources(msgspec.Struct, frozen=True):
    """All of them at one moment."""

    channels: Mapping[str, Channel] = {}
    programs: Mapping[tuple[str, str], Program] = {}
    """By channel and name."""
    locators: Mapping[str, Locator] = {}
    endpoints: Mapping[str, StreamingEndpoint] = {}
    signing_keys: Mapping[str, SigningKey] = {}
    tokens: Mapping[str, ApiToken] = {}
    webhooks: Mapping[str, Webhook] = {}

    def of(self, channel: str) -> list[Program]:
        """The programs of a channel."""
        return [program for (owner, _), program in self.programs.items() if owner == channel]

    def channel(self, name: str) -> Channel:
        """A channel.

        Raises:
            PackagerError: CHANNEL_UNKNOWN (404).
        """
        return _found(self.channels.get(name), "CHANNEL_UNKNOWN", f"there is no channel {name[:64]!r}")

    def program(self, channel: str, name: str) -> Program:
        """A program.

        Raises:
            PackagerError: CHANNEL_UNKNOWN, PROGRAM_UNKNOWN (404).
        """
        self.channel(channel)
        return _found(self.programs.get((channel, name)), "PROGRAM_UNKNOWN", f"channel {channel!r} has no program {name[:64]!r}")

    def locator(self, path: str) -> Locator:
        """A locator.

        Raises:
            PackagerError: LOCATOR_UNKNOWN (404).
        """
        return _found(self.locators.get(path), "LOCATOR_UNKNOWN", f"there is no locator {path[:64]!r}")

    def endpoint(self, name: str) -> StreamingEndpoint:
        """A streaming endpoint.

        Raises:
            PackagerError: ENDPOINT_UNKNOWN (404).
        """
        return _found(self.endpoints.get(name), "ENDPOINT_UNKNOWN", f"there is no streaming endpoint {name[:64]!r}")

    def signing_key(self, name: str | None) -> SigningKey:
        """A key, or the newest.

        Raises:
            PackagerError: SIGNING_KEY_UNKNOWN (404), NO_SIGNING_KEY (409).
        """
        if name is not None:
            return _found(self.signing_keys.get(name), "SIGNING_KEY_UNKNOWN", f"there is no signing key {name[:64]!r}")
        newest = max(self.signing_keys.values(), key=lambda each: each.created, default=None)
        if newest is None:
            detail = "there is no key to sign with; make one: `pypackager key create`"
            raise PackagerError("NO_SIGNING_KEY", detail, status=409, fault="operator")
        return newest

    def token(self, name: str) -> ApiToken:
        """A token for the API.

        Raises:
            PackagerError: API_TOKEN_UNKNOWN (404).
        """
        return _found(self.tokens.get(name), "API_TOKEN_UNKNOWN", f"there is no token {name[:64]!r}")

    def webhook(self, name: str) -> Webhook:
        """A webhook.

        Raises:
            PackagerError: WEBHOOK_UNKNOWN (404).
        """
        return _found(self.webhooks.get(name), "WEBHOOK_UNKNOWN", f"there is no webhook {name[:64]!r}")

    def host_owner(self, host: str) -> str | None:
        """The channel that has an ingest host name."""
        return next((each.name for each in self.channels.values() if host in each.settings.ingest_hosts), None)

    def user(self, asset: str) -> Program | None:
        """The program that refers to an asset, running or not."""
        return next((program for program in self.programs.values() if program.asset == asset), None)

    def published(self, asset: str) -> bool:
        """Whether a locator publishes an asset."""
        return any(locator.asset == asset for locator in self.locators.values())

    def all(self) -> Iterator[Resource]:
        """Every resource."""
        yield from self.channels.values()
        yield from self.programs.values()
        yield from self.locators.values()
        yield from self.endpoints.values()
        yield from self.signing_keys.values()
        yield from self.tokens.values()
        yield from self.webhooks.values()

    def changed(self, put: Iterator[Resource] | list[Resource], drop: list[Resource]) -> Resources:
        """These and others: what is put stands in the place of what has its key."""
        by_key: dict[Key, Resource] = {key(resource): resource for resource in self.all()}
        for resource in drop:
            by_key.pop(key(resource), None)
        by_key.update((key(resource), resource) for resource in put)
        values = by_key.values()
        return Resources(
            {each.name: each for each in values if isinstance(each, Channel)},
            {(each.channel, each.name): each for each in values if isinstance(each, Program)},
            {each.path: each for each in values if isinstance(each, Locator)},
            {each.name: each for each in values if isinstance(each, StreamingEndpoint)},
            {each.id: each for each in values if isinstance(each, SigningKey)},
            {each.name: each for each in values if isinstance(each, ApiToken)},
            {each.name: each for each in values if isinstance(each, Webhook)},
        )


def _found(resource: _T | None, code: str, detail: str) -> _T:
    if resource is None:
        raise PackagerError(code, detail, status=404, fault="operator")
    return resource
