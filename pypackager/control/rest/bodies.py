"""What the API is sent."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from pypackager.control.resources import KeyId, Role
from pypackager.control.settings import ChannelSettings, EndpointSettings, Instant, LocatorSettings, Name, ProgramSettings, WebhookSettings
from pypackager.model.side import Side


class NewChannel(ChannelSettings, frozen=True, kw_only=True):
    """A channel that is to be made."""

    name: Name
    """Name in ingest and preview URLs."""


class NewEndpoint(EndpointSettings, frozen=True, kw_only=True):
    """A streaming endpoint that is to be made."""

    name: Name
    """What it is told by."""


class NewProgram(ProgramSettings, frozen=True, kw_only=True):
    """A program that is to be made."""

    name: Name
    """Name, unique in its channel."""
    asset: Name | None = None
    """Asset that holds the content; default: the program's name."""


class NewClip(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A part of an asset that is to be an asset of its own."""

    asset: Name
    """Of which it is a part."""
    name: Name | None = None
    """What it is called; default: a name of its own."""
    start: str | float | None = None
    """From when: an instant (RFC 3339), or seconds of media time; default: where the asset starts."""
    end: str | float | None = None
    """Until when, likewise; default: where it ends."""


class NewDrain(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A drain that is to begin."""

    sides: list[Side] = msgspec.field(default_factory=lambda: ["primary", "secondary"])
    """One or both, in this order."""
    channel: Name | None = None
    """Of which; default: of each."""
    wait: str | None = None
    """How long streams are waited for; default: tuning.drain_wait."""


class NewLocator(LocatorSettings, frozen=True, kw_only=True):
    """A locator that is to be made."""

    asset: Name
    """What it publishes."""
    path: Name | None = None
    """URL path; default: a new GUID."""


class NewSignature(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A URL that is to be signed."""

    lifetime: str = "1h"
    """How long it is good: 90s, 2h, …"""
    expires: Instant | None = None
    """Until when it is good, instead of that."""
    viewer: str | None = None
    """The only address that it is good for; default: any."""
    key: KeyId | None = None
    """Id of the key that signs; default: the newest."""


class NewSigningKey(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A signing key that is to be made."""

    id: KeyId | None = None
    """Default: one that is free."""
    secret: Annotated[str, Meta(pattern="^([0-9a-f]{2}){16,128}$")] | None = None
    """In hexadecimal digits; default: a new one of 32 bytes."""


class NewToken(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A token for this API that is to be made."""

    name: Name
    """By which it is known."""
    role: Role = "viewer"
    """viewer: may look. operator: may do everything but with tokens, keys and webhooks. admin: everything."""
    expires: Instant | None = None
    """Until when it is good; default: until it is deleted."""


class NewWebhook(WebhookSettings, frozen=True, kw_only=True):
    """A webhook that is to be made."""

    name: Name
    """By which it is known."""
