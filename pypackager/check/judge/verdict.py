"""Runs every judge over what was walked, and sums the tracks up."""

from __future__ import annotations

from fractions import Fraction

from pypackager.check.finding import Report, TrackSummary
from pypackager.check.judge.continuity import check_continuity, main_stream
from pypackager.check.judge.keys import check_keys
from pypackager.check.judge.unwrap import unwrap
from pypackager.check.presentation import Presentation, Track
from pypackager.check.session import Session


def judge(presentation: Presentation, session: Session) -> None:
    """Judges one presentation."""
    for track in presentation.tracks:
        scope = session.scope.at(track=track.label)
        unwrap(track)
        check_continuity(track, scope)
        check_keys(track, scope)


def judge_together(presentations: list[Presentation], report: Report) -> None:
    """Judges presentations against each other: they must carry the same frames at the same times."""


def summarise(presentation: Presentation, report: Report) -> None:
    """Adds a line per track to the report."""
    report.tracks += [_summary(presentation, track) for track in presentation.tracks]


def _summary(presentation: Presentation, track: Track) -> TrackSummary:
    seconds = Fraction(0)
    frames = 0
    for loaded in track.loaded:
        main = main_stream(loaded)
        if main is not None:
            seconds += Fraction(main.end - main.begin, main.timescale)
            frames += len(main)
    size = sum(loaded.size for loaded in track.loaded)
    gaps = sum(listing.gap for listing in track.listings.values())
    bps = int(8 * size / seconds) if seconds else 0
    return TrackSummary(presentation.label, track.label, len(track.loaded), float(seconds), bps, frames, gaps)
