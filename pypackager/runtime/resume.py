"""Puts a timeline back where the journal says it was: tracks and their places, edge, rhythm, clocks, fragments not yet published."""

from __future__ import annotations

import numpy as np

from pypackager.dvr.ledger import Ledger
from pypackager.dvr.track import Track
from pypackager.model.records import FLAG_CLOSES, FLAG_GAP, FLAG_PARTIAL, FLAG_PERIOD, FLAG_SYNC, Measured
from pypackager.timeline.clocks import Clock
from pypackager.timeline.feeds import Now
from pypackager.timeline.gops import BLIND_NS
from pypackager.timeline.identity import identity
from pypackager.timeline.merge import TAKEN, insert, judge
from pypackager.timeline.pending import Fragment, TrackLine
from pypackager.timeline.rhythm import UTC_NS, Segmenter
from pypackager.timeline.timeline import Timeline
from pypackager.timeline.times import SECOND_NS, from_ns, to_ns

TRIMMED = -2
"""Period of a track whose last row is older than anything kept."""


def resume_timeline(timeline: Timeline, ledger: Ledger, now: Now, past_ns: int = 0) -> None:
    """Fills a fresh timeline from a replayed ledger; all times up to `past_ns` were used by earlier channels of the name."""
    publisher = timeline.publisher
    timeline.anchor_ns = ledger.anchor_ns
    publisher.period = ledger.periods[-1].number if ledger.periods else -1
    ends = [to_ns(track.last_end, track.info.timescale) for track in ledger.tracks.values() if track.segment >= 0]
    publisher.last_end_ns = max(ends, default=past_ns or None)
    for track in ledger.tracks.values():
        line = _line(track, now)
        if track.columns.end <= ledger.since.get(track.info.number, -1):
            # Before the last reset: it is known, and nobody waits for it.
            line.retired, line.left_ns, line.last_time = True, None, track.last_time
        elif track.segment >= 0:
            _go_on(line, track, publisher.period)
        if line.edge is None and publisher.last_end_ns is not None:
            line.edge = from_ns(publisher.last_end_ns, track.info.timescale)
        _wait(line, track, now)
        timeline.lines[track.info.id] = line
    timeline.reach_ns = max((end for line in timeline.lines.values() if (end := line.newest_ns()) is not None), default=past_ns or None)
    timeline.tracks.placed(ledger.places.values())
    timeline.signals.resume(ledger.signals.infos())
    for placed in ledger.clocks.values():
        # How far the encoder was from the wall clock is known from the edge only: the next connection is compared with both.
        source_ns = (publisher.last_end_ns or 0) - placed.offset_s * SECOND_NS
        timeline.clocks.all.append(Clock(placed.clock, placed.side, placed.offset_s, 0, max(0, source_ns)))
    publisher.first_segment = 1 + max((track.segment for track in ledger.tracks.values()), default=-1)
    if ledger.measured is not None and not ledger.fresh:
        measured = ledger.measured
        shared = timeline.options.mode == "source" and (publisher.last_end_ns or 0) >= UTC_NS
        rhythm = Measured(measured.interval_ns, measured.fragments_per_segment, ledger.target_duration_s)
        publisher.rhythm = Segmenter(rhythm, shared=shared)
        _resume_segment(publisher.rhythm, ledger)
        for track in ledger.tracks.values():
            if len(track.columns):
                _resume_place(timeline.lines[track.info.id], track, publisher.rhythm)


def _line(track: Track, now: Now) -> TrackLine:
    configs = {identity(config): number for number, config in track.configs.items()}
    return TrackLine(track.info, peak_bps=track.peak_bps, configs=configs, left_ns=now.mono_ns)


