"""Rules on one copy of a manifest: what its attributes must be to each other ([MS-SSTR] 2.2.2).

In: a manifest whose grammar was checked. Out: findings.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

from pypackager.check.finding import Scope
from pypackager.check.rules import rule
from pypackager.check.smooth.manifest import Manifest, Stream

VERSION = rule(
    "SMOOTH-VERSION", "error", "MS-SSTR 2.2.2.1", "MajorVersion is 2, MinorVersion 0 or 2",
    example='MajorVersion="1"', verified=True,
)  # fmt: skip
ON_DEMAND = rule(
    "SMOOTH-ON-DEMAND", "error", "MS-SSTR 2.2.2.1", "an on-demand manifest has neither look-ahead nor DVR window",
    example='DVRWindowLength="0" without IsLive', verified=True,
)  # fmt: skip
LIVE_DURATION = rule(
    "SMOOTH-LIVE-DURATION", "warning", "IIS Smooth Streaming Client Manifest", "Duration is 0 while a live presentation has no known end",
    example='IsLive="TRUE" Duration="1200000000"',
)  # fmt: skip
LOOK_AHEAD_MISSING = rule(
    "SMOOTH-LOOKAHEAD-MISSING", "warning", "MS-SSTR 2.2.2.1", "a live manifest says how many fragments a fragment announces",
    example='IsLive="TRUE" without LookAheadFragmentCount',
)  # fmt: skip
DURATION = rule(
    "SMOOTH-DURATION", "error", "MS-SSTR 2.2.2.1", "Duration of an on-demand presentation is that of its longest stream",
    example="Duration says 60 s, the fragments end at 58 s",
)  # fmt: skip
CHUNKS = rule(
    "SMOOTH-CHUNKS", "error", "MS-SSTR 2.2.2.3", "Chunks is the number of fragments; while live it may be 0",
    example='Chunks="30" over 29 fragments', verified=True,
)  # fmt: skip
LEVELS = rule(
    "SMOOTH-LEVELS", "error", "MS-SSTR 2.2.2.3", "QualityLevels is the number of quality levels",
    example='QualityLevels="4" over 3', verified=True,
)  # fmt: skip
URL = rule(
    "SMOOTH-URL", "error", "MS-SSTR 2.2.2.3", "Url names {bitrate} and {start time} (or {start_time}), once each",
    example='Url="QualityLevels({bitrate})/Fragments(video)"',
)  # fmt: skip
NAME = rule(
    "SMOOTH-NAME", "error", "MS-SSTR 2.2.2.3", "streams have different names, or their URLs are the same",
    example='two streams of Type="audio" without Name',
)  # fmt: skip
BITRATE_KEY = rule(
    "SMOOTH-BITRATE-KEY", "error", "MS-SSTR 2.2.3", "no two quality levels of a stream have one Bitrate: it is the key in the URL",
    example="two levels of 800000",
)  # fmt: skip
INDEX = rule(
    "SMOOTH-INDEX", "error", "MS-SSTR 2.2.2.5", "Index is unique in a stream",
    example='two levels of Index="0"', verified=True,
)  # fmt: skip
INDEX_ORDER = rule(
    "SMOOTH-INDEX-ORDER", "warning", "MS-SSTR 2.2.2.5", "Index counts up from 0",
    example="levels of Index 1, 2, 3", verified=True,
)  # fmt: skip
WINDOW = rule(
    "SMOOTH-WINDOW", "warning", "MS-SSTR 2.2.2.1", "a live manifest lists no more than its DVR window, to a few fragments",
    example="10 minutes of fragments under a DVRWindowLength of 5",
)  # fmt: skip

_SLACK_SECONDS = Fraction(1, 10)
_SLACK_CHUNKS = 3


def check_copy(manifest: Manifest, scope: Scope) -> None:
    """Checks a manifest by itself."""
    _check_root(manifest, scope)
    names = Counter(stream.name for stream in manifest.streams)
    for stream in manifest.streams:
        here = scope.at(track=stream.name)
        if names[stream.name] > 1:
            here.breach(NAME, f"{names[stream.name]} streams are called {stream.name}", "names of their own", line=stream.values.line)
            names[stream.name] = 1
        _check_stream(stream, here, live=manifest.live)
        if manifest.live and manifest.window and stream.chunks and not stream.sparse:
            length = stream.seconds(stream.chunks[-1].end - stream.chunks[0].start)
            most = manifest.window + _SLACK_CHUNKS * stream.seconds(max(chunk.duration for chunk in stream.chunks))
            if length > most:
                here.breach(WINDOW, f"{float(length):.3f} s", f"at most {float(most):.3f} s", line=stream.values.line)


def _check_root(manifest: Manifest, scope: Scope) -> None:
    values, line = manifest.values, manifest.values.line
    major, minor = values.number("MajorVersion"), values.number("MinorVersion")
    if major not in (2, None) or minor not in (0, 2, None):
        scope.breach(VERSION, f"{major}.{minor}", "2.0 or 2.2", line=line)
    if manifest.live:
        if manifest.duration:
            scope.breach(LIVE_DURATION, f"{float(manifest.duration):.3f} s", 0, line=line)
        if manifest.look_ahead is None:
            scope.breach(LOOK_AHEAD_MISSING, "no LookAheadFragmentCount", "1 or more", line=line)
        return
    for name in ("LookaheadCount", "LookAheadFragmentCount", "DVRWindowLength"):
        if name in values.texts:
            scope.breach(ON_DEMAND, f"{name} is {values.texts[name]}", "no such attribute", line=line)
    ends = [stream.seconds(stream.chunks[-1].end) for stream in manifest.streams if stream.chunks]
    starts = [stream.seconds(stream.chunks[0].start) for stream in manifest.streams if stream.chunks]
    # What begins at a time above zero may be told by its length or by its end.
    if ends and all(abs(manifest.duration - length) > _SLACK_SECONDS for length in (max(ends), max(ends) - min(starts))):
        found = f"Duration is {float(manifest.duration):.3f} s"
        scope.breach(DURATION, found, f"{float(max(ends) - min(starts)):.3f} s, as the fragments", line=line)


def _check_stream(stream: Stream, scope: Scope, *, live: bool) -> None:
    values, line = stream.values, stream.values.line
    chunks, levels = values.number("Chunks"), values.number("QualityLevels")
    if chunks not in (None, len(stream.chunks)) and not (live and chunks == 0):
        scope.breach(CHUNKS, f"Chunks is {chunks}", len(stream.chunks), line=line)
    if levels not in (None, len(stream.levels)):
        scope.breach(LEVELS, f"QualityLevels is {levels}", len(stream.levels), line=line)
    url = stream.url
    if url and (url.count("{bitrate}") != 1 or url.count("{start time}") + url.count("{start_time}") != 1):
        scope.breach(URL, url, "{bitrate} and {start time}", line=line)
    for bitrate, count in Counter(level.bitrate for level in stream.levels).items():
        if count > 1:
            scope.breach(BITRATE_KEY, f"{count} levels of {bitrate}", "bitrates of their own", line=line)
    indexes = [level.values.number("Index") for level in stream.levels]
    if len(set(indexes)) < len(indexes):
        scope.breach(INDEX, f"Index {', '.join(map(str, indexes))}", "each once", line=line)
    elif sorted(index for index in indexes if index is not None) != list(range(len(indexes))):
        scope.breach(INDEX_ORDER, f"Index {', '.join(map(str, indexes))}", "from 0, one by one", line=line)
