"""What manifests say of codecs, sizes and rates, against what the bitstream says; and that it stays so inside a continuity."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from pypackager.check.finding import Scope
from pypackager.check.media.samples import Codec, Samples
from pypackager.check.presentation import Loaded, Track
from pypackager.check.rules import rule

CODECS = rule(
    "MEDIA-CODECS", "error", "RFC 6381 3.2", "each stream's codec is announced, profile and level included",
    example='CODECS="avc1.42001e" over a bitstream of High profile',
)  # fmt: skip
RESOLUTION = rule(
    "MEDIA-RESOLUTION", "error", "RFC 8216bis 4.4.6.2", "the announced size is that of the pictures",
    example="RESOLUTION=1280x720 over pictures of 640x360",
)  # fmt: skip
FRAME_RATE = rule(
    "MEDIA-FRAME-RATE", "error", "RFC 8216bis 4.4.6.2", "the announced frame rate is that of the pictures",
    example="FRAME-RATE=50.000 over 25 pictures a second",
)  # fmt: skip
SOUND = rule(
    "MEDIA-AUDIO", "error", "RFC 8216bis 4.4.6.1", "the announced sample rate and channels are those of the sound",
    example='CHANNELS="6" over stereo',
)  # fmt: skip
CHANGE = rule(
    "MEDIA-CONFIG-CHANGE", "error", "RFC 8216bis 4.4.4.3", "inside a continuity streams keep their number, type and decoder configuration",
    example="another SPS without EXT-X-DISCONTINUITY or a new period",
)  # fmt: skip

_PARAMETRIC_STEREO = "mp4a.40.29"
_SBR = {"mp4a.40.5", _PARAMETRIC_STEREO}
_CORE_HZ = 24_000
"""The highest rate of a core whose output has twice as much."""


def check_codecs(track: Track, scope: Scope) -> None:
    """Checks a track."""
    before: Loaded | None = None
    # What was encoded otherwise stays in the window for a while; one playlist can only announce what is there now.
    newest = track.loaded[-1].listing.continuity if track.loaded else 0
    told: set[str] = set()
    for loaded in track.loaded:
        here = scope.at(url=loaded.listing.url, segment=loaded.listing.name)
        if before is not None and before.listing.continuity == loaded.listing.continuity:
            _check_change(before, loaded, here)
        if loaded.media.streams:
            before = loaded
        for stream in loaded.media.streams if loaded.listing.continuity == newest else ():
            # A claim that is wrong is wrong for every segment: the first one is where it is told.
            if stream.kind not in told and len(stream) and _check_claims(track, stream, here):
                told.add(stream.kind)
    if "video" not in told:
        _check_rate(track, scope)


def _check_change(before: Loaded, after: Loaded, scope: Scope) -> None:
    ours, theirs = ([_shape(stream) for stream in each.media.streams] for each in (after, before))
    if not after.media.states_streams:
        # What is absent for a segment is not gone.
        kinds = {kind for kind, _ in ours} & {kind for kind, _ in theirs}
        ours, theirs = ([each for each in shapes if each[0] in kinds] for shapes in (ours, theirs))
    if ours and theirs and [kind for kind, _ in ours] != [kind for kind, _ in theirs]:
        scope.breach(CHANGE, " ".join(kind for kind, _ in ours), " ".join(kind for kind, _ in theirs))
        return
    for (kind, one), (_, other) in zip(ours, theirs, strict=False):
        if one is not None and other is not None and one.config != other.config:
            scope.breach(CHANGE, f"{kind} {one.name} {one.config.hex()[:48]}", f"{other.name} {other.config.hex()[:48]}, as before")


def _shape(stream: Samples) -> tuple[str, Codec | None]:
    return stream.kind, stream.codec


def _check_claims(track: Track, stream: Samples, scope: Scope) -> bool:
    """Whether something was found."""
    claims, codec = track.claims, stream.codec
    if codec is None:
        return False
    wrong = False
    announced = {each.lower() for each in claims.codecs}
    # ADTS names the core of HE-AAC only (ISO 14496-3 1.6.5.3).
    names = {codec.name.lower()} | (_SBR if stream.free_dts and codec.name == "mp4a.40.2" else frozenset[str]())
    if announced and "." in codec.name and not names & announced:
        scope.breach(CODECS, f"{', '.join(claims.codecs)} announced", codec.name)
        wrong = True
    if stream.kind == "video" and claims.width and claims.height and codec.width:
        across, down = codec.pixel_aspect
        # RESOLUTION is for the display, and many write the coded size: both are true.
        widths = {codec.width, (2 * codec.width * across + down) // (2 * down)}
        if claims.height != codec.height or claims.width not in widths:
            scope.breach(RESOLUTION, f"{claims.width}x{claims.height} announced", f"{codec.width}x{codec.height} at {across}:{down}")
            wrong = True
    if stream.kind == "audio":
        # Of HE-AAC some announce the core's rate (implicit signalling), some the output's.
        rates = {codec.sample_rate, 2 * codec.sample_rate} if announced & _SBR else {codec.sample_rate}
        if claims.sample_rate and codec.sample_rate and claims.sample_rate not in rates:
            scope.breach(SOUND, f"{claims.sample_rate} Hz announced", f"{codec.sample_rate} Hz")
            wrong = True
        # Parametric stereo makes two channels of one, and a core at a low rate need not say that it is there (ISO 14496-3 8.6.4).
        parametric = codec.name == _PARAMETRIC_STEREO or 0 < codec.sample_rate <= _CORE_HZ
        stereo = claims.channels == 2 and codec.channels == 1 and parametric
        if claims.channels and codec.channels and claims.channels != codec.channels and not (stereo or announced & _SBR):
            scope.breach(SOUND, f"{claims.channels} channels announced", codec.channels)
            wrong = True
    return wrong


def _check_rate(track: Track, scope: Scope) -> None:
    claimed = track.claims.frame_rate
    if not claimed:
        return
    steps = [
        np.diff(np.sort(stream.pts)) / stream.timescale
        for loaded in track.loaded
        for stream in loaded.media.streams
        if stream.kind == "video"
    ]
    joined = np.concatenate(steps) if steps else np.zeros(0)
    if len(joined) < 5:
        return
    # The median: a lost frame or a jitter of milliseconds is not the rate.
    rate = Fraction(1 / float(np.median(joined))).limit_denominator(1001)
    mean = len(joined) / float(joined.sum())
    if abs(rate - claimed) > claimed / 20 and abs(mean - claimed) > claimed / 20:
        scope.breach(FRAME_RATE, f"{float(claimed):.3f} announced", f"{mean:.3f} pictures a second")
