"""Viewers: threads that follow a live presentation as players do, the top layer and one audio track, and throw the media away.

A viewer fetches its manifest or playlists once per target duration and downloads what is new in them.
"""

from __future__ import annotations

import gzip
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import urljoin, urlsplit

from lxml import etree

from tests.helpers.presentation import DASH, F4M, Fetch, attributes, chunk_times, timeline
from tests.helpers.read_flv import read_bootstrap


@dataclass
class Listing:
    """What a manifest lists now."""

    tracks: list[list[str]]
    """URLs of the segments of each track that is followed, oldest first."""
    interval: float
    """Seconds to the next look."""


Follow = Callable[[], Listing]


def follow_hls(fetch: Fetch, url: str) -> Follow:
    """HLS, whatever the segments are."""
    lines = fetch(url).decode().splitlines()
    variants = [(int(attributes(line)["BANDWIDTH"]), lines[n + 1]) for n, line in enumerate(lines) if line.startswith("#EXT-X-STREAM-INF:")]
    renditions = [attributes(line) for line in lines if line.startswith("#EXT-X-MEDIA:TYPE=AUDIO") and "URI=" in line]
    playlists = [max(variants)[1], *(rendition["URI"] for rendition in renditions[:1])]

    def look() -> Listing:
        tracks, interval = [], 1.0
        for playlist in (urljoin(url, name) for name in playlists):
            rows = fetch(playlist).decode().splitlines()
            # A segment that is marked as a gap is not there.
            listed = [row for row in rows if row == "#EXT-X-GAP" or (row and not row.startswith("#"))]
            tracks.append([urljoin(playlist, row) for before, row in pairwise(["", *listed]) if "#EXT-X-GAP" not in (before, row)])
            interval = next(float(row.partition(":")[2]) for row in rows if row.startswith("#EXT-X-TARGETDURATION"))
        return Listing(tracks, interval)

    return look


def follow_dash(fetch: Fetch, url: str) -> Follow:
    """DASH with SegmentTimeline."""

    def look() -> Listing:
        *_, period = etree.fromstring(fetch(url)).iter(f"{DASH}Period")
        tracks, interval = [], 1.0
        for kind in ("video", "audio"):
            sets = [one for one in period.iter(f"{DASH}AdaptationSet") if kind in (one.get("contentType"), (one.get("mimeType") or "")[:5])]
            best = max(sets[0].iter(f"{DASH}Representation"), key=lambda one: int(one.get("bandwidth")))
            template = next(best.iter(f"{DASH}SegmentTemplate"), None)
            template = next(sets[0].iter(f"{DASH}SegmentTemplate")) if template is None else template
            pattern = template.get("media").replace("$RepresentationID$", best.get("id")).replace("$Bandwidth$", best.get("bandwidth"))
            times = timeline(template)
            tracks.append([urljoin(url, pattern.replace("$Time$", str(at))) for at in times])
            interval = (times[-1] - times[-2]) / int(template.get("timescale")) if len(times) > 1 else interval
        return Listing(tracks, interval)

    return look


def follow_smooth(fetch: Fetch, url: str) -> Follow:
    """Smooth Streaming."""

    def look() -> Listing:
        manifest = etree.fromstring(fetch(url))
        tracks, interval = [], 1.0
        for kind in ("video", "audio"):
            stream = next(one for one in manifest.iter("StreamIndex") if one.get("Type") == kind)
            bitrate = max(int(level.get("Bitrate")) for level in stream.iter("QualityLevel"))
            pattern = stream.get("Url").replace("{bitrate}", str(bitrate))
            times = chunk_times(stream)
            tracks.append([urljoin(url, pattern.replace("{start time}", str(at))) for at in times])
            if len(times) > 1:
                interval = (times[-1] - times[-2]) / int(stream.get("TimeScale") or manifest.get("TimeScale") or 10_000_000)
        return Listing(tracks, interval)

    return look


def follow_hds(fetch: Fetch, url: str) -> Follow:
    """HDS: the f4m once, then its bootstrap."""
    manifest = etree.fromstring(fetch(url))
    media = max(manifest.iter(f"{F4M}media"), key=lambda one: int(one.get("bitrate") or 0))
    info = next(one for one in manifest.iter(f"{F4M}bootstrapInfo") if one.get("id") == media.get("bootstrapInfoId"))
    bootstrap_url, prefix = urljoin(url, info.get("url")), urljoin(url, media.get("url"))

    def look() -> Listing:
        bootstrap = read_bootstrap(fetch(bootstrap_url))
        duration = next(run[2] for run in bootstrap.runs if run[2]) / bootstrap.timescale
        return Listing([[f"{prefix}Seg1-Frag{number}" for number in bootstrap.fragments()]], duration)

    return look


FORMATS: dict[str, tuple[str, Callable[[Fetch, str], Follow]]] = {
    "HLS CMAF": ("manifest(format=m3u8-cmaf)", follow_hls),
    "HLS TS v4": ("manifest(format=m3u8-aapl)", follow_hls),
    "DASH": ("manifest(format=mpd-time-cmaf)", follow_dash),
    "Smooth": ("manifest", follow_smooth),
    "HDS": ("manifest(format=f4m-f4f)", follow_hds),
}
"""A viewer of each format: its manifest, and how it is followed."""


@dataclass
class Viewer:
    """One viewer."""

    label: str
    url: str
    start: Callable[[Fetch, str], Follow]
    stopping: threading.Event
    segments: int = 0
    manifests: int = 0
    received: int = 0
    faults: list[str] = field(default_factory=list)
    _connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        """Follows until it is told to stop; a fault is kept, and the viewer comes back as a player would."""
        while not self.stopping.is_set():
            try:
                self._follow()
            except (
                OSError,
                http.client.HTTPException,
                AssertionError,
                ValueError,
                LookupError,
                StopIteration,
                etree.XMLSyntaxError,
            ) as error:
                self.faults.append(f"{type(error).__name__}: {error}")
                self.stopping.wait(1)
            finally:
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None

    def _follow(self) -> None:
        look = self.start(self._manifest, self.url)
        seen: list[str] = []
        while not self.stopping.is_set():
            began = time.monotonic()
            listing = look()
            if not seen:
                # A viewer joins at the live edge.
                seen = [track[max(0, len(track) - 2)] for track in listing.tracks]
            for number, track in enumerate(listing.tracks):
                for url in track[track.index(seen[number]) + 1 :] if seen[number] in track else track[-1:]:
                    self.received += len(self._get(url))
                    self.segments += 1
                    seen[number] = url
            self.stopping.wait(max(0.0, began + listing.interval - time.monotonic()))

    def _manifest(self, url: str) -> bytes:
        self.manifests += 1
        return self._get(url)

    def _get(self, url: str) -> bytes:
        parts = urlsplit(url)
        if self._connection is None:
            self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self._connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == http.client.OK, f"{answer.status} for {url}: {body[:200]!r}"
        return gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" else body


@contextmanager
def watching(presentations: list[str]) -> Iterator[list[Viewer]]:
    """One viewer per format and presentation (URLs that end in `.ism/`), while the context lasts."""
    stopping = threading.Event()
    viewers = [Viewer(name, f"{root}{manifest}", start, stopping) for root in presentations for name, (manifest, start) in FORMATS.items()]
    threads = [threading.Thread(target=viewer.run, name=viewer.label, daemon=True) for viewer in viewers]
    try:
        for thread in threads:
            thread.start()
        yield viewers
    finally:
        stopping.set()
        for thread in threads:
            thread.join(15)
