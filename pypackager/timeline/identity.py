"""When two headers of a track are one configuration (docs/design/time.md, "Interchangeable headers").

In: what a decoder is told. Out: a name for what of it makes a difference. Never: the boxes around it; the core has left them out.
"""

from __future__ import annotations

import hashlib
from typing import Protocol


class Configured(Protocol):
    """A header as a source announces it, or as it is journalled."""

    @property
    def codec(self) -> str:
        """RFC 6381 string."""
        ...

    @property
    def codec_private(self) -> bytes:
        """AVCDecoderConfigurationRecord or AudioSpecificConfig."""
        ...

    @property
    def sample_rate(self) -> int:
        """That a decoder gives out; 0 of pictures."""
        ...

    @property
    def channels(self) -> int:
        """Of sound; 0 where a program config element says it, and of pictures."""
        ...

    @property
    def frame_ticks(self) -> int:
        """Of an access unit of sound."""
        ...

    @property
    def width(self) -> int:
        """In pixels; 0 of sound."""
        ...

    @property
    def height(self) -> int:
        """In pixels; 0 of sound."""
        ...


def identity(header: Configured) -> str:
    """The same text for headers that are interchangeable: a decoder that was set up with one decodes what goes with the other."""
    record = header.codec_private
    if header.sample_rate and header.channels:
        # How an AudioSpecificConfig says it (with or without the explicit word on SBR, or bytes behind it) is no difference.
        what = b"%d %d %d" % (header.sample_rate, header.channels, header.frame_ticks)
    else:
        what = b" ".join(sorted(sets)) if (sets := _parameter_sets(record)) is not None else record
    return hashlib.sha256(header.codec.encode() + b" " + what).hexdigest()[:16]


def difference(old: Configured, new: Configured) -> str:
    """What of another header makes the difference, for the operator."""
    said = {
        "codec": (old.codec, new.codec),
        "picture": (f"{old.width}x{old.height}", f"{new.width}x{new.height}"),
        "sample rate": (old.sample_rate, new.sample_rate),
        "channels": (old.channels, new.channels),
        "ticks of a frame": (old.frame_ticks, new.frame_ticks),
    }
    found = [f"{what} {after} in place of {before}" for what, (before, after) in said.items() if before != after]
    return ", ".join(found) or f"other {'parameter sets' if new.width else 'settings of the decoder'} of the same codec"


def _parameter_sets(record: bytes) -> set[bytes] | None:
    """Parameter sets of an AVCDecoderConfigurationRecord (ISO 14496-15 5.3.3.1); None when it is none. Pictures name them by number."""
    if len(record) < 7 or record[0] != 1:
        return None
    found: set[bytes] = set()
    at = 5
    for mask in (0x1F, 0xFF):
        if at >= len(record):
            return None
        count, at = record[at] & mask, at + 1
        for _ in range(count):
            size = int.from_bytes(record[at : at + 2], "big")
            unit, at = record[at + 2 : at + 2 + size], at + 2 + size
            if not size or len(unit) < size:
                return None
            # No NAL unit ends in a zero (ITU-T H.264 7.4.1): what stands there is padding.
            found.add(unit.rstrip(b"\0").hex().encode())
    return found
