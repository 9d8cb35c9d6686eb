"""Raw senders for input that no decent encoder sends: plain sockets, and the smallest RTMP client that gets to `publish`.

In: an address and bytes. Out: what the server answered, and whether it closed. Nothing here imports pypackager.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    head: str
    body: bytes


def connect(port: int) -> socket.socket:
    """A connected socket."""
    return socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)


def read_to_end(link: socket.socket) -> bytes:
    """Everything until the server closes; a reset counts as closing.

    Raises:
        TimeoutError: it does not close.
    """
    out = b""
    try:
        while data := link.recv(65_536):
            out += data
    except ConnectionResetError:
        pass
    return out


def send_quietly(link: socket.socket, data: bytes) -> bool:
    """Sends; False when the server has closed meanwhile."""
    try:
        link.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


# --- HTTP


def post(port: int, target: str, body: Iterable[bytes], *, chunked: bool = True, headers: Iterable[str] = ()) -> Answer:
    """A POST whose body is sent piece by piece; returns the final answer."""
    pieces = list(body)
    with connect(port) as link:
        head = [f"POST {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close", *headers]
        head.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {sum(map(len, pieces))}")
        alive = send_quietly(link, "\r\n".join([*head, "", ""]).encode())
        for piece in pieces:
            if alive and piece:
                alive = send_quietly(link, b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if alive and chunked:
            send_quietly(link, b"0\r\n\r\n")
        return parse_answer(read_to_end(link))


def parse_answer(data: bytes) -> Answer:
    """The last answer in `data`; interim 100 answers are passed over."""
    while data.startswith(b"HTTP/1.1 100"):
        data = data.partition(b"\r\n\r\n")[2]
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 "), f"no HTTP answer: {data[:200]!r}"
    return Answer(int(head.split()[1]), head.decode("latin-1"), body)


def box(kind: bytes, payload: bytes = b"", *, size: int | None = None) -> bytes:
    """A box; `size` may lie."""
    size = 8 + len(payload) if size is None else size
    if size >= 1 << 32:
        return struct.pack(">I4sQ", 1, kind, size) + payload
    return struct.pack(">I4s", size, kind) + payload


# --- RTMP


def amf(value: object) -> bytes:
    """A value in AMF0."""
    if value is None:
        return b"\x05"
    if isinstance(value, bool):
        return b"\x01" + bytes([value])
    if isinstance(value, int | float):
        return b"\x00" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return b"\x02" + struct.pack(">H", len(data)) + data
    if isinstance(value, dict):
        pairs = b"".join(struct.pack(">H", len(key)) + key.encode() + amf(item) for key, item in value.items())
        return b"\x03" + pairs + b"\x00\x00\x09"
    raise TypeError(type(value).__name__)


def command(*values: object) -> bytes:
    """The payload of a command message."""
    return b"".join(amf(value) for value in values)


def message(kind: int, payload: bytes, *, stream: int = 0, chunk_stream: int = 3, timestamp: int = 0) -> bytes:
    """A message in chunks of the default 128 bytes."""
    head = struct.pack(">B", chunk_stream) + timestamp.to_bytes(3, "big") + len(payload).to_bytes(3, "big")
    head += bytes([kind]) + stream.to_bytes(4, "little")
    parts = [payload[at : at + 128] for at in range(0, len(payload), 128)] or [b""]
    return head + bytes([0xC0 | chunk_stream]).join(parts)


def rtmp_handshake(port: int) -> socket.socket:
    """A socket after the simple handshake."""
    link = connect(port)
    link.sendall(b"\x03" + bytes(8) + bytes(range(256)) * 5 + bytes(248))
    answer = b""
    while len(answer) < 1 + 1536 * 2:
        data = link.recv(4096)
        assert data, "the server closed during the handshake"
        answer += data
    link.sendall(answer[1 : 1 + 1536])
    return link


def rtmp_publish(port: int, app: str, stream: str) -> tuple[socket.socket, str]:
    """Handshake, connect, createStream and publish; returns the socket and the status code of the answer."""
    link = rtmp_handshake(port)
    url = f"rtmp://127.0.0.1:{port}/{app}"
    sent = message(20, command("connect", 1, {"app": app, "type": "nonprivate", "flashVer": "FMLE/3.0", "tcUrl": url}))
    sent += message(20, command("createStream", 2, None))
    sent += message(20, command("publish", 3, None, stream, "live"), stream=1, chunk_stream=4)
    send_quietly(link, sent)
    seen = b""
    while True:
        try:
            data = link.recv(4096)
        except ConnectionResetError:
            data = b""
        seen += data
        for code in (b"NetStream.Publish.Start", b"NetStream.Publish.BadName", b"NetStream.Publish.Denied", b"NetStream.Publish.Rejected",
                     b"NetConnection.Connect.Rejected", b"NetStream.Publish.Failed"):  # fmt: skip
            if code in seen:
                return link, code.decode()
        if not data:
            return link, "closed"
