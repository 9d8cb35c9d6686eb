"""Each alert of the reference page on a whole channel: raised by its cause, active as long as that lasts, cleared when it has ended.

What comes over the wire comes as an encoder's bytes through the pump and the router; the disk's faults are the writer's.
"""

from __future__ import annotations

import re
import select
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from pypackager import _core
from pypackager.dvr import edge
from pypackager.ingest.credentials import Gate
from pypackager.ingest.router import Router
from pypackager.runtime.alerts import QUIET_NS, STATES
from pypackager.runtime.disk import make_room
from pypackager.runtime.overload import IN_A_ROW, LATE_NS, Overload
from pypackager.runtime.pressure import HIGH_BYTES, LOW_BYTES, Pressure
from pypackager.timeline.times import SECOND_NS
from tests.component.test_alerts import RAISES, Told, gops, layer
from tests.component.test_signals import START_S, Found, Studio
from tests.helpers.channel_node import VIDEO
from tests.helpers.made_media import box
from tests.helpers.sparse import TIMESCALE, fragment, header
from tests.helpers.timeline_rig import Chunk, Header, Rig, Stored
from tests.helpers.wire_rig import HEAD, TFXD, Stream, stream

QUIET_S = QUIET_NS // SECOND_NS
RTMP = Path(__file__).parents[2] / "rust" / "core" / "tests" / "data" / "rtmp_librtmp.bin"


class Node(Told, Studio):
    """A channel that is fed as `Rig` is."""

    last = 0

    def connect(self, conn: Any, stream: Any = "ladder", side: str = "primary") -> Any:
        """As `Rig` does it: the first argument has the headers."""
        self.last += 1
        self.channel.open_feed(self.last, side, stream)
        self.announce(self.last, conn)
        return self.last

    def announce(self, conn: int, headers: Sequence[Header]) -> None:
        for each in headers:
            self.channel.track_found(conn, cast(Any, each))
        self.channel.admit(conn)

    def receive(self, conn: int, chunk: Chunk) -> None:
        self.channel.chunk(conn, cast(Any, Stored(*msgspec.structs.astuple(chunk))))

    def send(self, conn: int, *chunks: Any) -> None:
        for chunk in chunks:
            self.receive(conn, chunk)
        self.channel.advance()
        self.settle()

    def active_codes(self) -> set[str]:
        return {code for code, alert in self.channel.alarm.alerts.items() if alert.until_ns is None}

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.wait(1)
            self.channel.keep_house()
            self.settle()


# --- over the wire


class Wire:
    """A channel behind a pump and a router, over TCP."""

    def __init__(self, node: Node, **limits: Any) -> None:
        self.pump = _core.Pump(tick_ms=2, **limits)
        quiet = cast(Any, type("Log", (), dict.fromkeys(("info", "warning", "exception"), staticmethod(lambda *_, **__: None)))())
        channels = cast(Any, {"ch": node.channel, "news": node.channel})
        self.router = Router(cast(Any, self.pump), channels, quiet, lambda _: None, {}, Gate(lambda: 0), lambda _: None)
        self._node = node

    def play(self, sent: bytes, *, end: str = "", protocol: str = "http") -> None:
        """Sends, ends as it is told, and takes what comes of it until the connection is gone."""
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
            server, _ = listener.accept()
            conn = self.pump.add(server.detach(), cast(Any, protocol))
            self.router.admitted(conn, "192.0.2.1", protocol)
            client.sendall(sent)
            if end == "half":
                client.shutdown(socket.SHUT_WR)
            while conn in self.router.connections:
                assert select.select([self.pump.fileno()], [], [], 20)[0], self._node.news
                events = self.pump.events()
                self.router.handle(events)
                self._node.settle()
                self.router.settle()
                if end == "reset" and any(isinstance(event, _core.ChunkReady) for event in events):
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.close()


