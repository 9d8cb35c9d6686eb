"""Bad input on both ports: an answer with a code, a log line that says where, and no harm to anybody else.

One daemon takes it all. A good encoder pushes to each channel from beginning to end; its tracks must not miss a frame.
"""

from __future__ import annotations

import json
import random
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.helpers import raw
from tests.helpers.daemon import HANGS_SECONDS, Channel, Daemon, running_daemon
from tests.helpers.encoders import push_isml, push_rtmp
from tests.helpers.media import SINGLE, ffmpeg, material
from tests.helpers.presentation import read_media_playlist
from tests.helpers.raw import amf, box, command, message

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("bad-input")]

STREAM = "/news/ingest.isml/Streams(bad)"
MEBIBYTE = 1 << 20
MASTER = "manifest(format=m3u8-cmaf)"
GOOD_TRACKS = {"news": ("video_und", "audio_eng"), "flash": ("good", "audio")}
"""How the tracks of the good encoders begin."""
BAD_TRACKS = "xx[di]|xy[di]"
"""Of the others: what was damaged on its way is published as it came, and they begin when the channel has gone on for a while."""
IDLE_SECONDS = 5.0
MEMORY_KIB = 96 * 1024
"""What the daemon may grow by: two maximal fragments and what Python keeps, far below what the lies announce."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Two channels with a good encoder each, which must not notice."""
    folder = tmp_path_factory.mktemp("bad-input")
    source = material(SINGLE)
    channels = [Channel("news", settings="fragments_per_segment = 1"), Channel("flash", "rtmp", settings="fragments_per_segment = 1")]
    with ExitStack() as stack:
        tuning = f'ingest_idle = "{IDLE_SECONDS:.0f}s"'
        running = stack.enter_context(running_daemon(folder, *channels, tuning=tuning, broken=BAD_TRACKS))
        encoders = [
            stack.enter_context(push_isml(running.ingest("news", "good"), source, folder / "isml.log", loop=True)),
            stack.enter_context(push_rtmp(running.rtmp("flash"), source, folder / "rtmp.log", {"good": ["0:0", "0:1"]}, loop=True)),
        ]
        for name in GOOD_TRACKS:
            running.wait_for(running.presentation(name, MASTER), "#EXT-X-STREAM-INF")
        began, memory = time.monotonic(), running.memory_kib()
        yield running
        assert running.running(), running.log()[-4000:]
        for encoder in encoders:
            assert encoder.running(), encoder.log()
        for name in GOOD_TRACKS:
            assert_went_on(running, name, time.monotonic() - began)
        assert running.memory_kib() - memory < MEMORY_KIB, "memory is bounded"


def assert_went_on(daemon: Daemon, channel: str, seconds: float) -> None:
    """The good encoder's tracks are there at its pace, without a hole or a discontinuity."""
    master = daemon.client.get(daemon.presentation(channel, MASTER)).text
    for name in GOOD_TRACKS[channel]:
        found = re.search(rf"hls/{name}[^\s\"]*\.m3u8", master)
        assert found, f"no {name} in {master}"
        url = daemon.presentation(channel, found[0])
        playlist = daemon.client.get(url).text
        assert "#EXT-X-GAP" not in playlist, playlist
        assert "#EXT-X-DISCONTINUITY\n" not in playlist, playlist
        (track,) = read_media_playlist(daemon.fetch, url, name)
        steps = {after.dts - before.dts for before, after in zip(track.frames, track.frames[1:], strict=False)}
        assert max(steps) * 10 < track.timescale, f"{name}: a hole of {max(steps) / track.timescale} s"
        assert track.seconds(track.frames[-1].dts - track.frames[0].dts) > seconds - 10, f"{name} is behind"


class Log:
    """What the daemon logs from now on."""

    def __init__(self, daemon: Daemon) -> None:
        """Remembers where the log is."""
        self._daemon = daemon
        self._start = len(daemon.log())

    def wait_for(self, condition: Callable[[dict[str, object]], bool], what: str, seconds: float = HANGS_SECONDS) -> dict[str, object]:
        """The first line that meets the condition."""
        deadline = time.monotonic() + seconds
        while True:
            lines = self._daemon.log()[self._start :].splitlines()
            for line in lines:
                found: dict[str, object] = json.loads(line) if line.startswith("{") else {}
                if condition(found):
                    return found
            assert time.monotonic() < deadline, f"no log line with {what}:\n" + "\n".join(lines[-20:])
            time.sleep(0.05)

    def code(self, code: str) -> dict[str, object]:
        """The line with a code; it names the connection, and a place where there is one."""
        found = self.wait_for(lambda line: line.get("code") == code and "conn" in line, code)
        assert found["detail"], found
        return found


