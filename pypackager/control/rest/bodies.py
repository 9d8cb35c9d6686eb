"""What the API is sent."""

from __future__ import annotations

import msgspec

from pypackager.control.settings import ChannelSettings, Name, ProgramSettings


class NewChannel(ChannelSettings, frozen=True, kw_only=True):
    """A channel that is to be made."""

    name: Name
    """Name in ingest and preview URLs."""


class NewProgram(ProgramSettings, frozen=True, kw_only=True):
    """A program that is to be made."""

    name: Name
    """Name, unique in its channel."""
    asset: Name | None = None
    """Asset that holds the content; default: the program's name."""


class NewLocator(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A locator that is to be made."""

    asset: Name
    """What it publishes."""
    path: Name | None = None
    """URL path; default: a new GUID."""
