"""An ended program as one file: the frames that were stored, at their times, in any byte range; and what is no such file."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from random import Random
from typing import Any

import av
import httpx
import msgspec
import numpy as np
import pytest
import trio

from pypackager import _core, packaging
from pypackager.config.schema import Program
from pypackager.dvr.assets import Asset
from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.origin import downloads
from tests.component.test_daemon_life import CHANNEL, Life

PATH = "show/show.ism/download.mp4"
Frames = list[tuple[int, int | None, int | None, bytes]]


async def recorded(life: Life) -> Presentation:
    """What a program recorded that was stopped, with times that count from 1970."""
    await life.push()
    early = await life.ask("origin", PATH)
    assert (early.status_code, early.json()["code"]) == (409, "NOT_ENDED")
    stopped = Program(name="show", locator="show", state="stopped")
    life.fresh = msgspec.structs.replace(life.config, channel=[msgspec.structs.replace(life.config.channel[0], program=[stopped])])
    os.kill(os.getpid(), signal.SIGHUP)
    await life.until(lambda: life.daemon.fleet.channels["ch"].programs.running == ["quiet"])
    return Asset.open(Path(life.config.data_dir) / "assets" / "show").presentation()


def frames(data: bytes) -> list[Frames]:
    """(dts, pts, duration, bytes) of all packets of each stream, in ticks of the stream."""
    with av.open(io.BytesIO(data), mode="r") as container:
        out: list[Frames] = [[] for _ in container.streams]
        for packet in container.demux():
            if packet.size and packet.dts is not None:
                out[packet.stream_index].append((packet.dts, packet.pts, packet.duration, bytes(packet)))
    return out


def stored(shown: Presentation, track: TrackWindow) -> bytes:
    """A track as a file of its own: header and fragments as they are stored."""
    out = track.configs[int(track.config[0])].init
    for blob, offset, size in zip(track.blob.tolist(), track.offset.tolist(), track.size.tolist(), strict=True):
        with Path(shown.blob_paths[blob]).open("rb") as file:
            file.seek(offset)
            out += file.read(size)
    return out


def damage(path: Path, offset: int) -> None:
    """Overwrites the head of a fragment."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(bytes(8))


class Endless:
    """A movie of a terabyte."""

    size = 1 << 40

    def pieces(self, start: int, stop: int) -> tuple[bytes, list[Any]]:
        return bytes(stop - start), []


async def test_it_is_what_was_recorded_from_zero_on(tmp_path: Path) -> None:
    life = Life(tmp_path, channel=[msgspec.structs.replace(CHANNEL, clock="utc")])
    async with life.running():
        shown = await recorded(life)
        whole = await life.ask("origin", PATH)
        sound = await life.ask("origin", f"{PATH}?tracks={shown.tracks[-1].info.id}")
        url = f"http://{life.daemon.addresses['origin'][0]}/{PATH}"
        head = await life.client.head(url)
        etag = whole.headers["etag"]
        same = await life.client.get(url, headers={"If-None-Match": etag})
        rest = await life.client.get(url, headers={"Range": "bytes=3000-", "If-Range": etag})
        other = await life.client.get(url, headers={"Range": "bytes=3000-", "If-Range": '"another"'})
        outside = await life.client.get(url, headers={"Range": "bytes=99999999-"})
        unknown = await life.ask("origin", f"{PATH}?tracks=nothing")
    assert shown.tracks[0].time[0] > 1_700_000_000 * 90_000
    got = frames(whole.content)
    assert [len(stream) > 50 for stream in got] == [True, True, True]
    # Picture and sound are moved by the same time, to the tick.
    first = min(shown.tracks, key=lambda track: track.time[0] / track.info.timescale)
    for track, stream in zip(shown.tracks, got, strict=True):
        moved = round(int(first.time[0]) * track.info.timescale / first.info.timescale)
        before = frames(stored(shown, track))[0]
        assert stream == [(dts - moved, pts and pts - moved, duration, data) for dts, pts, duration, data in before]
    assert frames(sound.content) == got[-1:]
    assert whole.headers["content-disposition"] == "attachment; filename*=UTF-8''show.mp4"
    # The program may be started again, and end as another file.
    assert "immutable" not in whole.headers["cache-control"]
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole.content)))
    assert (same.status_code, rest.status_code, rest.content) == (304, 206, whole.content[3000:])
    assert rest.headers["content-range"] == f"bytes 3000-{len(whole.content) - 1}/{len(whole.content)}"
    assert (other.status_code, other.content) == (200, whole.content)
    assert (outside.status_code, unknown.status_code) == (416, 404)


