"""Which differences between header boxes are none, and which are a change: a real encoder's header, edited, through the real parser."""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Callable
from functools import cache

import pytest

from pypackager import _core
from pypackager.model.errors import PackagerError
from pypackager.timeline.identity import identity
from tests.helpers.made_media import PPS, SPS, box
from tests.helpers.timeline_rig import Chunk, Header, Rig
from tests.helpers.wire_rig import HEAD, stream

PREFIXES = {
    b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"mvex": 0, b"stsd": 8, b"avc1": 78, b"mp4a": 28,
}  # fmt: skip
"""Boxes that hold boxes, and what stands before those."""
Edit = Callable[[bytes, bytes], bytes]
"""What becomes of a box of a kind with a payload: any number of boxes."""


def edited(data: bytes, edit: Edit) -> bytes:
    """Boxes, each edited after those inside it."""
    out = b""
    while data:
        size, kind = int.from_bytes(data[:4], "big"), data[4:8]
        body, data = data[8:size], data[size:]
        if kind in PREFIXES:
            head = PREFIXES[kind]
            body = body[:head] + edited(body[head:], edit)
        out += edit(kind, body)
    return out


def only(kind: bytes, change: Callable[[bytes], bytes]) -> Edit:
    """Changes the payload of boxes of one kind."""
    return lambda its, body: box(its, change(body) if its == kind else body)


def inner(body: bytes) -> list[bytes]:
    """Whole boxes."""
    found = []
    while body:
        size = int.from_bytes(body[:4], "big")
        found.append(body[:size])
        body = body[size:]
    return found


def at(begin: int, data: bytes) -> Callable[[bytes], bytes]:
    """Writes over a part of a payload."""
    return lambda body: body[:begin] + data + body[begin + len(data) :]


def record(sps: list[bytes], pps: list[bytes], tail: bytes = b"") -> bytes:
    """An AVCDecoderConfigurationRecord."""
    put = [len(unit).to_bytes(2, "big") + unit for unit in sps], [len(unit).to_bytes(2, "big") + unit for unit in pps]
    return b"\x01" + sps[0][1:4] + b"\xff" + bytes([0xE0 | len(sps)]) + b"".join(put[0]) + bytes([len(pps)]) + b"".join(put[1]) + tail


OTHER_PPS = bytes.fromhex("68524E3C80")
"""Number 1: the same fields as number 0."""


def asc(config: bytes) -> Edit:
    """Another AudioSpecificConfig, in descriptors of one byte's length."""
    decoder = (
        b"\x04" + bytes([13 + 2 + len(config)]) + bytes.fromhex("4015000000000045b4000045b4") + b"\x05" + bytes([len(config)]) + config
    )
    return only(b"esds", lambda _: bytes(4) + b"\x03" + bytes([3 + len(decoder) + 3]) + b"\0\x03\0" + decoder + b"\x06\x01\x02")


def avcc(value: bytes) -> Edit:
    return only(b"avcC", lambda _: value)


def wrapped(kind: bytes, body: bytes) -> bytes:
    """Free boxes, and user data, wherever boxes may stand."""
    whole = box(kind, body)
    if kind in (b"avc1", b"mp4a", b"moov"):
        return whole
    return box(b"free", b"room") + whole + box(b"skip", b"")


def with_user_data(kind: bytes, body: bytes) -> bytes:
    extra = box(b"udta", box(b"name", b"camera 2")) + box(b"meta", bytes(4) + box(b"hdlr", bytes(24)))
    return box(kind, body, extra if kind in (b"moov", b"trak") else b"")


def in_other_order(kind: bytes, body: bytes) -> bytes:
    """Tracks, their defaults, and brands backwards."""
    if kind == b"moov":
        boxes = inner(body)
        traks = [each for each in boxes if each[4:8] == b"trak"]
        rest = [each for each in boxes if each[4:8] != b"trak"]
        return box(kind, rest[0], *traks[::-1], *rest[1:])
    if kind == b"mvex":
        return box(kind, *inner(body)[::-1])
    if kind == b"ftyp":
        return box(kind, b"isml", (1).to_bytes(4, "big"), b"iso2", b"piff", b"isml")
    return box(kind, body)


def stamped(kind: bytes, body: bytes) -> bytes:
    """Made and changed at another time."""
    return box(kind, at(4, bytes.fromhex("e2000000e2000001"))(body) if kind in (b"mvhd", b"tkhd", b"mdhd") else body)


def rated(kind: bytes, body: bytes) -> bytes:
    """Other bit rates, in the sample entries and in the live manifest."""
    if kind == b"uuid":
        return box(kind, re.sub(rb'(systemBitrate" value=|systemBitrate=)"(\d+)"', rb'\1"7\2"', body))
    if kind == b"avc1":
        return box(kind, body, box(b"btrt", bytes(4), (9_000_000).to_bytes(4, "big"), (8_000_000).to_bytes(4, "big")))
    if kind == b"esds":
        return box(kind, body.replace(bytes.fromhex("000045b4000045b4"), bytes.fromhex("0001f4000001f400")))
    return box(kind, body)


