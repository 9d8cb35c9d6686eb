"""Assets at full depth: 10 video layers and 5 audio tracks, 2 s fragments, 25 hours; stop, start again, the first manifests, reopening."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench_dvr import INFOS, ROWS, resident_growth, write_history
from pypackager import packaging
from pypackager.dvr.assets import Asset
from pypackager.dvr.description import Description, Run, write_description
from pypackager.dvr.recovery import BLOBS, JOURNALS
from pypackager.dvr.store import ChannelStore
from tests.helpers.dvr import SECOND
from tests.helpers.fake_writer import FakeWriter

BUDGET_S = 3.0
WINDOW_NS = 25 * 3600 * SECOND


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a channel at full depth; its blobs have their sizes and no content."""
    directory = tmp_path_factory.mktemp("data") / "channel"
    (directory / JOURNALS).mkdir(parents=True)
    write_history(directory, ROWS)
    for number in range(1, ROWS // 150 + 1):
        for info in INFOS:
            path = directory / BLOBS / info.id / f"{number:06d}.cmf{info.kind[0]}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            os.truncate(path, 151_000_000)
    return directory


@pytest.fixture(scope="module")
def store(channel: Path) -> Iterator[ChannelStore]:
    """Its store."""
    store = ChannelStore.open(channel, FakeWriter(), 0)
    yield store
    store.close()


@pytest.fixture(scope="module")
def running(store: ChannelStore) -> Asset:
    """An asset that has recorded all of it."""
    directory = store.directory.parent / "assets" / "show"
    directory.mkdir(parents=True)
    for place in (JOURNALS, BLOBS):
        (directory / place).mkdir()
    for name in store.files_since(1):
        (directory / name).parent.mkdir(exist_ok=True)
        os.link(store.directory / name, directory / name)
    write_description(directory, Description("show", "news", WINDOW_NS, (Run(1, {}),)))
    return Asset.resume(directory, store)


def slowest(benchmark: Any) -> float:
    """Seconds of the slowest round; 0 when nothing is measured."""
    return float(benchmark.stats.stats.max) if benchmark.stats else 0.0


def manifests(asset: Asset) -> int:
    """Bytes of the manifests that players ask for first."""
    shown = asset.presentation()
    paths = ("manifest(format=mpd-time-cmaf)", f"hls/{INFOS[0].id}.m3u8", f"hls/{INFOS[-1].id}.m3u8")
    answers = [packaging.answer(shown, path, "") for path in paths]
    return sum(len(str(answer.body)) for answer in answers)


def test_open_channel(benchmark: Any, channel: Path) -> None:
    """All that a restart does with a channel before it shows anything: replay, a look at every file, a journal file of its own."""
    lost: list[int] = []

    def reopen() -> None:
        store = ChannelStore.open(channel, FakeWriter(), 0)
        lost.append(len(store.report.lost))
        assert len(store.presentation("bench", WINDOW_NS).tracks[0].time) == ROWS
        store.close()

    benchmark.pedantic(reopen, rounds=3)
    assert set(lost) == {0}
    assert slowest(benchmark) < BUDGET_S


def test_stop_to_the_first_manifests(benchmark: Any, running: Asset) -> None:
    def stop() -> None:
        running.stop(1)
        assert running.presentation().ended
        assert manifests(running) > ROWS

    benchmark.pedantic(stop, rounds=1)


def test_start_again(benchmark: Any, running: Asset, store: ChannelStore) -> None:
    def again() -> None:
        running.start_again(store, WINDOW_NS)
        assert not running.presentation().ended
        assert [len(track.time) for track in running.presentation().tracks] == [ROWS] * len(INFOS)

    benchmark.pedantic(again, rounds=1)
    running.stop(2)


def test_open(benchmark: Any, running: Asset) -> None:
    again: Asset = benchmark.pedantic(Asset.open, (running.directory,), rounds=3)
    assert [len(track.time) for track in again.presentation().tracks] == [ROWS] * len(INFOS)
    assert again.description.damaged == ()
    benchmark.extra_info["resident MB"] = resident_growth("Asset.open", running.directory) // 1_000_000
    assert slowest(benchmark) < BUDGET_S
