"""Answers to a request, as data: who serves them decides how the bytes move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

Range = tuple[str, int, int]
"""(absolute path, offset, size) of stored bytes."""


class Source(msgspec.Struct, frozen=True):
    """The fragments of one track that an answer is made of."""

    init: bytes
    """CMAF header of the track's configuration."""
    ranges: tuple[Range, ...]
    """Stored fragments (moof + mdat), in order."""


NOTHING = Source(init=b"", ranges=())
"""A track that has a gap here, and whose stream is there all the same."""


class Stored(msgspec.Struct, frozen=True, tag="stored"):
    """Bytes as they are in the blobs, one after the other."""

    ranges: tuple[Range, ...]


class Text(msgspec.Struct, frozen=True, tag="text"):
    """A long manifest in parts, put together only where it has to be: most of it is the same from version to version."""

    parts: tuple[bytes, ...]


class TsSegment(msgspec.Struct, frozen=True, tag="ts"):
    """An MPEG-TS segment remuxed from stored fragments."""

    video: Source | None
    audio: Source | None


class SmoothFragment(msgspec.Struct, frozen=True, tag="smooth"):
    """A Smooth Streaming fragment remuxed from one stored fragment."""

    source: Source
    track_id: int
    sequence: int
    time: int
    duration: int
    composition_shift: int
    """Ticks added to composition offsets so that none is negative: one shift for the presentation, in this track's timescale."""
    successors: tuple[tuple[int, int], ...]
    """(time, duration) of the next fragments, for tfrf."""
    inband: bool
    """Put SPS and PPS before the first NAL unit: the configuration is not the one that the manifest declares."""


class F4fFragment(msgspec.Struct, frozen=True, tag="f4f"):
    """An HDS fragment remuxed from stored fragments."""

    video: Source | None
    audio: Source | None
    origin_ns: int
    """Media time of HDS time zero."""


Body = bytes | Text | Stored | TsSegment | SmoothFragment | F4fFragment


MoviePiece = tuple[str, int, int, int, int, int | None]
"""A part of a stored fragment: path, offset and size of the fragment, first byte and count, ticks by which it is earlier in the movie;
None: plain bytes, of which nothing is changed."""


class Laid(Protocol):
    """Where each byte of a movie is."""

    @property
    def size(self) -> int:
        """Bytes of the movie."""
        ...

    def pieces(self, start: int, stop: int) -> tuple[bytes, list[MoviePiece]]:
        """What the bytes [start, stop) are made of: some of the head, then parts of fragments in order."""
        ...


class Movie(msgspec.Struct, frozen=True):
    """A program as one file, which is never in memory as a whole."""

    etag: str
    disposition: str
    """Content-Disposition."""
    lay_out: Callable[[], Laid]
    """Takes a moment: called in a thread, and not again while its result is kept."""


Lifetime = Literal["immutable", "manifest", "error", "none"]
"""How long a cache may keep the answer: a media segment (a year), a live manifest (half a fragment), an error (a second), not at all."""


def manifest_age_s(interval_ns: int) -> int:
    """Seconds for which a cache may keep a live manifest of this key frame interval: half of it, but at least the second caches count in.

    It may give it out for as long again while it fetches a newer one.
    """
    return max(1, interval_ns // 2_000_000_000)


class Published(msgspec.Struct, frozen=True):
    """An answer that is ready."""

    content_type: str
    body: Body
    lifetime: Lifetime
    etag: str
    status: int = 200
    gzip: bytes | Text | None = None
    """The body as one gzip member, when it was deflated in advance."""
    headers: tuple[tuple[str, str], ...] = ()