@pytest.fixture
def log(daemon: Daemon) -> Log:
    """The log of one test."""
    return Log(daemon)


def isml(source: Path) -> bytes:
    """A whole ISML bitstream as ffmpeg sends it."""
    arguments = ["-v", "error", "-i", str(source), "-map", "0", "-c", "copy", "-movflags", "isml+frag_keyframe", "-f", "ismv"]
    return subprocess.run([ffmpeg(), *arguments, "pipe:1"], check=True, stdout=subprocess.PIPE).stdout


@pytest.fixture(scope="module")
def body() -> bytes:
    """A body whose tracks are its own: no second source of the good encoder's."""
    plain = isml(material(SINGLE))
    renamed = re.sub(rb'(name="trackName"\s+value=")..', rb"\1xx", plain)
    assert renamed != plain
    return renamed


def header_of(body: bytes) -> bytes:
    """Everything before the first fragment."""
    return body[: body.index(b"moof") - 4]


def assert_refused(daemon: Daemon, log: Log, pieces: list[bytes], code: str, status: int = 400) -> dict[str, object]:
    """A POST is answered with its fault's code, which is in the log too."""
    answer = raw.post(daemon.port("ingest"), STREAM, pieces)
    assert answer.status == status, f"{answer.head}\n{answer.body!r}"
    assert code.encode() in answer.body, answer.body
    line = log.code(code)
    assert (line["channel"], line["stream"]) == ("news", "bad")
    return line


# --- boxes


TRUN_OF_4_GIB = box(b"moof", box(b"traf", box(b"tfhd", bytes(4) + b"\0\0\0\1") + box(b"trun", bytes(4) + b"\xff" * 4)))
LIES = {
    "size 0": (box(b"mdat", bytes(64), size=0), "BOX_SIZE", 400),
    "size 1 with a large size of 15": (struct.pack(">I4sQ", 1, b"moof", 15) + bytes(64), "BOX_SIZE", 400),
    "size 2^32-1": (box(b"mdat", bytes(64), size=0xFFFFFFFF), "BOX_TOO_LARGE", 413),
    "size 2^63": (struct.pack(">I4sQ", 1, b"mdat", 1 << 63) + bytes(64), "BOX_TOO_LARGE", 413),
    "size 7": (struct.pack(">I4s", 7, b"moof") + bytes(64), "BOX_SIZE", 400),
    "a moov of 1 GiB": (box(b"moov", bytes(64), size=1 << 30), "BOX_TOO_LARGE", 413),
    "no box type": (struct.pack(">I4s", 64, b"\0\1\2\3") + bytes(56), "BOX_TYPE", 400),
    "an inner box beyond its container": (box(b"moof", box(b"traf", bytes(16), size=400)), "BOX_SIZE", 400),
    "4 Gi samples in 30 bytes": (TRUN_OF_4_GIB, "TOO_MANY_SAMPLES", 413),
}


@pytest.mark.parametrize("lie", LIES, ids=str)
def test_boxes_that_lie(lie: str, daemon: Daemon, log: Log, body: bytes) -> None:
    sent, code, status = LIES[lie]
    header = header_of(body)
    line = assert_refused(daemon, log, [header, sent], code, status)
    found = re.search(r"at byte (\d+)", str(line["detail"]))
    assert found, f"{line} does not say where"
    assert 0 <= int(found[1]) - len(header) <= len(sent)


def test_noise(daemon: Daemon, log: Log) -> None:
    for seed in range(20):
        noise = random.Random(seed).randbytes(20_000)
        answer = raw.post(daemon.port("ingest"), STREAM, [noise[:7], noise[7:]])
        assert answer.status in (400, 413), answer.head
    log.code("BOX_TYPE")


