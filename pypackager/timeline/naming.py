"""Which track of the channel a source's track is: the same id for the same content, whatever stream or connection carries it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, TypeVar


class Header(Protocol):
    """What naming reads of a track header."""

    @property
    def number(self) -> int:
        """Number within its stream."""
        ...

    @property
    def kind(self) -> str:
        """`video` or `audio`."""
        ...

    @property
    def name(self) -> str:
        """`trackName` of the live manifest; else empty."""
        ...

    @property
    def language(self) -> str:
        """ISO 639-2/T code."""
        ...

    @property
    def bitrate(self) -> int:
        """Announced bits per second."""
        ...


class Rule(Protocol):
    """A [[channel.track]] table."""

    @property
    def match(self) -> str:
        """What it speaks of."""
        ...

    @property
    def id(self) -> str | None:
        """Track id to use."""
        ...


R = TypeVar("R", bound=Rule)


def clean(text: str) -> str:
    """Text as a track id: [a-z0-9_-], at most 64 characters; empty when nothing of it fits."""
    return re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-")[:64]


def rtmp_id(stream: str, kind: str, *, has_video: bool) -> str:
    """RTMP: the stream name; audio beside video is one track for all layers, since encoders mux the same audio into each."""
    return "audio" if kind == "audio" and has_video else clean(stream) or kind


def fmp4_ids(stream: str, headers: Sequence[Header]) -> dict[int, str]:
    """Fragmented MP4: the live manifest's track name and bit rate, whatever stream carries them (ingest specification, stream groupings).

    Without a live manifest the stream's name is all there is: alone for a single track, with kind and number otherwise.
    Names that several tracks of one stream share get the track number behind them.
    """
    ids: dict[int, str] = {}
    for header in headers:
        if header.name:
            rate = f"-{header.bitrate // 1000}k" if header.bitrate >= 1000 else ""
            ids[header.number] = clean(header.name + rate)
        elif len(headers) == 1:
            ids[header.number] = clean(stream)
        else:
            ids[header.number] = clean(f"{stream}-{header.kind}{header.number}")
        ids[header.number] = ids[header.number] or f"{header.kind}{header.number}"
    taken: set[str] = set()
    for header in headers:
        if ids[header.number] in taken:
            ids[header.number] = f"{ids[header.number][:60]}-{header.number}"
        taken.add(ids[header.number])
    return ids


def rule_for(rules: Sequence[R], track_id: str, stream: str) -> R | None:
    """The [[channel.track]] table that speaks of a track: by track id first, then by stream name."""
    by_id = next((rule for rule in rules if rule.match == track_id), None)
    return by_id or next((rule for rule in rules if rule.match == stream), None)
