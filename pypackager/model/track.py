"""Tracks of a channel and the codec configurations they went through."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["video", "audio"]


class TrackConfig(msgspec.Struct, frozen=True, array_like=True):
    """One codec configuration of a track: everything a manifest says of it, and its CMAF header.

    Two configurations are the same when their `hash` is the same.
    """

    hash: str
    """First 12 hex digits of the SHA-256 of `init`; part of the init URL, so that a URL never changes its content."""
    codec: str
    """RFC 6381 string, for instance ``avc1.64001F`` or ``mp4a.40.2``."""
    codec_private: bytes
    """Decoder configuration: the AVCDecoderConfigurationRecord or the AudioSpecificConfig."""
    init: bytes
    """CMAF header (`ftyp` + `moov`)."""
    width: int = 0
    height: int = 0
    frame_rate: tuple[int, int] = (0, 1)
    """Frames per second as a ratio; (0, 1) when unknown."""
    pixel_aspect: tuple[int, int] = (1, 1)
    sample_rate: int = 0
    """Rate in Hz that a decoder gives out."""
    channels: int = 0
    frame_ticks: int = 0
    """Audio: ticks of one access unit in the track's timescale; video: 0."""


class TrackInfo(msgspec.Struct, frozen=True, array_like=True):
    """A track of a channel: its identity, stable over restarts, encoders and configurations."""

    id: str
    """[a-z0-9_-]+, unique in the channel; used in URLs, on disk and in the API."""
    number: int
    """CMAF track_ID and the order in manifests: 1, 2, … by bit rate for what was announced together, else in order of first appearance."""
    kind: Kind
    timescale: int
    """Ticks per second of every stored time of this track; never changes."""
    bitrate: int
    """Bits per second that name the track in Smooth URLs: unique among the channel's tracks of a kind; never changes."""
    language: str = "und"
    """ISO 639-2/T or BCP 47 code."""
    name: str = ""
    """For people; may be empty."""
    role: str = "main"


def picture_group(info: TrackInfo, config: TrackConfig) -> tuple[object, ...]:
    """What the pictures have in common that players may switch between: codec family, role and shape."""
    # Encoders round the lower layers to even sizes: shapes that differ by less than two per cent are one.
    shape = round(50 * config.width * config.pixel_aspect[0] / (config.height * config.pixel_aspect[1] or 1))
    return ("video", config.codec.partition(".")[0], info.role, shape)
