"""A multi-bitrate RTMP encoder: several publishes over one connection, as Flash Media Live Encoder makes them of a name with `%i`.

In: a URL and recorded material. Out: a thread that sends it in real time, or faster. Written for these tests from the protocol
(RTMP 1.0 7.2) and FMLE's documentation: there was no real encoder of this kind, and no capture of one. Nothing here imports pypackager.
"""

from __future__ import annotations

import heapq
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.helpers.media import ffmpeg
from tests.helpers.raw import TIMEOUT_SECONDS, command, message, rtmp_handshake

CHUNK_SIZE = 60_000
AUDIO, VIDEO, DATA, COMMAND = 8, 9, 18, 20


@dataclass(frozen=True, order=True)
class Tag:
    """A message of one layer."""

    time: int
    """Milliseconds."""
    layer: int
    kind: int
    body: bytes


def read_tags(source: Path, maps: list[str], layer: int) -> list[Tag]:
    """The tags of an FLV made of some tracks of a file, without their metadata."""
    chosen = [part for each in maps for part in ("-map", each)]
    made = subprocess.run(
        [ffmpeg(), "-loglevel", "error", "-i", str(source), *chosen, "-c", "copy", "-f", "flv", "-"], check=True, capture_output=True
    ).stdout
    tags, at = [], 13
    while at < len(made):
        size = int.from_bytes(made[at + 1 : at + 4], "big")
        when = int.from_bytes(made[at + 4 : at + 7], "big") | made[at + 7] << 24
        if made[at] in {AUDIO, VIDEO}:
            tags.append(Tag(when, layer, made[at], made[at + 11 : at + 11 + size]))
        at += 11 + size + 4
    return tags


class MultiBitrate:
    """An encoder with a layer for each name, all of them over one connection; a context manager that ends it.

    Args:
        url: `rtmp://HOST:PORT/APP`.
        layers: what each name is made of, as `read_tags` gives it; `layer` counts from 0 in this order.
        rate: speed against real time.
        start: milliseconds of the material to begin at, and
        until: to end before, without a good-bye. Sequence headers are sent whatever their times are.
        data: further messages, for instance of text.
    """

    def __init__(
        self,
        url: str,
        layers: Mapping[str, list[Tag]],
        *,
        rate: float = 1.0,
        start: int = 0,
        until: int = 1 << 31,
        data: list[Tag] | None = None,
    ) -> None:
        """Connects and publishes."""
        self._names = list(layers)
        self._rate, self._start, self._until = rate, start, until
        self._tags = heapq.merge(*layers.values(), data or [])
        self._stopping: set[int] = set()
        self._stopped: set[int] = set()
        parts = urlsplit(url)
        self._app = parts.path.strip("/")
        self._link = rtmp_handshake(parts.port or 1935)
        self.answers = b""
        """What the server said behind the handshake."""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._publish(url)
        self.fault: OSError | None = None
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._sender.start()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Ends it at once."""
        self._link.close()
        self._sender.join(TIMEOUT_SECONDS)

    def stop(self, name: str) -> None:
        """Ends one layer in good order, the others go on."""
        self._stopping.add(self._names.index(name))

    def finish(self, seconds: float = 45.0) -> None:
        """Waits until everything is sent, or the connection was lost."""
        self._sender.join(seconds)
        assert not self._sender.is_alive(), "it still sends"

    def told(self, what: str) -> int:
        """How often the server said something."""
        return self.answers.count(what.encode())

    # --- inside

    def _publish(self, url: str) -> None:
        self._link.sendall(message(1, CHUNK_SIZE.to_bytes(4, "big"), chunk_stream=2))
        self._call("connect", {"app": self._app, "type": "nonprivate", "flashVer": "FMLE/3.0 (compatible; test)", "tcUrl": url})
        for number, name in enumerate(self._names):
            self._call("releaseStream", None, name)
            self._call("FCPublish", None, name)
            self._call("createStream", None)
            self._call("publish", None, name, "live", stream=number + 1)
        self._wait("NetStream.Publish.", len(self._names))

    def _call(self, name: str, *values: object, stream: int = 0) -> None:
        self._link.sendall(_message(COMMAND, command(name, 1, *values), stream, 3, 0))

    def _wait(self, what: str, count: int) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self.told(what) - self.told("onFCPublish") < count:
            assert time.monotonic() < deadline, f"{self.told(what)} of {count} {what}"
            time.sleep(0.01)

    def _read(self) -> None:
        try:
            while data := self._link.recv(65_536):
                self.answers += data
        except OSError:
            return

    def _wanted(self) -> Iterator[Tag]:
        for tag in self._tags:
            header = tag.body[1:2] == b"\x00" and tag.kind in {AUDIO, VIDEO}
            if tag.time >= self._until:
                return
            if header or tag.time >= self._start:
                yield tag

    def _send(self) -> None:
        began = time.monotonic()
        try:
            for tag in self._wanted():
                ahead = began + (tag.time - self._start) / 1000 / self._rate - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)
                if tag.layer in self._stopping - self._stopped:
                    self._stopped.add(tag.layer)
                    self._end(tag.layer)
                if tag.layer not in self._stopped:
                    chunks = 4 + 3 * tag.layer + {AUDIO: 0, VIDEO: 1, DATA: 2}[tag.kind]
                    self._link.sendall(_message(tag.kind, tag.body, tag.layer + 1, chunks, tag.time))
            if self._until == 1 << 31:
                for layer in set(range(len(self._names))) - self._stopped:
                    self._end(layer)
            self._link.shutdown(1)
        except OSError as fault:
            self.fault = fault

    def _end(self, layer: int) -> None:
        self._call("FCUnpublish", None, self._names[layer])
        self._call("deleteStream", None, float(layer + 1))


def _message(kind: int, payload: bytes, stream: int, chunks: int, timestamp: int) -> bytes:
    parts = [payload[at : at + CHUNK_SIZE] for at in range(0, len(payload), CHUNK_SIZE)] or [b""]
    head = bytes([chunks]) + timestamp.to_bytes(3, "big") + len(payload).to_bytes(3, "big") + bytes([kind]) + stream.to_bytes(4, "little")
    return head + bytes([0xC0 | chunks]).join(parts)
