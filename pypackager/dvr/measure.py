"""How long an asset is, what is in it, and what it costs.

In: an asset. Out: numbers. Never: a look into media; that is verify.py's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from pypackager.dvr.clip import NS
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.records import FLAG_GAP

SAID = 100
"""Gaps of a track that are told one by one."""


class Gap(msgspec.Struct, frozen=True):
    """A stretch of media time."""

    start_ns: int
    end_ns: int


class TrackMeasure(msgspec.Struct, frozen=True):
    """One track of an asset."""

    id: str
    kind: str
    codec: str
    """Of its last configuration (RFC 6381)."""
    language: str
    bitrate_bps: int
    """Average of what is stored."""
    fragments: int
    """Those that are stored."""
    gaps: int
    bytes: int
    duration_ns: int
    """Of what is stored, holes not counted."""
    holes: tuple[Gap, ...] = ()
    """Where nothing is stored: gaps, and the time between runs; the first of them, if there are very many."""


class Measure(msgspec.Struct, frozen=True):
    """An asset in numbers."""

    start_ns: int
    """Media time of its first fragment."""
    duration_ns: int
    """From its first fragment to the end of its last one, holes between runs included."""
    tracks: tuple[TrackMeasure, ...]
    disk_bytes: int
    """Of its files, whoever else has links to them."""
    shared_bytes: int
    """Of those of them to which its channel or another asset has links too."""
    freed_bytes: int
    """What deleting it would free: of the others."""


def measure(shown: Presentation, directory: Path) -> Measure:
    """Measures what an asset shows, and its files."""
    starts = [int(track.time[0]) * NS // track.info.timescale for track in shown.tracks]
    ends = [int(track.time[-1] + track.duration[-1]) * NS // track.info.timescale for track in shown.tracks]
    start_ns = min(starts, default=0)
    files = list(_files([directory]))
    disk_bytes = sum(file.st_size for file in files)
    freed_bytes = sum(file.st_size for file in files if file.st_nlink == 1)
    return Measure(
        start_ns,
        max(ends, default=0) - start_ns,
        tuple(_track(track) for track in shown.tracks),
        disk_bytes,
        disk_bytes - freed_bytes,
        freed_bytes,
    )


def disk_bytes(directories: Iterable[Path]) -> int:
    """Bytes of all files below the directories, each counted once, however many links it has."""
    return sum(file.st_size for file in _files(directories))


def _track(track: TrackWindow) -> TrackMeasure:
    here = (track.flags[:] & FLAG_GAP) == 0
    fragments = int(here.sum())
    duration_ns = int(track.duration[:][here].sum()) * NS // track.info.timescale
    info, size = track.info, int(track.size[:].sum())
    codec = track.configs[int(track.config[-1])].codec
    return TrackMeasure(
        info.id, info.kind, codec, info.language, track.average_bps, fragments, len(here) - fragments, size, duration_ns, _gaps(track)
    )


def _gaps(track: TrackWindow) -> tuple[Gap, ...]:
    """Rows that are gaps, and holes between rows: those that follow each other as one."""
    scale, ends = track.info.timescale, track.time[:] + track.duration[:]
    behind = np.append(track.time[1:], ends[-1])
    lost = [(int(track.time[row]), int(ends[row])) for row in np.flatnonzero(track.flags[:] & FLAG_GAP).tolist()]
    # What rounding leaves between two frames is none.
    lost += [(int(ends[row]), int(behind[row])) for row in np.flatnonzero(behind - ends > scale // 100).tolist()]
    joined: list[list[int]] = []
    for start, end in sorted(lost):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(end, joined[-1][1])
        else:
            joined.append([start, end])
    return tuple(Gap(start * NS // scale, end * NS // scale) for start, end in joined[:SAID])


def _files(directories: Iterable[Path]) -> Iterator[os.stat_result]:
    seen: set[tuple[int, int]] = set()
    for directory in directories:
        for path in directory.rglob("*"):
            try:
                found = path.lstat()
            except FileNotFoundError:
                # Trimmed meanwhile.
                continue
            if stat.S_ISREG(found.st_mode) and (key := (found.st_dev, found.st_ino)) not in seen:
                seen.add(key)
                yield found
