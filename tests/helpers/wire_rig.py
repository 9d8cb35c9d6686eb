"""A real encoder's bytes through the real pump into a timeline on a clock of its own: what becomes of a stream that is cut at any byte.

In: the capture of a push, lengthened by repetition. Out: connections that may end anywhere, and the rows that are published.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pypackager import _core
from pypackager.timeline.times import SECOND_NS, to_ns
from tests.helpers.captures import body_of
from tests.helpers.timeline_rig import Rig

CAPTURE = Path(__file__).parents[2] / "rust" / "core" / "tests" / "data" / "ffmpeg-9.0-ismv.http"
TFXD = bytes.fromhex("6d1d9b0542d544e680e2141daff757b2")
HEAD = b"POST /ch/ingest.isml/Streams(x) HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Piece:
    """A `moof` with its `mdat`."""

    track: int
    data: bytes


@dataclass(frozen=True)
class Stream:
    """A body: the header boxes, and the fragments in the order in which they are sent."""

    header: bytes
    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        return len(self.header) + sum(len(piece.data) for piece in self.pieces)

    def begun(self, cut: int) -> int:
        """How many pieces have been begun when the connection breaks behind `cut` bytes."""
        at = len(self.header)
        for number, piece in enumerate(self.pieces):
            if cut <= at:
                return number
            at += len(piece.data)
        return len(self.pieces)

    def broken(self, cut: int) -> tuple[int, int] | None:
        """(track, number within the track) of the piece inside which the connection breaks behind `cut` bytes; None between two."""
        begun = self.pieces[: self.begun(cut)]
        if not begun or cut == len(self.header) + sum(len(piece.data) for piece in begun):
            return None
        return begun[-1].track, sum(piece.track == begun[-1].track for piece in begun) - 1

    def resent(self, cut: int, count: int) -> Stream:
        """What is sent when it broke there: the header, the last `count` pieces of each track that were begun, and the rest."""
        begun = self.begun(cut)
        left: dict[int, int] = {}
        again: list[Piece] = []
        for piece in reversed(self.pieces[:begun]):
            left[piece.track] = left.get(piece.track, count) - 1
            if left[piece.track] >= 0:
                again.insert(0, piece)
        return Stream(self.header, (*again, *self.pieces[begun:]))

    def bytes(self) -> bytes:
        """The body."""
        return self.header + b"".join(piece.data for piece in self.pieces)


@cache
def stream(repeats: int) -> Stream:
    """Two layers and sound, two fragments of a second of each track for every repeat."""
    body = body_of(CAPTURE.read_bytes())
    boxes: list[tuple[bytes, bytes]] = []
    while body:
        size = int.from_bytes(body[:4], "big")
        boxes.append((body[4:8], body[:size]))
        body = body[size:]
    first = next(n for n, (kind, _) in enumerate(boxes) if kind == b"moof")
    media = [data for kind, data in boxes[first:] if kind in (b"moof", b"mdat")]
    once = [Piece(_track(moof), moof + mdat) for moof, mdat in zip(media[:12:2], media[1:12:2], strict=True)]
    # ffmpeg's sound is a frame short of the pictures: each repeat follows the one before.
    length = {1: 20_000_000, 2: 20_000_000, 3: 19_413_333}
    pieces = [Piece(piece.track, _moved(piece.data, n * length[piece.track])) for n in range(repeats) for piece in once]
    return Stream(b"".join(data for _, data in boxes[:first]), tuple(pieces))


def _track(moof: bytes) -> int:
    return int.from_bytes(moof[moof.index(b"tfhd") + 8 :][:4], "big")


def _moved(data: bytes, ticks: int) -> bytes:
    at = data.index(TFXD) + 20
    assert data[at - 4] == 1
    assert b"tfdt" not in data
    (time,) = struct.unpack_from(">q", data, at)
    return data[:at] + struct.pack(">q", time + ticks) + data[at + 8 :]


class WireRig:
    """A timeline behind a pump. Fragments arrive when they have ended, or at once if their time has passed."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.ended: list[str] = []
        """How each connection ended: a code, empty for one that was answered."""
        self._pump = _core.Pump(tick_ms=2)
        self._poll = select.poll()
        self._poll.register(self._pump.fileno(), select.POLLIN)
        self._begin_ns = self.rig.now.mono_ns

    def close(self) -> None:
        """Ends the thread of the pump."""
        self._pump.stop()

    def push(self, body: bytes, *, whole: bool, side: str = "primary", upload_s: float = 0) -> None:
        """A connection sends a body, each fragment of which takes so long at least, or breaks off behind it."""
        client, server = socket.socketpair()
        with client:
            conn = self._pump.add(server.detach(), "http")
            client.sendall(HEAD + b"%x\r\n" % len(body) + body + (b"\r\n0\r\n\r\n" if whole else b"") if body else HEAD)
            if not whole:
                client.shutdown(socket.SHUT_WR)
            while True:
                assert self._poll.poll(10_000), self.ended
                for event in self._pump.events():
                    if self._take(conn, side, event, upload_s):
                        return

    def _take(self, conn: int, side: str, event: _core.PumpEvent, upload_s: float) -> bool:
        timeline, rig = self.rig.timeline, self.rig
        if event.conn != conn:
            # One that was answered before is closed.
            return False
        match event:
            case _core.Request():
                timeline.open_feed(conn, side, "x", rig.now)
                self._pump.accept(conn)
            case _core.TrackFound():
                timeline.track_found(conn, event.header)
            case _core.ChunkReady():
                timeline.admit(conn, rig.now)
                end_ns = self._begin_ns + to_ns(event.chunk.time + event.chunk.duration, event.chunk.timescale)
                rig.wait(max(upload_s, (end_ns - rig.now.mono_ns) / SECOND_NS))
                rig.send(conn, event.chunk)  # type: ignore[arg-type]
            case _core.BodyEnd():
                timeline.complete(conn, rig.now)
                rig.disconnect(conn)
                self._pump.respond(conn, 200, "", b"", [], True)
                self.ended.append("")
                return True
            case _core.Closed():
                rig.disconnect(conn)
                self.ended.append(event.code)
                return True
            case _:
                pass
        return False


def published(rig: Rig) -> dict[str, Sequence[tuple[int, int, int]]]:
    """(time, duration, flags) of each track's rows."""
    rig.wait(10)
    return {info.id: [(row.time, row.duration, row.flags) for row in rig.rows(info.id)] for info in rig.store.tracks}
