"""The native fold of a journal is the ledger's of the same records: rows, gaps, refusals, parts, and what no checkpoint covers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypackager.dvr import journal, stretch
from pypackager.dvr.ledger import Ledger, RefusedError
from pypackager.dvr.records import Checkpoint, FragmentLost, JournalRecord
from pypackager.dvr.recovery import JOURNALS, Replay
from pypackager.model.records import (
    FLAG_GAP,
    FLAG_OPENS,
    FLAG_SYNC,
    BlobOpened,
    ConfigAdded,
    FragmentWritten,
    Measured,
    Peak,
    PeriodOpened,
    Published,
    Row,
    TrackAdded,
)
from pypackager.model.track import TrackInfo
from tests.helpers.dvr import SECOND, config

INFOS = [
    TrackInfo("video-1", 1, "video", 90_000, 2_000_000),
    TrackInfo("video-2", 2, "video", 90_000, 1_000_000),
    TrackInfo("audio", 3, "audio", 48_000, 128_000),
]
START_S = 1_700_000_000


def records(random: Random) -> Iterator[JournalRecord]:
    """A channel's life of some minutes, with much that goes wrong."""
    blobs: dict[int, int] = {}
    number = 0
    away: dict[int, int] = {}
    yield from map(TrackAdded, INFOS)
    yield from (ConfigAdded(info.number, 1, config("a")) for info in INFOS)
    yield Measured(2 * SECOND, 3, 6)
    for index in range(random.randint(1, 60)):
        if index == 0 or random.random() < 0.02:
            yield PeriodOpened(index, (START_S + index * 2) * SECOND)
        rows: list[Row] = []
        for info in random.sample(INFOS, 3):
            track, scale = info.number, info.timescale
            if away.get(track, 0) > index:
                continue
            if random.random() < 0.02:
                away[track] = index + random.randint(1, 20)
            if track not in blobs or random.random() < 0.03:
                number += 1
                blobs[track] = number
                yield BlobOpened(number, random.choice([track] * 20 + [9]), f"blobs/{info.id}/{number}", 1)
            time = (START_S + index * 2) * scale + random.choice([0] * 8 + [1, -1, scale // 8, scale])
            for _ in range(random.choice([0, 1, 1, 1, 1, 1, 1, 1, 2])):
                blob, known = random.choice([blobs[track]] * 30 + [number, 99]), random.choice([1] * 30 + [2])
                owner = random.choice([track] * 40 + [9])
                number_of_it = random.choice([-1, index, 1 << 53])
                yield FragmentWritten(
                    owner, time, 2 * scale, blob, random.randint(0, 9), 7, known, FLAG_SYNC, random.randint(0, 5), 50, number_of_it
                )
            late = random.choice([0] * 9 + [2 * scale])
            flags = FLAG_SYNC | random.choice([0, 0, FLAG_OPENS]) | random.choice([0] * 15 + [FLAG_GAP])
            rows.append(Row(random.choice([track] * 40 + [9]), time - late, 2 * scale, index // 3, flags))
        cut = random.choice([0, 0, 0, 1, 2])
        yield from (Published(tuple(part)) for part in (rows[:cut], rows[cut:]))
        if random.random() < 0.3:
            # The offset is put in when it is known.
            yield Checkpoint(random.choice([0, 0, 200]))
        if random.random() < 0.05:
            yield Peak(random.randint(1, 3), random.randint(1, 1000))
        if random.random() < 0.05:
            yield FragmentLost(random.randint(1, 3), (START_S + index * 2) * 90_000)


def write(directory: Path, random: Random) -> None:
    """Files as a store writes them; the last may be torn."""
    (directory / JOURNALS).mkdir()
    ledger = Ledger()
    data, number = b"", 0

    def turn() -> None:
        nonlocal data, number
        if number:
            (directory / JOURNALS / journal.file_name(number)).write_bytes(data)
        number += 1
        data = journal.write_header(number) + journal.write_frame(ledger.snapshot())
        ledger.begin_file(number)

    turn()
    for drawn in records(random):
        record = Checkpoint(len(data) - drawn.offset) if isinstance(drawn, Checkpoint) else drawn
        data += journal.write_frame(record)
        try:
            ledger.apply(record)
        except RefusedError:
            continue
        if random.random() < 0.01:
            turn()
    turn()
    newest = directory / JOURNALS / journal.file_name(number - 1)
    whole = newest.read_bytes()
    newest.write_bytes(whole[: random.choice([len(whole)] * 3 + [random.randint(0, len(whole))])])


def state(replay: Replay) -> dict[str, Any]:
    """All that a replay leaves."""
    ledger = replay.ledger
    return {
        "snapshot": ledger.snapshot(),
        "rows": {n: [column.tolist() for column in t.columns.window(t.columns.first, t.columns.end)] for n, t in ledger.tracks.items()},
        "blobs": [(n, blob.opened, blob.last_file) for n, blob in ledger.blobs.items()],
        "files": [(file.number, file.rows) for file in ledger.files],
        "periods": ledger.periods,
        "versions": (ledger.version, ledger.blobs_version),
        "report": replay.report,
        "recent": replay.recent,
        "ends": replay.ends,
    }


def both(directory: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a replay leaves with the native fold, and record by record."""
    native = state(Replay(directory))

    def nothing(_: Ledger, data: bytes, at: int) -> Any:
        return SimpleNamespace(end=at, records=0, refused=0, checkpoint=None, recent=[])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretch, "fold", nothing)
        return native, state(Replay(directory))


@given(st.integers(0, 2**32))
def test_it_is_the_ledgers_own_fold(seed: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), Random(seed))
        native, plain = both(Path(name))
    assert native == plain


def test_the_lives_have_what_goes_wrong(tmp_path: Path) -> None:
    """Parts, refusals, damage, uncovered fragments: the property above is about all of them."""
    met: set[str] = set()
    for seed in range(40):
        directory = tmp_path / str(seed)
        directory.mkdir()
        write(directory, Random(seed))
        native, plain = both(directory)
        assert native == plain
        report = native["report"]
        met |= {
            what
            for what, count in (("refused", report.refused), ("damage", len(report.damage)), ("recent", len(native["recent"])))
            if count
        }
        met |= {"part" for period in native["periods"] if period.part}
    assert met == {"refused", "damage", "recent", "part"}
