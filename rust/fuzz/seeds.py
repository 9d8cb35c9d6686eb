# ruff: noqa: INP001 (a script beside the crate, no package)
"""Fills `corpus/` with what the fuzzer starts from: captures of real encoders, taken apart for the targets that read only a part."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tests.helpers.captures import body_of

HERE = Path(__file__).parent
DATA = HERE.parent / "core/tests/data"
CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf"}
H264 = bytes.fromhex("0142c00affe1000767420 00af841a201000468ce3880".replace(" ", ""))
"""A decoder configuration record; the parameter sets are those of mux.rs."""
AAC = [bytes.fromhex(text) for text in ("1190", "1210", "2b920800", "eb8a0800", "131056e598", "13100000")]
AMF = [
    b"\x02\x00\x07connect\x00\x3f\xf0\x00\x00\x00\x00\x00\x00\x03\x00\x03app\x02\x00\x04news\x00\x05tcUrl\x02\x00\x01x\x00\x00\x09",
    b"\x02\x00\x0aonMetaData\x08\x00\x00\x00\x02\x00\x05width\x00\x40\x94\x00\x00\x00\x00\x00\x00\x00\x06stereo\x01\x01\x00\x00\x09",
    b"\x0a\x00\x00\x00\x02\x05\x0b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0c\x00\x00\x00\x01L\x10\x00\x01C\x00\x01f\x06\x00\x00\x09",
]
FLV = [
    b"\x17\x00\x00\x00\x00" + H264,
    b"\x17\x01\x00\x00\x28\x00\x00\x00\x02\x65\x88",
    b"\xaf\x00\x12\x10",
    b"\xaf\x01\x21\x10\x04",
    b"\x90avc1" + H264,
    b"\x91avc1\x00\x00\x28\x00\x00\x00\x02\x65\x88",
    b"\x97\x02\x00\x00\x00\x01avc1\xff\xff\xff\x09",
    b"\x90mp4a\x12\x10",
]


VIEWER = [
    b"/one/~k.2000000000.a." + b"0123456789abcdef" * 4 + b"/two.ism/manifest.mpd",
    b"start=1&CMCD=bl%3D21300%2Csid%3D%22one%22&end=2",
    b'cid="a,b", pr=1.08,sf=d,sid="one",st=l',
    b"1.1.1.1, 203.0.113.9:47011, [2001:db9::17]:4711, 10.0.0.2",
    b'for=203.0.113.9;proto=https, for="[2001:db9::17]:4711";by=10.0.0.1',
    b"bytes=2-99",
    b"bytes=-3",
    b'"x", W/"a"',
    b"deflate, gzip;q=0.001, *;q=0",
    b"10.0.0.1(255.255.252.0)\n2001:db8::/32\n0.0.0.0/0",
]


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes of a slice: type, and all of its bytes."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], data[at : at + size]
        at += max(size, 8)


def put(target: str, data: bytes) -> None:
    """Writes a seed under its own hash, as libFuzzer names them."""
    path = HERE / "corpus" / target / hashlib.sha1(data, usedforsecurity=False).hexdigest()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def put_body(body: bytes) -> None:
    """The seeds out of one fragmented MP4 body: whole, its header with some fragments, and box by box."""
    parts = list(boxes(body))
    header = b"".join(whole for kind, whole in parts if kind in {b"ftyp", b"uuid", b"moov"})
    media = [whole for kind, whole in parts if kind in {b"moof", b"mdat"}]
    put("fmp4", body)
    for index in range(0, min(len(media), 8), 2):
        put("fmp4", header + media[index] + media[index + 1])
        put("stored", media[index] + media[index + 1])
    put("boxes", header)
    for kind, whole in parts:
        if kind in CONTAINERS:
            put("boxes", whole)
            put("boxes", whole[8:])
        elif kind == b"uuid":
            put("boxes", whole[24:])


def main() -> None:
    """Writes all seeds."""
    for capture in sorted(DATA.glob("*.http")):
        put("http", capture.read_bytes())
        put_body(body_of(capture.read_bytes()))
    for capture in sorted(DATA.glob("rtmp_*.bin")):
        put("rtmp", capture.read_bytes())
        # Long enough for the publish and the first frames.
        put("rtmp", capture.read_bytes()[:6000])
    for target, seeds in {"codec": [H264, *AAC], "amf0": AMF, "flv": FLV, "viewer": VIEWER}.items():
        for seed in seeds:
            put(target, seed)
    for target in ("cut", "mux"):
        for index in range(16):
            put(target, hashlib.shake_128(bytes([index])).digest(400))


if __name__ == "__main__":
    main()
