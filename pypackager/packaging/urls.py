"""Every URL below a presentation's root, in both directions: parse and build.

In: the path after `/{locator}/{asset}.ism/` or `/preview/{channel}.isml/`. Out: one frozen Target, and back.
Never: a look at the presentation.

The grammar is docs/reference/urls.md. Segment URLs carry media times, init URLs the hash of the init bytes, so that a URL never changes
its content.
`time` is the origin's own (UTCTiming) and is no Target.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal
from urllib.parse import unquote

import msgspec

from pypackager.model.errors import PackagerError

Flavour = Literal["cmaf", "ts", "ts3"]
"""HLS with CMAF segments; with TS segments and separate audio (version 4); with muxed TS segments (version 3)."""

FOLDERS: dict[Flavour, str] = {"cmaf": "hls", "ts": "ts", "ts3": "ts3"}
_FLAVOURS: dict[str, Flavour] = {folder: flavour for flavour, folder in FOLDERS.items()}


class SmoothManifest(msgspec.Struct, frozen=True):
    """`manifest`."""


class SmoothMedia(msgspec.Struct, frozen=True):
    """`QualityLevels({bitrate})/Fragments({stream}={time})`."""

    bitrate: int
    stream: str
    time: int


class HlsMaster(msgspec.Struct, frozen=True):
    """`master.m3u8`, `manifest(format=m3u8-…)`."""

    flavour: Flavour


class HlsMedia(msgspec.Struct, frozen=True):
    """`hls/{track}.m3u8`, `ts/{track}.m3u8`, `ts3/{track}.m3u8`."""

    flavour: Flavour
    track: str


class DashManifest(msgspec.Struct, frozen=True):
    """`manifest.mpd`, `manifest(format=mpd-time-cmaf)`."""


class Init(msgspec.Struct, frozen=True):
    """`{track}/{confighash}/init.mp4`."""

    track: str
    config: str


class Media(msgspec.Struct, frozen=True):
    """`{track}/{time}.m4s`: one fragment; `{track}/{time}-{n}.m4s`: the n fragments of an HLS segment."""

    track: str
    time: int
    count: int = 1


class TsMedia(msgspec.Struct, frozen=True):
    """`{track}/{time}-{n}.ts`; with muxed audio `{track}+{audio}/{time}-{n}.ts`."""

    track: str
    audio: str
    time: int
    count: int


class HdsManifest(msgspec.Struct, frozen=True):
    """`manifest.f4m`, `manifest(format=f4m-f4f)`."""


class HdsBootstrap(msgspec.Struct, frozen=True):
    """`hds/{track}.abst`; with muxed audio `hds/{track}+{audio}.abst`."""

    track: str
    audio: str


class HdsMedia(msgspec.Struct, frozen=True):
    """`hds/{track}Seg1-Frag{n}`; with muxed audio `hds/{track}+{audio}Seg1-Frag{n}`."""

    track: str
    audio: str
    number: int


Target = SmoothManifest | SmoothMedia | HlsMaster | HlsMedia | DashManifest | Init | Media | TsMedia | HdsManifest | HdsBootstrap | HdsMedia

MANIFESTS: dict[str, Target] = {
    "m3u8-cmaf": HlsMaster("cmaf"),
    "m3u8-aapl": HlsMaster("ts"),
    "m3u8-aapl-v3": HlsMaster("ts3"),
    "mpd-time-cmaf": DashManifest(),
    "mpd-time-csf": DashManifest(),
    "f4m-f4f": HdsManifest(),
}
"""Formats of `manifest(format=…)`; of two with the same meaning the first is the one that is built."""

_SHORT: dict[str, Target] = {"master.m3u8": HlsMaster("cmaf"), "manifest.mpd": DashManifest(), "manifest.f4m": HdsManifest()}

# A number is at most 19 digits, so that it fits the 64-bit columns it is compared with.
_NUMBER = r"(0|[1-9][0-9]{0,18})"
_ID = r"([a-z0-9_-]+)"
_STEM = rf"{_ID}(?:\+{_ID})?"
_MANIFEST = re.compile(r"manifest(?:\(([^()]*)\))?", re.IGNORECASE)
_SMOOTH = re.compile(rf"qualitylevels\({_NUMBER}(?:,[^()]*)?\)/fragments\(([^()=]+)={_NUMBER}\)", re.IGNORECASE)
_PLAYLIST = re.compile(rf"(hls|ts|ts3)/{_ID}\.m3u8")
_INIT = re.compile(rf"{_ID}/([0-9a-f]{{12}})/init\.mp4")
_MEDIA = re.compile(rf"{_ID}/{_NUMBER}(?:-([1-9][0-9]{{0,5}}))?\.m4s")
_TS = re.compile(rf"{_STEM}/{_NUMBER}-([1-9][0-9]{{0,5}})\.ts")
_ABST = re.compile(rf"hds/{_STEM}\.abst")
# The id is matched lazily: `-` and digits may belong to it, `Seg1-Frag` with its capitals may not.
_FRAG = re.compile(rf"hds/{_STEM}Seg1-Frag([1-9][0-9]{{0,18}})")


# The manifests that are watched are asked for by the same paths in every version.
@lru_cache(maxsize=1024)
def parse(path: str) -> Target:
    """Says what a path asks for.

    Raises:
        PackagerError: NO_SUCH_URL (404) when it is in no format's grammar; FORMAT_UNKNOWN (400) for an unknown manifest format.
    """
    if "%" in path:
        path = unquote(path, errors="replace")
    target = _SHORT.get(path) or _parse_media(path) or _parse_rest(path)
    if target is None:
        raise PackagerError("NO_SUCH_URL", "nothing of this presentation has this name", status=404, where=path[:200])
    return target


def _parse_media(path: str) -> Target | None:
    if match := _MEDIA.fullmatch(path):
        count = int(match[3] or 1)
        # `-1` would be a second name of the same bytes.
        return None if match[3] == "1" else Media(match[1], int(match[2]), count)
    if match := _TS.fullmatch(path):
        return TsMedia(match[1], match[2] or "", int(match[3]), int(match[4]))
    if match := _SMOOTH.fullmatch(path):
        return SmoothMedia(int(match[1]), match[2], int(match[3]))
    if match := _FRAG.fullmatch(path):
        return HdsMedia(match[1], match[2] or "", int(match[3]))
    return None


def _parse_rest(path: str) -> Target | None:
    if match := _PLAYLIST.fullmatch(path):
        return HlsMedia(_FLAVOURS[match[1]], match[2])
    if match := _INIT.fullmatch(path):
        return Init(match[1], match[2])
    if match := _ABST.fullmatch(path):
        return HdsBootstrap(match[1], match[2] or "")
    if match := _MANIFEST.fullmatch(path):
        return _parse_manifest(match[1])
    return None


def _parse_manifest(arguments: str | None) -> Target:
    # Deployed players also send arguments that select nothing here (`audio-only=false`): only the format decides.
    for argument in (arguments or "").split(","):
        name, _, value = argument.partition("=")
        if name.strip().lower() == "format":
            target = MANIFESTS.get(value.strip().lower())
            if target is None:
                known = ", ".join(MANIFESTS)
                raise PackagerError("FORMAT_UNKNOWN", f"format is none of {known}", status=400, where=value[:100])
            return target
    return SmoothManifest()


def build(target: Target) -> str:
    """The path of a target, relative to the presentation's root."""
    match target:
        case SmoothManifest():
            return "manifest"
        case SmoothMedia(bitrate, stream, time):
            return f"QualityLevels({bitrate})/Fragments({stream}={time})"
        case HlsMedia(flavour, track):
            return f"{FOLDERS[flavour]}/{track}.m3u8"
        case Init(track, config):
            return f"{track}/{config}/init.mp4"
        case Media(track, time, count):
            return media_path(track, time, count)
        case TsMedia(track, audio, time, count):
            return ts_path(track, audio, time, count)
        case HdsBootstrap(track, audio):
            return f"hds/{stem(track, audio)}.abst"
        case HdsMedia(track, audio, number):
            return f"hds/{stem(track, audio)}Seg1-Frag{number}"
        case _:
            return next(f"manifest(format={name})" for name, value in MANIFESTS.items() if value == target)


def media_path(track: str, time: int, count: int) -> str:
    """The path of a Media: playlists have thousands."""
    return f"{track}/{time}.m4s" if count == 1 else f"{track}/{time}-{count}.m4s"


def ts_path(track: str, audio: str, time: int, count: int) -> str:
    """The path of a TsMedia."""
    return f"{stem(track, audio)}/{time}-{count}.ts"


def stem(track: str, audio: str) -> str:
    """`{track}` or, with muxed audio, `{track}+{audio}`."""
    return f"{track}+{audio}" if audio else track