def manifest_backwards(kind: bytes, body: bytes) -> bytes:
    if kind != b"uuid":
        return box(kind, body)
    nodes = re.findall(rb"<(?:video|audio) .*?</(?:video|audio)>\n", body, re.DOTALL)
    assert len(nodes) == 3
    return box(kind, body.replace(b"".join(nodes), b"".join(nodes[::-1])).replace(b"Lavf63.1.102", b"Another"))


def edit_list(kind: bytes, body: bytes) -> bytes:
    """One that says nothing: all of the media, from its beginning."""
    if kind != b"trak":
        return box(kind, body)
    first, *rest = inner(body)
    return box(kind, first, box(b"edts", box(b"elst", bytes(4), (1).to_bytes(4, "big"), bytes(8), bytes.fromhex("00010000"))), *rest)


def unchanged(kind: bytes, body: bytes) -> bytes:
    return box(kind, body)


def without(number: int) -> Edit:
    """A track less, in all boxes."""

    def edit(kind: bytes, body: bytes) -> bytes:
        if kind in (b"trak", b"trex"):
            # In `trak` it follows two times of the `tkhd` that comes first: of 64 bits in its version 1.
            at = (28 if body[8] else 20) if kind == b"trak" else 4
            place = body[at : at + 4]
            return b"" if int.from_bytes(place, "big") == number else box(kind, body)
        return box(kind, body)

    return edit


TWO = record([SPS[640]], [PPS, OTHER_PPS])
CONSTRAINED = record([SPS[640]], [PPS])

INTERCHANGEABLE: dict[str, tuple[Edit, Edit]] = {
    "the very same": (unchanged, unchanged),
    "free boxes": (unchanged, wrapped),
    "user data": (unchanged, with_user_data),
    "order of tracks, defaults and brands": (unchanged, in_other_order),
    "creation times": (unchanged, stamped),
    "bit rates": (unchanged, rated),
    "order in the live manifest": (unchanged, manifest_backwards),
    "edit list": (unchanged, edit_list),
    "names of handlers": (unchanged, only(b"hdlr", lambda body: body[:24] + b"Another handler\0")),
    "name of the compressor": (unchanged, only(b"avc1", at(42, b"\x07Encoder"))),
    "resolution and depth fields": (unchanged, only(b"avc1", at(28, bytes.fromhex("0060000000600000")))),
    "language in mdhd": (unchanged, only(b"mdhd", at(20, bytes.fromhex("15c7")))),
    "order of picture parameter sets": (avcc(TWO), avcc(record([SPS[640]], [OTHER_PPS, PPS]))),
    "a parameter set twice, and padding": (avcc(CONSTRAINED), avcc(record([SPS[640]], [PPS + b"\0\0", PPS]))),
    "lengths of NAL units": (avcc(CONSTRAINED), avcc(at(4, b"\xfd")(CONSTRAINED))),
    "bytes behind the record": (avcc(CONSTRAINED), avcc(CONSTRAINED + b"\0\0")),
    "the word on SBR": (asc(bytes.fromhex("1188")), asc(bytes.fromhex("118856E500"))),
    "lengths of descriptors": (unchanged, asc(bytes.fromhex("118856E500"))),
}
CHANGES: dict[str, tuple[Edit, Edit]] = {
    "picture size": (avcc(record([SPS[160]], [PPS])), avcc(record([SPS[640]], [PPS]))),
    "a parameter set": (avcc(CONSTRAINED), avcc(record([SPS[640]], [bytes.fromhex("68CE0F20")]))),
    "one parameter set more": (avcc(CONSTRAINED), avcc(TWO)),
    "profile": (avcc(CONSTRAINED), avcc(at(1, b"\x4d\x40\x1f")(CONSTRAINED))),
    "channels": (asc(bytes.fromhex("1188")), asc(bytes.fromhex("1190"))),
    "frame length": (asc(bytes.fromhex("1188")), asc(bytes.fromhex("118C"))),
}


SAID = {
    "picture size": "codec avc1.42C01E in place of avc1.42C00B, picture 640x360 in place of 160x90",
    "a parameter set": "other parameter sets of the same codec",
    "one parameter set more": "other parameter sets of the same codec",
    "profile": "codec avc1.4D401F in place of avc1.42C01E",
    "channels": "channels 2 in place of 1",
    "frame length": "ticks of a frame 960 in place of 1024",
}
"""How the operator is told of them."""