async def test_players_find_their_way_in_it(tmp_path: Path) -> None:
    life = Life(tmp_path, channel=[msgspec.structs.replace(CHANNEL, clock="utc")])
    async with life.running():
        await recorded(life)
        data = (await life.ask("origin", PATH)).content
    with av.open(io.BytesIO(data), mode="r") as container:
        assert container.duration is not None
        assert 2.3e6 < container.duration < 2.7e6
        picture = container.streams.video[0]
        assert picture.time_base is not None
        container.seek(int(1.5 / picture.time_base), stream=picture)
        packet = next(packet for packet in container.demux(picture) if packet.pts is not None)
        assert packet.pts is not None
        assert (packet.is_keyframe, round(float(packet.pts * picture.time_base))) == (True, 1)


async def test_any_range_is_a_slice_and_reads_no_more_than_it(tmp_path: Path) -> None:
    life = Life(tmp_path)
    async with life.running():
        shown = await recorded(life)
        laid = packaging.movie(shown, "").lay_out()
    random = Random(1)

    def read(start: int, stop: int) -> bytes:
        head, pieces = laid.pieces(start, stop)
        assert len(head) + sum(take for *_, take, _ in pieces) == stop - start
        return head + _core.read_movie(pieces)

    whole = read(0, laid.size)
    for _ in range(500):
        start = random.randrange(laid.size)
        stop = min(laid.size, start + random.choice([1, 2, 7, 300, 5000, laid.size]))
        assert read(start, stop) == whole[start:stop]
    # Damage is an error, not other bytes.
    path, offset, size, *_ = laid.pieces(laid.size - 10, laid.size)[1][0]
    damage(Path(path), offset)
    with pytest.raises(_core.CoreError):
        read(laid.size - size, laid.size)


async def test_what_one_file_cannot_say_is_refused(tmp_path: Path) -> None:
    life = Life(tmp_path)
    async with life.running():
        shown = await recorded(life)
    picture, *others = shown.tracks
    config = np.array(picture.config)
    config[-1] += 1
    changed = msgspec.structs.replace(shown, tracks=(msgspec.structs.replace(picture, config=config), *others))
    with pytest.raises(PackagerError, match="SEVERAL_CONFIGS"):
        packaging.movie(changed, "")
    assert packaging.movie(changed, f"tracks={others[0].info.id}").lay_out().size > 0
    empty = msgspec.structs.replace(shown, tracks=(msgspec.structs.replace(picture, blob=np.full(len(picture.time), -1)),))
    with pytest.raises(PackagerError, match="NO_MEDIA"):
        packaging.movie(empty, "")


async def test_no_more_at_once_than_others_leave_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(tmp_path)
    async with life.running():
        await recorded(life)
        monkeypatch.setattr(downloads, "LIMIT", 0)
        busy: httpx.Response = await life.ask("origin", PATH)
    assert (busy.status_code, busy.json()["code"]) == (503, "DOWNLOADS_BUSY")


async def test_reading_ends_with_the_viewer() -> None:
    read = 0

    async def parts() -> AsyncGenerator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"part"

    gone = trio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        if read == 3:
            gone.set()
        await trio.lowlevel.checkpoint()

    with trio.fail_after(5):
        await downloads.send_parts(parts(), receive, send)
    assert read < 10


async def test_a_viewer_that_leaves_frees_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the native front and the application behind it: neither reads on, or ahead of the viewer."""
    life = Life(tmp_path)
    async with life.running():
        await recorded(life)
        at_work = life.daemon.fronts._fronts["default"].origin._downloads
        read: list[int] = []
        join = at_work._join

        def counting(laid: Any, start: int, stop: int) -> bytes:
            read.append(stop)
            return join(laid, start, stop)

        async def endless(_: Any) -> Endless:
            await trio.lowlevel.checkpoint()
            return Endless()

        monkeypatch.setattr(at_work, "_lay_out", endless)
        monkeypatch.setattr(at_work, "_join", counting)
        host, port = life.daemon.addresses["origin"][0].split(":")
        async with await trio.open_tcp_stream(host, int(port)) as viewer:
            await viewer.send_all(f"GET /{PATH} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert f"content-length: {Endless.size}\r\n".encode() in await viewer.receive_some(65536)
            await life.until(lambda: at_work._open == 1)
        await life.until(lambda: at_work._open == 0)
    assert read[-1] < 256 * 2**20
