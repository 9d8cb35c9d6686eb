"""BANDWIDTH and AVERAGE-BANDWIDTH against the segments (RFC 8216bis 4.4.6.2)."""

from __future__ import annotations

from fractions import Fraction

from pypackager.check.finding import Scope
from pypackager.check.hls.multivariant import Multivariant
from pypackager.check.presentation import Track
from pypackager.check.rules import rule

PEAK = rule(
    "HLS-BANDWIDTH", "error", "RFC 8216bis 4.4.6.2", "BANDWIDTH is at least the peak rate of variant and dearest renditions, to a tenth",
    example="BANDWIDTH=800000 over segments of 1.4 Mbit/s",
)  # fmt: skip
MEAN = rule(
    "HLS-AVERAGE-BANDWIDTH", "error", "RFC 8216bis 4.4.6.2", "AVERAGE-BANDWIDTH is at least the mean rate of all segments, to a tenth",
    example="AVERAGE-BANDWIDTH=500000 over a mean of 900 kbit/s",
)  # fmt: skip
LOOSE = rule(
    "HLS-BANDWIDTH-LOOSE", "note", "RFC 8216bis 4.4.6.2", "BANDWIDTH is not far above what is there: players would not choose the variant",
    example="BANDWIDTH=8000000 over segments of 1.4 Mbit/s",
)  # fmt: skip

_TOLERANCE = Fraction(11, 10)
_LOOSE = 3


def check_bandwidth(master: Multivariant, tracks: dict[str, Track], scope: Scope) -> None:
    """Checks each variant by the segments of its playlists; `tracks` by URL."""
    for variant in master.variants:
        parts = [[tracks[variant.url]]] if variant.url in tracks else []
        for kind in ("AUDIO", "VIDEO"):
            members = master.members(kind, variant.attributes.get(kind, ""))
            parts.append([tracks[entry.url] for entry in members if entry.url in tracks and entry.url != variant.url])
        if not all(track.claims.target_duration for each in parts for track in each):
            continue  # by how long segments may be is measured how long a peak is
        peak = sum(max((peak_bps(track) for track in each), default=0) for each in parts)
        mean = sum(max((mean_bps(track) for track in each), default=0) for each in parts)
        here = scope.at(track=parts[0][0].label) if parts and parts[0] else scope
        claimed, average = variant.number("BANDWIDTH"), variant.number("AVERAGE-BANDWIDTH")
        if claimed is not None and peak > claimed * _TOLERANCE:
            here.breach(PEAK, f"BANDWIDTH={claimed}", f"at least {peak}, the measured peak", line=variant.line)
        elif claimed is not None and peak and claimed > peak * _LOOSE:
            here.breach(LOOSE, f"BANDWIDTH={claimed}", f"about {peak}, the measured peak", line=variant.line)
        if average is not None and mean > average * _TOLERANCE:
            here.breach(MEAN, f"AVERAGE-BANDWIDTH={average}", f"at least {mean}, the measured mean", line=variant.line)


def peak_bps(track: Track) -> int:
    """The largest rate of neighbouring segments that last between half and one and a half target durations together."""
    target = track.claims.target_duration or Fraction(0)
    rows = [(loaded.listing.start, loaded.listing.duration, 8 * loaded.size) for loaded in track.loaded if loaded.listing.duration]
    peak = Fraction(0)
    for n, (start, _, _) in enumerate(rows):
        bits, length, at = 0, Fraction(0), start
        for begin, duration, size in rows[n:]:
            if abs(begin - at) > Fraction(1, 10) or length + duration > target * 3 / 2:
                break
            bits, length, at = bits + size, length + duration, begin + duration
            if length >= target / 2:
                peak = max(peak, bits / length)
    return int(peak)


def mean_bps(track: Track) -> int:
    """Bits of all segments over their duration."""
    length = sum((loaded.listing.duration for loaded in track.loaded), Fraction(0))
    return int(8 * sum(loaded.size for loaded in track.loaded) / length) if length else 0