def test_media_before_its_header(daemon: Daemon, log: Log, body: bytes) -> None:
    assert_refused(daemon, log, [body[len(header_of(body)) :]], "HEADER_MISSING", 412)


def test_broken_bytes_anywhere(daemon: Daemon, body: bytes) -> None:
    rng = random.Random(7)
    for _ in range(25):
        broken = bytearray(body[: 60_000 + rng.randrange(60_000)])
        for _ in range(8):
            at = rng.randrange(len(broken))
            broken[at] = rng.randrange(256)
        answer = raw.post(daemon.port("ingest"), STREAM, [bytes(broken)])
        assert answer.status < 500, answer.body


def test_boxes_in_any_order(daemon: Daemon, body: bytes) -> None:
    header, at = header_of(body), len(header_of(body))
    boxes: list[bytes] = []
    while at + 8 <= len(body) and len(boxes) < 20:
        size = int.from_bytes(body[at : at + 4], "big")
        boxes.append(body[at : at + size])
        at += size
    rng = random.Random(5)
    for _ in range(6):
        rng.shuffle(boxes)
        answer = raw.post(daemon.port("ingest"), STREAM, [header, *boxes])
        assert answer.status < 500, answer.body


def test_a_body_cut_anywhere(daemon: Daemon, log: Log, body: bytes) -> None:
    rng = random.Random(3)
    for _ in range(10):
        with raw.connect(daemon.port("ingest")) as link:
            head = f"POST {STREAM} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
            raw.send_quietly(link, head + b"%x\r\n" % len(body) + body[: rng.randrange(len(body))])
    log.code("HTTP_BODY_TRUNCATED")


def test_a_fragment_of_an_unknown_track(daemon: Daemon, log: Log, body: bytes) -> None:
    at = body.index(b"tfhd") + 8
    answer = raw.post(daemon.port("ingest"), STREAM, [body[:at] + struct.pack(">I", 77) + body[at + 4 :]])
    assert answer.status == 200, "the fragments of known tracks are taken"
    line = log.code("UNKNOWN_TRACK")
    assert "moof/traf" in str(line["detail"])
    assert (line["channel"], line["stream"], line["offset"]) == ("news", "bad", len(header_of(body)))


TFXD = bytes.fromhex("6d1d9b0542d544e680e2141daff757b2")


@pytest.mark.parametrize(
    ("ticks", "code"), [((1 << 62) - 1, "TIME_RANGE"), (-(1 << 62), "TIME_RANGE"), (10**15, "TIME_LEAP")], ids=["never", "before", "later"]
)
def test_times_that_are_none(ticks: int, code: str, daemon: Daemon, log: Log, body: bytes) -> None:
    places = [found.end() + 4 for found in re.finditer(TFXD, body)]
    at = places[4]
    answer = raw.post(daemon.port("ingest"), STREAM, [body[:at] + struct.pack(">q", ticks) + body[at + 8 :]])
    assert answer.status < 500, answer.body
    log.wait_for(lambda line: line.get("code") == code, code)


def test_another_header_under_a_live_track_s_name(daemon: Daemon, log: Log) -> None:
    other = bytearray(isml(material(SINGLE)))
    record = other.index(b"avcC") + 4
    picture_set = record + 8 + int.from_bytes(other[record + 6 : record + 8], "big") + 3
    other[picture_set + 1] ^= 1
    assert_refused(daemon, log, [bytes(other)], "HEADER_MISMATCH")


def test_a_fragment_that_never_ends_is_bounded(daemon: Daemon, log: Log, body: bytes) -> None:
    before = daemon.memory_kib()
    with raw.connect(daemon.port("ingest")) as link:
        head = f"POST {STREAM} HTTP/1.1\r\nHost: x\r\nContent-Length: {1 << 40}\r\n\r\n".encode()
        raw.send_quietly(link, head + header_of(body) + box(b"free", size=32 * MEBIBYTE))
        for _ in range(31):
            raw.send_quietly(link, bytes(MEBIBYTE))
        assert daemon.memory_kib() - before < 16 * 1024, "what nobody reads is not kept"
        raw.send_quietly(link, bytes(MEBIBYTE - 8) + box(b"moof", size=32 * MEBIBYTE))
        assert raw.parse_answer(raw.read_to_end(link)).status == 413
    log.code("BOX_TOO_LARGE")


