"""Replays a stretch of a journal file in one call of the native core: what a channel writes all the time.

In: a ledger, the bytes of a file. Out: the ledger behind them, where they end. Never: another result than the ledger's own fold of the
same records (`tests/property/dvr/test_stretch.py`); what the core does not know, or leaves to the line-up, is folded here.
"""

from __future__ import annotations

from itertools import takewhile

from pypackager._core import Folded, fold_journal
from pypackager.dvr.journal import FRAME_SIZE
from pypackager.dvr.ledger import Blob, Ledger
from pypackager.model.records import BlobOpened

_STARTS = (b"\x9b\xa8fragment", b"\x9c\xa8fragment", b"\x92\xa4edge", b"\x95\xa4blob", b"\x92\xaacheckpoint")
"""How the payloads begin that the core reads: MessagePack arrays with their length and tag."""


def begins(data: bytes, at: int) -> bool:
    """Whether there is something for `fold` at this place of a file."""
    return data.startswith(_STARTS, at + FRAME_SIZE)


def fold(ledger: Ledger, data: bytes, at: int) -> Folded:
    """Folds blobs that begin, fragments, rows and checkpoints from `at` on, up to the first other record or damage."""
    file = ledger.files[-1].number
    # Nothing else is written to in this file; a fragment that points elsewhere is left to the ledger.
    open_now = takewhile(lambda item: item[1].last_file == file, reversed(ledger.blobs.items()))
    usual_ns = ledger.measured.interval_ns if ledger.measured is not None else 0
    part = ledger.periods[-1] if ledger.periods else None
    folded = fold_journal(data, at, list(ledger.tracks.values()), part, usual_ns, [number for number, _ in open_now])
    for track in folded.tracks:
        ledger.tracks[track.number].take(track)
    for blob, number, name, config in folded.opened:
        ledger.blobs[blob] = Blob(BlobOpened(blob, number, name, config), file)
        ledger.blobs_version += 1
        ledger.next_blob = max(ledger.next_blob, blob + 1)
    for blob in folded.used:
        ledger.blobs[blob].last_file = file
    if folded.media is not None:
        ledger.line_up(folded.media, folded.before_ns)
    ledger.version += folded.edges
    return folded
