"""What each target does with bytes from outside: it may refuse them in its own words; anything else that is raised is a fault.

In: bytes. Out: nothing, or an exception that the fuzzer reports. The targets of the native parsers are in rust/fuzz.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from typing import cast

from pypackager.check.dash.resolve import resolve
from pypackager.check.dash.tree import read_tree
from pypackager.check.finding import Report
from pypackager.check.hds.bootstrap import read_bootstrap
from pypackager.check.hds.f4m import read_f4m
from pypackager.check.hls.lines import read_lines
from pypackager.check.hls.media_playlist import read_media_playlist
from pypackager.check.hls.multivariant import read_multivariant
from pypackager.check.media.f4f import read_f4f
from pypackager.check.media.mp4_header import Mp4Header
from pypackager.check.media.read import read_any, read_any_header
from pypackager.check.media.smooth_fragments import read_smooth_fragment
from pypackager.check.smooth.manifest import read_manifest
from pypackager.ingest.credentials import Gate
from pypackager.ingest.urls import parse_http_target, parse_rtmp_target
from pypackager.model.errors import PackagerError
from pypackager.origin.target import parse_target
from pypackager.packaging import urls

URL = "http://origin.test/a/b.ism/manifest"
USERS = {"studio": "a password that nobody guesses", "Zoë": "another one"}
PUSHED = "/news/ingest.isml/Streams(v)"


class _Head:
    method, target = "POST", PUSHED

    def __init__(self, shown: str) -> None:
        self.headers = [("host", "h"), ("authorization", shown)]


def ingest_urls(data: bytes) -> None:
    """Where an encoder says that it pushes to."""
    text = data.decode("latin-1")
    app, _, stream = text.partition("\n")
    for owner in (None, "news"):
        with suppress(PackagerError):
            target = parse_http_target(text, owner)
            assert target.channel
            assert 0 < len(target.stream) <= 256
            assert "(" not in target.stream
        with suppress(PackagerError):
            target = parse_rtmp_target(app, stream, text, owner)
            assert target.channel
            assert "/" not in target.channel + target.stream


def credentials(data: bytes) -> None:
    """Who an encoder says that it is: nobody gets in without the password."""
    text = data.decode("latin-1")
    gate = Gate(lambda: 0)
    asks: list[Callable[[], bytes]] = [
        lambda: gate.identify("news", USERS, _Head(text)),
        lambda: gate.identify_connect("news", USERS, text),
    ]
    for ask in asks:
        code = ""
        try:
            ask()
        except PackagerError as error:
            code = error.code
        assert code in {"CREDENTIALS_MISSING", "CREDENTIALS_WRONG", "CREDENTIALS_MALFORMED"}, "it got in"


def viewer_urls(data: bytes) -> None:
    """What a viewer asks for: what is understood has one spelling, and nothing leads out of the presentation."""
    path, _, query = data.partition(b"?")
    with suppress(PackagerError):
        route = parse_target(path, query)
        names = [route.name, route.asset, route.rest]
        assert not any(part in (".", "..") for name in names for part in name.split("/"))
        target = urls.parse(route.rest)
        assert urls.parse(urls.build(target)) == target


def judge_manifests(data: bytes) -> None:
    """A manifest of any format as somebody's origin sends it: the judge says what is wrong with it."""
    scope = Report().scope()
    lines = read_lines(data, scope)
    read_multivariant(lines, URL, scope)
    read_media_playlist(lines, URL, scope)
    read_manifest(data, URL, scope)
    read_f4m(data, URL, scope)
    read_bootstrap(data, scope)
    root = read_tree(data, scope)
    if root is not None:
        resolve(root, URL, Fraction(1_800_000_000), scope)


def judge_media(data: bytes) -> None:
    """A segment with its header before it, both as an origin sends them."""
    scope = Report().scope()
    size = int.from_bytes(data[:2], "big")
    head, body = data[2 : 2 + size], data[2 + size :]
    header = read_any_header(head, scope) if head else None
    read_any(body, header, scope)
    read_f4f(body, header, scope)
    # A quality level's is made of what the manifest says: of one track, whose number is nobody's.
    track = next(iter(header.tracks.values()), None) if isinstance(header, Mp4Header) else None
    read_smooth_fragment(body, Mp4Header(tracks={0: track}) if track else None, scope)


TARGETS = cast(
    "dict[str, Callable[[bytes], None]]",
    {each.__name__: each for each in (ingest_urls, credentials, viewer_urls, judge_manifests, judge_media)},
)
"""By name."""
