"""The DVR at full depth: 10 video layers and 5 audio tracks, 2 s fragments, 25 hours (45,000 rows a track)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from pypackager.dvr import journal
from pypackager.dvr.index import Columns
from pypackager.dvr.ledger import Ledger
from pypackager.dvr.past import Past
from pypackager.dvr.records import Checkpoint
from pypackager.dvr.recovery import JOURNALS, Replay
from pypackager.dvr.store import ChannelStore
from pypackager.model.records import (
    FLAG_OPENS,
    FLAG_SYNC,
    BlobOpened,
    ConfigAdded,
    FragmentWritten,
    Measured,
    PeriodOpened,
    Published,
    Row,
    TrackAdded,
)
from pypackager.model.track import TrackConfig, TrackInfo
from tests.helpers.dvr import SECOND, config, fragment
from tests.helpers.fake_writer import FakeWriter

ROWS = 45_000
PER_FILE = 150
"""Fragments in five minutes."""

INFOS = [TrackInfo(f"video-{n}", n, "video", 90_000, 4_000_000 - n) for n in range(1, 11)] + [
    TrackInfo(f"audio-{n}", n, "audio", 48_000, 128_000 - n) for n in range(11, 16)
]
CONFIG = TrackConfig("0123456789ab", "avc1.640028", bytes(40), bytes(700))


def write_history(directory: Path, rows: int) -> int:
    """Journal files as the store writes them; returns their size."""
    ledger = Ledger()
    size = 0
    for number in range(1, rows // PER_FILE + 1):
        records: list[Any] = [] if number > 1 else [*map(TrackAdded, INFOS), *(ConfigAdded(i.number, 1, CONFIG) for i in INFOS)]
        if number == 1:
            records += [Measured(2 * SECOND, 3, 6), PeriodOpened(0, 0)]
        records += [BlobOpened(number * 16 + i.number, i.number, f"blobs/{i.id}/{number:06d}.cmf{i.kind[0]}", 1) for i in INFOS]
        for index in range((number - 1) * PER_FILE, number * PER_FILE):
            at = (index % PER_FILE) * 1_000_000 + 700
            flags = FLAG_SYNC | (FLAG_OPENS if index % 3 == 0 else 0)
            for i in INFOS:
                t, d = index * 2 * i.timescale, 2 * i.timescale
                blob = number * 16 + i.number
                records.append(FragmentWritten(i.number, t, d, blob, at, 999_999, 1, flags, 0xDEADBEEF, 50))
            records.append(Published(tuple(Row(i.number, index * 2 * i.timescale, 2 * i.timescale, index // 3, flags) for i in INFOS)))
        frames = [journal.write_header(number), journal.write_frame(ledger.snapshot())]
        ledger.begin_file(number)
        for record in records:
            ledger.apply(record)
            frames.append(journal.write_frame(record))
            if isinstance(record, Published):
                frames.append(journal.write_frame(Checkpoint(sum(map(len, frames)))))
        data = b"".join(frames)
        size += len(data)
        (directory / JOURNALS / journal.file_name(number)).write_bytes(data)
    return size


def resident_growth(call: str, directory: Path) -> int:
    """Bytes by which a process of its own grows when it folds a directory and keeps what it got."""
    code = f"""
import os
from pathlib import Path
from pypackager.dvr.assets import Asset
from pypackager.dvr.recovery import Replay
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
before = resident()
kept = {call}(Path({str(directory)!r}))
print(resident() - before)
"""
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("channel")
    (directory / JOURNALS).mkdir()
    size = write_history(directory, ROWS)
    print(f"\njournal: {size / ROWS / len(INFOS):.1f} bytes a fragment, {size / 1e6:.1f} MB in all")
    return directory


@pytest.fixture(scope="module")
def deep(history: Path) -> Iterator[ChannelStore]:
    """A store at full depth without its blobs."""
    lock = (history / "lock").open("w")
    yield ChannelStore(history, FakeWriter(), lock.fileno(), Replay(history), Past())
    lock.close()


@pytest.mark.benchmark(min_rounds=3, max_time=1)
def test_replay(benchmark: BenchmarkFixture, history: Path) -> None:
    replay = benchmark(Replay, history)
    assert all(len(track.columns) == ROWS for track in replay.ledger.tracks.values())
    benchmark.extra_info["resident MB"] = resident_growth("Replay", history) // 1_000_000


@pytest.mark.benchmark(min_rounds=3, max_time=1)
def test_index_bulk_append(benchmark: BenchmarkFixture) -> None:
    def fill() -> list[int]:
        lengths: list[int] = []
        for _ in INFOS:
            columns = Columns()
            append = columns.append
            for i in range(ROWS):
                append(i * 180_000, 180_000, 1_000_000, i // 3, 1, 1, 0, 0, i // 150, 7)
            lengths.append(len(columns))
        return lengths

    assert benchmark(fill) == [ROWS] * len(INFOS)


def test_presentation(benchmark: BenchmarkFixture, deep: ChannelStore) -> None:
    def present() -> Any:
        deep.ledger.version += 1
        return deep.presentation("bench", 25 * 3600 * SECOND)

    assert len(benchmark(present).tracks) == 15


def test_presentation_unchanged(benchmark: BenchmarkFixture, deep: ChannelStore) -> None:
    assert benchmark(deep.presentation, "bench", 3600 * SECOND) is deep.presentation("bench", 3600 * SECOND)


def test_append_and_publish(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """One interval of all tracks: 15 fragments put, written by a fake writer, and published."""
    writer = FakeWriter()
    store = ChannelStore.open(tmp_path / "channel", writer, 0)
    for info in INFOS:
        store.add_track(info)
        store.add_config(info.number, config("a"))
    data = bytes(1000)
    index = 0

    def interval() -> None:
        nonlocal index
        for i in INFOS:
            store.put_fragment(i.number, fragment(index * 2 * i.timescale, 2 * i.timescale, data), 1, FLAG_SYNC)
        store.publish([Row(i.number, index * 2 * i.timescale, 2 * i.timescale, index, FLAG_SYNC) for i in INFOS])
        index += 1
        writer.step()
        for ticket, errno in writer.done():
            store.finished(ticket, errno)

    benchmark(interval)
    assert len(store.ledger.tracks[15].columns) == index
