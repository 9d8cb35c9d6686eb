"""What a command is checked for before it is decided.

In: resources, what is to become of them. Out: settings that are possible, refusals. Never: a look at what runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, cast

import msgspec

from pypackager.control.resources import Stamp
from pypackager.control.settings import ChannelSettings, EndpointSettings, LocatorSettings, ProgramSettings, WebhookSettings
from pypackager.model.errors import PackagerError

_Settings = TypeVar("_Settings", ChannelSettings, ProgramSettings, LocatorSettings, EndpointSettings, WebhookSettings)


def match(resource: Stamp, wanted: str | None) -> None:
    """Makes sure that a resource is as who changes it believes.

    Args:
        resource: the one to be changed.
        wanted: If-Match; None: whatever it is.

    Raises:
        PackagerError: ETAG_MISMATCH (412).
    """
    versions = [each.strip().removeprefix("W/").strip('"') for each in (wanted or "*").split(",")]
    if "*" not in versions and resource.etag not in versions:
        detail = f'it was changed meanwhile and is "{resource.etag}" now: read it again, then change it'
        raise PackagerError("ETAG_MISMATCH", detail, status=412, fault="operator")


def merged(settings: _Settings, changes: Mapping[str, Any]) -> _Settings:
    """Settings with changes (RFC 7396): what is null goes back to its default.

    Raises:
        PackagerError: INVALID (400).
    """
    try:
        return msgspec.convert(_patched(msgspec.to_builtins(settings), msgspec.to_builtins(changes)), type(settings))
    except msgspec.ValidationError as error:
        raise PackagerError("INVALID", str(error), fault="operator") from None


def check(faults: Iterator[tuple[str, str]]) -> None:
    """Makes sure that there are no faults (key, why).

    Raises:
        PackagerError: INVALID (400).
    """
    if found := [f"{name}: {why}" for name, why in faults]:
        raise PackagerError("INVALID", "; ".join(found), fault="operator")


def conflict(code: str, detail: str) -> PackagerError:
    """What is there stands against it."""
    return PackagerError(code, detail, status=409, fault="operator")


def _patched(values: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Values with changes, and tables in them likewise."""
    new = dict(changes)
    for name, value in changes.items():
        if isinstance(value, dict):
            new[name] = _patched(values.get(name) or {}, cast("dict[str, Any]", value))
    return {name: value for name, value in {**values, **new}.items() if value is not None}