@contextmanager
def wire(node: Node, **limits: Any) -> Iterator[Wire]:
    made = Wire(node, **limits)
    try:
        yield made
    finally:
        made.pump.stop()


def post(body: bytes, *, whole: bool = True) -> bytes:
    """A request with this body, whole or all but its end."""
    head = HEAD.replace(b"Host", b"Connection: close\r\nHost", 1)
    return head + b"%x\r\n" % (len(body) + (not whole)) + body + (b"\r\n0\r\n\r\n" if whole else b"")


def lost(node: Node) -> None:
    with wire(node) as made:
        made.play(post(stream(3).bytes(), whole=False), end="reset")


def idle(node: Node) -> None:
    with wire(node, idle_timeout_ms=200) as made:
        made.play(post(stream(1).bytes(), whole=False))


def cut_body(node: Node) -> None:
    with wire(node) as made:
        made.play(post(stream(1).bytes(), whole=False), end="half")


def cut_fragment(node: Node) -> None:
    with wire(node) as made:
        made.play(post(stream(1).bytes()[:-100], whole=False), end="half")


def rtmp_gone(node: Node) -> None:
    with wire(node) as made:
        # All but its last words, which would end the publish.
        made.play(RTMP.read_bytes()[:-500], end="half", protocol="rtmp")


def odd_data(node: Node) -> None:
    sent = RTMP.read_bytes()
    # Before the metadata, whose message has a header of twelve bytes and a string's head of three.
    at = sent.index(b"@setDataFrame") - 15
    name = b"\x02\x00\x03odd"
    message = bytes.fromhex("04000000") + len(name).to_bytes(3, "big") + b"\x12" + bytes.fromhex("01000000") + name
    with wire(node) as made:
        made.play(sent[:at] + message + sent[at:], end="half", protocol="rtmp")


def two_times(moof: bytes) -> bytes:
    """A fragment with a `tfdt` that says something else than its `tfxd`."""
    at = moof.index(b"tfhd") - 4
    behind = at + int.from_bytes(moof[at : at + 4], "big")
    tfdt = box(b"tfdt", struct.pack(">IQ", 1 << 24, 77))
    made = bytearray(moof[:behind] + tfdt + moof[behind:])
    for kind in (b"moof", b"traf"):
        place = made.index(kind) - 4
        made[place : place + 4] = (int.from_bytes(made[place : place + 4], "big") + len(tfdt)).to_bytes(4, "big")
    run = made.index(b"trun") + 12
    made[run : run + 4] = (int.from_bytes(made[run : run + 4], "big") + len(tfdt)).to_bytes(4, "big")
    return bytes(made)


def changed(change: Callable[[bytes], bytes]) -> Callable[[Node], None]:
    """Sends a stream whose fragments were changed."""

    def play(node: Node) -> None:
        whole = stream(1)
        body = Stream(whole.header, tuple(replace(piece, data=change(piece.data)) for piece in whole.pieces)).bytes()
        with wire(node) as made:
            made.play(post(body))

    return play


def codec(node: Node) -> None:
    with wire(node) as made:
        made.play(post(stream(1).bytes().replace(b"avc1", b"vp08")))


def spill(node: Node) -> None:
    """A fragment of 1.5 MB, of which half a megabyte may be in memory."""
    node.channel.budget = _core.Budget(500_000)
    sizes = b"".join(struct.pack(">II", 400_000, 50_000) for _ in range(30))

    def moof(offset: int) -> bytes:
        run = box(b"trun", struct.pack(">IIi", 0x301, 30, offset), sizes)
        time = box(b"uuid", TFXD, struct.pack(">IQQ", 1 << 24, 0, 30 * 400_000))
        traf = box(b"traf", box(b"tfhd", struct.pack(">II", 0, 1)), run, time)
        return box(b"moof", box(b"mfhd", struct.pack(">II", 0, 1)), traf)

    body = stream(1).header + moof(len(moof(0)) + 8) + box(b"mdat", bytes(30 * 50_000))
    with wire(node, spill_directory="/nonexistent") as made:
        made.play(post(body))


