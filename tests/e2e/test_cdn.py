"""Players behind a cache: the origin is asked once per segment, manifests stay fresh, errors are not kept."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.helpers.browser import assert_all_play, chromium, watch
from tests.helpers.daemon import Channel, running_daemon
from tests.helpers.edge import running_edge
from tests.helpers.encoders import push_isml
from tests.helpers.media import LADDER, LADDER_SHORT, material
from tests.helpers.presentation import read_dash, read_hls
from tests.helpers.service import push_on_air

pytestmark = pytest.mark.e2e

QUICK = Channel("news", settings="fragments_per_segment = 1")
ROOT = "news/news.ism/"
HLS, DASH = ROOT + "manifest(format=m3u8-cmaf)", ROOT + "manifest(format=mpd-time-cmaf)"


def is_media(path: str) -> bool:
    """Whether a path names a segment, not a manifest or a page."""
    return path.startswith("/news/") and "manifest" not in path and not path.endswith((".m3u8", ".mpd", "/time"))


@pytest.mark.xdist_group("browser")
def test_players_share_one_request_a_segment(tmp_path: Path) -> None:
    source = material(LADDER)
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, QUICK))
        stack.enter_context(push_on_air(daemon.ingest("news"), source, tmp_path / "encoder.log", loop=True))
        # All formats are judged at the end, and Smooth comes last.
        daemon.wait_for(daemon.presentation("news", "manifest"))
        edge = stack.enter_context(running_edge(tmp_path / "edge", daemon.port("origin")))
        browser = stack.enter_context(chromium())
        formats = {"first": "hls", "second": "hls", "third": "dash"}
        pages = {who: edge.url(f"play/news?muted=1&format={name}") for who, name in formats.items()}
        assert_all_play({who: stack.enter_context(watch(browser, page)) for who, page in pages.items()}, 15)
        media = {path: count for path, count in edge.asked_of_origin().items() if is_media(path)}
        assert len(media) > 10
        assert max(media.values()) == 1, {path: count for path, count in media.items() if count > 1}


def test_manifests_stay_fresh_and_errors_are_not_kept(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, QUICK))
        edge = stack.enter_context(running_edge(tmp_path / "edge", daemon.port("origin")))
        client = daemon.client
        assert client.get(edge.url(HLS)).status_code == 404, "nothing yet"
        stack.enter_context(push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", loop=True))
        master = daemon.wait_for(daemon.origin(HLS), "#EXT-X-STREAM-INF")
        # Kept for a second at most.
        daemon.wait_for(edge.url(HLS), "#EXT-X-STREAM-INF", 2)
        variant = next(line for line in master.splitlines() if line and not line.startswith("#"))
        origin, cached = urljoin(daemon.origin(HLS), variant), urljoin(edge.url(HLS), variant)
        replaced: dict[str, float] = {}  # a playlist the origin answered -> when it was first seen to answer another
        current = ""
        for _ in range(60):
            asked = time.monotonic()
            answer = client.get(cached).text
            ours = client.get(origin)
            seen = time.monotonic()
            if current != ours.text:
                replaced[current] = seen
                current = ours.text
            lifetime = dict(part.strip().split("=") for part in ours.headers["cache-control"].split(",") if "=" in part)
            # Fresh, then stale while it is fetched again; nginx counts whole seconds.
            kept = int(lifetime["max-age"]) + int(lifetime.get("stale-while-revalidate", 0)) + 1
            assert kept <= 4
            late = asked - replaced.get(answer, asked)
            assert late <= kept, f"the edge answers what the origin replaced {late:.1f} s ago; it may keep it for {kept} s"
            time.sleep(0.1)
        assert len(replaced) > 2, "the live edge moved"
        through = {track.label: track.digests() for track in read_hls(daemon.fetch, edge.url(HLS))}
        direct = {track.label: track.digests() for track in read_hls(daemon.fetch, daemon.origin(HLS))}
        assert all(direct[label][: len(digests)] == digests for label, digests in through.items())
        assert read_dash(daemon.fetch, edge.url(DASH))
        # All formats are judged at the end, and Smooth comes last.
        daemon.wait_for(daemon.presentation("news", "manifest"))


def test_the_window_plays_on_while_the_origin_restarts(tmp_path: Path) -> None:
    source = material(LADDER_SHORT)
    with ExitStack() as stack:
        daemon = stack.enter_context(running_daemon(tmp_path, QUICK))
        push_isml(daemon.ingest("news"), source, tmp_path / "encoder.log", rate=0).finish()
        daemon.wait_for(daemon.origin(HLS), "#EXT-X-STREAM-INF")
        edge = stack.enter_context(running_edge(tmp_path / "edge", daemon.port("origin")))
        before = [track.digests() for track in read_hls(daemon.fetch, edge.url(HLS))]
        daemon.stop()
        time.sleep(2)
        assert [track.digests() for track in read_hls(daemon.fetch, edge.url(HLS))] == before
        daemon.start()
        # All came at once, so that a judge of what is live would find it early.
        daemon.end_program("news")
