"""From the files of a channel or asset back to its ledger.

In: a directory. Out: the ledger, and what was found wrong. Never: a write, but by `repair`, which the channel's owner calls.

A process that was killed leaves at most a torn last record. After a power loss any byte written since the last checkpoint may be
missing: fragments recorded since then are checked against their CRC32C, all others only for their place in a file being there.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np

from pypackager._core import crc32c
from pypackager.dvr import journal, stretch
from pypackager.dvr.ledger import Ledger, RefusedError
from pypackager.dvr.records import Checkpoint, FragmentLost, Snapshot
from pypackager.dvr.track import GAP_BLOB
from pypackager.model.records import FragmentWritten

JOURNALS = "journal"
BLOBS = "blobs"


class Report(msgspec.Struct):
    """What recovery met; all zero and empty after an orderly stop."""

    files: int = 0
    records: int = 0
    refused: int = 0
    """Records that contradicted the ledger, as they already did when they were written."""
    cut_bytes: int = 0
    """Bytes behind the last good record of a file."""
    damage: list[str] = []
    lost: list[tuple[int, int]] = []
    """(track, time) of fragments whose bytes are missing or changed."""
    orphans: int = 0
    """Files that nothing points to: their record was never written, or trimming was interrupted."""


class Replay:
    """Folds the journal files of a directory: all, or those from a file on, or up to a position (file number, bytes in it).

    `recent` are the fragments recorded since the last checkpoint; `ends` says where the good part of each damaged file ends.
    """

    def __init__(self, directory: Path, until: tuple[int, int] | None = None, first: int = 0) -> None:
        self.ledger = Ledger()
        self.report = Report()
        self.recent: list[FragmentWritten] = []
        self.ends: dict[int, int] = {}
        journals = directory / JOURNALS
        self.numbers = [number for number in journal.file_numbers(journals) if number >= first]
        for number in self.numbers:
            if until is not None and number > until[0]:
                break
            data = (journals / journal.file_name(number)).read_bytes()
            self._fold(data[: until[1]] if until is not None and number == until[0] else data, number)

    def _fold(self, data: bytes, number: int) -> None:
        ledger, report = self.ledger, self.report
        try:
            scan = journal.Scan(data, number)
        except journal.BadHeaderError as error:
            self._damaged(number, 0, len(data), str(error))
            return
        recent: list[tuple[int, FragmentWritten]] = []
        apply = ledger.apply
        begun = False
        for position, record in scan:
            if not begun:
                if not isinstance(record, Snapshot):
                    self._damaged(number, 0, len(data), "file does not open with a snapshot")
                    return
                ledger.begin_file(number)
                begun = True
            try:
                apply(record)
            except RefusedError:
                report.refused += 1
            report.records += 1
            if isinstance(record, FragmentWritten):
                recent.append((position, record))
            elif isinstance(record, Checkpoint):
                # Blobs and files before this one were synced first: the roll-over does it before it turns the page.
                self.recent.clear()
                recent = [(at, fragment) for at, fragment in recent if at > record.offset]
            if not stretch.begins(data, position):
                continue
            folded = stretch.fold(ledger, data, position)
            scan.end = folded.end
            report.records += folded.records
            report.refused += folded.refused
            if (covered := folded.checkpoint) is not None:
                self.recent.clear()
                recent = [(at, fragment) for at, fragment in recent if at > covered]
            recent += [(at, FragmentWritten(*numbers)) for at, numbers in folded.recent]
        self.recent += [fragment for _, fragment in recent]
        report.files += begun
        if scan.damage or not begun:
            self._damaged(number, scan.end if begun else 0, len(data), scan.damage or "no record")

    def _damaged(self, number: int, end: int, size: int, why: str) -> None:
        self.ends[number] = end
        self.report.cut_bytes += size - end
        self.report.damage.append(f"{journal.file_name(number)}: {why}")


def repair(directory: Path, replay: Replay) -> list[FragmentLost]:
    """Cuts the torn tail off the newest file, removes files that nothing points to, and checks the blobs.

    Returns:
        Records to append: fragments that the journal knows and the blobs do not have.
    """
    for number, end in replay.ends.items():
        path = directory / JOURNALS / journal.file_name(number)
        if end == 0:
            # Kept for a person to look at, out of replay's way.
            path.rename(path.with_suffix(".damaged"))
        elif number == replay.numbers[-1]:
            os.truncate(path, end)
    for path in (directory / JOURNALS).glob("*.new"):
        path.unlink()
    known = {blob.opened.name for blob in replay.ledger.blobs.values()}
    for path in (directory / BLOBS).glob("*/*"):
        if str(path.relative_to(directory)) not in known:
            path.unlink()
            replay.report.orphans += 1
    lost = sorted({*_missing(directory, replay.ledger), *_changed(directory, replay)})
    replay.report.lost.extend(lost)
    return [FragmentLost(track, time) for track, time in lost]


def _missing(directory: Path, ledger: Ledger) -> list[tuple[int, int]]:
    sizes = {number: _size(directory / blob.opened.name) for number, blob in ledger.blobs.items()}
    lost: list[tuple[int, int]] = []
    for number, track in ledger.tracks.items():
        lost += [(number, f.time) for f in track.pending.values() if f.offset + f.size > sizes.get(f.blob, -1)]
        time, _, size, _, _, _, _, _, blob, offset = track.columns.window(track.columns.first, track.columns.end)
        used, place = np.unique(blob[:], return_inverse=True)
        there = np.array([0 if name == GAP_BLOB else sizes.get(name, -1) for name in used.tolist()], dtype=np.int64)
        lost += [(number, value) for value in time[:][offset[:] + size[:] > there[place]].tolist()]
    return lost


def _changed(directory: Path, replay: Replay) -> list[tuple[int, int]]:
    lost: list[tuple[int, int]] = []
    for fragment in replay.recent:
        blob = replay.ledger.blobs.get(fragment.blob)
        if blob is None or not _stands(replay.ledger, fragment):
            continue
        try:
            with (directory / blob.opened.name).open("rb") as file:
                file.seek(fragment.offset)
                data = file.read(fragment.size)
        except FileNotFoundError:
            data = b""
        if len(data) != fragment.size or crc32c(data) != fragment.crc:
            lost.append((fragment.track, fragment.time))
    return lost


def _stands(ledger: Ledger, fragment: FragmentWritten) -> bool:
    """Whether the fragment is pending or listed, and not replaced."""
    track = ledger.tracks.get(fragment.track)
    if track is None:
        return False
    if track.pending.get(fragment.time) == fragment:
        return True
    row = track.columns.first_from(fragment.time)
    if row == track.columns.end:
        return False
    time, _, _, _, _, _, _, _, blob, offset = (column[0] for column in track.columns.window(row, row + 1))
    return bool(time == fragment.time and blob == fragment.blob and offset == fragment.offset)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
