"""Two encoders of one picture and one sound over RTMP, on either side, a connection each; the sound by frames.

In: chunks that the test makes. Out: the frames of the rows of sound.
"""

from __future__ import annotations

from typing import Any

from pypackager.model.records import FLAG_GAP
from tests.helpers.timeline_rig import Chunk, Header, Rig, audio_header

VIDEO, SOUND = 90_000, 48_000


def frames(begin: int, end: int, *, partial: bool = False) -> Chunk:
    """Sound from one frame to another, 1024 ticks each."""
    return Chunk(2, begin * 1024, (end - begin) * 1024, timescale=SOUND, samples=end - begin, partial=partial)


def picture(second: int) -> Chunk:
    return Chunk(1, second * VIDEO, 2 * VIDEO)


class Pair:
    """Picture and sound over RTMP, a connection each, from an encoder on either side; fragments of two seconds."""

    def __init__(self, **options: Any) -> None:
        self.rig = Rig("rtmp", **options)
        self.conns = {(side, kind): self.connect(side, kind) for side in ("primary", "secondary") for kind in ("video", "audio")}

    def connect(self, side: str, kind: str, second: float = 100.0) -> int:
        header = Header(1, "video") if kind == "video" else audio_header(2)
        conn = self.rig.connect([header], stream=kind, side=side)
        self.rig.timeline.place(conn, int(second * 1000), 1000, self.rig.now)
        return conn

    def send(self, side: str, kind: str, *chunks: Chunk) -> None:
        self.rig.send(self.conns[side, kind], *chunks)

    def both(self, second: int) -> None:
        """Two seconds, whole, of both."""
        for side in ("primary", "secondary"):
            self.send(side, "video", picture(second))
            self.send(side, "audio", whole(second))
        self.rig.wait(2)

    def sound(self) -> list[tuple[int, int]]:
        """First and last frame of each row of sound that is no gap."""
        rows = (row for row in self.rig.rows("audio") if not row.flags & FLAG_GAP)
        return [(row.time // 1024, (row.time + row.duration) // 1024) for row in rows]


def whole(second: int) -> Chunk:
    return frames(border(second), border(second + 2))


def border(second: int) -> int:
    """The first frame of sound that starts no earlier."""
    return -(-second * SOUND // 1024)
