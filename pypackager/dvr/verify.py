"""Whether what an asset shows is what was recorded: every fragment against the checksum that its journal has.

In: an asset's directory. Out: the fragments that are damaged, a checksum of each track. Never: a repair; what is whole is served, what is
not is a gap.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt

from pypackager._core import crc32c
from pypackager.dvr import journal, recorded
from pypackager.dvr.clip import NS
from pypackager.dvr.description import DamagedRange, Description, Run, TrackSum, Verified
from pypackager.dvr.ledger import Ledger
from pypackager.dvr.records import Snapshot
from pypackager.dvr.recovery import JOURNALS
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.records import FragmentWritten

SAID = 200
"""Damaged ranges that are told one by one."""
_UNKNOWN = -1


class Damage(msgspec.Struct, frozen=True):
    """A fragment whose bytes are not what was recorded."""

    track: int
    time: int
    path: str
    reason: str


class Findings(msgspec.Struct, frozen=True):
    """What a verification found, which has read everything."""

    runs: tuple[Run, ...]
    """Of the asset, as it was read."""
    damaged: tuple[tuple[int, int], ...]
    """Fragments (track number, time) whose bytes are not what was recorded."""
    verified: Verified

    def ledger(self, directory: Path) -> Ledger:
        """What the asset is without them. Reads its journal."""
        return recorded.fold(directory, self.runs, self.damaged)


class Verification:
    """Reads every fragment that a stopped asset shows, a piece at a time. What reads is for a thread.

    Args:
        shown: what it shows, fragments included that are known to be damaged.
        directory: the asset's, with its journal.
        description: what it said then.
    """

    def __init__(self, shown: Presentation, directory: Path, description: Description) -> None:
        self.description = description
        self.bytes = sum(int(track.size[:].sum()) for track in shown.tracks)
        """That are there to be read."""
        self.read = 0
        self.damage: list[Damage] = []
        self._shown = shown
        self._directory = directory
        self._sums: list[TrackSum] = []
        self._ranges: list[DamagedRange] = []
        self._reading = self._read_all()

    def step(self, size: int) -> bool:
        """Reads on, by so many bytes of media or one file of the journal; whether there was anything left."""
        stop = self.read + size
        for taken in self._reading:
            self.read += taken
            if not taken or self.read >= stop:
                return True
        return False

    def findings(self, utc_ns: int) -> Findings:
        """What was found, when all has been read."""
        damaged = sorted({(damage.track, damage.time) for damage in self.damage})
        return Findings(self.description.runs, tuple(damaged), Verified(utc_ns, tuple(self._sums), tuple(self._ranges[:SAID])))

    def _read_all(self) -> Generator[int]:
        checksums = {track.info.number: np.full(len(track.time), _UNKNOWN) for track in self._shown.tracks}
        tracks = {track.info.number: track for track in self._shown.tracks}
        journals = self._directory / JOURNALS
        for number in journal.file_numbers(journals):
            for record in _fragments(journals / journal.file_name(number), number):
                track = tracks.get(record.track)
                if track is not None and (row := _row(track, record)) is not None:
                    checksums[record.track][row] = record.crc
            yield 0
        for track in self._shown.tracks:
            yield from self._read_track(track, checksums[track.info.number])

    def _read_track(self, track: TrackWindow, checksums: npt.NDArray[np.int64]) -> Generator[int]:
        digest = sha256()
        whole, size, bad = 0, 0, dict[int, str]()
        there = np.flatnonzero(track.blob[:] >= 0)
        for blob, rows in groupby(there.tolist(), lambda row: int(track.blob[row])):
            with _Blob(self._shown.blob_paths[blob]) as file:
                for row in rows:
                    data, reason = file.read(int(track.offset[row]), int(track.size[row]), int(checksums[row]))
                    if reason:
                        bad[row] = reason
                        self.damage.append(Damage(track.info.number, int(track.time[row]), file.path, reason))
                    else:
                        digest.update(data)
                        whole, size = whole + 1, size + len(data)
                    yield max(1, int(track.size[row]))
        self._sums.append(TrackSum(track.info.id, whole, size, digest.hexdigest()))
        self._ranges += _ranges(track, bad)


class _Blob:
    """A file that is read once, from its beginning to its end, and that others need not find in the page cache for that."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._handle = -1
        self._fault = ""

    def __enter__(self) -> Self:
        try:
            self._handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            self._fault = error.strerror or "the file can't be read"
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle >= 0:
            os.posix_fadvise(self._handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(self._handle)

    def read(self, offset: int, size: int, checksum: int) -> tuple[bytes, str]:
        """A fragment, and what is wrong with it: nothing when it is whole."""
        if checksum == _UNKNOWN:
            return b"", "its record is damaged"
        try:
            data = b"" if self._fault else os.pread(self._handle, size, offset)
        except OSError as error:
            return b"", error.strerror or "the file can't be read"
        if self._fault:
            return b"", self._fault
        if len(data) != size:
            return data, f"the file ends after {len(data)} bytes of {size}"
        return data, "" if crc32c(data) == checksum else "the checksum is wrong"


def missing(shown: Presentation) -> list[tuple[int, int]]:
    """Fragments (track, time) that are shown and whose files are gone, or too short. Looks at the files' sizes only."""
    out: list[tuple[int, int]] = []
    sizes: dict[int, int] = {}
    for track in shown.tracks:
        used, place = np.unique(track.blob[:], return_inverse=True)
        for blob in used.tolist():
            if blob not in sizes:
                sizes[blob] = _size(shown.blob_paths.get(blob)) if blob >= 0 else 0
        there = np.array([sizes[blob] for blob in used.tolist()], dtype=np.int64)
        out += [(track.info.number, time) for time in track.time[:][track.offset[:] + track.size[:] > there[place]].tolist()]
    return out


def _size(path: str | None) -> int:
    try:
        return Path(path).stat().st_size if path is not None else -1
    except FileNotFoundError:
        return -1


def _ranges(track: TrackWindow, bad: dict[int, str]) -> Iterator[DamagedRange]:
    """Rows that follow each other, as one."""
    for _, group in groupby(enumerate(bad), lambda pair: pair[1] - pair[0]):
        rows = [row for _, row in group]
        start, end = int(track.time[rows[0]]), int(track.time[rows[-1]] + track.duration[rows[-1]])
        scale = track.info.timescale
        yield DamagedRange(track.info.id, start * NS // scale, end * NS // scale, len(rows), bad[rows[0]])


def _fragments(path: Path, number: int) -> Iterator[FragmentWritten]:
    """All fragment records that can be read; those that waited when a file began are in its predecessor, or in its snapshot."""
    try:
        scan = journal.Scan(path.read_bytes(), number)
    except journal.BadHeaderError:
        return
    for _, record in scan:
        if isinstance(record, FragmentWritten):
            yield record
        elif isinstance(record, Snapshot):
            for track in record.tracks:
                yield from track.pending


def _row(track: TrackWindow, record: FragmentWritten) -> int | None:
    """The row that shows just this fragment: one that its source left unfinished may have been replaced."""
    row = int(track.time.searchsorted(record.time))
    if row == len(track.time) or int(track.time[row]) != record.time:
        return None
    return row if (int(track.blob[row]), int(track.offset[row])) == (record.blob, record.offset) else None