def test_a_minute_in_one_fragment_costs_what_it_weighs(daemon: Daemon) -> None:
    source = ["-v", "error", "-stream_loop", "-1", "-i", str(material(SINGLE)), "-t", "58", "-map", "0", "-c", "copy"]
    command = [ffmpeg(), *source, "-movflags", "isml", "-frag_duration", "60000000", "-f", "ismv", "pipe:1"]
    body = re.sub(rb'(name="trackName"\s+value=")..', rb"\1xy", subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    before, began = daemon.memory_kib(), time.monotonic()
    answer = raw.post(daemon.port("ingest"), "/news/ingest.isml/Streams(burst)", [body])
    assert answer.status == 200, "it is written"
    assert time.monotonic() - began < 5
    assert (daemon.memory_kib() - before) * 1024 < 4 * len(body) + 8 * MEBIBYTE


def test_a_body_that_stalls_is_closed_alone(daemon: Daemon, log: Log, body: bytes) -> None:
    with raw.connect(daemon.port("ingest")) as link:
        head = f"POST {STREAM} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        link.sendall(head + b"%x\r\n" % len(body) + body[:2000])
        began = time.monotonic()
        answer = raw.parse_answer(raw.read_to_end(link))
        assert IDLE_SECONDS / 2 < time.monotonic() - began < IDLE_SECONDS + 4
    assert answer.status == 408
    assert log.code("IDLE_TIMEOUT")["stream"] == "bad"


# --- HTTP


TARGETS = {
    "/": ("INGEST_URL_INVALID", 404),
    "/nobody/ingest.isml/Streams(x)": ("CHANNEL_NOT_FOUND", 404),
    "/../../etc/passwd": ("INGEST_URL_INVALID", 404),
    "/news/../../ingest.isml/Streams(x)": ("INGEST_URL_INVALID", 404),
    "/%2e%2e/news/ingest.isml/Streams(x)": ("INGEST_URL_INVALID", 404),
    "/news/ingest.isml/Events(x)": ("EVENTS_REFUSED", 400),
    "/news/ingest.isml/Streams(" + "x" * 4096 + ")": ("INGEST_URL_INVALID", 414),
    "/%00/ingest.isml/Streams(x)": ("CHANNEL_NOT_FOUND", 404),
    "/flash/ingest.isml/Streams(x)": ("WRONG_PROTOCOL", 400),
}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target[:40])
def test_targets_that_are_none(target: str, daemon: Daemon, log: Log, body: bytes) -> None:
    code, status = TARGETS[target]
    answer = raw.post(daemon.port("ingest"), target, [body[:3000]])
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code), answer.head
    log.code(code)


@pytest.mark.parametrize("name", ["../../x", 'quo"te', "x" * 250, "a\\b", "%0d%0aX:%20y"], ids=lambda name: name[:12])
def test_stream_names(name: str, daemon: Daemon, body: bytes) -> None:
    answer = raw.post(daemon.port("ingest"), f"/news/ingest.isml/Streams({name})", [header_of(body)])
    assert answer.status in (200, 404), answer.head
    assert "X: y" not in answer.head


HEADS = {
    "zeros": (b"\x00" * 20_000, "HTTP_HEAD_TOO_LARGE"),
    "version": (b"GET / HTTP/9.9\r\n\r\n", "HTTP_HEAD"),
    "endless headers": (b"POST /news HTTP/1.1\r\n" + b"X: y\r\n" * 20_000, "HTTP_HEAD_TOO_LARGE"),
    "method": (b"BREW /news HTTP/1.1\r\nHost: x\r\n\r\n", "METHOD_NOT_ALLOWED"),
    "negative length": (f"POST {STREAM} HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".encode(), "HTTP_FRAMING"),
    "both lengths": (
        f"POST {STREAM} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n".encode(),
        "HTTP_FRAMING",
    ),
    "no number": (f"POST {STREAM} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".encode(), "HTTP_CHUNK"),
    "large number": (f"POST {STREAM} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{'f' * 17}\r\n".encode(), "HTTP_CHUNK"),
}


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_heads_that_are_none(head: str, daemon: Daemon, log: Log) -> None:
    sent, code = HEADS[head]
    with raw.connect(daemon.port("ingest")) as link:
        raw.send_quietly(link, sent)
        data = raw.read_to_end(link)
    assert data, "an answer"
    assert 400 <= raw.parse_answer(data).status < 500
    log.code(code)


