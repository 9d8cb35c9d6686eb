"""Downloads at full size: where each byte is of 25 hours in fragments, the sample tables of four hours. Media is holes in files."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pypackager import packaging
from pypackager._core import read_movie, read_recording
from pypackager.dvr.index import Columns
from pypackager.model.plan import Laid
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.records import FLAG_SYNC
from pypackager.model.track import TrackConfig, TrackInfo
from tests.helpers.made_media import box
from tests.helpers.media import SINGLE, material

FRAGMENT_S = 2
PIECE = 2 * 2**20
INFOS = (TrackInfo("video-1", 1, "video", 90_000, 3_000_000), TrackInfo("audio-1", 2, "audio", 48_000, 128_000))
FRAMES = {"video": (50, 3600, 15_000), "audio": (94, 1024, 340)}
"""By kind: samples of a fragment, their ticks and bytes."""


def head(info: TrackInfo, time: int) -> bytes:
    """What is in front of a fragment's media: as it is stored, with a size for each sample."""
    count, ticks, size = FRAMES[info.kind]
    rows = b"".join(struct.pack(">II", size, 0) for _ in range(count))

    def moof(offset: int) -> bytes:
        run = box(b"trun", struct.pack(">IIi", 0x01000A01, count, offset), rows)
        header = box(b"tfhd", struct.pack(">IIII", 0x02002A, info.number, 1, ticks) + bytes(4))
        return box(b"moof", box(b"mfhd", bytes(8)), box(b"traf", header, box(b"tfdt", struct.pack(">IQ", 0x01000000, time)), run))

    length = len(moof(0)) + 8
    return moof(length) + struct.pack(">I4s", 8 + count * size, b"mdat")


def recorded(directory: Path, hours: int) -> Presentation:
    """So many hours of one picture and one sound; files have the heads of fragments, and holes for their media."""
    headers = {track.header.kind: track.header for track in read_recording(fragmented(directory)) or []}
    tracks, paths = [], {}
    for info in INFOS:
        count, _, size = FRAMES[info.kind]
        rows = hours * 3600 // FRAGMENT_S
        time = np.arange(rows) * FRAGMENT_S * info.timescale
        one = len(head(info, 0)) + count * size
        path = directory / f"{hours}-{info.id}"
        with path.open("wb") as file:
            for row in range(rows):
                os.pwrite(file.fileno(), head(info, int(time[row])), row * one)
            file.truncate(rows * one)
        paths[info.number] = str(path)
        flat = np.zeros(rows, np.int64)
        columns = Columns()
        table = (
            time,
            flat + FRAGMENT_S * info.timescale,
            flat + one,
            flat,
            flat + FLAG_SYNC,
            flat,
            flat,
            flat,
            flat + info.number,
            np.arange(rows) * one,
        )
        config = TrackConfig("x", "avc1.64001F", b"", headers[info.kind].init(info.number, info.timescale, info.language))
        columns.extend(np.stack(table))
        tracks.append(TrackWindow(info, {0: config}, 0, *columns.window(0, rows), info.bitrate, info.bitrate))
    return Presentation(
        name="bench",
        version=1,
        tracks=tuple(tracks),
        periods=(),
        anchor_ns=0,
        interval_ns=FRAGMENT_S * 1_000_000_000,
        fragments_per_segment=1,
        target_duration_s=FRAGMENT_S,
        window_ns=0,
        ended=True,
        published_ns=1,
        blob_paths=paths,
        caches={},
    )


def fragmented(directory: Path) -> Path:
    """Material whose headers are the tracks'."""
    from pypackager.cli.recordings import fragment

    target = directory / "source.mp4"
    fragment(material(SINGLE), target, by_key_frame=True)
    return target


@pytest.mark.parametrize(("query", "hours"), [("", 25), ("format=progressive", 4)], ids=["fragmented-25h", "progressive-4h"])
def test_lay_out(benchmark: Any, tmp_path: Path, query: str, hours: int) -> None:
    """What stands before the first byte."""
    shown = recorded(tmp_path, hours)
    laid: Laid = benchmark.pedantic(lambda: packaging.movie(shown, query).lay_out(), rounds=3)
    benchmark.extra_info["head MB"] = round(len(laid.pieces(0, 64 * PIECE)[0]) / 1e6, 1)
    benchmark.extra_info["file GB"] = round(laid.size / 1e9, 1)
    benchmark.extra_info["resident MB"] = resident() // 1_000_000


@pytest.mark.parametrize("query", ["", "format=progressive"], ids=["fragmented", "progressive"])
def test_read(benchmark: Any, tmp_path: Path, query: str) -> None:
    """A gigabyte from its middle, in pieces as they are sent."""
    laid = packaging.movie(recorded(tmp_path, 4), query).lay_out()
    start = laid.size // 2

    def read() -> None:
        for at in range(start, start + 10**9, PIECE):
            front, pieces = laid.pieces(at, at + PIECE)
            assert len(front) + len(read_movie(pieces)) == PIECE

    benchmark.pedantic(read, rounds=2)
    benchmark.extra_info["MB/s"] = round(1000 / benchmark.stats.stats.min) if benchmark.stats else 0


def resident() -> int:
    """Bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
