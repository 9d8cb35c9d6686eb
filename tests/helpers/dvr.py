"""What the DVR's tests share: tracks, fragments, a store with its writer, and a ledger's state as bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from pypackager._core import crc32c
from pypackager.dvr import journal
from pypackager.dvr.assets import Asset
from pypackager.dvr.index import ColumnView
from pypackager.dvr.ledger import Ledger
from pypackager.dvr.recovery import BLOBS, JOURNALS
from pypackager.dvr.store import ChannelStore
from pypackager.dvr.verify import Damage
from pypackager.dvr.writing import Completion
from pypackager.model.presentation import Presentation
from pypackager.model.records import FLAG_OPENS, FLAG_SYNC, Row
from pypackager.model.track import TrackConfig, TrackInfo
from tests.helpers.fake_writer import FakeFragment, FakeWriter

SECOND = 1_000_000_000

VIDEO = TrackInfo("video-1", 1, "video", 90_000, 3_000_000)
AUDIO = TrackInfo("audio-1", 2, "audio", 48_000, 128_000)


def config(name: str) -> TrackConfig:
    """A configuration that differs by its name."""
    return TrackConfig(name, "avc1.64001F", name.encode(), b"INIT" + name.encode())


def fragment(time: int, duration: int, data: bytes) -> FakeFragment:
    """A fragment with the right checksum."""
    return FakeFragment(time, duration, data, crc32c(data))


def content(ledger: Ledger) -> bytes:
    """Everything that a ledger knows, but its files, as bytes to compare."""
    rows = {n: [c.tolist() for c in t.columns.window(t.columns.first, t.columns.end)] for n, t in ledger.tracks.items()}
    return msgspec.msgpack.encode((ledger.snapshot(), rows))


def data_of(store: ChannelStore, track: int) -> list[tuple[int, bytes | None]]:
    """(time, stored bytes) of all rows that the ledger holds; None for a gap."""
    columns = store.ledger.tracks[track].columns
    time, _, size, _, _, _, _, _, blob, offset = columns.window(columns.first, columns.end)
    rows: list[tuple[int, bytes | None]] = []
    for i in range(len(time)):
        if blob[i] < 0:
            rows.append((int(time[i]), None))
            continue
        name = store.ledger.blobs[int(blob[i])].opened.name
        with Path(store.blobs.path(name)).open("rb") as file:
            file.seek(int(offset[i]))
            rows.append((int(time[i]), file.read(int(size[i]))))
    return rows


def same(one: Presentation, other: Presentation) -> bool:
    """Whether everything but scratch space and paths is equal, to the byte."""

    def flat(value: Any) -> Any:
        return value.tolist() if isinstance(value, ColumnView) else value

    tracks = [[[flat(value) for value in msgspec.structs.astuple(track)] for track in p.tracks] for p in (one, other)]
    plain = [msgspec.structs.replace(p, tracks=(), caches={}, blob_paths={}) for p in (one, other)]
    return plain[0] == plain[1] and tracks[0] == tracks[1]


def stored(presentation: Presentation) -> list[bytes]:
    """The bytes of all rows but gaps, track by track, as a front would read them."""
    out = []
    for track in presentation.tracks:
        for blob, offset, size in zip(track.blob, track.offset, track.size, strict=True):
            if blob < 0:
                continue
            with Path(presentation.blob_paths[int(blob)]).open("rb") as file:
                file.seek(int(offset))
                out.append(file.read(int(size)))
    return out


def clipped(asset: Asset, directory: Path, name: str, start_ns: int, end_ns: int, now_ns: int) -> Asset:
    """A clip of an asset, open."""
    asset.excerpt(name, start_ns, end_ns, now_ns).make(directory)
    return Asset.open(directory)


def checked(asset: Asset) -> tuple[int, list[Damage]]:
    """Fragments of a stopped asset that are whole, and those that are damaged."""
    reading = Asset.verify(asset.directory)
    while reading.step(1):
        pass
    return sum(track.fragments for track in reading.findings(0).verified.tracks), reading.damage


def journals(channel: Channel) -> list[int]:
    """Numbers of its journal files."""
    return journal.file_numbers(channel.directory / JOURNALS)


def media(channel: Channel) -> set[str]:
    """Names of its blobs."""
    return {str(path.relative_to(channel.directory / BLOBS)) for path in channel.directory.glob(f"{BLOBS}/*/*")}


def by_kind(said: list[Completion], kind: type) -> list[Completion]:
    """What became of records of one kind."""
    return [completion for completion in said if isinstance(completion.record, kind)]


class Channel:
    """A store on a fake writer with a video and an audio track of 2 s fragments; `SEGMENT` fragments make a segment."""

    SEGMENT = 3

    def __init__(self, directory: Path, now_ns: int = 0) -> None:
        self.directory = directory
        self.open(now_ns)
        if not self.store.ledger.tracks:
            for info in (VIDEO, AUDIO):
                self.store.add_track(info)
                self.store.add_config(info.number, config("a"))
            self.settle()

    def open(self, now_ns: int = 0) -> None:
        """Takes the directory over, as a new process does."""
        self.writer = FakeWriter()
        self.store = ChannelStore.open(self.directory, self.writer, now_ns)

    def settle(self) -> list[Completion]:
        """Lets the writer do everything; returns what the store says."""
        said: list[Completion] = []
        while True:
            self.writer.step()
            done = self.writer.done()
            if not done:
                return said
            for ticket, errno in done:
                said += self.store.finished(ticket, errno)

    def kill(self, parts: int = 0, torn: int = 0) -> None:
        """Ends the process without a word and opens the directory again."""
        self.writer.die(parts, torn)
        os.close(self.store._lock)
        self.open()

    def close(self) -> None:
        """Ends the process in order."""
        self.settle()
        self.store.close()
        self.writer.step()
        self.writer.die(0, 0)

    def write(self, index: int, size: int = 100, *, tracks: tuple[TrackInfo, ...] = (VIDEO, AUDIO)) -> None:
        """Puts fragment `index` (2 s each) of the tracks."""
        for info in tracks:
            ticks = 2 * info.timescale
            data = bytes([index & 255, info.number]) * (size // 2)
            self.store.put_fragment(info.number, fragment(index * ticks, ticks, data), 1, FLAG_SYNC)

    def list(self, index: int, *, tracks: tuple[TrackInfo, ...] = (VIDEO, AUDIO), flags: int = 0) -> None:
        """Publishes fragment `index` of the tracks."""
        opens = FLAG_OPENS if index % self.SEGMENT == 0 else 0
        rows = [
            Row(info.number, index * 2 * info.timescale, 2 * info.timescale, index // self.SEGMENT, FLAG_SYNC | opens | flags)
            for info in tracks
        ]
        self.store.publish(rows)

    def run(self, first: int, last: int) -> None:
        """Puts and publishes fragments first … last - 1."""
        for index in range(first, last):
            self.write(index)
            self.list(index)
        self.settle()
