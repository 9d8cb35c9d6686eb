"""Downloads whole presentations as a plain client would: manifests by their standards, then every segment they list.

In: the URL of a manifest, and a way to fetch. Out: tracks with every frame, for `frames.assert_presentation`.
Nothing here imports pypackager.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx
from lxml import etree

from tests.helpers.frames import Frame, Track
from tests.helpers.read_flv import Bootstrap, read_bootstrap, read_f4f
from tests.helpers.read_mp4 import read_cmaf, read_smooth_fragment
from tests.helpers.read_ts import read_ts

Fetch = Callable[[str], bytes]
DASH = "{urn:mpeg:dash:schema:mpd:2011}"
F4M = "{http://ns.adobe.com/f4m/1.0}"
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')


def body_of(answer: httpx.Response) -> bytes:
    """The body of an answer that must be 200."""
    assert answer.status_code == httpx.codes.OK, f"{answer.status_code} for {answer.url}: {answer.text[:300]}"
    return answer.content


def fetcher(client: httpx.Client) -> Fetch:
    """A fetch that demands 200."""
    return lambda url: body_of(client.get(url))


# --- HLS (RFC 8216bis)


def read_hls(fetch: Fetch, url: str) -> list[Track]:
    """Tracks of every variant and every audio rendition."""
    tracks: list[Track] = []
    for playlist, label in media_playlists(fetch, url).items():
        tracks += read_media_playlist(fetch, playlist, label)
    return tracks


def media_playlists(fetch: Fetch, url: str) -> dict[str, str]:
    """The URLs of all media playlists that a multivariant playlist names, and what is in each."""
    lines = _playlist_lines(fetch(url))
    media: dict[str, str] = {}
    for n, line in enumerate(lines):
        if line.startswith("#EXT-X-STREAM-INF:"):
            media[urljoin(url, lines[n + 1])] = f"variant {attributes(line).get('RESOLUTION', attributes(line)['BANDWIDTH'])}"
        elif line.startswith("#EXT-X-MEDIA:") and "URI" in attributes(line):
            media[urljoin(url, attributes(line)["URI"])] = f"rendition {attributes(line)['NAME']}"
    assert media, f"{url} lists no playlists"
    return media


def read_media_playlist(fetch: Fetch, url: str, label: str) -> list[Track]:
    """Tracks of one media playlist: CMAF when it has EXT-X-MAP, else transport stream. Gaps (4.4.4.7) are not asked for."""
    init: bytes | None = None
    segments: list[bytes] = []
    gap = False
    for line in _playlist_lines(fetch(url)):
        gap = gap or line == "#EXT-X-GAP"
        if line.startswith("#EXT-X-MAP:"):
            init = fetch(urljoin(url, attributes(line)["URI"]))
        elif not line.startswith("#"):
            if not gap:
                segments.append(fetch(urljoin(url, line)))
            gap = False
    assert segments, f"{url} lists no segments"
    return [read_cmaf(init, segments, f"hls {label}")] if init else read_ts(segments, f"hls {label}")


def attributes(line: str) -> dict[str, str]:
    """The attribute list of a tag."""
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.partition(":")[2])}


def _playlist_lines(data: bytes) -> list[str]:
    lines = [line for line in data.decode().splitlines() if line]
    assert lines[0] == "#EXTM3U", f"no playlist: {lines[0][:60]}"
    return lines


# --- DASH (ISO 23009-1)


def read_dash(fetch: Fetch, url: str) -> list[Track]:
    """Tracks of every representation of every period; each period's representation is a track of its own."""
    mpd = etree.fromstring(fetch(url))
    assert mpd.tag == f"{DASH}MPD"
    tracks = []
    for number, period in enumerate(mpd.iter(f"{DASH}Period")):
        for adaptation in period.iter(f"{DASH}AdaptationSet"):
            for representation in adaptation.iter(f"{DASH}Representation"):
                template = representation.find(f"{DASH}SegmentTemplate")
                template = adaptation.find(f"{DASH}SegmentTemplate") if template is None else template
                assert template is not None, "a representation without SegmentTemplate"
                label = f"dash period {number} {representation.get('id')}"
                tracks.append(_read_representation(fetch, url, representation, template, label))
                tracks[-1].language = adaptation.get("lang", "und")
    return tracks


