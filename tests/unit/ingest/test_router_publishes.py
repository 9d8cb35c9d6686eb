"""The router and several publishes of one RTMP connection: each is a connection of its own, from the same peer and user."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import pytest

from pypackager.ingest import router as routing
from pypackager.ingest.credentials import Gate
from pypackager.ingest.router import Router


class Publish:
    """What the pump gives for a publish."""

    def __init__(self, conn: int, stream: str, parent: int | None = None, app: str = "news") -> None:
        self.conn, self.parent, self.app, self.stream = conn, parent, app, stream
        self.query = self.tc_url = self.encoder = ""


class Ended:
    """What it gives when the first publish is over."""

    def __init__(self, conn: int, code: str = "") -> None:
        self.conn, self.code, self.detail = conn, code, "x"


class Gone:
    """What it gives when a number is over."""

    def __init__(self, conn: int, code: str = "") -> None:
        self.conn, self.code, self.detail, self.bytes_received = conn, code, "", 0


class Pump:
    """Keeps the answers."""

    def __init__(self) -> None:
        self.accepted: list[int] = []
        self.refused: list[tuple[int, str, str]] = []
        self.closed: list[int] = []

    def accept(self, conn: int, budget: object) -> None:
        self.accepted.append(conn)

    def refuse(self, conn: int, code: str, description: str) -> None:
        self.refused.append((conn, code, description.partition(":")[0]))

    def close(self, conn: int) -> None:
        self.closed.append(conn)


class Channel:
    """A channel that takes everybody."""

    protocol, running, budget = "rtmp", True, None
    users: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self.feeds: dict[int, tuple[str, str]] = {}
        self.alerts: list[str] = []

    def admits(self, address: str) -> bool:
        return address == "192.0.2.1"

    def unlocks(self, key: str) -> bool:
        return True

    def open_feed(self, conn: int, side: str, stream: str) -> None:
        self.feeds[conn] = (side, stream)

    def close_feed(self, conn: int) -> None:
        del self.feeds[conn]

    def advance(self) -> None:
        """Nothing to keep."""

    def alert(self, code: str, detail: str) -> None:
        self.alerts.append(code)


class Log:
    """Says nothing."""

    def info(self, event: str, **values: object) -> None:
        """Nothing to keep."""

    warning = info
    exception = info


class Rig:
    """A router with two channels, and a connection with the number 1."""

    def __init__(self) -> None:
        self.pump, self.news, self.sport = Pump(), Channel(), Channel()
        channels = cast(Any, {"news": self.news, "sport": self.sport})
        self.router = Router(
            cast(Any, self.pump), channels, Log(), lambda _: None, {}, Gate(lambda: 0), lambda host: None, lambda *_, **__: None
        )
        self.router.admitted(1, "192.0.2.1", "rtmp")

    def handle(self, *events: object) -> None:
        self.router.handle(cast(Any, list(events)))


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """With events that need no pump."""
    for name, stand_in in (("PublishRequested", Publish), ("PublishEnded", Ended)):
        monkeypatch.setattr(routing, name, stand_in)
    rig = Rig()
    rig.handle(Publish(1, "a"), Publish(2, "b", 1), Publish(3, "secondary/c", 1))
    return rig


def test_each_is_a_connection_from_the_same_peer(rig: Rig) -> None:
    assert rig.news.feeds == {1: ("primary", "a"), 2: ("primary", "b"), 3: ("secondary", "c")}
    assert rig.pump.accepted == [1, 2, 3]
    assert {each.peer for each in rig.router.connections.values()} == {"192.0.2.1"}
    assert [each.parent for each in rig.router.connections.values()] == [None, 1, 1]
    # One of a connection that is gone is nobody's.
    rig.handle(Publish(9, "b", 8))
    assert 9 not in rig.router.connections


def test_one_that_ends_leaves_the_others(rig: Rig) -> None:
    rig.handle(Gone(2), Ended(1, "CODEC_UNSUPPORTED"))
    assert rig.news.feeds == {3: ("secondary", "c")}
    assert rig.news.alerts == ["CODEC_UNSUPPORTED"]
    # The connection is known as long as its socket: further publishes name it.
    rig.handle(Publish(4, "d", 1))
    assert rig.news.feeds == {3: ("secondary", "c"), 4: ("primary", "d")}
    rig.handle(Gone(3, "PEER_CLOSED"), Gone(4, "PEER_CLOSED"), Gone(1, "PEER_CLOSED"))
    assert rig.news.alerts == ["CODEC_UNSUPPORTED", "PEER_CLOSED", "PEER_CLOSED"], "the first had ended before"
    assert rig.router.connections == {}


def test_a_connection_is_of_one_channel(rig: Rig) -> None:
    rig.handle(Publish(4, "d", 1, app="sport"))
    assert rig.pump.refused == [(4, "NetStream.Publish.BadName", "PUBLISH_OTHER_CHANNEL")]
    assert rig.sport.feeds == {}
    assert len(rig.news.feeds) == 3
    rig.handle(Gone(2), Gone(3), Ended(1), Publish(5, "d", 1, app="sport"))
    assert rig.sport.feeds == {5: ("primary", "d")}, "nothing else is published any more"


def test_a_drain_sends_the_publishes_of_a_side_away(rig: Rig) -> None:
    rig.handle(Ended(1))
    assert rig.router.drain("news", "primary") == 2
    assert rig.pump.refused == [(2, "NetConnection.Connect.Closed", "DRAINED")]
    assert rig.pump.closed == [], "the third one's socket"
    rig.handle(Gone(2), Gone(3))
    rig.router.drain("news", "primary")
    assert rig.pump.closed == [1]


def test_the_channel_is_stopped_under_all_of_them(rig: Rig) -> None:
    rig.news.running = False
    rig.router.review()
    assert [(conn, why) for conn, _, why in rig.pump.refused] == [(each, "CHANNEL_NOT_RUNNING") for each in (1, 2, 3)]
    assert rig.news.feeds == {}