@cache
def parsed(edit: Edit) -> tuple[_core.TrackHeader, ...]:
    """What the pump announces of the header boxes."""
    pump, poll = _core.Pump(tick_ms=2), select.poll()
    poll.register(pump.fileno(), select.POLLIN)
    client, server = socket.socketpair()
    found: list[_core.TrackHeader] = []
    try:
        with client:
            body = edited(stream(1).header, edit)
            conn = pump.add(server.detach(), "http")
            client.sendall(HEAD + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
            while True:
                assert poll.poll(10_000)
                for event in pump.events():
                    match event:
                        case _core.Request():
                            pump.accept(conn)
                        case _core.TrackFound():
                            found.append(event.header)
                        case _core.BodyEnd():
                            return tuple(found)
                        case _core.Closed():
                            raise AssertionError(event.code)
                        case _:
                            pass
    finally:
        pump.stop()


def announce(rig: Rig, conn: int, edit: Edit) -> None:
    for header in parsed(edit):
        rig.timeline.track_found(conn, header)
    rig.timeline.admit(conn, rig.now)


def go_on(rig: Rig, conn: int, begin_s: int, edit: Edit, count: int = 4) -> None:
    for start_s in range(begin_s, begin_s + 2 * count, 2):
        rig.wait(2)
        rig.send(conn, *(Chunk(h.number, start_s * h.timescale, 2 * h.timescale, h.timescale) for h in parsed(edit)))


def successor(one: Edit, other: Edit) -> Rig:
    """An encoder, and another that follows it on a new connection."""
    rig = Rig()
    first = rig.connect([])
    announce(rig, first, one)
    go_on(rig, first, 100, one)
    rig.disconnect(first)
    second = rig.connect([])
    announce(rig, second, other)
    go_on(rig, second, 108, other)
    rig.wait(10)
    return rig


@pytest.mark.parametrize("what", INTERCHANGEABLE)
def test_what_is_interchangeable_goes_on_without_a_period(what: str) -> None:
    one, other = INTERCHANGEABLE[what]
    assert what == "the very same" or edited(stream(1).header, one) != edited(stream(1).header, other)
    rig = successor(one, other)
    assert sorted(info.id for info in rig.store.tracks) == ["audio_deu-17k", "video_und-16k", "video_und-34k"]
    assert all(len(rig.rows(info.id)) == 8 for info in rig.store.tracks)
    assert len(rig.store.configs) == 3
    assert len(rig.store.periods) == 1
    assert rig.codes() == []


@pytest.mark.parametrize("what", INTERCHANGEABLE)
def test_it_may_be_sent_beside_the_other(what: str) -> None:
    one, other = INTERCHANGEABLE[what]
    rig = Rig()
    conns = {rig.connect([]): one, rig.connect([], side="secondary"): other}
    for conn, edit in conns.items():
        announce(rig, conn, edit)
        go_on(rig, conn, 100, edit, 1)
    for start_s in (102, 104):
        for conn, edit in conns.items():
            go_on(rig, conn, start_s, edit, 1)
    assert len(rig.store.configs) == 3
    assert rig.codes() == []


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_not_opens_a_period_and_is_refused_beside_the_other(what: str) -> None:
    one, other = CHANGES[what]
    rig = successor(one, other)
    mismatches = [detail for code, detail in rig.alerts if code == "HEADER_MISMATCH"]
    (told,) = {detail.split(" the source came with ")[1] for detail in mismatches if "period" not in detail}
    assert told == f"{SAID[what]}: give the encoder the settings back that it had, or reset the channel"
    assert len(rig.store.configs) > 3
    sound = what in ("channels", "frame length")
    # Of the sound alone it waits for the next period.
    assert len(rig.store.periods) == (1 if sound else 2)
    rig = Rig()
    first = rig.connect([])
    announce(rig, first, one)
    go_on(rig, first, 100, one)
    with pytest.raises(PackagerError, match="HEADER_MISMATCH") as refused:
        announce(rig, rig.connect([], side="secondary"), other)
    assert f": {SAID[what]}, which a live source sends: set both encoders alike" in str(refused.value)


def test_sound_at_another_rate_is_another_track() -> None:
    rig = successor(asc(bytes.fromhex("1190")), asc(bytes.fromhex("1210")))
    assert [info.id for info in rig.store.tracks][-1] == "audio_deu-17k-44100"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_track_less_or_more_opens_no_period_and_is_told_of(number: int) -> None:
    """It leaves, or joins: a part of the period (publication.md 13)."""
    for one, other in ((unchanged, without(number)), (without(number), unchanged)):
        rig = successor(one, other)
        assert len(rig.store.periods) == 1
        name = next(header for header in parsed(unchanged) if header.number == number).kind
        (told,) = [detail for code, detail in rig.alerts if code == "HEADER_MISMATCH"]
        assert f"came {'with' if one is not unchanged else 'without'} {name}_" in told
        assert "let the encoder send the tracks that it sent, or reset the channel" in told


def test_what_is_no_record_is_compared_as_it_is() -> None:
    names = {identity(Header(1, "video", codec_private=private)) for private in (b"", b"cfg", CONSTRAINED[:20], CONSTRAINED, TWO)}
    assert len(names) == 5