def _read_representation(fetch: Fetch, url: str, representation: etree._Element, template: etree._Element, label: str) -> Track:
    def expand(pattern: str, time: int = 0) -> str:
        values = {"RepresentationID": representation.get("id"), "Bandwidth": representation.get("bandwidth"), "Time": time}
        return urljoin(url, re.sub(r"\$(\w+)\$", lambda match: str(values[match[1]]), pattern))

    init = fetch(expand(template.get("initialization", "")))
    timescale = int(template.get("timescale", "1"))
    times = timeline(template)
    segments = [fetch(expand(template.get("media", ""), time)) for time in times]
    track = read_cmaf(init, segments, label)
    assert track.timescale == timescale, f"{label}: timescale {timescale} in the MPD, {track.timescale} in the media"
    starts = {time for frame in track.frames for time in (frame.dts, frame.pts)}
    assert starts.issuperset(times), f"{label}: no frame starts at {sorted(set(times) - starts)[:3]}"
    return track


def timeline(template: etree._Element) -> list[int]:
    """Start times of a SegmentTimeline, repeats written out."""
    times, time = [], 0
    for entry in template.iter(f"{DASH}S"):
        time = int(entry.get("t", time))
        for _ in range(int(entry.get("r", "0")) + 1):
            times.append(time)
            time += int(entry.get("d"))
    return times


# --- Smooth Streaming (MS-SSTR)


def read_smooth(fetch: Fetch, url: str) -> list[Track]:
    """Tracks of every quality level."""
    manifest = etree.fromstring(fetch(url))
    assert manifest.tag == "SmoothStreamingMedia"
    tracks = []
    for stream in (each for each in manifest.iter("StreamIndex") if each.get("Type") != "text"):
        timescale = int(stream.get("TimeScale") or manifest.get("TimeScale") or 10_000_000)
        for level in stream.iter("QualityLevel"):
            label = f"smooth {stream.get('Name')} {level.get('Bitrate')}"
            track = Track(stream.get("Type"), timescale, label, stream.get("Language", "und"))
            for time in chunk_times(stream):
                name = stream.get("Url").replace("{bitrate}", level.get("Bitrate")).replace("{start time}", str(time))
                frames: list[Frame] = read_smooth_fragment(fetch(urljoin(url, name)), track.kind, timescale)
                assert frames[0].dts == time, f"{label}: the fragment at {time} starts at {frames[0].dts}"
                track.frames += frames
            tracks.append(track)
    return tracks


def chunk_times(stream: etree._Element) -> list[int]:
    """Start times of the chunks of a StreamIndex, repeats (`r` counts the chunk itself) written out."""
    times, time = [], 0
    for chunk in stream.iter("c"):
        time = int(chunk.get("t", time))
        for _ in range(int(chunk.get("r", "1"))):
            times.append(time)
            time += int(chunk.get("d", "0"))
    return times


# --- HDS


def read_hds(fetch: Fetch, url: str) -> list[Track]:
    """Tracks of every media element, alternates included."""
    manifest = etree.fromstring(fetch(url))
    assert manifest.tag == f"{F4M}manifest"
    base = manifest.findtext(f"{F4M}baseURL") or url
    bootstraps: dict[str, Bootstrap] = {}
    for info in manifest.iter(f"{F4M}bootstrapInfo"):
        data = fetch(urljoin(base, info.get("url"))) if info.get("url") else base64.b64decode(info.text or "")
        bootstraps[info.get("id")] = read_bootstrap(data)
    tracks: list[Track] = []
    for media in manifest.iter(f"{F4M}media"):
        bootstrap = bootstraps[media.get("bootstrapInfoId")]
        prefix = urljoin(base, media.get("url"))
        (first_segment, _), *_ = bootstrap.segments
        fragments = [fetch(f"{prefix}Seg{first_segment}-Frag{number}") for number in bootstrap.fragments()]
        tracks += read_f4f(fragments, f"hds {media.get('url')}")
    return tracks


@dataclass(frozen=True)
class Output:
    """One of the manifests of a presentation, and how to read it."""

    manifest: str
    read: Callable[[Fetch, str], list[Track]]
    one_audio: bool = False
    """Only the default audio has a place in it."""


OUTPUTS = {
    "hls": Output("manifest(format=m3u8-cmaf)", read_hls),
    "ts": Output("manifest(format=m3u8-aapl)", read_hls),
    "ts3": Output("manifest(format=m3u8-aapl-v3)", read_hls, one_audio=True),
    "dash": Output("manifest(format=mpd-time-cmaf)", read_dash),
    "smooth": Output("manifest", read_smooth),
    "hds": Output("manifest(format=f4m-f4f)", read_hds),
}
"""Every output (design: URLs)."""
