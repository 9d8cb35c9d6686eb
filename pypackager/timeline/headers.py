"""What two headers of one track differ in, for a person."""

from __future__ import annotations

from pypackager._core import TrackHeader


def difference(old: TrackHeader, new: TrackHeader) -> str:
    """What a decoder has to be set up anew for."""
    pairs = (
        ("codec", old.codec, new.codec),
        ("size", f"{old.width}x{old.height}", f"{new.width}x{new.height}"),
        ("sample rate", f"{old.sample_rate} Hz", f"{new.sample_rate} Hz"),
        ("channels", f"{old.channels}", f"{new.channels}"),
    )
    found = [f"{what} {before}, now {after}" for what, before, after in pairs if before != after]
    if not found and old.codec_private != new.codec_private:
        found = ["other parameter sets"]
    return ", ".join(found) or "other announcements (rate, aspect or language)"
