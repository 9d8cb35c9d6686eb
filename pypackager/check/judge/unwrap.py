"""Makes whole times of times that containers cut: 33 bits in transport streams, 32 bits of milliseconds in FLV."""

from __future__ import annotations

from pypackager.check.presentation import Track


def unwrap(track: Track) -> None:
    """Moves the times of each segment by whole wraps to where the manifest says it lies against the segment before."""
    known: dict[tuple[str, int, int], tuple[int, float]] = {}
    for loaded in track.loaded:
        listing = loaded.listing
        for stream in loaded.media.streams:
            if not stream.wrap or not len(stream):
                continue
            key = (stream.kind, stream.ident, listing.continuity)
            start = float(listing.start)
            if key in known:
                dts, listed = known[key]
                due = dts + round((start - listed) * stream.timescale)
                turns = round((due - int(stream.dts[0])) / stream.wrap)
                stream.dts = stream.dts + turns * stream.wrap
                stream.pts = stream.pts + turns * stream.wrap
            known[key] = int(stream.dts[0]), start