def large_signal(node: Node) -> None:
    with wire(node) as made:
        body = header("ads", "video") + fragment(1, TIMESCALE, TIMESCALE, bytes(70_000))
        made.play(post(body))


# --- signals


def signals(*found: Found, count: int = 1) -> Callable[[Node], None]:
    """Each is sent in a POST of its own, beside media."""

    def play(node: Node) -> None:
        node.go_live()
        node.media(START_S)
        for n, each in enumerate(found):
            node.end(node.post(*((START_S + 1 + at / 1000, bytes([n]) * 60_000) for at in range(count)), found=each))

    return play


# --- the disk, and the lack of anything


def drifts(node: Node) -> None:
    """A clock that is fast by 1.5 %."""
    conn = node.connect([Header(1, "video")], "v")
    for number in range(180):
        node.wait(2 / 1.015)
        node.send(conn, Chunk(1, (1000 + 2 * number) * VIDEO, 2 * VIDEO))
        node.channel.keep_house()
    node.channel.close_feed(conn)


def within(node: Node) -> None:
    conn = layer(cast(Rig, node))
    end_s = gops(cast(Rig, node), conn, 2, 2, 2)
    node.wait(2)
    node.send(conn, Chunk(1, int(end_s * VIDEO), 2 * VIDEO, sync=False))


def write_failed(node: Node) -> None:
    conn = layer(cast(Rig, node))
    end_s = gops(cast(Rig, node), conn, 2, 2, 2)
    node.writer.room = 0
    gops(cast(Rig, node), conn, 2, start_s=end_s)
    node.writer.room = 1 << 40


def stuck(node: Node) -> None:
    conn = layer(cast(Rig, node))
    end_s = gops(cast(Rig, node), conn, 2, 2, 2)
    node.writer.room = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edge, "MAX_ROWS", 4)
        for number in range(20):
            node.wait(2)
            node.send(conn, Chunk(1, int(end_s + 2 * number) * VIDEO, 2 * VIDEO))
            node.channel.keep_house()
    node.writer.room = 1 << 40


def low(node: Node) -> None:
    assert make_room(999, 1000, {"news": node.channel})


def encoder_gone(node: Node) -> Callable[[], object]:
    conn = layer(cast(Rig, node))
    node.channel.close_feed(conn)
    node.pass_time(11)
    return lambda: layer(cast(Rig, node))


def no_data(node: Node) -> Callable[[], object]:
    node.pass_time(601)

    def comes() -> None:
        gops(cast(Rig, node), layer(cast(Rig, node)), 2, 2, 2)
        node.channel.keep_house()

    return comes


def no_program(node: Node) -> Callable[[], object]:
    node.stop_program()
    node.settle()
    node.pass_time(601)

    def starts() -> None:
        following = msgspec.structs.replace(node.config.program[0], name="next", state="running")
        node.channel.apply(msgspec.structs.replace(node.config, program=[following]), None)
        node.channel.keep_house()

    return starts


def slow(node: Node) -> Callable[[], object]:
    pressure = Pressure(cast(Any, None))
    pressure.check(HIGH_BYTES + 1, [], [node.channel])
    node.pass_time(2 * QUIET_S)
    return lambda: pressure.check(LOW_BYTES - 1, [], [node.channel])


def overloaded(node: Node) -> None:
    overload = Overload()
    for _ in range(IN_A_ROW):
        assert "CAPACITY" not in node.active_codes(), "one late turn is none of ours"
        overload.turn(LATE_NS, [node.channel])


