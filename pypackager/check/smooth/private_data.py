"""CodecPrivateData ([MS-SSTR] 2.2.2.5): what takes the place of an initialisation segment.

In: a level. Out: its codec, or None. Two rules: it can be read, and the other attributes say the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pypackager.check.finding import Scope
from pypackager.check.media.aac import read_config
from pypackager.check.media.avc import read_parameter_sets
from pypackager.check.media.mp4_header import Mp4Header, Mp4Track, read_avcc
from pypackager.check.media.samples import Codec, Kind
from pypackager.check.rules import rule
from pypackager.check.smooth.manifest import Level, Stream

PRIVATE = rule(
    "SMOOTH-CODEC-PRIVATE", "error", "MS-SSTR 2.2.2.5", "a decoder opens with CodecPrivateData: SPS and PPS, or an AudioSpecificConfig",
    example="an SPS alone, without a PPS",
)  # fmt: skip
AGREES = rule(
    "SMOOTH-CODEC-AGREES", "error", "MS-SSTR 2.2.2.5", "size, rate, channels and FourCC of a level are those of its CodecPrivateData",
    example='SamplingRate="48000" over an AudioSpecificConfig of 44,100 Hz',
)  # fmt: skip
LARGER = rule(
    "SMOOTH-SIZE-DIFFERS", "warning", "MS-SSTR 2.2.2.5", "MaxWidth and MaxHeight are those of CodecPrivateData, unless pictures grow",
    example='MaxWidth="1280" over an SPS of 640 pixels',
)  # fmt: skip

_AVC = ("H264", "AVC1", "X264", "DAVC")
_AAC = {"AACL": ("mp4a.40.2",), "AACH": ("mp4a.40.5", "mp4a.40.29")}
_START_CODE = re.compile(rb"\x00{2,}\x01")
_KINDS: dict[str, Kind] = {"video": "video", "audio": "audio", "text": "text"}


def make_header(stream: Stream, level: Level, codec: Codec | None) -> Mp4Header:
    """The header by which the fragments of a level are read; they may have any track_ID."""
    length = level.values.number("NALUnitLengthField") or 4
    avc = codec is not None and codec.name.startswith("avc1")
    kind = _KINDS.get(stream.type, "data")
    track = Mp4Track(0, kind, stream.timescale, stream.values.text("Language") or "und", codec, length_size=length if avc else 0)
    return Mp4Header(tracks={0: track})


def read_private_data(stream: Stream, level: Level, scope: Scope) -> Codec | None:
    """The codec of a level."""
    values = level.values
    fourcc = values.text("FourCC") or ("H264" if stream.type == "video" else "")
    data = bytes.fromhex(values.text("CodecPrivateData"))
    try:
        if fourcc in _AVC:
            codec = _read_avc(data)
        elif fourcc in _AAC:
            codec = read_config(data)
        else:
            return Codec(fourcc.lower(), _KINDS.get(stream.type, "data"), data)
    except ValueError as fault:
        scope.breach(PRIVATE, str(fault), "a configuration that a decoder can be opened with", line=values.line)
        return None
    _check(values.number, codec, fourcc, scope, values.line)
    return codec


def split_annex_b(data: bytes) -> list[bytes]:
    """NAL units between start codes (ISO 14496-10 annex B); empty when it does not start with one."""
    if not _START_CODE.match(data):
        return []
    return [unit for part in _START_CODE.split(data) if (unit := part.rstrip(b"\x00"))]


def _read_avc(data: bytes) -> Codec:
    if data[:1] == b"\x01":
        return read_avcc(data, "avc1")[0]
    units = split_annex_b(data)
    if not any(unit[0] & 0x1F == 8 for unit in units):
        raise ValueError("no picture parameter set behind a start code")
    return read_parameter_sets(units)


def _check(number: Callable[[str], int | None], codec: Codec, fourcc: str, scope: Scope, line: int) -> None:
    if codec.kind == "video":
        said = (number("MaxWidth"), number("MaxHeight"))
        if said[0] is not None and said[1] is not None and said != (codec.width, codec.height):
            smaller = said[0] < codec.width or said[1] < codec.height
            found = f"MaxWidth and MaxHeight are {said[0]}x{said[1]}"
            scope.breach(AGREES if smaller else LARGER, found, f"{codec.width}x{codec.height}, as the SPS", line=line)
        return
    if codec.name not in _AAC[fourcc]:
        scope.breach(AGREES, f"FourCC {fourcc}", f"that of {codec.name}", line=line)
    rate, channels = number("SamplingRate"), number("Channels")
    # With SBR the rate may be that of the core, and PS makes two channels of one.
    high = fourcc == "AACH"
    if rate is not None and rate != codec.sample_rate and not (high and 2 * rate == codec.sample_rate):
        scope.breach(AGREES, f"SamplingRate {rate}", codec.sample_rate, line=line)
    if channels is not None and codec.channels and channels != codec.channels and not (high and {channels, codec.channels} == {1, 2}):
        scope.breach(AGREES, f"Channels {channels}", codec.channels, line=line)
