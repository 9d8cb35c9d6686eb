"""What a fuzzer starts from: what encoders, players and our own origin write."""

from __future__ import annotations

import re
import struct
from base64 import b64encode
from pathlib import Path

from tests.helpers.captures import body_of
from tests.helpers.made_media import box

_ROOT = Path(__file__).resolve().parents[2]
_CAPTURES = _ROOT / "rust/core/tests/data"
_GOLDEN = _ROOT / "tests/golden/packaging"
_PARTS = re.compile(rb"^=== .*\n", re.MULTILINE)
"""What stands between the manifests of one golden file."""

_INGEST = [
    "/news/ingest.isml/Streams(720p)",
    "/news/secondary/INGEST.ISML/streams%28720p%29?key=a%20b&x=1",
    "/ingest.isml/Streams(v)",
    "/news/ingest.isml/Events(1)",
    "news/secondary\nv1?key=k",
]
_CREDENTIALS = [
    f"Basic {b64encode(b'studio:wrong').decode()}",
    'Digest username="truck", realm="news", nonce="0", uri="/news/ingest.isml/Streams(v)", response="0", qop=auth, nc=00000001, cnonce=""',
    "authmod=adobe&user=studio&challenge=abcd&response=abcd==&opaque=00",
]
_VIEWER = [
    "/a/b.ism/manifest.mpd",
    "/a/~k.1.00/b.ism/hls/v.m3u8?CMCD=sid%3D%22a%22",
    "/a/b.ism/QualityLevels(2,as=v)/Fragments(v=20)",
    "/a/b.ism/manifest(format=m3u8-aapl)",
    "/a/b.ism/v/123-3.m4s",
    "/a/b.ism/v/0123456789ab/init.mp4",
    "http://host/preview/a.isml/hds/vSeg1-Frag3",
    "/static/player.html",
    "/play/preview/news",
]


def _bootstrap() -> bytes:
    """A bootstrap of two segments."""
    asrt = box(b"asrt", struct.pack(">IBI", 0, 0, 1), struct.pack(">II", 1, 2))
    afrt = box(b"afrt", struct.pack(">IIBI", 0, 1000, 0, 1), struct.pack(">IQI", 1, 5000, 2000))
    return box(b"abst", struct.pack(">IIBIQQ", 0, 1, 0x20, 1000, 9000, 0), bytes(5), b"\x01", asrt, b"\x01", afrt)


def _segments() -> list[bytes]:
    """Headers with their first fragment."""
    found: list[bytes] = []
    for capture in sorted(_CAPTURES.glob("*.http")):
        body = body_of(capture.read_bytes())
        first = body.find(b"moof") - 4
        second = body.find(b"moof", first + 8) - 4
        found.append(struct.pack(">H", first) + body[: second if second > 0 else len(body)])
    packet = b"\x47\x40\x00\x10\x00\x00\xb0\x0d\x00\x01\xc1\x00\x00\x00\x01\xf0\x00\x2a\xb1\x04\xb2".ljust(188, b"\xff")
    return [*found, b"\0\0" + packet * 3]


def seeds(target: str) -> list[bytes]:
    """The seeds of a target, by its name; short ones first."""
    if target == "judge_media":
        return sorted(_segments(), key=len)
    if target == "judge_manifests":
        files = [path for path in _GOLDEN.rglob("*") if path.suffix in {".txt", ".mpd", ".xml"}]
        found = {part for path in files for part in _PARTS.split(path.read_bytes()) if part}
        return sorted(found | {_bootstrap()}, key=lambda data: (len(data), data))
    texts = {"ingest_urls": _INGEST, "credentials": _CREDENTIALS, "viewer_urls": _VIEWER}[target]
    return [text.encode() for text in texts]
