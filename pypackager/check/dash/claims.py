"""What an MPD says of a Representation against what its segments are (ISO/IEC 23009-1 5.3.5.2, 5.3.7.2).

In: Representations, and the segments that were loaded of each. Out: findings.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pypackager.check.dash.mpd import Mpd, Representation
from pypackager.check.dash.tree import Node
from pypackager.check.dash.values import parse_frame_rate
from pypackager.check.finding import Scope
from pypackager.check.media.samples import Codec, Samples
from pypackager.check.numerals import whole
from pypackager.check.presentation import Loaded, Track
from pypackager.check.rules import rule

_CLAUSE = "ISO 23009-1 5.3.7.2"

CODECS = rule(
    "DASH-CODECS", "error", _CLAUSE, "@codecs is what the initialisation segment says",
    example='codecs="avc1.42c01e" over a stream of profile High',
)  # fmt: skip
SIZE = rule(
    "DASH-SIZE", "error", _CLAUSE, "@width and @height are those of the pictures",
    example='width="1280" over pictures 1920 wide',
)  # fmt: skip
FRAME_RATE = rule(
    "DASH-FRAME-RATE", "error", _CLAUSE, "@frameRate is the rate of the pictures",
    example='frameRate="30" over 30000/1001 pictures a second',
)  # fmt: skip
SAMPLE_RATE = rule(
    "DASH-SAMPLING-RATE", "error", _CLAUSE, "@audioSamplingRate is that of the audio",
    example='audioSamplingRate="44100" over 48 kHz',
)  # fmt: skip
CHANNELS = rule(
    "DASH-CHANNELS", "error", "ISO 23009-1 5.8.5.4", "AudioChannelConfiguration is that of the audio",
    example='value="6" over stereo',
)  # fmt: skip
KIND = rule(
    "DASH-CONTENT", "error", _CLAUSE, "@mimeType and @contentType are what is in the segments",
    example='mimeType="video/mp4" over a track of audio',
)  # fmt: skip
BANDWIDTH = rule(
    "DASH-BANDWIDTH", "error", "ISO 23009-1 5.3.5.2",
    "at @bandwidth, playing after @minBufferTime from any segment never runs dry",
    example="800 kbit/s over a stretch of 10 s with 1.2 Mbit/s",
)  # fmt: skip
DECODED = rule(
    "DASH-DECODE-TIMES", "warning", "ISO 23009-1 5.3.9.6", "S@t is when a segment's first picture is shown, not when it is decoded",
    example="S@t is tfdt, and the first picture is shown two frames later",
)  # fmt: skip

_CHANNEL_SCHEMES = (
    "urn:mpeg:dash:23003:3:audio_channel_configuration:2011", "urn:mpeg:mpegB:cicp:ChannelConfiguration",
)  # fmt: skip
_CHANNEL_COUNTS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 8: 2, 9: 3, 10: 4, 11: 7, 12: 8, 13: 24, 14: 8}
"""ISO/IEC 23091-3 table 10."""


@dataclass
class Claimed:
    """A Representation of one Period, and the track that it is part of."""

    track: Track
    continuity: int
    mpd: Mpd
    representation: Representation

    @property
    def loaded(self) -> list[Loaded]:
        """Its segments."""
        return [loaded for loaded in self.track.loaded if loaded.listing.continuity == self.continuity]


def check_claims(claimed: Claimed, scope: Scope) -> None:
    """Checks a Representation."""
    scope = scope.at(url=claimed.mpd.url)
    loaded = claimed.loaded
    streams = [stream for each in loaded for stream in each.media.streams if len(stream)]
    if not streams:
        return
    representation = claimed.representation
    _check_kind(representation, streams, scope)
    codecs = list(dict.fromkeys(stream.codec for stream in streams if stream.codec is not None))
    _check_codecs(representation, codecs, scope)
    for codec in codecs[:1]:
        if codec.kind == "video":
            _check_size(representation, codec, scope)
        elif codec.kind == "audio":
            _check_audio(representation, codec, scope)
    if streams[0].kind == "video":
        _check_frame_rate(representation, [stream for stream in streams if stream.kind == "video"], scope)
    _check_shown(loaded, scope)
    _check_bandwidth(claimed, loaded, scope)


def _check_shown(loaded: list[Loaded], scope: Scope) -> None:
    for each in loaded:
        for stream in each.media.streams:
            shown = int(stream.pts.min()) if len(stream) else 0
            if len(stream) and each.listing.media_start == Fraction(stream.begin, stream.timescale) and shown != stream.begin:
                found = f"t is the decode time; the first picture is shown {shown - stream.begin:+d} ticks of 1/{stream.timescale} from it"
                scope.at(segment=each.listing.name).breach(DECODED, found, f"t of {shown}", line=each.listing.line)
                return


def _check_kind(representation: Representation, streams: list[Samples], scope: Scope) -> None:
    kinds = {stream.kind for stream in streams}
    # A transport stream is called video though its audio is in it.
    muxed = representation.values.get("mimeType") == "video/mp2t"
    for name in ("contentType", "mimeType"):
        stated = representation.values.get(name, "").partition("/")[0]
        if stated in ("video", "audio") and kinds != {stated} and not (muxed and stated in kinds):
            found = f"{name}={representation.values[name]} over {', '.join(sorted(kinds))}"
            scope.breach(KIND, found, "what is in the segments, and one kind", line=representation.line)
            return


def _check_codecs(representation: Representation, codecs: list[Codec], scope: Scope) -> None:
    stated = representation.values.get("codecs")
    if stated is None:
        return
    claims = [claim.strip() for claim in stated.split(",")]
    for name in dict.fromkeys(codec.name for codec in codecs):
        if not any(_agrees(claim, name) for claim in claims):
            scope.breach(CODECS, stated, name, line=representation.line)


def _agrees(claim: str, name: str) -> bool:
    """A name without a dot is all that the reader could say of the codec."""
    if "." not in name:
        return claim.partition(".")[0] == name
    # RFC 6381 3.3 lets the object type be left out; hexadecimal digits may be of either case.
    return claim.lower() == name.lower()


def _check_size(representation: Representation, codec: Codec, scope: Scope) -> None:
    values = representation.values
    for name, actual in (("width", codec.width), ("height", codec.height)):
        if actual and (stated := whole(values.get(name, ""))) is not None and stated != actual:
            scope.breach(SIZE, f"{name}={values[name]}", actual, line=representation.line)


def _check_audio(representation: Representation, codec: Codec, scope: Scope) -> None:
    rates = [rate for text in representation.values.get("audioSamplingRate", "").split() if (rate := whole(text)) is not None]
    # SBR doubles the rate of the core, and either may be stated.
    doubled = codec.name in ("mp4a.40.5", "mp4a.40.29")
    actual = (codec.sample_rate, codec.sample_rate // 2) if doubled else (codec.sample_rate,)
    if rates and codec.sample_rate and not set(rates) & set(actual):
        scope.breach(SAMPLE_RATE, representation.values["audioSamplingRate"], codec.sample_rate, line=representation.line)
    node = representation.node.first("AudioChannelConfiguration") or representation.set.first("AudioChannelConfiguration")
    stated = _channels(node)
    # Parametric stereo makes two channels of the one that is coded.
    if stated is not None and codec.channels and codec.name != "mp4a.40.29" and stated != codec.channels and node is not None:
        scope.breach(CHANNELS, f"value={node.values['value']}", f"{codec.channels} channels", line=node.line)


def _channels(node: Node | None) -> int | None:
    if node is None or node.values.get("schemeIdUri") not in _CHANNEL_SCHEMES:
        return None
    number = whole(node.values.get("value", ""))
    return _CHANNEL_COUNTS.get(number) if number is not None else None


def _check_frame_rate(representation: Representation, streams: list[Samples], scope: Scope) -> None:
    claim = parse_frame_rate(representation.values.get("frameRate", ""))
    # From the first picture to the last: how long the last one lasts is another rule's matter.
    frames = sum(max(0, len(stream) - 1) for stream in streams)
    seconds = sum((Fraction(int(stream.dts[-1] - stream.dts[0]), stream.timescale) for stream in streams if len(stream)), Fraction(0))
    if not claim or seconds <= 0:
        return
    # A tick more or less at both ends of each segment, and a two-thousandth: 30 is not 30000/1001.
    slack = claim / 2000 + 2 * claim * sum((Fraction(1, stream.timescale) for stream in streams), Fraction(0)) / seconds
    measured = frames / seconds
    # An encoder that paused for a moment between two pictures has not another rate: the usual distance of pictures tells as well.
    steps = np.concatenate([np.diff(np.sort(stream.pts)) / stream.timescale for stream in streams])
    usual = 1 / float(np.median(steps)) if len(steps) and np.median(steps) > 0 else float(measured)
    if abs(measured - claim) > slack and abs(usual - float(claim)) > slack:
        scope.breach(FRAME_RATE, f"frameRate={representation.values['frameRate']}", f"{float(measured):.3f}", line=representation.line)


def _check_bandwidth(claimed: Claimed, loaded: list[Loaded], scope: Scope) -> None:
    rate = claimed.representation.node.number("bandwidth")
    buffered = claimed.mpd.duration("minBufferTime")
    if not rate or buffered is None:
        return
    most = excess = Fraction(0)
    bits, seconds, first = 0, Fraction(0), ""
    worst = (0, Fraction(0), "")
    for each in loaded:
        more = 8 * each.size - rate * each.listing.duration
        if excess <= 0:
            excess, bits, seconds, first = Fraction(0), 0, Fraction(0), each.listing.name
        excess += more
        bits, seconds = bits + 8 * each.size, seconds + each.listing.duration
        if excess > most:
            most, worst = excess, (bits, seconds, first)
    if most > rate * buffered:
        found = f"{worst[0]} bits for {float(worst[1]):.3f} s from segment {worst[2]} on"
        scope.breach(BANDWIDTH, found, f"at most {rate} bit/s after {float(buffered):g} s", line=claimed.representation.line)
