"""What may change between two copies of a live manifest. Most players read it once, so what they read must stay true.

In: a copy and the one before. Out: findings.
"""

from __future__ import annotations

from pypackager.check.finding import Scope
from pypackager.check.rules import rule
from pypackager.check.smooth.manifest import Chunk, Level, Manifest, Stream

CONSTANT = rule(
    "SMOOTH-CONSTANT", "error", "MS-SSTR 3.2.5", "version, timescales, look-ahead, DVR window, and names of streams stay as they are",
    example="the TimeScale of a stream was 10000000 and is 90000",
)  # fmt: skip
BITRATE_CHANGED = rule(
    "SMOOTH-BITRATE-CHANGED", "error", "MS-SSTR 2.2.3", "a quality level keeps its Bitrate: players ask by it for ever",
    example="800000 becomes 812345 in the next manifest",
)  # fmt: skip
CODEC_CHANGED = rule(
    "SMOOTH-CODEC-CHANGED", "warning", "MS-SSTR 2.2.2.5", "what a manifest says of a level's codec stays as it is",
    example="CodecPrivateData of 800000 is another one after an encoder's restart",
)  # fmt: skip
CHUNK_CHANGED = rule(
    "SMOOTH-CHUNK-CHANGED", "error", "MS-SSTR 2.2.2.6", "a fragment keeps its time and duration while it is listed",
    example="the fragment at 40000000 lasted 20000000 and lasts 20020000",
)  # fmt: skip
WITHDRAWN = rule(
    "SMOOTH-CHUNK-WITHDRAWN", "error", "MS-SSTR 2.2.2.6", "fragments are removed from the head alone",
    example="the newest fragment of the last manifest is not in this one",
)  # fmt: skip
EARLY_REMOVAL = rule(
    "SMOOTH-WINDOW-SHORT", "error", "MS-SSTR 2.2.2.1", "a fragment stays listed until the DVR window has passed over it",
    example="the first fragment goes when 60 s of a window of 300 s are there",
)  # fmt: skip
AFTER_END = rule(
    "SMOOTH-END", "error", "MS-SSTR 2.2.2.1", "a presentation that has ended does not go on",
    example="IsLive is gone, and is there again in the next manifest",
)  # fmt: skip

_ROOT = ("MajorVersion", "MinorVersion", "TimeScale")
_LIVE_ROOT = ("LookAheadFragmentCount", "LookaheadCount", "DVRWindowLength")
_STREAM = ("Type", "Url", "TimeScale", "Subtype", "Language")
_CODEC = ("FourCC", "CodecPrivateData", "MaxWidth", "MaxHeight", "SamplingRate", "Channels", "AudioTag", "PacketSize", "BitsPerSample")


def check_refresh(before: Manifest, after: Manifest, scope: Scope) -> None:
    """Checks a copy against the one before."""
    if after.live and not before.live:
        scope.breach(AFTER_END, "IsLive is there again", "an ended presentation", line=after.values.line)
    # What an ended presentation must not have goes when it ends.
    names = _ROOT + (_LIVE_ROOT if before.live and after.live else ())
    for name in names:
        was, now = before.values.texts.get(name), after.values.texts.get(name)
        if was != now:
            scope.breach(CONSTANT, f"{name} is {now}", f"{was}, as before", line=after.values.line)
    ours = {stream.name: stream for stream in after.streams}
    for old in before.streams:
        new = ours.get(old.name)
        if new is None:
            scope.breach(CONSTANT, f"stream {old.name} is gone", "every stream that was there", line=after.values.line)
            continue
        here = scope.at(track=new.name)
        if not _check_stream(old, new, here):
            continue
        _check_levels(old, new, here)
        if old.chunks and new.chunks:
            _check_chunks(before, old, new, here)
            if not before.live and new.chunks[-1].end > old.chunks[-1].end:
                here.breach(AFTER_END, f"a fragment at {new.chunks[-1].start}", "no more fragments", line=new.chunks[-1].line)


def _check_stream(old: Stream, new: Stream, scope: Scope) -> bool:
    """Whether times of both copies can be compared."""
    for name in _STREAM:
        was, now = old.values.texts.get(name), new.values.texts.get(name)
        if was != now:
            scope.breach(CONSTANT, f"{name} is {now}", f"{was}, as before", line=new.values.line)
    return old.timescale == new.timescale


def _grows(level: Level, now: Level, name: str) -> bool:
    """Pictures became larger: a client that is there already sees it in band, who comes now is told."""
    if name not in ("MaxWidth", "MaxHeight"):
        return False
    was, size = level.values.number(name), now.values.number(name)
    return was is not None and size is not None and size > was


def _check_levels(old: Stream, new: Stream, scope: Scope) -> None:
    ours = {level.bitrate: level for level in new.levels}
    gone = [level.bitrate for level in old.levels if level.bitrate not in ours]
    if gone:
        found = f"{', '.join(map(str, gone))} is gone, there is {', '.join(map(str, ours))}"
        scope.breach(BITRATE_CHANGED, found, "every Bitrate that was there", line=new.values.line)
    for level in old.levels:
        now = ours.get(level.bitrate)
        for name in _CODEC:
            if now is not None and level.values.text(name) != now.values.text(name) and not _grows(level, now, name):
                found = f"{name} of {level.bitrate} is {now.values.text(name)[:80]}"
                scope.breach(CODEC_CHANGED, found, f"{level.values.text(name)[:80]}, as before", line=now.values.line)
                break


def _check_chunks(before: Manifest, old: Stream, new: Stream, scope: Scope) -> None:
    first, last = new.chunks[0], new.chunks[-1]
    if last.end < old.chunks[-1].end:
        scope.breach(WITHDRAWN, f"the newest fragment is at {last.start}", f"at least {old.chunks[-1].start}", line=last.line)
    ours = {chunk.start: chunk for chunk in new.chunks}
    theirs = {chunk.start: chunk for chunk in old.chunks}
    for chunk in old.chunks:
        if first.start <= chunk.start <= last.start:
            now = ours.get(chunk.start)
            if now is None or now.duration != chunk.duration:
                found = f"d={now.duration} at {chunk.start}" if now else f"no fragment at {chunk.start}"
                scope.breach(CHUNK_CHANGED, found, f"d={chunk.duration}, as before", line=(now or first).line)
                # One fragment that moves may move all behind it.
                break
    else:
        for chunk in new.chunks:
            if old.chunks[0].start <= chunk.start < old.chunks[-1].end and chunk.start not in theirs:
                scope.breach(CHUNK_CHANGED, f"a fragment at {chunk.start}", "none, as before", line=chunk.line)
                break
    _check_head(before, old, first, last, scope)


def _check_head(before: Manifest, old: Stream, first: Chunk, last: Chunk, scope: Scope) -> None:
    removed = [chunk for chunk in old.chunks if chunk.start < first.start]
    if not removed or not before.live:
        return
    # What is behind the look-ahead counts to the window though it is not listed.
    ahead = before.ahead + 1
    longest = max(chunk.duration for chunk in (*old.chunks, last))
    kept = old.seconds(last.end + ahead * longest - removed[-1].end)
    if before.window is None or kept < before.window:
        within = f"{float(before.window):.3f} s" if before.window else "a window without end"
        scope.breach(EARLY_REMOVAL, f"{float(kept):.3f} s behind the removed fragment at {removed[-1].start}", within, line=first.line)
