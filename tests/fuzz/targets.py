"""What each target does with bytes from outside: it may refuse them in its own words; anything else that is raised is a fault.

In: bytes. Out: nothing, or an exception that the fuzzer reports. The targets of the native parsers are in rust/fuzz.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from pypackager.check.dash import timeline
from pypackager.check.hds import tables
from pypackager.check.smooth import manifest as smooth_manifest
from pypackager.ingest.credentials import Gate
from pypackager.ingest.urls import parse_http_target, parse_rtmp_target
from pypackager.model.errors import PackagerError
from pypackager.origin.target import parse_target
from pypackager.packaging import urls
from tests.fuzz import judge_manifests, judge_media

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


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each
    for each in (
        ingest_urls,
        credentials,
        viewer_urls,
        judge_manifests.hls_media_playlists,
        judge_manifests.hls_multivariant,
        judge_manifests.dash_mpds,
        judge_manifests.dash_indexes,
        judge_manifests.smooth_manifests,
        judge_manifests.hds_manifests,
        judge_manifests.hds_bootstraps,
        judge_media.mp4_headers,
        judge_media.mp4_fragments,
        judge_media.smooth_fragments,
        judge_media.ts_segments,
        judge_media.ts_streams,
        judge_media.f4f_fragments,
        judge_media.aac_configs,
        judge_media.avc_parameter_sets,
        judge_media.amf_values,
    )
}
"""By name."""

LIMITS = [(timeline, "MOST_ROWS"), (smooth_manifest, "MOST_CHUNKS"), (tables, "MOST_FRAGMENTS")]
"""How many segments a manifest may list; a fuzzer has less patience."""
FEW = 1000
