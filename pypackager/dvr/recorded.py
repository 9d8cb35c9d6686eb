"""What a program's ended runs recorded, as a ledger in the asset's own numbers.

In: an asset's files and runs, or the ledger as it stood when the program ended. Out: a ledger that a further run can go on from, and how.
Never: a write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pypackager.dvr.description import Join, Run
from pypackager.dvr.files import journal_name
from pypackager.dvr.index import Columns
from pypackager.dvr.ledger import File, Ledger
from pypackager.dvr.recovery import Replay
from pypackager.dvr.splice import BLOB, FLAGS, OFFSET, SIZE, TIME, Splice
from pypackager.dvr.track import GAP_BLOB, Track
from pypackager.model.presentation import Presentation
from pypackager.model.records import FLAG_CLOSES, FLAG_ENDS, FLAG_GAP


def fold(directory: Path, runs: Sequence[Run], damaged: Iterable[tuple[int, int]] = ()) -> Ledger:
    """What ended runs recorded, from the asset's files; fragments (track, time) that are known to be damaged are gaps."""
    ledger = Ledger()
    for run in runs:
        if (stop := run.stop) is None:
            continue
        part = Replay(directory, (stop.file, stop.offset), run.first_file).ledger
        if run.join is None:
            ledger = part
        else:
            spliced = Splice(taken(ledger, run.join.since), run, run.join, part)
            spliced.advance()
            ledger = spliced.ledger
        ledger.version = stop.version
    lose(ledger, damaged)
    return ledger


def lose(ledger: Ledger, damaged: Iterable[tuple[int, int]]) -> None:
    """Makes gaps of the rows of damaged fragments (track, time)."""
    times: dict[int, list[int]] = {}
    for number, time in damaged:
        times.setdefault(number, []).append(time)
    for number in times.keys() & ledger.tracks.keys():
        track = ledger.tracks[number]
        columns = track.columns
        rows = columns.table(columns.first, columns.end)
        gone = np.isin(rows[TIME], times[number])
        rows[FLAGS, gone] |= FLAG_GAP
        rows[SIZE, gone], rows[BLOB, gone], rows[OFFSET, gone] = 0, GAP_BLOB, 0
        track.columns = Columns(columns.first)
        track.columns.extend(rows)


def taken(ledger: Ledger, since: Mapping[int, int]) -> Ledger:
    """A copy of what was recorded that takes rows.

    Args:
        ledger: of the runs so far.
        since: by track number: the first row to copy. A track that is not named is left out.
    """
    copy = Ledger()
    copy.anchor_ns, copy.measured, copy.target_duration_s = ledger.anchor_ns, ledger.measured, ledger.target_duration_s
    copy.periods, copy.version, copy.signals = ledger.periods, ledger.version, ledger.signals.copied()
    for number, first in since.items():
        if (track := ledger.tracks.get(number)) is None or (low := max(track.columns.first, first)) >= track.columns.end:
            continue
        own = copy.tracks[number] = Track(track.info, low)
        own.columns = track.columns.copied(low)
        # Nothing more comes into its last segment: it stays listed when the presentation is live again.
        own.columns.mark(own.columns.end - 1, FLAG_CLOSES | FLAG_ENDS)
        own.configs, own.peak_bps = track.configs, track.peak_bps
        own.last_time, own.last_end = track.last_time, track.last_end
        own.segment = own.columns.segment_at(own.columns.end - 1)
        used = np.unique(own.columns.window(low, own.columns.end)[BLOB][:])
        copy.blobs.update((blob, ledger.blobs[blob]) for blob in used.tolist() if blob in ledger.blobs)
    for file in ledger.files:
        begin = {number: row for number, row in file.rows.items() if number in copy.tracks}
        copy.files.append(File(file.number, begin))
    # Those at the front without a row that was copied.
    while len(copy.files) > 1 and all(row <= copy.tracks[number].columns.first for number, row in copy.files[1].rows.items()):
        copy.files.popleft()
    return copy


class Rehearsal:
    """The copy that a start again takes, made ahead: with 25 hours of fifteen tracks it takes a third of a second.

    Args:
        ledger: of a stopped asset, which no longer changes.
        since: by track number: the first row to copy.
    """

    def __init__(self, ledger: Ledger, since: Mapping[int, int]) -> None:
        self.of = ledger, since
        self._copy: Ledger | None = None

    def prepare(self) -> None:
        """Makes the copy."""
        self._copy = taken(*self.of)

    def copy(self) -> Ledger:
        """The copy, made now if it was not."""
        return self._copy if self._copy is not None else taken(*self.of)


def begins(shown: Presentation) -> dict[int, int]:
    """By track number: the first row that is shown."""
    return {track.info.number: track.first for track in shown.tracks}


def join(shown: Presentation, channel: Ledger) -> Join:
    """How a run that starts now goes on behind what the asset shows."""
    since = begins(shown)
    version = max(0, shown.version + 1 - channel.version)
    if not since:
        return Join(since, {}, -1, -1, version)
    rows = {track.info.number: track.first + len(track.time) for track in shown.tracks}
    segment = max(int(track.segment[-1]) for track in shown.tracks)
    period = max(int(track.period[-1]) for track in shown.tracks)
    return Join(since, rows, segment + 1, period + 1, version)


def follows(history: Ledger, channel: Ledger) -> bool:
    """Whether a channel's journal goes on from what was recorded: the same tracks, and nothing that would take a used time."""
    if history.tracks and channel.anchor_ns != history.anchor_ns:
        return False
    for number, old in history.tracks.items():
        new = channel.tracks.get(number)
        if new is None or (new.info.id, new.info.kind, new.info.timescale) != (old.info.id, old.info.kind, old.info.timescale):
            return False
        if new.last_time < old.last_time:
            return False
    return channel.next_blob > max(history.blobs, default=0)


def names(ledger: Ledger) -> set[str]:
    """Files that a ledger is the fold of, and those that it points into."""
    return {journal_name(file.number) for file in ledger.files} | {blob.opened.name for blob in ledger.blobs.values()}
