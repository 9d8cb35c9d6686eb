"""Signals: small payloads at times, of tracks that are neither pictures nor sound (sparse tracks; docs/design/signals.md)."""

from __future__ import annotations

import msgspec

ANY = "*"
"""As a parent: no track in particular, so whichever is furthest. Data messages of RTMP come in every layer and belong to none."""
TIMESCALE = 90_000
"""Ticks per second of stored signals: that of video, so that a signal at a picture's time is at its very tick."""


class SignalInfo(msgspec.Struct, frozen=True, array_like=True):
    """A track of signals, for life."""

    number: int
    """1, 2, … among the channel's tracks of signals."""
    id: str
    """[a-z0-9_-], unique among them; in URLs and on the API."""
    name: str
    """`trackName` of the live manifest; else the stream's."""
    parent: str
    """`parentTrackName`: name or id of the track whose fragments decide when a signal is shown; empty when none was named; or ANY."""
    output: bool
    """`manifestOutput`: payloads stand in manifests."""
    subtype: str
    scheme: str
    """What the payload is, as a URI; empty when the encoder does not say."""
    format: str
    """Kind of its sample entry; empty when there is none."""
    language: str


class Signal(msgspec.Struct, frozen=True, array_like=True):
    """One of them. Times are ticks of TIMESCALE."""

    time: int
    duration: int
    data: bytes


class SignalWindow(msgspec.Struct, frozen=True):
    """What a presentation shows of a track of signals."""

    info: SignalInfo
    parent: int | None
    """TrackInfo.number of its parent; None when no track has that name."""
    signals: tuple[Signal, ...]
    """By time; no two at one."""
