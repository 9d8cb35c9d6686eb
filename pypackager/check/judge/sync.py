"""Tracks of one presentation against each other: sound and picture of one moment are listed, and muxed, at one moment."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from pypackager.check.finding import Scope
from pypackager.check.judge.continuity import main_stream
from pypackager.check.media.samples import Samples
from pypackager.check.presentation import Presentation
from pypackager.check.rules import rule

TRACKS = rule(
    "SYNC-TRACKS", "error", "RFC 8216bis 6.2.4", "all tracks map manifest times to media times alike",
    example="the dates of the audio playlist are 300 ms late against its samples, those of the video are right",
)  # fmt: skip
MUXED = rule(
    "SYNC-MUXED", "warning", "RFC 8216bis 3", "streams that are muxed in one segment start together, to half a second",
    example="a segment whose audio starts 900 ms before its video",
)  # fmt: skip

_MILLISECOND = Fraction(1, 1000)
_FREE = Fraction(1, 10)
"""Playlists without dates begin at zero each, and their first segments within a frame of each other. Where pictures are reordered, a
transport stream does not tell whether a date is of the decoding or of the showing; both are in use."""


def check_sync(presentation: Presentation, scope: Scope) -> None:
    """Checks a presentation."""
    reordered = False
    reference: dict[int, tuple[Fraction, Fraction, str]] = {}
    tracks = sorted(presentation.tracks, key=lambda track: not any(loaded.media.first("video") for loaded in track.loaded))
    for track in tracks:
        seen: set[int] = set()
        pictures = any(loaded.media.first("video") for loaded in track.loaded)
        for loaded in track.loaded:
            here = scope.at(track=track.label, url=loaded.listing.url, segment=loaded.listing.name)
            streams = [stream for stream in loaded.media.streams if len(stream)]
            starts = [Fraction(stream.begin, stream.timescale) for stream in streams]
            if len(starts) > 1 and max(starts) - min(starts) > Fraction(1, 2):
                here.breach(MUXED, f"streams start {float(max(starts) - min(starts)):.3f} s apart", "within 0.5 s")
            main, listing = main_stream(loaded), loaded.listing
            # Where the pictures of a muxed track have a gap, its sound does not start where they would.
            if main is None or (pictures and main.kind != "video") or listing.continuity in seen:
                continue
            seen.add(listing.continuity)
            shift = listing.start - Fraction(loaded.begin(main), main.timescale)
            slack = 2 * listing.exact + Fraction(1, main.timescale)
            if listing.continuity not in reference:
                reordered = _reordered(main)
                reference[listing.continuity] = shift, slack, track.label
                continue
            other, more, label = reference[listing.continuity]
            exact = (presentation.absolute or listing.media_start is not None) and not (reordered or _reordered(main))
            allowed = slack + more + (2 * _MILLISECOND if exact else _FREE)
            if abs(shift - other) > allowed:
                found = f"manifest minus media is {float(shift - other):+.4f} s against {label}"
                here.breach(TRACKS, found, f"within {float(allowed):.4f} s")


def _reordered(stream: Samples) -> bool:
    return stream.free_dts and bool((np.diff(stream.pts) < 0).any())
