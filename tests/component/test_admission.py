"""Who may push: every answer that the ingest listener has for an encoder's request, over a real socket."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pypackager.config.schema import Channel
from tests.component.test_daemon_life import CAPTURE, Life
from tests.helpers.raw import Answer, box, parse_answer

ALL = ["127.0.0.1"]
CHANNELS = [
    Channel(name="ch", ingest_allow=ALL, ingest_hosts=["own.test"]),
    Channel(name="flash", protocol="rtmp", ingest_allow=ALL),
    Channel(name="far", ingest_allow=["192.0.2.1"]),
    Channel(name="nobody"),
    Channel(name="keyed", ingest_allow=ALL, stream_key="the-right-key"),
    Channel(name="off", ingest_allow=ALL, state="stopped"),
]
HERE = "/ch/ingest.isml/Streams(v)"
EMPTY = ("Content-Length: 0", b"")
CHUNKED = ("Transfer-Encoding: chunked", b"0\r\n\r\n")


def media() -> bytes:
    """What ffmpeg sends, its body still in its chunks."""
    return CAPTURE.read_bytes().partition(b"\r\n\r\n")[2]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)


async def ask(
    life: Life, target: str, framing: str = EMPTY[0], body: bytes = b"", method: str = "POST", host: str = "encoder.test"
) -> Answer:
    """One request on a connection of its own."""
    head = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", framing, "", ""])
    async with await life.connect() as stream:
        await stream.send_all(head.encode() + body)
        return parse_answer(b"".join([part async for part in stream]))


def code(answer: Answer) -> str:
    """The stable code of a refusal, whose body has to be problem details (RFC 9457)."""
    assert "Content-Type: application/problem+json" in answer.head
    said = msgspec.json.decode(answer.body)
    assert said["status"] == answer.status
    assert said["detail"]
    assert answer.head.split("\r\n")[0].split(" ", 2)[2], "a status has its phrase"
    return str(said["code"])


PROBES = [
    HERE,
    "/ch/ingest.isml/streams(v)",
    "/ch/INGEST.ISML/STREAMS(v)",
    "/ch/ingest.isml/Streams%28v%29",
    "/ch/%69ngest.isml/%53treams(v%20720)",
    "/ch/secondary/ingest.isml/Streams(v)",
    "/keyed/ingest.isml/Streams(v)?key=the-right-key",
]
REFUSED = {
    "a list without the address": ("/far/ingest.isml/Streams(v)", *EMPTY, 403, "ADDRESS_NOT_ALLOWED"),
    "an empty list": ("/nobody/ingest.isml/Streams(v)", *EMPTY, 403, "ADDRESS_NOT_ALLOWED"),
    "no key": ("/keyed/ingest.isml/Streams(v)", *EMPTY, 403, "STREAM_KEY_WRONG"),
    "another key": ("/keyed/ingest.isml/Streams(v)?key=the-left-key", *EMPTY, 403, "STREAM_KEY_WRONG"),
    "no such channel": ("/none/ingest.isml/Streams(v)", *EMPTY, 404, "CHANNEL_NOT_FOUND"),
    "no ingest URL": ("/ch", *EMPTY, 404, "INGEST_URL_INVALID"),
    "no stream": ("/ch/ingest.isml/Streams()", *EMPTY, 404, "INGEST_URL_INVALID"),
    "no host of a channel": ("/ingest.isml/Streams(v)", *EMPTY, 404, "INGEST_URL_INVALID"),
    "a channel of the other protocol": ("/flash/ingest.isml/Streams(v)", *EMPTY, 400, "WRONG_PROTOCOL"),
    "Events": ("/ch/ingest.isml/Events(v)", *EMPTY, 400, "EVENTS_REFUSED"),
    "EVENTS, escaped": ("/ch/ingest.isml/%45VENTS%28v%29", *EMPTY, 400, "EVENTS_REFUSED"),
    "a channel that does not run": ("/off/ingest.isml/Streams(v)", *EMPTY, 503, "CHANNEL_NOT_RUNNING"),
    "a long path": (f"/ch/ingest.isml/Streams({'v' * 2000})", *EMPTY, 414, "INGEST_URL_INVALID"),
    "media before its header": (HERE, CHUNKED[0], chunk(box(b"moof", bytes(16))), 412, "HEADER_MISSING"),
    "a codec that is not taken": (HERE, CHUNKED[0], media().replace(b"avc1", b"vp08"), 415, "CODEC_UNSUPPORTED"),
    "a content coding": (HERE, f"Content-Encoding: br\r\n{EMPTY[0]}", b"", 415, "HTTP_CONTENT_CODING"),
    "no boxes": (HERE, CHUNKED[0], chunk(b"\0\0\0\7moof"), 400, "BOX_SIZE"),
    "a box beyond its limit": (HERE, CHUNKED[0], chunk(box(b"moov", bytes(64), size=1 << 30)), 413, "BOX_TOO_LARGE"),
    "two lengths": (HERE, f"{CHUNKED[0]}\r\n{EMPTY[0]}", b"", 400, "HTTP_FRAMING"),
    "no chunk": (HERE, CHUNKED[0], b"zz\r\n", 400, "HTTP_CHUNK"),
    "another expectation": (HERE, f"Expect: tea\r\n{EMPTY[0]}", b"", 417, "HTTP_EXPECT"),
    "a long head": (HERE, f"X: {'x' * 20_000}\r\n{EMPTY[0]}", b"", 431, "HTTP_HEAD_TOO_LARGE"),
    "a coding of the transfer": (HERE, "Transfer-Encoding: gzip, chunked", b"", 501, "HTTP_TRANSFER_CODING"),
}
OTHERS = {503: "Retry-After: ", 405: "Allow: POST, PUT"}


@pytest.mark.parametrize("framing", [EMPTY, CHUNKED], ids=["length 0", "chunked"])
async def test_an_empty_post_asks_whether_it_may(framing: tuple[str, bytes], tmp_path: Path) -> None:
    life = Life(tmp_path, channel=CHANNELS)
    async with life.running():
        for target in PROBES:
            answer = await ask(life, target, *framing)
            assert (answer.status, answer.body) == (200, b""), target
        for target in ("/ingest.isml/Streams(v)", "/secondary/ingest.isml/Streams(v)", HERE):
            answer = await ask(life, target, *framing, host="Own.Test:8088")
            assert (answer.status, answer.body) == (200, b""), target
        assert not life.daemon.fleet.channels["ch"].alarm.alerts, "asking is no fault"


async def test_every_refusal_has_its_status_and_its_code(tmp_path: Path) -> None:
    life = Life(tmp_path, channel=CHANNELS)
    async with life.running():
        for what, (target, framing, body, status, wanted) in REFUSED.items():
            answer = await ask(life, target, framing, body)
            assert (answer.status, code(answer)) == (status, wanted), what
            assert OTHERS.get(status, "") in answer.head, what
        for method in ("GET", "DELETE", "OPTIONS", "PATCH"):
            answer = await ask(life, HERE, *EMPTY, method)
            assert (answer.status, code(answer)) == (405, "METHOD_NOT_ALLOWED"), method
            assert OTHERS[405] in answer.head
        # Behind all that, an encoder that does it well is taken.
        assert (await ask(life, HERE, CHUNKED[0], media())).status == 200


async def test_a_refusal_of_a_body_says_where_its_fault_is(tmp_path: Path) -> None:
    life = Life(tmp_path, channel=CHANNELS)
    async with life.running():
        answer = await ask(life, HERE, CHUNKED[0], chunk(box(b"free", bytes(100)) + box(b"moof", bytes(16))))
        assert "at byte 108 in moof" in msgspec.json.decode(answer.body)["detail"]
