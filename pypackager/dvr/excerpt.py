"""A part of an asset as an asset of its own: which files it takes, and what its asset.json says.

In: an asset that has ended, or is taken as if it ended now, and what it shows of the part. Out: an excerpt, which makes it. Never: a copy.

An excerpt has the runs of its source, as far as the part reaches into them, and the numbers of its rows. It replays from the first journal
file that lists a row of the part to the last one; whole files are linked, and rows beyond the part are not shown.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace

from pypackager.dvr.blobs import BlobStore
from pypackager.dvr.clip import NS
from pypackager.dvr.description import Description, Run
from pypackager.dvr.files import journal_name
from pypackager.dvr.ledger import Ledger
from pypackager.dvr.links import make
from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation, TrackWindow


class Excerpt(msgspec.Struct, frozen=True):
    """A part of an asset that is to be an asset."""

    description: Description
    names: frozenset[str]
    """Files that it needs."""
    source: BlobStore
    """Where they are."""

    def make(self, directory: Path) -> None:
        """Makes the asset, for good when this returns. There may be thousands of files: call it in a thread.

        Raises:
            PackagerError: ASSET_EXISTS.
            OSError: a file can't be linked, or the directory not be written; there is no asset then.
        """
        for name in self.names:
            # Of an asset whose program runs, what is listed may not be on the disk yet.
            if self.source.size(name) >= 0:
                _sync(self.source.path(name))
        make(directory, self.description, self.names, self.source).sync()


def describe(name: str, source: Description, shown: Presentation, ledger: Ledger, blobs: BlobStore, start_ns: int) -> Excerpt:
    """What an excerpt says, and the files that it needs.

    Args:
        name: the excerpt's.
        source: of an asset that has ended.
        shown: the part.
        ledger: what the source is the fold of.
        blobs: the source's files.
        start_ns: where the part was to start.

    Raises:
        PackagerError: CLIP_EMPTY (409).
    """
    # Who asks to start behind the end is shown the last segment.
    if not shown.tracks or all(_end_ns(track) <= start_ns for track in shown.tracks):
        raise PackagerError("CLIP_EMPTY", "nothing is recorded between start and end", status=409, where=source.name, fault="operator")
    part = {track.info.number: (track.first, track.first + len(track.time)) for track in shown.tracks}
    files = list(_files(part, ledger))
    runs = tuple(_runs(source.runs, files[0], files[-1], blobs))
    times = {track.info.number: track.time[:] for track in shown.tracks}
    damaged = tuple((number, time) for number, time in source.damaged if number in times and time in times[number])
    names = {journal_name(number) for number in files}
    used = {blob for track in shown.tracks for blob in np.unique(track.blob[:]).tolist() if blob >= 0}
    names |= {ledger.blobs[blob].opened.name for blob in used}
    return Excerpt(replace(source, name=name, runs=runs, damaged=damaged, verified=None, part=part), frozenset(names), blobs)


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fdatasync(handle)
    finally:
        os.close(handle)


def _end_ns(track: TrackWindow) -> int:
    return int(track.time[-1] + track.duration[-1]) * NS // track.info.timescale


def _files(rows: Mapping[int, tuple[int, int]], ledger: Ledger) -> Iterator[int]:
    """Numbers of the journal files from the first that lists one of these rows to the last."""
    known = list(ledger.files)
    first = max((i for i, file in enumerate(known) if all(file.rows.get(n, 0) <= low for n, (low, _) in rows.items())), default=0)
    for i, file in enumerate(known):
        if i == first or (i > first and any(file.rows.get(n, 0) < high for n, (_, high) in rows.items())):
            yield file.number


def _runs(runs: tuple[Run, ...], first: int, last: int, blobs: BlobStore) -> Iterator[Run]:
    for run in runs:
        stop = run.stop
        if stop is None or stop.file < first or run.first_file > last:
            continue
        if stop.file > last:
            # A file that has a successor is complete.
            stop = replace(stop, file=last, offset=blobs.size(journal_name(last)))
        yield replace(run, first_file=max(run.first_file, first), stop=stop)
