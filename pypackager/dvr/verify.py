"""Whether what an asset shows is what was recorded: every fragment against the checksum that its journal has.

In: an asset's directory. Out: the fragments that are damaged. Never: a repair; what is whole is served, what is not is a gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from pypackager._core import crc32c
from pypackager.dvr import journal
from pypackager.dvr.records import Snapshot
from pypackager.dvr.recovery import JOURNALS
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.records import FragmentWritten


class Damage(msgspec.Struct, frozen=True):
    """A fragment whose bytes are not what was recorded."""

    track: int
    time: int
    path: str
    reason: str


def verify(shown: Presentation, directory: Path) -> Iterator[Damage | None]:
    """Reads every fragment that is shown, in the order of recording: None for each that is whole. Reads all media: call it in a thread.

    Args:
        shown: what the asset shows, damaged fragments included.
        directory: the asset's, with its journal.
    """
    tracks = {track.info.number: track for track in shown.tracks}
    left = {number: set(np.flatnonzero(track.blob >= 0).tolist()) for number, track in tracks.items()}
    for record in _fragments(directory / JOURNALS):
        track = tracks.get(record.track)
        if track is None or (row := _row(track, record)) is None or row not in left[record.track]:
            continue
        left[record.track].discard(row)
        path = shown.blob_paths[record.blob]
        reason = _fault(path, record)
        yield Damage(record.track, record.time, path, reason) if reason else None
    for number, rows in left.items():
        for row in sorted(rows):
            path = shown.blob_paths[int(tracks[number].blob[row])]
            yield Damage(number, int(tracks[number].time[row]), path, "its record is damaged")


def missing(shown: Presentation) -> list[tuple[int, int]]:
    """Fragments (track, time) that are shown and whose files are gone, or too short. Looks at the files' sizes only."""
    out: list[tuple[int, int]] = []
    sizes: dict[int, int] = {}
    for track in shown.tracks:
        used, place = np.unique(track.blob, return_inverse=True)
        for blob in used.tolist():
            if blob not in sizes:
                sizes[blob] = _size(shown.blob_paths.get(blob)) if blob >= 0 else 0
        there = np.array([sizes[blob] for blob in used.tolist()], dtype=np.int64)
        out += [(track.info.number, time) for time in track.time[track.offset + track.size > there[place]].tolist()]
    return out


def _size(path: str | None) -> int:
    try:
        return Path(path).stat().st_size if path is not None else -1
    except FileNotFoundError:
        return -1


def _fragments(journals: Path) -> Iterator[FragmentWritten]:
    """All fragment records that can be read; those that waited when a file began are in its predecessor, or in its snapshot."""
    for number in journal.file_numbers(journals):
        try:
            scan = journal.Scan((journals / journal.file_name(number)).read_bytes(), number)
        except journal.BadHeaderError:
            continue
        for _, record in scan:
            if isinstance(record, FragmentWritten):
                yield record
            elif isinstance(record, Snapshot):
                for track in record.tracks:
                    yield from track.pending


def _row(track: TrackWindow, record: FragmentWritten) -> int | None:
    """The row that shows just this fragment: one that its source left unfinished may have been replaced."""
    row = int(np.searchsorted(track.time, record.time))
    if row == len(track.time) or int(track.time[row]) != record.time:
        return None
    return row if (int(track.blob[row]), int(track.offset[row])) == (record.blob, record.offset) else None


def _fault(path: str, record: FragmentWritten) -> str:
    """What is wrong with a fragment's bytes; empty when they are whole."""
    try:
        with Path(path).open("rb") as file:
            file.seek(record.offset)
            data = file.read(record.size)
    except OSError as error:
        return error.strerror or "the file can't be read"
    if len(data) != record.size:
        return f"the file ends after {len(data)} bytes of {record.size}"
    return "" if crc32c(data) == record.crc else "the checksum is wrong"
