"""Encoders' bytes and stored fragments for the suites, made from the full ladder by the project's own replay and pump."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pypackager import _core

Range = tuple[str, int, int]
SECONDS = 8.0
"""Media time of a session: four fragments."""


class Intake:
    """An ingest without a daemon: accepts everything, keeps every chunk."""

    def __init__(self) -> None:
        before = threads()
        self.pump = _core.Pump(tick_ms=1)
        (self.thread,) = threads() - before
        """The pump's own thread."""
        self.headers: dict[int, _core.TrackHeader] = {}
        self.chunks: dict[int, list[_core.Chunk]] = {}
        self.closed = 0

    def take(self, timeout: float) -> None:
        """Answers what the pump asks and keeps what it brings."""
        if not select.select([self.pump.fileno()], [], [], timeout)[0]:
            return
        for event in self.pump.events():
            match event:
                case _core.PublishRequested() | _core.Request():
                    self.pump.accept(event.conn)
                case _core.NeedClock():
                    self.pump.bind(event.conn, 1)
                case _core.TrackFound():
                    self.headers[event.conn] = event.header
                case _core.ChunkReady():
                    self.chunks.setdefault(event.conn, []).append(event.chunk)
                case _core.BodyEnd():
                    self.pump.respond(event.conn, 200, "", b"", [], True)
                case _core.Closed():
                    assert not event.code, f"{event.code}: {event.detail}"
                    self.closed += 1
                case _core.Warned():
                    raise AssertionError(f"{event.code}: {event.detail}")


def threads() -> set[int]:
    """Threads of this process."""
    return {int(path.name) for path in Path("/proc/self/task").iterdir()}


def record(track: _core.RecordedTrack, scheme: str, seconds: float = SECONDS) -> bytes:
    """What a real session of `pypackager push` sends to the pump, hello and good-bye included."""
    intake = Intake()
    sent = bytearray()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/bench/ingest.isml/Streams(v)"
        replay = _core.Replay([(url, track, "v")], speed=0.0, seconds=seconds, repeat=True, broken=["probe"])
        player = threading.Thread(target=replay.run)
        player.start()
        encoder, _ = listener.accept()
        near, far = socket.socketpair()
        intake.pump.add(far.detach(), "rtmp" if scheme == "rtmp" else "http")
        answers = threading.Thread(target=_forward, args=(near, encoder))
        answers.start()
        taking = threading.Event()
        taker = threading.Thread(target=_until, args=(taking, lambda: intake.take(0.05)))
        taker.start()
        _forward(encoder, near, sent)
        player.join()
        answers.join()
        taking.set()
        taker.join()
        encoder.close()
        near.close()
    intake.pump.stop()
    (stats,) = replay.stats()
    assert stats.phase == "done", f"{stats.code}: {stats.detail}"
    return bytes(sent)


def feed(intake: Intake, protocol: str, data: bytes) -> None:
    """Plays a recorded session over loopback TCP to the pump, and returns when the pump has taken it all."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as encoder:
        server, _ = listener.accept()
        intake.pump.add(server.detach(), "rtmp" if protocol == "rtmp" else "http")
        ended = intake.closed + 1
        sender = threading.Thread(target=_send, args=(encoder, data))
        sender.start()
        while intake.closed < ended:
            intake.take(1.0)
        sender.join()


def _send(encoder: socket.socket, data: bytes) -> None:
    encoder.sendall(data)
    encoder.shutdown(socket.SHUT_WR)
    while encoder.recv(65536):
        pass


def _forward(source: socket.socket, target: socket.socket, copy: bytearray | None = None) -> None:
    """Passes bytes on until the source ends."""
    try:
        while data := source.recv(1 << 18):
            if copy is not None:
                copy += data
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # The other direction has closed the sockets: the session is over.
        return


def _until(stopping: threading.Event, act: Callable[[], None]) -> None:
    while not stopping.is_set():
        act()


@dataclass
class Stored:
    """One track in a blob, as the DVR keeps it."""

    header: _core.TrackHeader
    init: bytes
    ranges: list[Range]
    fragments: list[_core.MuxedFragment] = field(repr=False)


def store(track: _core.RecordedTrack, path: Path, number: int) -> Stored:
    """Brings a track through the pump into a blob."""
    intake = Intake()
    feed(intake, "rtmp", record(track, "rtmp"))
    intake.pump.stop()
    (header,), (chunks,) = intake.headers.values(), intake.chunks.values()
    timescale = header.stored_timescale
    init = header.init(number, timescale, header.language)
    fragments = [chunk.mux(number, sequence, timescale, timescale) for sequence, chunk in enumerate(chunks, 1)]
    ranges, at = [], len(init)
    with path.open("wb") as blob:
        blob.write(init)
        for fragment in fragments:
            blob.write(bytes(fragment))
            ranges.append((str(path), at, fragment.size))
            at += fragment.size
    return Stored(header, init, ranges, fragments)


@contextmanager
def writing() -> Iterator[_core.Writer]:
    """A writer thread while the context lasts."""
    writer = _core.Writer()
    try:
        yield writer
    finally:
        writer.stop()
