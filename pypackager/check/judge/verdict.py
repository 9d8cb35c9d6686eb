"""Runs every judge over what was walked, and sums the tracks up."""

from __future__ import annotations

from fractions import Fraction

from pypackager.check.finding import Report, TrackSummary
from pypackager.check.judge.clock import check_clock_goes_on
from pypackager.check.judge.codecs import check_codecs
from pypackager.check.judge.compare import check_same
from pypackager.check.judge.continuity import check_continuity, main_stream
from pypackager.check.judge.keys import check_keys
from pypackager.check.judge.liveness import check_liveness
from pypackager.check.judge.sync import check_sync
from pypackager.check.judge.unwrap import unwrap
from pypackager.check.presentation import Presentation, Track
from pypackager.check.session import Session


def judge(presentation: Presentation, session: Session) -> None:
    """Judges one presentation."""
    for track in presentation.tracks:
        scope = session.scope.at(track=track.label)
        unwrap(track)
        check_continuity(track, scope)
        check_clock_goes_on(track, scope)
        check_keys(track, scope)
        check_codecs(track, scope)
    check_sync(presentation, session.scope)
    check_liveness(presentation, session.scope)


def judge_together(presentations: list[Presentation], report: Report, *, whole: bool) -> None:
    """Judges presentations against the first: they must carry the same frames at the same times."""
    for other in presentations[1:]:
        check_same(presentations[0], other, report, whole=whole)


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
