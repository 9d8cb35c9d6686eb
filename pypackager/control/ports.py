"""What the control plane needs of what runs, declared by the one who needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from pypackager.control.registry import Registry
from pypackager.control.states import State
from pypackager.control.usage import Amount, Kind, Used
from pypackager.dvr.measure import Measure
from pypackager.dvr.verify import Findings
from pypackager.model.side import Side


class AlertView(msgspec.Struct, frozen=True):
    """A code that was raised."""

    code: str
    detail: str
    count: int = 1
    since: datetime | None = None
    """When it was raised; null where that is not known."""
    until: datetime | None = None
    """When it was cleared; null while it is active."""
    tracks: list[str] = []
    """Those that it named."""


class TrackView(msgspec.Struct, frozen=True):
    """A track as it comes in."""

    id: str
    kind: str
    """video, audio, …"""
    codec: str
    bitrate_bps: int
    """Measured: the average over the preview window; 0 before anything came."""
    language: str = ""
    announced: bool = False
    """Whether an encoder has sent its header, and the preview window shows nothing of it."""


class Flow(msgspec.Struct, frozen=True):
    """How media comes in."""

    gap_s: float | None = None
    """Seconds since the published edge moved; null when it has not since the daemon started."""
    depth_s: float = 0.0
    """Seconds of media in the preview window."""
    interval_s: float | None = None
    """Key frame interval; null before it is known."""


class Meter(Protocol):
    """What is used, and who watches."""

    def total(self, kind: Kind, name: str) -> Amount:
        """All that was ever used under a name."""
        ...

    async def used(self, begin: datetime, end: datetime) -> list[Used]:
        """What was used in the hours that begin in [begin, end), in the order of kinds, names and hours."""
        ...

    def viewers(self, kind: Kind, name: str) -> int:
        """How many were given something in the last 30 s."""
        ...


class Space(msgspec.Struct, frozen=True):
    """What a program needs of the disk, and what is there."""

    bitrate_bps: int
    measured: bool
    """Whether that is what comes in; else it is the limit, tuning.channel_bitrate."""
    window_bytes: int
    """Of the program's window."""
    new_bytes: int
    """Those of them that no program of the channel that runs will have on the disk anyway."""
    free_bytes: int
    """On the file system of `data_dir`."""


class Drained(msgspec.Struct, frozen=True):
    """What a planned disconnect of a side came to."""

    channel: str
    side: Side
    closed: int
    """Connections."""
    missing: list[str]
    """Streams that did not deliver again in time."""
    seconds: float
    """Until the last of them did, or was given up."""


class Measured(msgspec.Struct, frozen=True):
    """An asset in numbers."""

    measure: Measure
    anchor_ns: int
    """UTC of media time 0."""


class Opened(Protocol):
    """An asset that is open, in whatever process."""

    async def anchor_ns(self) -> int:
        """UTC of media time 0."""
        ...

    async def measure(self) -> Measured:
        """It in numbers."""
        ...

    async def clip(self, name: str, start_ns: int, end_ns: int, now_ns: int) -> None:
        """Makes an asset of what it has from `start_ns` to `end_ns` of media time.

        Raises:
            PackagerError: ASSET_EXISTS, CLIP_EMPTY (409).
            OSError: there is no asset then.
        """
        ...

    async def conclude(self, found: Findings) -> None:
        """What a verification found is so from now on.

        Raises:
            PackagerError: ASSET_RUNNING, ASSET_CHANGED (409).
            OSError: it could not be written.
        """
        ...


class Runner(Protocol):
    """The channels that run."""

    @property
    def registry(self) -> Registry:
        """What there is to be."""
        ...

    @property
    def assets(self) -> Path:
        """Directory of all assets."""
        ...

    def state(self, channel: str) -> State:
        """A channel's state."""
        ...

    def recording(self, channel: str) -> Sequence[str]:
        """Its programs that have not ended."""
        ...

    def trouble(self, channel: str, program: str | None = None) -> str | None:
        """Why a channel, or a program, is not what it is to be; None when it is, or is on its way."""
        ...

    def tracks(self, channel: str) -> Sequence[TrackView]:
        """What comes in."""
        ...

    @property
    def meter(self) -> Meter:
        """What is used, and who watches."""
        ...

    def flow(self, channel: str) -> Flow:
        """How it comes in."""
        ...

    def alerts(self, channel: str) -> Sequence[AlertView]:
        """What was raised since the daemon started."""
        ...

    def space(self, channel: str, window_ns: int) -> Space:
        """What a program of the channel with this window will need; too little is an alert of the channel."""
        ...

    def addresses(self, kind: Literal["rtmp", "rtmps", "ingest", "ingest_tls"]) -> Sequence[str]:
        """Where it listens."""
        ...

    def roots(self) -> Sequence[str]:
        """URLs of the addresses of all streaming endpoints."""
        ...

    def asset(self, name: str) -> Opened | None:
        """An asset that is open: its program is there, or it is published."""
        ...

    async def bring(self, name: str) -> None:
        """Brings a channel in line with the registry."""
        ...

    async def drain(self, channel: str, side: Side, wait_ns: int) -> Drained | None:
        """Disconnects the encoders of a side and waits until they deliver again; None: the channel is not open."""
        ...

    async def shelve(self, asset: str) -> None:
        """Opens an asset that is published without a program."""
        ...

    def unshelve(self, asset: str) -> None:
        """A locator of an asset is gone: who was shown it is shown it no more."""
        ...

    def review(self) -> None:
        """Who may see what has changed: viewers are shown what the registry says now."""
        ...

    async def until(self, channel: str, done: Callable[[], bool]) -> None:
        """Waits until something is so of a channel; what is no longer there is waited for no more."""
        ...

    def utc(self) -> datetime:
        """The time of day."""
        ...


class Fronts(Protocol):
    """What serves the streaming endpoints."""

    async def bring(self, name: str) -> None:
        """Brings an endpoint in line with the registry; viewers are told what it says when this returns."""
        ...

    def serves(self, name: str) -> bool:
        """Whether its addresses are open."""
        ...

    def trouble(self, name: str) -> str | None:
        """Why they could not be opened; None when they are, or nobody has tried."""
        ...

    def roots(self, name: str) -> Sequence[str]:
        """URLs of its addresses, those that are open."""
        ...

    def demand_certificate(self, name: str) -> None:
        """Refuses one that is to speak TLS while there is no certificate.

        Raises:
            PackagerError: TLS_UNCONFIGURED.
        """
        ...