PASSING: dict[str, Callable[[Node], object]] = {
    **cast(dict[str, Callable[[Node], object]], RAISES),
    "CONNECTION_LOST": lost,
    "IDLE_TIMEOUT": idle,
    "PEER_CLOSED": rtmp_gone,
    "RTMP_DATA_DROPPED": odd_data,
    "HTTP_BODY_TRUNCATED": cut_body,
    "TRUNCATED_FRAGMENT": cut_fragment,
    "TIME_MISMATCH": changed(two_times),
    "MISSING_TIME": changed(lambda piece: piece.replace(TFXD, bytes(16))),
    "CODEC_UNSUPPORTED": codec,
    "SPILL_FAILED": spill,
    "SIGNAL_TOO_LARGE": large_signal,
    "SIGNALS_WITHOUT_PARENT": signals(Found(parent="")),
    "SIGNALS_PARENT_UNKNOWN": signals(Found(parent="nobody")),
    "SIGNALS_NOT_IN_MANIFEST": signals(Found(output=False)),
    "SIGNALS_DIFFER": signals(Found(), Found()),
    "SIGNALS_TOO_MANY": signals(Found(), count=40),
    "CLOCK_DRIFT": drifts,
    "FRAGMENT_WITHOUT_KEY_FRAME": within,
    "DISK_WRITE_FAILED": write_failed,
    "EDGE_STUCK": stuck,
    "DISK_LOW": low,
    "CAPACITY": overloaded,
}
"""What is over when nobody has noticed it for half a minute."""
ENDS_S = {"AHEAD_OF_TIME": 12}
"""So long does a cause that was made above go on by itself."""
LASTING: dict[str, Callable[[Node], Callable[[], object]]] = {
    "ENCODER_DISCONNECTED": encoder_gone,
    "RUNNING_WITHOUT_DATA": no_data,
    "RUNNING_WITHOUT_PROGRAM": no_program,
    "DISK_SLOW": slow,
}
"""What lasts until its cause is gone, which is what each gives."""
OF_WORKERS = {"WORKER_LOST"}
"""What the front process raises in a channel's stead, and clears: test_crew.py."""


@pytest.mark.parametrize("code", PASSING)
def test_it_is_raised_by_its_cause_and_over_half_a_minute_later(code: str, tmp_path: Path) -> None:
    node = Node(tmp_path, protocol="rtmp" if code in ("PEER_CLOSED", "RTMP_DATA_DROPPED") else "fmp4")
    PASSING[code](node)
    assert code in node.active_codes(), node.channel.alarm.alerts
    assert ("raised", code) in node.news
    node.pass_time(ENDS_S.get(code, 0))
    noticed_ns = node.channel.alarm.alerts[code].noticed_ns
    quiet_s = (noticed_ns + QUIET_NS - node.now.mono_ns) // SECOND_NS
    node.pass_time(quiet_s - 1)
    assert node.channel.alarm.alerts[code].noticed_ns == noticed_ns, "its cause goes on"
    assert code in node.active_codes()
    node.pass_time(2)
    assert code not in node.active_codes()
    assert [change for change, told in node.news if told == code][-1] == "cleared"
    assert node.active()[code] == 0
    assert (code, "cleared") in node.journalled()


@pytest.mark.parametrize("code", LASTING)
def test_it_lasts_as_long_as_its_cause(code: str, tmp_path: Path) -> None:
    node = Node(tmp_path)
    end = LASTING[code](node)
    assert code in node.active_codes(), node.channel.alarm.alerts
    node.pass_time(2 * QUIET_S)
    assert code in node.active_codes()
    end()
    assert code not in node.active_codes()
    assert [change for change, told in node.news if told == code] == ["raised", "cleared"]
    assert node.active()[code] == 0


def test_these_are_the_codes_of_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "alerts.md").read_text()
    assert PASSING.keys() | LASTING.keys() | OF_WORKERS == set(re.findall(r"`([A-Z_]{6,})`", page))
    assert LASTING.keys() | OF_WORKERS == STATES
    crew = (Path(__file__).parent / "test_crew.py").read_text()
    assert all(f'"raised", "{code}"' in crew and f'"cleared", "{code}"' in crew for code in OF_WORKERS)
