"""Assets as things of the data directory: which there are, what they cost, what is damaged, and what deleting one frees."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from pypackager.dvr.assets import Asset
from pypackager.dvr.blobs import BlobStore
from pypackager.dvr.library import Library
from pypackager.dvr.links import Links
from pypackager.dvr.measure import Gap, TrackMeasure, disk_bytes, measure
from pypackager.model.errors import PackagerError
from pypackager.model.records import FLAG_GAP
from tests.helpers.dvr import SECOND, VIDEO, Channel, checked, same, stored

HOUR = 3600 * SECOND


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "assets")


def start(channel: Channel, tmp_path: Path, name: str) -> Asset:
    return Asset.start(tmp_path / "assets" / name, channel.store, name=name, channel="news", window_ns=HOUR)


def stop(channel: Channel, *assets: Asset) -> None:
    for asset in assets:
        asset.stop(now_ns=77)
    channel.store.roll(0)
    channel.store.sync()
    channel.settle()


def unused(_: str) -> None:
    return None


@pytest.fixture
def show(channel: Channel, tmp_path: Path) -> Asset:
    """Two runs of three fragments in all tracks, with three in between that are not its own."""
    asset = start(channel, tmp_path, "show")
    channel.run(0, 3)
    stop(channel, asset)
    channel.run(3, 6)
    asset.start_again(channel.store, HOUR)
    channel.run(6, 8)
    channel.write(8, tracks=(VIDEO,))
    channel.list(8, tracks=(VIDEO,))
    channel.settle()
    stop(channel, asset)
    return asset


def test_it_lists_what_is_there(channel: Channel, tmp_path: Path, library: Library) -> None:
    assert (library.names(), library.disk_bytes(), library.clear()) == ([], 0, [])
    for name in ("b", "a"):
        start(channel, tmp_path, name)
    (tmp_path / "assets" / "half" / "journal").mkdir(parents=True)
    assert library.names() == ["a", "b"]
    assert library.describe("a").channel == "news"
    for name in ("half", "c", "../channels", ""):
        with pytest.raises(PackagerError, match="ASSET_UNKNOWN"):
            library.describe(name)
    assert library.clear() == ["half"]
    assert library.names() == ["a", "b"]


def test_what_is_being_made_is_not_cleared(channel: Channel, tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    start(channel, tmp_path, "first")
    channel.run(0, 1)
    cleared: list[list[str]] = []
    clearing = threading.Thread(target=lambda: cleared.append(library.clear()))
    take = Links.take

    def taken_slowly(links: Links, names: Iterable[str], source: BlobStore) -> None:
        clearing.start()
        clearing.join(0.05)
        assert clearing.is_alive(), "it has to wait"
        take(links, names, source)

    monkeypatch.setattr(Links, "take", taken_slowly)
    start(channel, tmp_path, "second")
    clearing.join(10)
    assert cleared == [[]]
    assert library.names() == ["first", "second"]


def test_an_asset_is_measured(channel: Channel, show: Asset) -> None:
    found = measure(show.presentation(), show.directory)
    between = (Gap(6 * SECOND, 12 * SECOND),)
    assert (found.start_ns, found.duration_ns) == (0, 18 * SECOND)
    assert found.tracks == (
        TrackMeasure("video-1", "video", "avc1.64001F", "und", 400, 6, 0, 600, 12 * SECOND, between),
        TrackMeasure("audio-1", "audio", "avc1.64001F", "und", 400, 5, 0, 500, 10 * SECOND, between),
    )
    files = [path for path in show.directory.rglob("*") if path.is_file()]
    assert found.disk_bytes == sum(path.stat().st_size for path in files)
    assert found.freed_bytes == (show.directory / "asset.json").stat().st_size, "the channel has links to the rest"


def test_bytes_that_are_shared_are_counted_once_and_freed_with_the_last_sharer(channel: Channel, tmp_path: Path, library: Library) -> None:
    one, two = start(channel, tmp_path, "one"), start(channel, tmp_path, "two")
    channel.run(0, 30)
    stop(channel, one, two)
    channel.run(30, 33)
    channel.store.trim(0)
    single = measure(one.presentation(), one.directory)
    assert single.freed_bytes < 1000 < single.disk_bytes
    assert library.disk_bytes() < single.disk_bytes + 2000
    library.delete("one", unused)
    assert library.names() == ["two"]
    last = measure(two.presentation(), two.directory)
    assert last.freed_bytes == last.disk_bytes == library.disk_bytes()
    before = disk_bytes([tmp_path])
    library.delete("two", unused)
    assert disk_bytes([tmp_path]) == before - last.disk_bytes
    assert library.names() == []


def test_an_asset_that_a_program_refers_to_stays(show: Asset, library: Library) -> None:
    with pytest.raises(PackagerError, match=r"'evening'.*delete the program first") as refused:
        library.delete("show", lambda name: "evening" if name == "show" else None)
    assert (refused.value.code, refused.value.status) == ("ASSET_IN_USE", 409)
    assert same(Asset.open(show.directory).presentation(), show.presentation())


def test_all_fragments_of_all_runs_are_verified(show: Asset) -> None:
    assert checked(show) == (11, [])
    assert Asset.open(show.directory).description.damaged == ()


def test_damage_is_found_said_and_left_out_and_what_is_whole_is_served(channel: Channel, show: Asset) -> None:
    whole = show.presentation()
    video = Path(whole.blob_paths[int(whole.tracks[0].blob[1])])
    with video.open("r+b") as file:
        file.seek(int(whole.tracks[0].offset[1]))
        file.write(b"\xff")
    audio = Path(whole.blob_paths[int(whole.tracks[1].blob[4])])
    short = audio.stat().st_size - 1
    with audio.open("r+b") as file:
        file.truncate(short)
    found = checked(show)[1]
    assert [(damage.track, damage.time, damage.path, damage.reason) for damage in found] == [
        (1, 180_000, str(video), "the checksum is wrong"),
        (2, 7 * 96_000, str(audio), "the file ends after 99 bytes of 100"),
    ]
    # What is too short is seen without reading it.
    asset = Asset.open(show.directory)
    assert asset.description.damaged == ((2, 7 * 96_000),)
    before = asset.presentation()
    assert before.version > whole.version
    asset.mark({(damage.track, damage.time) for damage in found})
    shown = asset.presentation()
    assert shown.version > before.version
    assert [[time for time, flags in zip(t.time, t.flags, strict=True) if flags & FLAG_GAP] for t in shown.tracks] == [[180_000], [672_000]]
    assert len(stored(shown)) == 9
    again = Asset.open(show.directory)
    assert same(again.presentation(), shown)
    again.start_again(channel.store, HOUR)
    channel.run(9, 12)
    assert len(stored(again.presentation())) == 9 + 6
    with pytest.raises(PackagerError, match="ASSET_RUNNING"):
        again.mark(())
    with pytest.raises(PackagerError, match="ASSET_RUNNING"):
        Asset.verify(show.directory)


def test_what_was_repaired_is_served_again(show: Asset) -> None:
    whole = show.presentation()
    video = Path(whole.blob_paths[int(whole.tracks[0].blob[0])])
    bytes_of = video.read_bytes()
    video.unlink()
    asset = Asset.open(show.directory)
    assert [len(track.time) for track in asset.presentation().tracks] == [6, 5]
    assert len(stored(asset.presentation())) == 8
    video.write_bytes(bytes_of)
    damage = {(found.track, found.time) for found in checked(show)[1]}
    assert damage == set()
    asset.mark(damage)
    assert len(stored(asset.presentation())) == 11
    assert same(Asset.open(show.directory).presentation(), asset.presentation())


def test_a_damaged_journal_leaves_what_can_be_read(show: Asset) -> None:
    journals = sorted((show.directory / "journal").iterdir())
    data = bytearray(journals[-1].read_bytes())
    data[-40] ^= 1
    journals[-1].write_bytes(data)
    asset = Asset.open(show.directory)
    assert len(stored(asset.presentation())) >= 6
