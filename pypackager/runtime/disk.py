"""Free space: when it runs low the oldest of the longest window goes, and the operator is told; ingest never stops for space."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import trio

CHECK_S = 5.0


class Trimmable(Protocol):
    """A channel, as the disk watch sees it."""

    def alert(self, code: str, detail: str) -> None:
        """Tells the operator."""
        ...

    def depth_ns(self) -> int:
        """Media time that it keeps."""
        ...

    def trim_oldest(self) -> bool:
        """Gives up its oldest files; False when there are none to give."""
        ...


def free_bytes(directory: Path) -> int:
    """Bytes that an unprivileged process may still write."""
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


def low_detail(free: int, reserve: int) -> str:
    """What the operator is told (DISK_LOW) when the oldest goes for want of space."""
    return f"{free} bytes are free, {reserve} are reserved; the oldest recording is given up"


def make_room(free: int, reserve: int, channels: Mapping[str, Trimmable]) -> bool:
    """Trims the channel that keeps most when space is low; returns whether it was."""
    if free >= reserve:
        return False
    for channel in sorted(channels.values(), key=lambda channel: -channel.depth_ns()):
        channel.alert("DISK_LOW", low_detail(free, reserve))
        if channel.trim_oldest():
            break
    return True


async def watch_disk(directory: Path, reserve: int, channels: Mapping[str, Trimmable]) -> None:
    """Checks every few seconds until cancelled."""
    while True:
        await trio.sleep(CHECK_S)
        make_room(free_bytes(directory), reserve, channels)
