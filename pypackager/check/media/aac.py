"""AudioSpecificConfig (ISO 14496-3 1.6.2.1) and what it says of a stream."""

from __future__ import annotations

from pypackager.check.media.bits import Bits
from pypackager.check.media.samples import Codec

RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350)
_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)


def read_config(data: bytes) -> Codec:
    """The codec that an AudioSpecificConfig stands for.

    Raises:
        ValueError: it ends early or names no known rate.
    """
    bits = Bits(data)
    try:
        kind, rate = _object_type(bits), _rate(bits)
        channels = bits.take(4)
        if kind in (5, 29):
            rate = _rate(bits)
            _object_type(bits)
        else:
            kind, rate = _extension(bits, kind, rate, channels)
    except EOFError:
        raise ValueError("the AudioSpecificConfig ends early") from None
    return Codec(f"mp4a.40.{kind}", "audio", bytes(data), sample_rate=rate, channels=_CHANNELS[channels] if channels < 8 else 0)


def _extension(bits: Bits, kind: int, rate: int, channels: int) -> tuple[int, int]:
    """SBR and PS that are signalled behind the core's configuration (ISO 14496-3 1.6.5.2)."""
    if channels == 0 or bits.left < 3 + 16:
        return kind, rate
    bits.flag()
    if bits.flag():
        bits.take(14)
    bits.flag()
    if bits.left < 17 or bits.take(11) != 0x2B7 or _object_type(bits) != 5 or not bits.flag():
        return kind, rate
    rate = _rate(bits)
    parametric = bits.left >= 12 and bits.take(11) == 0x548 and bits.flag()
    return 29 if parametric else 5, rate


def _object_type(bits: Bits) -> int:
    kind = bits.take(5)
    return 32 + bits.take(6) if kind == 31 else kind


def _rate(bits: Bits) -> int:
    index = bits.take(4)
    if index == 15:
        return bits.take(24)
    if index >= len(RATES):
        raise ValueError(f"sampling frequency index {index} is reserved")
    return RATES[index]
