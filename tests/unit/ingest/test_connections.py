"""Connections from the first byte to the last: who gets in, when a body is answered, what is left behind."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from pypackager._core import Proxies
from pypackager.ingest import router as routing
from pypackager.ingest.credentials import Gate
from pypackager.ingest.router import Router
from pypackager.model.errors import PackagerError


class Event:
    """An event of the pump."""

    def __init__(self, conn: int, **values: object) -> None:
        self.conn = conn
        self.__dict__.update(values)


class Request(Event):
    """A request head."""


class ConnectRequested(Event):
    """An RTMP connect."""


class PublishRequested(Event):
    """An RTMP publish."""


class TrackFound(Event):
    """A header."""


class ChunkReady(Event):
    """A chunk."""


class NeedClock(Event):
    """The first frame."""


class BodyEnd(Event):
    """A complete body."""


class Warned(Event):
    """A fault that the connection outlived."""


class Closed(Event):
    """A connection is gone."""


EVENTS = (Request, ConnectRequested, PublishRequested, TrackFound, ChunkReady, NeedClock, BodyEnd, Warned, Closed)


class World:
    """The router between a pump and channels that only keep what they are told."""

    def __init__(self, proxies: Proxies | None = None) -> None:
        self.told: list[dict[str, Any]] = []
        self.said: list[tuple[Any, ...]] = []
        self.channels = {"news": Channel("fmp4"), "flash": Channel("rtmp")}
        self.counted: list[str] = []
        quiet = cast(Any, type("Log", (), dict.fromkeys(("info", "warning", "exception"), staticmethod(lambda *_, **__: None)))())
        self.router = Router(
            cast(Any, self),
            cast(Any, self.channels),
            quiet,
            self.counted.append,
            {"broken": "CHANNEL_LOCKED: another owner"},
            Gate(lambda: 0),
            {"news.test": "news", "flash.test": "flash"}.get,
            lambda *_, **data: self.told.append(data),
            proxies,
        )

    def __getattr__(self, name: str) -> Any:
        return lambda conn, *values: self.said.append((name, conn, *values))

    def connect(self, conn: int = 1, protocol: str = "http") -> None:
        self.router.admitted(conn, "192.0.2.1", protocol)

    def handle(self, *events: Event) -> None:
        self.router.handle(cast(Any, list(events)))

    def post(self, target: str = "/news/ingest.isml/Streams(v)", method: str = "POST", conn: int = 1, **headers: str) -> None:
        fields = [("user-agent", "x"), *((name.replace("_", "-"), value) for name, value in headers.items())]
        self.handle(Request(conn, method=method, target=target, headers=fields))

    def answers(self) -> list[int]:
        return [said[2] for said in self.said if said[0] == "respond"]


class Channel:
    """A channel that keeps what it is told."""

    def __init__(self, protocol: str) -> None:
        self.protocol, self.running, self.open_to_all, self.on_disk = protocol, True, True, True
        self.key = ""
        self.users: dict[str, str] = {}
        self.asked_for: list[str] = []
        self.budget = object()
        self.feeds: dict[int, str] = {}
        self.alerts: list[str] = []
        self.lossy: set[int] = set()
        self.chunks: list[int] = []
        self.completed: list[int] = []
        self.advanced = 0
        self.admit_fault: PackagerError | None = None

    def admits(self, address: str) -> bool:
        self.asked_for.append(address)
        return self.open_to_all

    def unlocks(self, key: str) -> bool:
        return key == self.key

    def open_feed(self, conn: int, side: str, stream: str) -> None:
        assert conn not in self.feeds
        self.feeds[conn] = stream

    def close_feed(self, conn: int) -> None:
        del self.feeds[conn]

    def track_found(self, conn: int, header: object) -> None:
        assert conn in self.feeds

    def admit(self, conn: int) -> None:
        assert conn in self.feeds
        if self.admit_fault:
            raise self.admit_fault

    def place(self, conn: int, time: int, timescale: int) -> int:
        return 7

    def chunk(self, conn: int, chunk: object) -> None:
        assert conn in self.feeds
        self.chunks.append(conn)

    def complete(self, conn: int) -> None:
        assert conn in self.feeds
        self.completed.append(conn)

    def settled(self, conn: int) -> bool:
        return self.on_disk

    def lost(self, conn: int) -> bool:
        return conn in self.lossy

    def advance(self) -> None:
        self.advanced += 1

    def alert(self, code: str, detail: str) -> None:
        self.alerts.append(code)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    for event in EVENTS:
        monkeypatch.setattr(routing, event.__name__, event)
    return World()


def header() -> Any:
    return type("Header", (), {"number": 1, "kind": "video", "codec": "avc1", "name": "", "bitrate": 0})()


@pytest.mark.parametrize(
    ("method", "target", "change", "status", "code"),
    [
        ("GET", "/news/ingest.isml/Streams(v)", {}, 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/news/ingest.isml/Events(v)", {}, 400, "EVENTS_REFUSED"),
        ("POST", "/else/ingest.isml/Streams(v)", {}, 404, "CHANNEL_NOT_FOUND"),
        ("POST", "/broken/ingest.isml/Streams(v)", {}, 503, "CHANNEL_FAILED"),
        ("POST", "/flash/ingest.isml/Streams(v)", {}, 400, "WRONG_PROTOCOL"),
        ("POST", "/news/ingest.isml/Streams(v)", {"open_to_all": False}, 403, "ADDRESS_NOT_ALLOWED"),
        ("POST", "/news/ingest.isml/Streams(v)", {"key": "abcd1234"}, 403, "STREAM_KEY_WRONG"),
        ("POST", "/news/ingest.isml/Streams(v)?key=abcd", {"key": "abcd1234"}, 403, "STREAM_KEY_WRONG"),
        ("POST", "/news/ingest.isml/Streams(v)", {"running": False}, 503, "CHANNEL_NOT_RUNNING"),
    ],
)
def test_refusals_say_why_and_close(world: World, method: str, target: str, change: dict[str, bool], status: int, code: str) -> None:
    for name, value in change.items():
        setattr(world.channels["news"], name, value)
    world.connect()
    world.post(target, method)
    [said] = world.said
    assert said[:3] == ("respond", 1, status)
    assert msgspec.json.decode(said[4])["code"] == code
    assert said[6] is True, "the connection closes: the body that follows is not read"
    assert world.counted == [code]
    assert not world.channels["news"].feeds
    if status == 503:
        assert ("Retry-After", "2") in said[5]


def test_a_body_of_which_the_disk_lost_something_is_not_acknowledged(world: World) -> None:
    news = world.channels["news"]
    world.connect()
    world.post()
    news.lossy.add(1)
    world.handle(TrackFound(1, header=header()), ChunkReady(1, chunk=object()), BodyEnd(1))
    world.router.settle()
    [said] = (said for said in world.said if said[0] == "respond")
    assert said[:3] == ("respond", 1, 507)
    assert msgspec.json.decode(said[4])["code"] == "DISK_WRITE_FAILED"
    assert news.alerts == ["DISK_WRITE_FAILED"]
    assert news.advanced == 3, "nothing else would tell the edge that the encoder has gone"
    assert not news.feeds
    assert not world.router.ending


def test_an_rtmp_publish_is_refused_in_its_own_words(world: World) -> None:
    world.connect(protocol="rtmp")
    world.handle(PublishRequested(1, app="else", stream="v", query="", tc_url="", encoder="x"))
    assert world.said == [("refuse", 1, "NetStream.Publish.BadName", "CHANNEL_NOT_FOUND: there is no channel 'else'")]


def test_a_body_is_answered_when_its_last_fragment_is_on_the_disk(world: World) -> None:
    news = world.channels["news"]
    world.connect()
    world.post()
    news.on_disk = False
    world.handle(TrackFound(1, header=header()), ChunkReady(1, chunk=object()), BodyEnd(1))
    world.router.settle()
    assert world.answers() == []
    assert world.router.ending
    news.on_disk = True
    world.router.settle()
    world.router.settle()
    assert world.answers() == [200]
    assert news.advanced == 3, "nothing else would tell the edge that the encoder has gone"
    assert not news.feeds
    assert not any(connection.ending for connection in world.router.connections.values())
    # The same connection brings the next body.
    world.post()
    world.handle(ChunkReady(1, chunk=object()), BodyEnd(1), Closed(1, code="", detail="", bytes_received=9))
    assert world.answers() == [200, 200]
    assert world.router.connections == {}
    assert not news.feeds


def test_the_probing_post_is_answered_at_once(world: World) -> None:
    world.connect()
    world.post()
    world.handle(BodyEnd(1))
    assert world.answers() == [200]


def test_what_was_announced_together_is_judged_together(world: World) -> None:
    world.channels["news"].admit_fault = PackagerError("TOO_MANY_TRACKS", "x", status=403)
    world.connect()
    world.post()
    world.handle(TrackFound(1, header=header()), TrackFound(1, header=header()))
    assert world.answers() == [403]
    assert world.channels["news"].alerts == ["TOO_MANY_TRACKS"]
    # What was on its way when it was refused is dropped without a fuss, and the end is no second answer.
    world.handle(TrackFound(1, header=header()), ChunkReady(1, chunk=object()), BodyEnd(1))
    world.handle(Closed(1, code="", detail="", bytes_received=0))
    assert world.answers() == [403]
    assert world.channels["news"].chunks == []


def test_a_stop_that_waits_for_nothing_but_a_connection_that_is_refused_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    news = world.channels["news"]
    world.connect()
    world.post()

    def refuse(conn: int, chunk: object) -> None:
        raise PackagerError("TIME_RANGE", "x")

    monkeypatch.setattr(news, "chunk", refuse)
    before = news.advanced
    world.handle(ChunkReady(1, chunk=object()))
    assert (news.feeds, news.advanced) == ({}, before + 1)


def test_a_refused_connection_leaves_the_other_alone(world: World) -> None:
    world.connect(1)
    world.connect(2)
    world.post(conn=1)
    world.channels["news"].admit_fault = PackagerError("HEADER_MISMATCH", "x")
    world.post(conn=2)
    world.handle(TrackFound(2, header=header()), ChunkReady(1, chunk=object()))
    assert world.answers() == [400]
    assert world.channels["news"].feeds == {1: "v"}
    assert world.channels["news"].chunks == [1]


def test_a_connection_that_breaks_is_an_alert_and_moves_the_edge(world: World) -> None:
    news = world.channels["news"]
    world.connect()
    world.post()
    before = news.advanced
    world.handle(Warned(1, code="TRUNCATED_FRAGMENT", detail="x", offset=3), Closed(1, code="IDLE_TIMEOUT", detail="x", bytes_received=3))
    assert news.alerts == ["TRUNCATED_FRAGMENT", "IDLE_TIMEOUT"]
    assert news.advanced > before
    assert not news.feeds
    world.handle(Closed(1, code="", detail="", bytes_received=0), ChunkReady(99, chunk=object()))


def test_rtmp_gets_its_clock(world: World) -> None:
    world.connect(protocol="rtmp")
    world.handle(PublishRequested(1, app="flash", stream="v", query="", tc_url="", encoder="x"), NeedClock(1, time=0, timescale=1000))
    assert world.said == [("accept", 1, world.channels["flash"].budget), ("bind", 1, 7)]


def test_a_drain_ends_what_is_of_one_side_and_leaves_nothing_behind(world: World) -> None:
    flash = world.channels["flash"]
    for conn, app in ((1, "flash"), (2, "flash/secondary"), (3, "flash")):
        world.connect(conn, protocol="rtmp")
        world.handle(PublishRequested(conn, app=app, stream="v", query="", tc_url="", encoder="x"))
    world.connect(4)
    world.said.clear()
    assert world.router.drain("flash", "primary") == 2
    assert [said[:3] for said in world.said] == [("refuse", conn, "NetConnection.Connect.Closed") for conn in (1, 3)]
    assert flash.feeds == {1: "v", 2: "v", 3: "v"}, "what they sent before is still on its way"
    world.handle(ChunkReady(1, chunk=object()), Closed(1, code="", detail="", bytes_received=9))
    assert flash.chunks == [1]
    assert flash.feeds == {2: "v", 3: "v"}
    assert flash.alerts == [], "the operator's will is no alert"


def test_a_body_that_waits_for_the_disk_is_answered_before_a_drain_ends_it(world: World) -> None:
    world.connect()
    world.post()
    world.channels["news"].on_disk = False
    world.handle(BodyEnd(1))
    assert world.router.drain("news", "primary") == 1
    assert world.said[-1][0] == "accept"
    world.channels["news"].on_disk = True
    world.router.settle()
    assert world.said[-1] == ("respond", 1, 200, "text/plain", b"", [], True)
    assert world.router.drain("news", "primary") == 1
    assert ("close", 1) in world.said, "between two requests"


def test_an_rtmp_encoder_says_who_it_is_in_its_connect(world: World) -> None:
    flash = world.channels["flash"]
    for conn, app, tc_url in ((1, "news", ""), (2, "flash", ""), (3, "none", "rtmp://x/none"), (4, "", "")):
        world.connect(conn, protocol="rtmp")
        world.handle(ConnectRequested(conn, app=app, query="", tc_url=tc_url, encoder="x"))
    assert world.said == [("accept", conn, None) for conn in (1, 2, 3, 4)], "nobody there has users"
    flash.users = {"studio": "a-password"}
    world.said.clear()
    for conn, app, tc_url in ((5, "flash/secondary", ""), (6, "live", "rtmp://Flash.Test:1935/live")):
        world.connect(conn, protocol="rtmp")
        world.handle(ConnectRequested(conn, app=app, query="", tc_url=tc_url, encoder="x"))
        assert world.said.pop()[:3] == ("refuse", conn, "NetStream.Publish.Denied")
    # Who got past the question some other way does not publish.
    world.handle(PublishRequested(3, app="flash", stream="v", query="", tc_url="", encoder="x"))
    [said] = world.said
    assert said[:2] == ("refuse", 3)
    assert said[3].startswith("CREDENTIALS_MISSING: ")
    world.connect(7, protocol="rtmp")
    world.said.clear()
    world.router.connections[7].seal = b"of another channel"
    world.handle(PublishRequested(7, app="flash", stream="v", query="", tc_url="", encoder="x"))
    assert world.said[0][3].startswith("CREDENTIALS_WRONG: ")
    flash.open_to_all = False
    world.connect(8, protocol="rtmp")
    world.handle(ConnectRequested(8, app="flash", query="", tc_url="", encoder="x"))
    assert world.said[-1] == ("accept", 8, None), "its address is refused with the publish, and no password is asked for"


def test_clocks_of_two_channels_are_two_clocks(world: World) -> None:
    world.channels["other"] = Channel("rtmp")
    for conn, app in ((1, "flash"), (2, "other"), (3, "flash")):
        world.connect(conn, protocol="rtmp")
        world.handle(PublishRequested(conn, app=app, stream="v", query="", tc_url="", encoder="x"), NeedClock(conn, time=0, timescale=1000))
    clocks = {said[1]: said[2] for said in world.said if said[0] == "bind"}
    assert clocks[1] == clocks[3] != clocks[2]


def test_an_encoder_behind_a_proxy_is_who_the_proxy_says_request_by_request(world: World) -> None:
    trusting = World(Proxies(["192.0.2.1"], "forwarded"))
    for here in (world, trusting):
        here.connect()
        here.post(forwarded="for=203.0.113.9", x_forwarded_for="6.6.6.6")
        here.handle(BodyEnd(1))
        here.post(forwarded="for=203.0.113.10")
        here.router.review()
    stranger, one, two = "192.0.2.1", "203.0.113.9", "203.0.113.10"
    assert set(world.channels["news"].asked_for) == {stranger}, "nobody's word is believed"
    assert trusting.channels["news"].asked_for == [one, two, two]
    assert [data["peer"] for data in trusting.told] == [one, one, two]
