"""What a fuzzer starts from: what encoders, players and our own origin write."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator

from tests.fuzz import seeds_manifests, seeds_media

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


def seeds(target: str) -> list[bytes]:
    """The seeds of a target, by its name."""
    texts = {"ingest_urls": _INGEST, "credentials": _CREDENTIALS, "viewer_urls": _VIEWER}
    if target in texts:
        return [text.encode() for text in texts[target]]
    made: Callable[[], Iterator[bytes]] = getattr(seeds_manifests, target, None) or getattr(seeds_media, target)
    return list(made())
