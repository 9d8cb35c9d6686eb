"""Rules on fragments against the manifest, and against what followed: time, look-ahead, codec ([MS-SSTR] 2.2.4).

In: a track once everything was loaded, and all that its stream ever listed. Out: findings, and samples that lie where the manifest says,
so that the rules on media do not find a wrong tfxd again in every segment behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from statistics import median

from msgspec.structs import replace

from pypackager.check.finding import Scope
from pypackager.check.media.avc import read_parameter_sets
from pypackager.check.media.bits import Bits
from pypackager.check.media.samples import Codec, Samples
from pypackager.check.media.smooth_fragments import SmoothMedia
from pypackager.check.presentation import SHORT_HOLE, Loaded, Track
from pypackager.check.rules import rule
from pypackager.check.smooth.manifest import Chunk, Level, Stream
from pypackager.check.smooth.private_data import split_annex_b

TIME = rule(
    "SMOOTH-TFXD", "error", "MS-SSTR 2.2.4.4", "a live fragment has a tfxd, and its time is the one that was asked for",
    example="tfxd says 40000400 in the fragment at 40000000", verified=True,
)  # fmt: skip
DURATION = rule(
    "SMOOTH-TFXD-DURATION", "error", "MS-SSTR 2.2.4.4", "the duration in tfxd is that of all samples, to a sample",
    example="tfxd says 20000000 over samples of 18000000", verified=True,
)  # fmt: skip
DECODE_TIME = rule(
    "SMOOTH-TFDT", "warning", "MS-SSTR 2.2.4.4", "a tfdt beside a tfxd says the same",
    example="tfxd is 40000000, tfdt is 0",
)  # fmt: skip
FOLLOWERS = rule(
    "SMOOTH-TFRF-MISSING", "error", "MS-SSTR 2.2.4.5", "a fragment that is listed while live names those that follow",
    example="a live fragment without tfrf: its client never learns of the next", verified=True,
)  # fmt: skip
LOOK_AHEAD = rule(
    "SMOOTH-LOOKAHEAD", "warning", "MS-SSTR 2.2.4.5", "a fragment that is listed while live names LookAheadFragmentCount fragments",
    example="tfrf has one under LookAheadFragmentCount=2",
)  # fmt: skip
PROMISE = rule(
    "SMOOTH-TFRF", "error", "MS-SSTR 2.2.4.5", "what tfrf names is what follows, with its time and its duration",
    example="tfrf names 60000000, and the next fragment listed is 60020000", verified=True,
)  # fmt: skip
SCALE = rule(
    "SMOOTH-TIMESCALE", "error", "MS-SSTR 2.2.2.3", "samples last in the stream's TimeScale as long as their codec says",
    example="AAC frames of 1,024 samples at 48 kHz that last 0.19 ms: TimeScale is missing", verified=True,
)  # fmt: skip
BITSTREAM = rule(
    "SMOOTH-BITSTREAM", "error", "MS-SSTR 2.2.2.5", "samples can be decoded with CodecPrivateData or what they have in band",
    example="slices of PPS 1 where CodecPrivateData has PPS 0 alone",
)  # fmt: skip
SIZE = rule(
    "SMOOTH-MAX-SIZE", "error", "MS-SSTR 2.2.2.5", "no picture is larger than MaxWidth by MaxHeight",
    example="an SPS in band of 1280x720 under MaxWidth=640", verified=True,
)  # fmt: skip
RATE = rule(
    "SMOOTH-BITRATE", "warning", "MS-SSTR 2.2.2.5", "Bitrate is the average: what was measured is not more than twice that",
    example="Bitrate is 800000, and a minute has 2.1 Mbit/s",
)  # fmt: skip

_FRAMES = 1024
_SCALE_OFF = 3
"""SBR and fields make a factor of two; a wrong timescale makes more."""
_RATE_SECONDS = 10


@dataclass
class Known:
    """What was seen of a stream over all manifests."""

    stream: Stream
    """As the newest says."""
    chunks: dict[int, Chunk] = field(default_factory=dict)
    live: dict[int, int] = field(default_factory=dict)
    """Start of each fragment that was listed while live, and the look-ahead promised then."""

    def learn(self, stream: Stream, *, live: bool, look_ahead: int | None) -> None:
        """Takes the next copy of the manifest."""
        self.stream = stream
        for chunk in stream.chunks:
            self.chunks.setdefault(chunk.start, chunk)
            if live:
                self.live.setdefault(chunk.start, look_ahead or 0)


def check_fragments(track: Track, level: Level, codec: Codec | None, known: Known, scope: Scope) -> None:
    """Checks every loaded fragment of a track."""
    # A client that has read the manifest before needs no more than what is in band (2.2.2.5): who reads it now is told of the largest.
    newest = next((each for each in known.stream.levels if each.bitrate == level.bitrate), level)
    order = sorted(known.chunks)
    place = {start: n for n, start in enumerate(order)}
    lasting = {
        int(each.listing.name): each.media.tfxd[1] for each in track.loaded if isinstance(each.media, SmoothMedia) and each.media.tfxd
    }
    for loaded in track.loaded:
        media = loaded.media
        if not isinstance(media, SmoothMedia) or not media.streams:
            continue
        here = scope.at(url=loaded.listing.url, segment=loaded.listing.name)
        start = int(loaded.listing.name)
        promised = known.live.get(start)
        behind = order[place[start] + 1 :]
        _note_missing(loaded, known, start, lasting.get(start), behind)
        for samples in media.streams:
            _check_time(media, samples, start, here, live=promised is not None)
        if promised is not None:
            _check_followers(media, known.chunks[start], promised, known, behind, lasting, here)
        _check_bitstream(media, level, newest, codec, here)
    _check_scale(track, codec, scope)
    _check_rate(track, level, scope)


def _note_missing(loaded: Loaded, known: Known, start: int, lasts: int | None, behind: list[int]) -> None:
    """Notes what a chunk has no media of, where it is listed up to the next one and its own `tfxd` says that it lasts less long."""
    chunk, scale = known.chunks[start], known.stream.timescale
    hole = chunk.duration - lasts if lasts is not None else 0
    if hole >= scale * SHORT_HOLE and behind and behind[0] == chunk.end:
        loaded.listing = replace(loaded.listing, missing=Fraction(hole, scale))


def _check_time(media: SmoothMedia, samples: Samples, start: int, scope: Scope, *, live: bool) -> None:
    lasts = int(samples.duration.sum())
    if media.tfxd is None:
        if live:
            scope.breach(TIME, "no tfxd", start)
    else:
        time, duration = media.tfxd
        if time != start:
            scope.breach(TIME, time, start)
        if abs(duration - lasts) > max(1, int(samples.duration.max(initial=0))):
            scope.breach(DURATION, duration, f"{lasts}, as the samples")
        if media.tfdt is not None and media.tfdt != time:
            scope.breach(DECODE_TIME, f"tfdt {media.tfdt}", f"{time}, as tfxd")
    samples.dts = samples.dts + (start - media.base)
    samples.pts = samples.pts + (start - media.base)


def _check_followers(
    media: SmoothMedia, chunk: Chunk, promised: int, known: Known, behind: list[int], lasting: dict[int, int], scope: Scope
) -> None:
    if not media.tfrf:
        if promised:
            scope.breach(FOLLOWERS, "no fragment is named", f"{promised}, as LookAheadFragmentCount")
        return
    if promised and len(media.tfrf) != promised:
        scope.breach(LOOK_AHEAD, f"tfrf has {len(media.tfrf)}", f"{promised}, as LookAheadFragmentCount")
    due = chunk.end
    for (time, duration), listed in zip(media.tfrf, behind, strict=False):
        # In a list a chunk may last over what is missing in front of the next: a frame or two, or what its own tfxd does not count.
        lasts = known.chunks[listed].duration
        hole = lasts - duration
        told = hole > 0 and lasting.get(listed) == duration
        if time != listed or (hole and not told and not 0 < hole < known.stream.timescale * SHORT_HOLE):
            scope.breach(PROMISE, f"tfrf names {time} for {duration}", f"{listed} for {lasts}, as listed")
            return
    for time, duration in media.tfrf:
        # Nobody has listed it yet: a hole may be, a step back can't.
        if time < due or not duration:
            scope.breach(PROMISE, f"tfrf names {time} for {duration}", f"{due} or later")
            return
        due = time + duration


def _check_bitstream(media: SmoothMedia, level: Level, newest: Level, codec: Codec | None, scope: Scope) -> None:
    if codec is None:
        return
    if media.picture_parameter_set is not None:
        units = [*split_annex_b(bytes.fromhex(level.values.text("CodecPrivateData"))), *media.parameter_sets]
        known = {ident for unit in units if (ident := _picture_parameter_set(unit)) is not None}
        if known and media.picture_parameter_set not in known:
            scope.breach(BITSTREAM, f"the first slice refers to PPS {media.picture_parameter_set}", f"one of {sorted(known)}")
    elif media.first_element in (0, 1) and codec.channels in (1, 2) and media.first_element != codec.channels - 1:
        # A first element may be of another kind: fill, or data.
        names = ("one channel", "a pair of channels")
        scope.breach(BITSTREAM, f"{names[media.first_element]} (element {media.first_element})", f"{codec.channels} channels")
    if any(unit[0] & 0x1F == 7 for unit in media.parameter_sets):
        try:
            inside = read_parameter_sets(list(media.parameter_sets))
        except ValueError as fault:
            scope.breach(BITSTREAM, str(fault), "an SPS that can be read")
            return
        width, height = newest.values.number("MaxWidth"), newest.values.number("MaxHeight")
        if width and height and (inside.width > width or inside.height > height):
            scope.breach(SIZE, f"{inside.width}x{inside.height} in band", f"at most {width}x{height}")


def _picture_parameter_set(unit: bytes) -> int | None:
    if not unit or unit[0] & 0x1F != 8:
        return None
    try:
        return Bits(unit[1:8]).golomb()
    except (EOFError, ValueError):
        return None


def _check_scale(track: Track, codec: Codec | None, scope: Scope) -> None:
    durations = [int(each) for loaded in track.loaded for samples in loaded.media.streams for each in samples.duration[:50]]
    if codec is None or not durations:
        return
    timescale = next(samples.timescale for loaded in track.loaded for samples in loaded.media.streams)
    lasts = median(durations) / timescale
    if codec.kind == "audio" and codec.sample_rate and codec.name.startswith("mp4a"):
        due = _FRAMES / codec.sample_rate
    elif codec.frame_rate:
        due = codec.frame_rate[1] / codec.frame_rate[0]
    else:
        return
    if not due / _SCALE_OFF < lasts < due * _SCALE_OFF:
        scope.breach(SCALE, f"a sample lasts {lasts * 1000:.3f} ms in 1/{timescale}", f"about {due * 1000:.3f} ms, as its codec says")


def _check_rate(track: Track, level: Level, scope: Scope) -> None:
    streams = [samples for loaded in track.loaded for samples in loaded.media.streams]
    seconds = sum(int(samples.duration.sum()) / samples.timescale for samples in streams)
    if seconds < _RATE_SECONDS or not level.bitrate:
        return
    measured = 8 * sum(samples.size for samples in streams) / seconds
    if measured > 2 * level.bitrate:
        scope.breach(RATE, f"{measured:.0f} bit/s", f"about {level.bitrate}", line=level.values.line)
