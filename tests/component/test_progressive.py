"""An ended program as a progressive file: what the presentation plays, for players that know no fragments; and what is no such file."""

from __future__ import annotations

import io
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest
import trio

from pypackager import packaging
from pypackager.cli.recordings import fragment
from pypackager.model.errors import PackagerError
from pypackager.model.presentation import Presentation, TrackWindow
from tests.component.test_archive import Archived
from tests.component.test_download import damage
from tests.helpers.encoders import program
from tests.helpers.media import B_FRAMES, material

PATH = "tv/show.ism/download.mp4"
NTSC = 1001 / 30_000


class Sent(Archived):
    """A daemon that was sent a file, whose program has ended."""

    @asynccontextmanager
    async def recorded(self, body: bytes) -> AsyncIterator[Presentation]:
        async with self.running():
            await self.fine("POST", "channels", {"name": "ch", "ingest_allow": ["127.0.0.1"]}, 201)
            await self.fine("POST", "channels/ch/programs", {"name": "show"}, 201)
            await self.carried_out("POST", "channels/ch/start")
            await self.carried_out("POST", "channels/ch/programs/show/start")
            async with await self.connect() as stream:
                head = f"POST /ch/ingest.isml/Streams(x) HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                await stream.send_all(head.encode() + body)
                assert b"".join([part async for part in stream]).startswith(b"HTTP/1.1 200")
            await self.until(self.listed)
            await self.end()
            await self.fine("POST", "locators", {"asset": "show", "path": "tv"}, 201)
            yield self.daemon.fleet.channels["ch"].programs.present("show")

    async def got(self, query: str) -> bytes:
        answer = await self.ask("origin", f"{PATH}?{query}")
        assert answer.status_code == 200, answer.text
        assert int(answer.headers["content-length"]) == len(answer.content)
        return answer.content


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Six GOPs of 2.002 s with B-frames, in fragments."""
    target = tmp_path_factory.mktemp("source") / "b-frames.mp4"
    fragment(material(B_FRAMES), target, by_key_frame=True)
    return target.read_bytes()


def sent(tmp_path: Path) -> Sent:
    return Sent(tmp_path, channel=[])


def frames(data: bytes, kind: str) -> list[tuple[float, str]]:
    """(seconds, hash of its content) of all decoded frames of the first stream of a kind."""
    with av.open(io.BytesIO(data), mode="r") as container:
        out = []
        decoded: Any = container.decode(**{kind: 0})
        for frame in decoded:
            pixels = frame.to_ndarray().tobytes()
            out.append((round(float(frame.time or 0), 5), sha256(pixels).hexdigest()))
        return out


def boxes(data: bytes) -> list[tuple[bytes, int]]:
    """Kinds and sizes of the boxes of a file."""
    found, at = [], 0
    while at < len(data):
        size, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        size = int.from_bytes(data[at + 8 : at + 16]) if size == 1 else size
        found.append((kind, size))
        at += size
    return found


def best(shown: Presentation) -> TrackWindow:
    return max((track for track in shown.tracks if track.info.kind == "video"), key=lambda track: track.average_bps)


async def test_it_plays_what_the_presentation_plays(tmp_path: Path, source: bytes) -> None:
    life = sent(tmp_path)
    async with life.recorded(source) as shown:
        sounds = [track.info.id for track in shown.tracks if track.info.kind == "audio"]
        whole = await life.got("format=progressive")
        fragmented = await life.got(f"tracks={best(shown).info.id},{','.join(sounds)}")
        one = await life.got(f"format=progressive&tracks={best(shown).info.id},{sounds[1]}")
        head = await life.client.head(f"http://{life.daemon.addresses['origin'][0]}/{PATH}?format=progressive")
        url = f"http://{life.daemon.addresses['origin'][0]}/{PATH}?format=progressive"
        rest = await life.client.get(url, headers={"Range": "bytes=5000-90000", "If-Range": head.headers["etag"]})
    # The tables are in front of all media.
    assert [kind for kind, _ in boxes(whole)] == [b"ftyp", b"moov", b"mdat"]
    assert sum(size for _, size in boxes(whole)) == len(whole) == int(head.headers["content-length"])
    assert (rest.status_code, rest.content) == (206, whole[5000:90001])
    shown_at, stored_at = (frames(data, "video")[0][0] for data in (whole, fragmented))
    moved = shown_at - stored_at
    assert len(frames(whole, "video")) == 360
    for kind in ("video", "audio"):
        ours, theirs = frames(whole, kind), frames(fragmented, kind)
        assert [content for _, content in ours] == [content for _, content in theirs]
        # All tracks are moved by the same time.
        assert np.allclose([at - moved for at, _ in ours], [at for at, _ in theirs], atol=3e-5), kind
    with av.open(io.BytesIO(whole), mode="r") as container:
        assert [stream.type for stream in container.streams] == ["video", "audio", "audio"]
        assert [stream.metadata["language"] for stream in container.streams.audio] == ["eng", "deu"]
    with av.open(io.BytesIO(one), mode="r") as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]


async def test_players_seek_in_it(tmp_path: Path, source: bytes) -> None:
    life = sent(tmp_path)
    async with life.recorded(source):
        whole = await life.got("format=progressive")
    with av.open(io.BytesIO(whole), mode="r") as container:
        assert container.duration is not None
        assert container.duration / 1e6 == pytest.approx(12, abs=0.1)
        picture = container.streams.video[0]
        assert picture.time_base is not None
        container.seek(int(7.5 / picture.time_base), stream=picture)
        frame = next(container.decode(picture))
        assert frame.key_frame
        assert float(frame.time or 0) == pytest.approx(180 * NTSC, abs=0.1)


async def test_another_demuxer_reads_it(tmp_path: Path, source: bytes) -> None:
    launch = program("gst-launch-1.0", "gstreamer1.0-tools")
    life = sent(tmp_path)
    async with life.recorded(source):
        (tmp_path / "show.mp4").write_bytes(await life.got("format=progressive"))
    pictures, sounds = tmp_path / "video.264", tmp_path / "audio.aac"
    description = f"""filesrc location={tmp_path / "show.mp4"} ! qtdemux name=demux
        demux.video_0 ! queue ! h264parse ! video/x-h264,stream-format=byte-stream ! filesink location={pictures}
        demux.audio_0 ! queue ! aacparse ! audio/mpeg,stream-format=adts ! filesink location={sounds}"""
    await trio.run_process([launch, "-q", *description.split()])
    with av.open(str(pictures)) as container:
        assert sum(1 for packet in container.demux() if packet.size) == 360
    with av.open(str(sounds)) as container:
        assert sum(1 for packet in container.demux() if packet.size) > 550


async def test_a_gap_keeps_picture_and_sound_together(tmp_path: Path, source: bytes) -> None:
    life = sent(tmp_path)
    async with life.recorded(source) as shown:
        before = frames(await life.got("format=progressive"), "video")
        sound = frames(await life.got("format=progressive"), "audio")
        asset = life.daemon.fleet.channels["ch"].programs.asset("show")
        assert asset is not None
        track = best(shown)
        asset.mark({(track.info.number, int(track.time[2]))})
        life.daemon.fronts.turn()
        after = await life.got("format=progressive")
    lost = range(120, 180)
    assert frames(after, "video") == [frame for number, frame in enumerate(before) if number not in lost]
    assert frames(after, "audio") == sound


async def test_what_is_no_such_file_is_refused(tmp_path: Path, source: bytes) -> None:
    life = sent(tmp_path)
    async with life.recorded(source) as shown:
        pictures = [track.info.id for track in shown.tracks if track.info.kind == "video"]

        async def refusal(query: str) -> tuple[int, str]:
            answer = await life.ask("origin", f"{PATH}?{query}")
            return answer.status_code, answer.json()["code"]

        assert await refusal("format=avi") == (400, "FORMAT_UNKNOWN")
        assert await refusal(f"format=progressive&tracks={','.join(pictures[:2])}") == (400, "SEVERAL_PICTURES")
        assert await refusal("format=progressive&tracks=nothing") == (404, "NO_SUCH_TRACK")
        path = Path(shown.blob_paths[int(best(shown).blob[0])])
        shutil.copy(path, tmp_path / "whole")
        damage(path, int(best(shown).offset[3]))
        assert await refusal("format=progressive") == (500, "FRAGMENT_UNREADABLE")
        shutil.copy(tmp_path / "whole", path)
        assert (await life.ask("origin", f"{PATH}?format=progressive")).status_code == 200
    for changes, code in (
        ({"time": stretched(best(shown), 4 * 3600 + 61)}, "PROGRESSIVE_TOO_LONG"),
        ({"config": np.arange(len(best(shown).time))}, "SEVERAL_CONFIGS"),
    ):
        with pytest.raises(PackagerError, match=code) as refused:
            packaging.movie(changed(shown, **changes), "format=progressive")
        assert refused.value.status == 409
    packaging.movie(changed(shown, time=stretched(best(shown), 4 * 3600 - 13)), "format=progressive")


def stretched(track: TrackWindow, seconds: int) -> Any:
    """Its times, with the last one so much later."""
    time = np.array(track.time)
    time[-1] += seconds * track.info.timescale
    return time


def changed(shown: Presentation, **changes: Any) -> Presentation:
    """The same with another picture."""
    tracks = tuple(msgspec.structs.replace(track, **changes) if track is best(shown) else track for track in shown.tracks)
    return msgspec.structs.replace(shown, tracks=tracks)
