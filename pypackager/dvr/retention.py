"""Which files of a channel a window needs, and giving up the oldest.

In: a ledger, what is on its way to it, a window. Out: names of files. Never: a choice of the window, a file that is being written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pypackager.dvr.blobs import BlobStore
from pypackager.dvr.clip import NS
from pypackager.dvr.files import journal_name
from pypackager.dvr.ledger import Ledger
from pypackager.dvr.records import JournalRecord
from pypackager.model.records import BlobOpened, FragmentWritten


def edge_ns(ledger: Ledger) -> int:
    """Media time at which the newest row ends."""
    return max((t.last_end * NS // t.info.timescale for t in ledger.tracks.values()), default=0)


def oldest_file(ledger: Ledger, window_ns: int) -> int:
    """Number of the oldest journal file with a row that ended less than `window_ns` before the published edge."""
    limit_ns = edge_ns(ledger) - window_ns
    files = ledger.files
    for i in range(len(files) - 1):
        for number, row in files[i + 1].rows.items():
            track = ledger.tracks[number]
            if row > track.columns.first and track.columns.end_at(row - 1) * NS // track.info.timescale > limit_ns:
                return files[i].number
    return files[-1].number


def files_since(ledger: Ledger, first: int, underway: Collection[JournalRecord], open_blobs: Iterable[int]) -> list[str]:
    """Names of journal files from number `first` on, and of all blobs that they point, or may come to point, into."""
    blobs = {f.blob for track in ledger.tracks.values() for f in track.pending.values()}
    blobs |= {*open_blobs}
    blobs |= {record.blob for record in underway if isinstance(record, FragmentWritten)}
    names = [journal_name(file.number) for file in ledger.files if file.number >= first]
    names += [blob.opened.name for number, blob in ledger.blobs.items() if blob.last_file >= first or number in blobs]
    return names + [record.name for record in underway if isinstance(record, BlobOpened)]


def forget_oldest(ledger: Ledger, blobs: BlobStore) -> list[str]:
    """Gives up the oldest journal file, and the blobs that nothing else points into; returns their names."""
    number, gone = ledger.forget_file()
    # Journal first: a blob without a record is removed by recovery, a record without its blob would be damage.
    names = [journal_name(number), *gone]
    for name in names:
        blobs.unlink(name)
    return names
