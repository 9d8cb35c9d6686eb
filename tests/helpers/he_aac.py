"""HE-AAC material: recorded frames (tests/data/he-aac) beside a picture, in an MP4 file that signals SBR and PS in a way of choice.

In: which recording and which AudioSpecificConfig. Out: the path of an MP4 file for an encoder to send.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.stream import Stream

from tests.helpers.media import VIDEO_ONLY, material

_DATA = Path(__file__).resolve().parents[1] / "data" / "he-aac"
_ADTS_HEADER = 7


@dataclass(frozen=True)
class HeAac:
    """A recording and how its file signals it (ISO 14496-3 1.6.5)."""

    name: str
    file: str
    config: str
    """The AudioSpecificConfig, in hexadecimal."""
    codec: str
    """What must be announced of it: the RFC 6381 name."""
    sample_rate: int
    """What must be announced of it."""
    frame_ticks: int
    """Length of a frame at that rate."""


V1 = HeAac("v1-compatible", "he_v1.aac", "131056e598", "mp4a.40.5", 48_000, 2048)
"""Backward compatible: a config of AAC-LC with an extension behind it."""
V1_HIERARCHICAL = HeAac("v1-hierarchical", "he_v1.aac", "2b118800", "mp4a.40.5", 48_000, 2048)
V1_IMPLICIT = HeAac("v1-implicit", "he_v1.aac", "1310", "mp4a.40.2", 24_000, 1024)
"""Only who decodes it learns of SBR: the core is all that can be announced."""
V2 = HeAac("v2-hierarchical", "he_v2.aac", "eb8a0800", "mp4a.40.29", 44_100, 2048)
V2_COMPATIBLE = HeAac("v2-compatible", "he_v2.aac", "138856e5a54880", "mp4a.40.29", 44_100, 2048)


def raw_frames(path: Path) -> list[bytes]:
    """The frames of an ADTS file without their headers."""
    data, frames, at = path.read_bytes(), [], 0
    while at < len(data):
        size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        frames.append(data[at + _ADTS_HEADER : at + size])
        at += size
    return frames


def he_aac_material(sound: HeAac, path: Path) -> Path:
    """Writes twelve seconds of picture and of `sound` to `path`."""
    picture = material(VIDEO_ONLY)
    with av.open(str(picture)) as source, av.open(str(_DATA / sound.file)) as recording, av.open(str(path), "w", format="mp4") as out:
        video = out.add_stream_from_template(source.streams.video[0])
        audio = out.add_stream_from_template(recording.streams.audio[0])
        audio.codec_context.extradata = bytes.fromhex(sound.config)
        packets: list[tuple[Fraction, av.Packet[Any], Stream]] = [
            (packet.dts * packet.time_base, packet, video) for packet in source.demux() if packet.dts is not None
        ]
        for n, frame in enumerate(raw_frames(_DATA / sound.file)):
            time = n * sound.frame_ticks
            if time >= VIDEO_ONLY.seconds * sound.sample_rate:
                break
            packet = av.Packet(frame)
            packet.dts = packet.pts = time
            packet.duration = sound.frame_ticks
            packet.time_base = Fraction(1, sound.sample_rate)
            packets.append((time * packet.time_base, packet, audio))
        for _, packet, stream in sorted(packets, key=lambda entry: entry[0]):
            packet.stream = stream
            out.mux(packet)
    return path