def _go_on(line: TrackLine, track: Track, period: int) -> None:
    """The line stands where the track's last row ends."""
    line.config = line.newest_config = track.config or None
    line.header = track.configs.get(track.config)
    line.edge, line.last_time, line.segment = track.last_end, track.last_time, track.segment
    line.period = _last_period(track)
    line.closed, line.gap = bool(_last_flags(track) & FLAG_CLOSES), bool(_last_flags(track) & FLAG_GAP)
    line.held_ns = to_ns(_held(track), track.info.timescale)
    line.keyless = track.info.kind == "video" and _is_keyless(track)
    # A period in which it has no row began without it.
    line.retired = line.period < period
    for duration in _last_durations(track):
        line.went_on(to_ns(duration, track.info.timescale))


def _wait(line: TrackLine, track: Track, now: Now) -> None:
    """What was written and not published waits again."""
    for waiting in sorted(track.pending.values(), key=lambda f: f.time):
        if line.edge is not None and waiting.time < line.edge - line.tolerance:
            continue
        partial = bool(waiting.flags & FLAG_PARTIAL)
        # Of which clock it was the journal does not say: one that was placed anew starts behind a hole, which tells as much.
        what = (waiting.time, waiting.duration, waiting.config, waiting.flags, waiting.size)
        fragment = Fragment(*what, None, partial, now.mono_ns, waiting.index)
        # A stump that a whole one has replaced was written, too.
        if judge(line, fragment.time, fragment.duration, partial=partial) in TAKEN:
            insert(line, fragment)


def _last_period(track: Track) -> int:
    columns = track.columns
    return columns.window(columns.end - 1, columns.end)[6][0] if len(columns) else TRIMMED


def _last_flags(track: Track) -> int:
    columns = track.columns
    return columns.window(columns.end - 1, columns.end)[4][0] if len(columns) else 0


def _held(track: Track) -> int:
    """How long the last row's configuration was published without another between, in ticks."""
    columns = track.columns
    _, duration, _, _, flags, config, *_ = columns.window(columns.first, columns.end)
    others = np.flatnonzero(config[:] != track.config)
    since = int(others[-1]) + 1 if len(others) else 0
    return int(duration[since:][(flags[since:] & FLAG_GAP) == 0].sum())


def _is_keyless(track: Track) -> bool:
    """Whether its last rows had no key frame for as long as makes a track one that has none."""
    columns = track.columns
    _, duration, _, _, flags, *_ = columns.table(max(columns.first, columns.end - 256), columns.end)
    keys = np.flatnonzero(flags & (FLAG_SYNC | FLAG_GAP))
    since = int(keys[-1]) + 1 if len(keys) else 0
    return to_ns(int(duration[since:].sum()), track.info.timescale) >= BLIND_NS


def _last_durations(track: Track) -> list[int]:
    """Durations of the last two whole fragments, as far as they are near."""
    columns = track.columns
    _, duration, _, _, flags, *_ = columns.window(max(columns.first, columns.end - 8), columns.end)
    whole = [d for d, f in zip(duration, flags, strict=True) if not f & (FLAG_GAP | FLAG_PARTIAL)]
    return whole[-2:]


def _resume_segment(segmenter: Segmenter, ledger: Ledger) -> None:
    tracks = [track for track in ledger.tracks.values() if len(track.columns)]
    if not tracks:
        return
    # The reference is the first video track that still goes on; one that ended long ago stands at an old segment.
    newest = max(_last_period(track) for track in tracks)
    going = [track for track in tracks if _last_period(track) == newest]
    reference = next((track for track in sorted(going, key=lambda t: t.info.number) if track.info.kind == "video"), going[0])
    columns = reference.columns
    row = columns.first_of_segment(reference.segment)
    first = bool(columns.flags_at(row) & FLAG_PERIOD)
    segmenter.resume(reference.segment, to_ns(columns.time_at(row), reference.info.timescale), columns.end - row, first=first)


def _resume_place(line: TrackLine, track: Track, segmenter: Segmenter) -> None:
    row = track.columns.first_of_segment(track.segment)
    start_ns, end_ns = line.ns(track.columns.time_at(row)), line.ns(track.columns.end_at(row))
    line.place, line.opened_ns = segmenter.segment_at((start_ns + end_ns) // 2), start_ns
