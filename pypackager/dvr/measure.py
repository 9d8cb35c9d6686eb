"""How long an asset is, what is in it, and what it costs.

In: an asset. Out: numbers. Never: a look into media; that is verify.py's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from pypackager.dvr.clip import NS
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.records import FLAG_GAP


class TrackMeasure(msgspec.Struct, frozen=True):
    """One track of an asset."""

    id: str
    kind: str
    fragments: int
    """Those that are stored."""
    gaps: int
    bytes: int
    duration_ns: int
    """Of what is stored, holes not counted."""


class Measure(msgspec.Struct, frozen=True):
    """An asset in numbers."""

    start_ns: int
    """Media time of its first fragment."""
    duration_ns: int
    """From its first fragment to the end of its last one, holes between runs included."""
    tracks: tuple[TrackMeasure, ...]
    disk_bytes: int
    """Of its files, whoever else has links to them."""
    freed_bytes: int
    """What deleting it would free: of files to which nobody else has links."""


def measure(shown: Presentation, directory: Path) -> Measure:
    """Measures what an asset shows, and its files."""
    starts = [int(track.time[0]) * NS // track.info.timescale for track in shown.tracks]
    ends = [int(track.time[-1] + track.duration[-1]) * NS // track.info.timescale for track in shown.tracks]
    start_ns = min(starts, default=0)
    files = list(_files([directory]))
    return Measure(
        start_ns,
        max(ends, default=0) - start_ns,
        tuple(_track(track) for track in shown.tracks),
        sum(file.st_size for file in files),
        sum(file.st_size for file in files if file.st_nlink == 1),
    )


def disk_bytes(directories: Iterable[Path]) -> int:
    """Bytes of all files below the directories, each counted once, however many links it has."""
    return sum(file.st_size for file in _files(directories))


def _track(track: TrackWindow) -> TrackMeasure:
    here = (track.flags & FLAG_GAP) == 0
    fragments = int(here.sum())
    duration_ns = int(track.duration[here].sum()) * NS // track.info.timescale
    return TrackMeasure(track.info.id, track.info.kind, fragments, len(here) - fragments, int(track.size.sum()), duration_ns)


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