# --- RTMP


def test_rtmp_noise(daemon: Daemon, log: Log) -> None:
    for seed in range(10):
        noise = random.Random(seed).randbytes(10_000)
        with raw.connect(daemon.port("rtmp")) as link:
            raw.send_quietly(link, b"\x03" + noise)
            raw.read_to_end(link)
        with raw.rtmp_handshake(daemon.port("rtmp")) as link:
            raw.send_quietly(link, noise)
            raw.read_to_end(link)
    log.code("RTMP_CHUNK_HEADER")


def test_http_on_the_rtmp_port(daemon: Daemon, log: Log) -> None:
    with raw.connect(daemon.port("rtmp")) as link:
        raw.send_quietly(link, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        raw.read_to_end(link)
    log.code("RTMP_VERSION")


NESTED = (b"\x03\x00\x01a" * 10_000) + b"\x05" + b"\x00\x00\x09" * 10_000
"""An AMF0 object in an object in an object."""
CONNECT = message(20, command("connect", 1, {"app": "flash", "tcUrl": "rtmp://x/flash"}))
MESSAGES = {
    "AMF nested 10,000 deep": (message(20, command("connect", 1) + NESTED), "AMF_TOO_DEEP"),
    "AMF cut": (message(20, amf("connect")[:5]), "TRUNCATED"),
    "chunk size 0": (message(1, struct.pack(">I", 0)), "RTMP_CHUNK_SIZE"),
    "chunk size 2^31": (message(1, struct.pack(">I", 1 << 31)), "RTMP_CHUNK_SIZE"),
    "a message of 2 MiB before the publish": (
        message(1, struct.pack(">I", 0x7FFFFFFF)) + b"\x03\0\0\0\x20\0\0\x14\0\0\0\0" + bytes(2 * MEBIBYTE),
        "RTMP_MESSAGE_TOO_LARGE",
    ),
    "no first header": (b"\xc3" + bytes(200), "RTMP_CHUNK_HEADER"),
    "a hundred chunk streams": (b"".join(message(9, b"", chunk_stream=n) for n in range(3, 64)) + b"\0\x10" + bytes(11) * 9, ""),
    "publish before connect": (message(20, command("publish", 1, None, "x", "live")), "RTMP_SEQUENCE"),
    "play": (CONNECT + message(20, command("play", 1, None, "x")), "RTMP_PLAY_REFUSED"),
}


@pytest.mark.parametrize("sent", MESSAGES, ids=str)
def test_rtmp_messages_that_are_none(sent: str, daemon: Daemon, log: Log) -> None:
    data, code = MESSAGES[sent]
    with raw.rtmp_handshake(daemon.port("rtmp")) as link:
        raw.send_quietly(link, data)
        # Ended at once, or after the idle time when what came is only a part of something.
        raw.read_to_end(link)
    if code:
        assert "at byte" in str(log.code(code)["detail"])


def test_rtmp_chunks_of_one_byte(daemon: Daemon) -> None:
    tiny = b"".join(raw_chunks(3, 20, 0, command("connect", 1, {"app": "flash", "tcUrl": "rtmp://x/flash"})))
    with raw.rtmp_handshake(daemon.port("rtmp")) as link:
        raw.send_quietly(link, message(1, struct.pack(">I", 1)) + tiny)
        seen = b""
        while b"NetConnection.Connect.Success" not in seen:
            data = link.recv(4096)
            assert data, "it is legal, if foolish"
            seen += data


def raw_chunks(chunk_stream: int, kind: int, stream: int, payload: bytes) -> Iterator[bytes]:
    """A message in chunks of one byte."""
    yield struct.pack(">BIB", chunk_stream, 0, 0)[:4] + len(payload).to_bytes(3, "big") + bytes([kind]) + stream.to_bytes(4, "little")
    yield payload[:1]
    for at in range(1, len(payload)):
        yield bytes([0xC0 | chunk_stream]) + payload[at : at + 1]


RTMP_NAMES = {
    "../../x": "NetStream.Publish.BadName",
    "..": "NetStream.Publish.BadName",
    "": "NetStream.Publish.BadName",
    "x" * 500: "NetStream.Publish.BadName",
    "x" * 4096: "",
    'quo"te': "NetStream.Publish.Start",
    "<script>": "NetStream.Publish.Start",
    "a\x00b": "NetStream.Publish.Start",
}


@pytest.mark.parametrize("name", RTMP_NAMES, ids=lambda name: repr(name)[:14])
def test_rtmp_names(name: str, daemon: Daemon, log: Log) -> None:
    link, code = raw.rtmp_publish(daemon.port("rtmp"), "flash", name)
    link.close()
    if RTMP_NAMES[name]:
        assert code == RTMP_NAMES[name]
    else:
        assert code != "NetStream.Publish.Start"
        log.code("RTMP_NAME_TOO_LONG")


def test_rtmp_to_nobody(daemon: Daemon, log: Log) -> None:
    link, code = raw.rtmp_publish(daemon.port("rtmp"), "nobody", "x")
    link.close()
    assert code == "NetStream.Publish.BadName"
    log.code("CHANNEL_NOT_FOUND")


def test_rtmp_media_that_is_none(daemon: Daemon, log: Log) -> None:
    rng = random.Random(11)
    link, code = raw.rtmp_publish(daemon.port("rtmp"), "flash", "bad")
    with link:
        assert code == "NetStream.Publish.Start"
        frames = [message(9, bytes([0x17, 1, 0, 0, 0]) + rng.randbytes(300), stream=1, chunk_stream=6)]
        frames += [message(8, b"\xaf\x01" + rng.randbytes(50), stream=1, chunk_stream=4)]
        frames += [message(18, rng.randbytes(60), stream=1, chunk_stream=4), message(8, b"", stream=1, chunk_stream=4)]
        raw.send_quietly(link, b"".join(frames))
        line = log.code("FLV_NO_SEQUENCE_HEADER")
        assert (line["channel"], line["stream"]) == ("flash", "bad")
        raw.send_quietly(link, message(9, b"\x17\0\0\0\0" + rng.randbytes(40), stream=1, chunk_stream=6))
        raw.read_to_end(link)
    assert log.code("AVC_CONFIG_INVALID")["stream"] == "bad"


def test_rtmp_codecs_of_a_later_time(daemon: Daemon, log: Log) -> None:
    link, _ = raw.rtmp_publish(daemon.port("rtmp"), "flash", "hevc")
    with link:
        raw.send_quietly(link, message(9, b"\x90hvc1" + bytes(40), stream=1, chunk_stream=6))
        raw.read_to_end(link)
    assert "hvc1" in str(log.code("CODEC_UNSUPPORTED")["detail"])


def test_an_rtmp_publish_that_stalls_is_closed_alone(daemon: Daemon, log: Log) -> None:
    link, _ = raw.rtmp_publish(daemon.port("rtmp"), "flash", "slow")
    with link:
        began = time.monotonic()
        raw.read_to_end(link)
        assert IDLE_SECONDS / 2 < time.monotonic() - began < IDLE_SECONDS + 4
    assert log.code("IDLE_TIMEOUT")["stream"] == "slow"


# --- all at once


def test_many_connections_that_do_nothing_well(daemon: Daemon, body: bytes) -> None:
    rng = random.Random(17)
    pieces = [rng.randbytes(4000), header_of(body) + rng.randbytes(4000), b"\x03" + rng.randbytes(4000), b"POST " + rng.randbytes(200)]

    def one(number: int) -> None:
        with socket.create_connection(("127.0.0.1", daemon.port(("ingest", "rtmp")[number % 2])), 5) as link:
            raw.send_quietly(link, pieces[number % len(pieces)])
            time.sleep(0.2)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert daemon.client.get(daemon.control("readyz")).status_code == 200


def test_nothing_was_written_outside_the_channels(daemon: Daemon) -> None:
    folders = {path.name for path in (daemon.data / "channels").iterdir()}
    assert folders == {"news", "flash"}
    assert not [path for path in daemon.directory.rglob("*") if not re.fullmatch(r"[\w.+-]+", path.name)]
