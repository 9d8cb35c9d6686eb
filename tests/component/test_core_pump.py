"""The pump through its Python face: an encoder's bytes in at a socket, fragments on disk and each delivery format out."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pypackager import _core
from pypackager.model.plan import F4fFragment, SmoothFragment, Source, Stored, TsSegment

CAPTURES = Path(__file__).parents[2] / "rust" / "core" / "tests" / "data"


@pytest.fixture
def pump() -> Iterator[_core.Pump]:
    """A pump that ticks fast."""
    pump = _core.Pump(tick_ms=5)
    yield pump
    pump.stop()


class Feed:
    """One connection: what the pump said of it, with all decisions taken."""

    def __init__(self, pump: _core.Pump, protocol: str, capture: str) -> None:
        self.pump = pump
        self.events: list[_core.PumpEvent] = []
        self.client, server = socket.socketpair()
        self.client.settimeout(10)
        self.conn = pump.add(server.detach(), "rtmp" if protocol == "rtmp" else "http")
        self.client.sendall((CAPTURES / capture).read_bytes())

    def run(self, until: type[_core.PumpEvent]) -> None:
        """Takes decisions until an event of the type comes."""
        while not any(isinstance(event, until) for event in self.events):
            assert select.select([self.pump.fileno()], [], [], 10)[0], self.events
            for event in self.pump.events():
                assert event.conn == self.conn
                self.events.append(event)
                match event:
                    case _core.Request() | _core.PublishRequested():
                        self.pump.accept(self.conn)
                    case _core.NeedClock():
                        self.pump.bind(self.conn, 1)
                    case _:
                        pass

    def headers(self) -> dict[int, _core.TrackHeader]:
        """The tracks by number."""
        return {event.header.number: event.header for event in self.events if isinstance(event, _core.TrackFound)}

    def chunks(self, number: int) -> list[_core.Chunk]:
        """The chunks of a track."""
        return [event.chunk for event in self.events if isinstance(event, _core.ChunkReady) and event.chunk.track == number]


FeedOf = Callable[[str, str], Feed]


@pytest.fixture
def feed_of(pump: _core.Pump) -> Iterator[FeedOf]:
    """Starts a feed of a protocol and a capture."""
    with ExitStack() as stack:

        def start(protocol: str, capture: str) -> Feed:
            feed = Feed(pump, protocol, capture)
            stack.enter_context(feed.client)
            return feed

        yield start


def test_fragments_are_stored_and_served_in_every_format(pump: _core.Pump, feed_of: FeedOf, tmp_path: Path) -> None:
    feed = feed_of("http", "ffmpeg-9.0-ismv.http")
    feed.run(_core.BodyEnd)
    pump.respond(feed.conn, 200, "", b"", [("X-Test", "yes")], True)
    answer = b"".join(iter(lambda: feed.client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"X-Test: yes\r\n" in answer
    feed.run(_core.Closed)
    headers = feed.headers()
    assert [headers[number].kind for number in sorted(headers)] == ["video", "video", "audio"]
    video, audio = headers[1], headers[3]
    assert (video.timescale, video.stored_timescale, audio.stored_timescale) == (10_000_000, 90_000, audio.sample_rate)

    writer = _core.Writer()
    journal = writer.open(str(tmp_path / "journal"))
    inits: dict[int, bytes] = {}
    ranges: dict[int, list[tuple[str, int, int]]] = {}
    for number, header in ((1, video), (3, audio)):
        path = str(tmp_path / f"blob{number}")
        blob = writer.open(path)
        inits[number] = header.init(number, header.stored_timescale, "und")
        writer.append(blob, inits[number])
        offset = len(inits[number])
        for sequence, chunk in enumerate(feed.chunks(number)):
            # ffmpeg's audio starts before zero: one second is enough for all tracks alike.
            fragment = chunk.mux(number, sequence + 1, header.stored_timescale, header.stored_timescale)
            assert _core.crc32c(bytes(fragment)) == fragment.crc
            assert len(bytes(fragment)) == fragment.size
            writer.write_fragment(blob, offset, fragment, journal, b"record")
            ranges.setdefault(number, []).append((path, offset, fragment.size))
            offset += fragment.size
        stored = _core.read_init(inits[number])
        assert (stored.number, stored.codec, stored.stored_timescale) == (number, header.codec, header.stored_timescale)
    writer.stop()
    assert {code for _, code in writer.done()} == {0}
    fragments = len(ranges[1]) + len(ranges[3])
    assert (tmp_path / "journal").read_bytes() == b"record" * fragments
    assert _core.make_body(Stored(tuple(ranges[1])))[4:8] == b"moof"

    picture, sound = (Source(inits[track], tuple(ranges[track])) for track in (1, 3))
    segment = _core.make_body(TsSegment(picture, sound))
    assert len(segment) % 188 == 0
    assert {segment[at] for at in range(0, len(segment), 188)} == {0x47}
    first = Source(inits[1], tuple(ranges[1][:1]))
    plain = _core.make_body(SmoothFragment(first, 1, 1, 90_000, 90_000, 9000, ((180_000, 90_000),), inband=False))
    inband = _core.make_body(SmoothFragment(first, 1, 1, 90_000, 90_000, 9000, (), inband=True))
    assert plain[4:8] == inband[4:8] == b"moof"
    sps = video.codec_private[8 : 8 + int.from_bytes(video.codec_private[6:8], "big")]
    assert sps in inband
    assert sps not in plain
    tags = _core.make_body(F4fFragment(first, Source(inits[3], tuple(ranges[3][:1])), 1_000_000_000))
    assert tags[4:8] == b"mdat"
    assert tags[8] == 9
    path, offset, _ = ranges[1][0]
    with pytest.raises(_core.CoreError) as caught:
        _core.make_body(TsSegment(Source(inits[1], ((path, offset + 4, 100),)), None))
    assert caught.value.code
    assert caught.value.status == 400


def test_negative_times_are_the_callers_to_lift(feed_of: FeedOf) -> None:
    feed = feed_of("http", "ffmpeg-9.0-ismv.http")
    feed.run(_core.BodyEnd)
    chunk = feed.chunks(3)[0]
    assert chunk.time < 0
    with pytest.raises(_core.CoreError) as caught:
        chunk.mux(1, 1, 48_000, 0)
    assert (caught.value.code, caught.value.path) == ("TIME_NEGATIVE", "")
    assert str(caught.value).startswith("TIME_NEGATIVE at byte 0: ")


def test_a_publish_asks_for_its_clock_first(pump: _core.Pump, feed_of: FeedOf) -> None:
    feed = feed_of("rtmp", "rtmp_gstreamer.bin")
    feed.run(_core.NeedClock)
    feed.client.close()
    feed.run(_core.Closed)
    kinds = [type(event) for event in feed.events]
    assert kinds[:2] == [_core.PublishRequested, _core.NeedClock]
    assert kinds.index(_core.TrackFound) < kinds.index(_core.ChunkReady)
    chunk = feed.chunks(1)[0]
    assert chunk.sync
    assert (chunk.timescale, chunk.index) == (90_000, None)
    closed = feed.events[-1]
    assert isinstance(closed, _core.Closed)
    assert (closed.code, closed.bytes_received) == ("", (CAPTURES / "rtmp_gstreamer.bin").stat().st_size)
    assert pump.stats() == []


def test_events_say_what_they_are(pump: _core.Pump, feed_of: FeedOf) -> None:
    feed = feed_of("rtmp", "rtmp_gstreamer.bin")
    feed.run(_core.NeedClock)
    text = repr(feed.events)
    assert f"PublishRequested(conn={feed.conn}, parent=None, app='" in text
    assert "jump=False" in text
    [stats] = pump.stats()
    assert repr(stats).startswith(f"ConnectionStats(conn={feed.conn}, bytes_received=")
    assert repr(pump) == "Pump(connections=1)"


def test_what_is_no_socket_is_refused(pump: _core.Pump) -> None:
    with pytest.raises(ValueError, match="neither 'rtmp' nor 'http'"):
        pump.add(0, "ftp")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no descriptor"):
        pump.add(-1, "http")


def test_text_is_assembled_from_blocks() -> None:
    import gzip

    texts = [b"#EXTM3U\n", b"", b"segment.m4s\n" * 1000]
    blocks = [_core.deflate_block(text) for text in texts]
    joined, parts = _core.join_blocks(blocks)
    pieces = _core.assemble_gzip([*texts, *blocks, joined, *parts])
    assert gzip.decompress(b"".join(pieces)) == b"".join(texts) * 4
    again = _core.assemble_gzip([b"head", joined, b"tail"])
    assert again[1] is _core.assemble_gzip([joined])[1], "shared between members"
    assert gzip.decompress(b"".join(again)) == b"".join([b"head", *texts, b"tail"])
    assert [part.size for part in parts] == [block.size for block in blocks]
    assert 0 < blocks[2].size < 1000


def test_networks_name_the_rule_that_is_wrong() -> None:
    networks = _core.Networks(["127.0.0.1", "10.0.0.1/22", "10.0.0.1(255.255.252.0)", "fe80::/10"])
    assert networks.allows("10.0.3.255")
    assert networks.allows("fe80::1%eth0")
    assert not networks.allows("10.0.4.0")
    assert _core.Networks([]).empty()
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/33"):
        _core.Networks(["10.0.0.1/33"])
    with pytest.raises(ValueError, match="not an address"):
        networks.allows("example.org")


def test_descriptions_for_hds_are_written() -> None:
    assert _core.flv_metadata([("width", 640), ("live", True), ("name", "x")]).startswith(b"\x02\x00\x0aonMetaData")
