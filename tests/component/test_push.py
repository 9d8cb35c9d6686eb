"""The test encoder against the pump: what `pypackager push` sends arrives, and what it says of it is true."""

import select
import socket
import threading
from pathlib import Path
from typing import Self

import pytest

from pypackager import _core
from pypackager.cli.main import main
from pypackager.cli.push import stream_url
from pypackager.cli.recordings import load_ladder
from pypackager.model.errors import PackagerError
from tests.helpers.media import AUDIO_ONLY, SINGLE, material


class Server:
    """An ingest that takes everything and counts it."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.pump = _core.Pump(tick_ms=5)
        self.requests: list[str] = []
        self.seconds: dict[str, float] = {}
        self.thread = threading.Thread(target=self.serve)
        self.stopping = threading.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.thread.join()
        self.pump.stop()
        self.listener.close()

    def serve(self) -> None:
        names: dict[int, str] = {}
        while not self.stopping.is_set():
            for ready in select.select([self.listener.fileno(), self.pump.fileno()], [], [], 0.05)[0]:
                if ready == self.listener.fileno():
                    peer, _ = self.listener.accept()
                    first = peer.recv(1, socket.MSG_PEEK)
                    self.pump.add(peer.detach(), "rtmp" if first == b"\x03" else "http")
            for event in self.pump.events():
                match event:
                    case _core.PublishRequested():
                        names[event.conn] = f"{event.app}/{event.stream}"
                        self.pump.accept(event.conn)
                    case _core.Request():
                        names[event.conn] = event.target
                        self.pump.accept(event.conn)
                    case _core.NeedClock():
                        self.pump.bind(event.conn, 1)
                    case _core.ChunkReady():
                        name, chunk = names[event.conn], event.chunk
                        self.seconds[name] = self.seconds.get(name, 0.0) + chunk.duration / chunk.timescale
                    case _core.BodyEnd():
                        self.pump.respond(event.conn, 200, "", b"", [], True)
                    case _:
                        pass


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("rtmp://{address}/news", {"news/video-1", "news/audio-eng"}),
        ("http://{address}/news/ingest.isml", {"/news/ingest.isml/Streams(video-1)", "/news/ingest.isml/Streams(audio-eng)"}),
    ],
)
def test_a_plain_recording_is_played_to_both_ingests(url: str, names: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    with Server() as server:
        code = main(["push", "--ladder", str(material(SINGLE)), "--to", url.replace("{address}", server.address), "--speed", "0", "--once"])
    assert code == 0
    assert set(server.seconds) == names
    assert all(seconds == pytest.approx(12, abs=0.1) for seconds in server.seconds.values())
    assert capsys.readouterr().out.count("done") == len(names)


def test_ladders_are_pushed_side_by_side_and_end_with_the_time() -> None:
    with Server() as server:
        command = ["push", "--ladder", str(material(AUDIO_ONLY)), "--to", f"http://{server.address}/c{{ladder}}/ingest.isml"]
        code = main([*command, "--ladders", "3", "--speed", "0", "--for", "20s"])
    assert code == 0
    assert set(server.seconds) == {f"/c{number}/ingest.isml/Streams(audio-eng)" for number in (1, 2, 3)}
    assert all(20 <= seconds < 22.1 for seconds in server.seconds.values())


def test_synchronised_pushes_go_by_the_clock(capsys: pytest.CaptureFixture[str]) -> None:
    recording = str(material(AUDIO_ONLY))
    for wrong in (["--once"], ["--speed", "2"]):
        assert main(["push", "--ladder", recording, "--to", "rtmp://127.0.0.1:1/news", "--sync", *wrong]) == 2
        assert "CONFIG_PUSH_SYNC" in capsys.readouterr().err
    with Server() as server:
        assert main(["push", "--ladder", recording, "--to", f"rtmp://{server.address}/news", "--sync", "--for", "1s"]) == 0
    assert set(server.seconds) == {"news/audio-eng"}


def test_a_failed_stream_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert main(["push", "--ladder", str(material(AUDIO_ONLY)), "--to", f"rtmp://127.0.0.1:{port}/news", "--fault", "no-retry"]) == 1
    assert "CONNECT_FAILED" in capsys.readouterr().out


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x01nonsense")
    for paths in ([tmp_path / "absent.mp4"], [tmp_path / "a.mp4"], []):
        with pytest.raises(PackagerError) as caught:
            load_ladder(paths)
        assert caught.value.code == "PUSH_MATERIAL"


def test_urls_that_cannot_be_pushed_to_are_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    recording = str(material(AUDIO_ONLY))
    for url, ladders in (("ftp://127.0.0.1/x", "1"), ("rtmp://127.0.0.1/news", "2")):
        assert main(["push", "--ladder", recording, "--to", url, "--ladders", ladders]) == 2
        assert "CONFIG_PUSH_URL" in capsys.readouterr().err


def test_a_plain_recording_is_as_long_as_its_pictures() -> None:
    lengths = {part.name: part.track.seconds for part in load_ladder([material(SINGLE)])}
    assert lengths["video-1"] == 12.0, "a picture that is drawn out would be a step in every round"


def test_names_go_where_the_protocol_has_them() -> None:
    assert stream_url("rtmp://h/news?key=1", "video-1", 1) == "rtmp://h/news/video-1?key=1"
    assert stream_url("http://h/c{ladder}/ingest.isml/", "audio-eng", 2) == "http://h/c2/ingest.isml/Streams(audio-eng)"
    assert stream_url("rtmp://h/{ladder}/x-{name}", "video-1", 3) == "rtmp://h/3/x-video-1"
