"""Where media playlists tell of frames that are missing, held against the holes that are there. Nothing here imports pypackager.

In: the text of media playlists (RFC 8216bis), and what the archive has of each track (`looped`). Out: each hole that no playlist tells of,
and each sign without a hole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.helpers.looped import Hole, Story

LEAST_S = 0.1
"""A shorter hole is no gap: a date tells of it where a segment begins, and within one the times of the media alone."""
NEAR_S = 2.0
"""A sign may be so far from its hole: a segment."""


@dataclass(frozen=True)
class Break:
    """A discontinuity, gaps in a row, or both at one place."""

    begin: float
    end: float
    """UTC seconds, as the playlist counts."""
    gaps: int = 0
    """Segments that are gaps."""


@dataclass
class Signs:
    """What a media playlist tells of missing frames, up to its last segment that is there."""

    first: float
    """Where the first segment begins that is no gap; UTC seconds."""
    breaks: list[Break] = field(default_factory=list)
    dates: list[float] = field(default_factory=list)
    """Instants that neither the head of the playlist, nor a discontinuity asks for."""


def read_signs(playlist: str) -> Signs:
    """Reads a media playlist; EXTINF is counted on from the last date.

    Gaps behind the last segment that is there do not count: an encoder may stop between a key frame and the sound that goes with it, and
    where one track ends before the others there is no hole.
    """
    segments = re.findall(r"(?:#.*\n)+[^#\n].*\n", playlist)
    while segments and "#EXT-X-GAP\n" in segments[-1]:
        segments.pop()
    signs, last, at = Signs(0.0), 0.0, 0.0
    goes_on = False
    for number, segment in enumerate(segments):
        dated, apart, gap = _date(segment), "#EXT-X-DISCONTINUITY\n" in segment, "#EXT-X-GAP\n" in segment
        start = at if dated is None else dated
        end = start + float(re.findall(r"#EXTINF:([\d.]+)", segment)[-1])
        if dated is not None and number and not apart:
            signs.dates.append(dated)
        if number and (apart or gap):
            begin, gaps = (signs.breaks[-1].begin, signs.breaks.pop().gaps) if goes_on else (last if apart else start, 0)
            signs.breaks.append(Break(begin, end if gap else start, gaps + gap))
        elif gap:
            signs.breaks.append(Break(start, end, 1))
        if not gap and not signs.first:
            signs.first = start
        goes_on, last, at = gap, end, end
    return signs


def _date(segment: str) -> float | None:
    found = re.findall(r"#EXT-X-PROGRAM-DATE-TIME:(\S+)", segment)
    return datetime.fromisoformat(found[-1]).timestamp() if found else None


def untruthful(stories: Sequence[Story], signs: Sequence[Signs]) -> list[str]:
    """What playlists do not tell, or tell and it is not so.

    A gap, or a date, is of the track in whose playlist it stands; a discontinuity is of all, whichever of them has the hole. Gaps and
    discontinuities of one playlist are no more than there are holes in the tracks at different places.

    Args:
        stories: of each track.
        signs: of the playlist of each.
    """
    faults = []
    every = [hole for story in stories for hole in story.holes]
    for story, told in zip(stories, signs, strict=True):
        # Where the track begins is where its playlist does, whatever both call that instant.
        shift = told.first - story.begin
        faults += [
            f"{story.label}: nothing tells of the hole of {hole.seconds:.3f} s at {hole.begin:.3f}"
            for hole in story.holes if hole.seconds >= LEAST_S and not any(_near(one, hole, shift) for one in told.breaks)
        ]  # fmt: skip
        faults += [
            f"{story.label}: a date of its own at {date - shift:.3f}, and no hole is there"
            for date in told.dates if not any(_near(Break(date, date), hole, shift) for hole in story.holes)
        ]  # fmt: skip
        faults += [
            f"{story.label}: a break of {one.end - one.begin:.3f} s at {one.begin - shift:.3f}, and no hole is there"
            for one in told.breaks if not any(_near(one, hole, shift) for hole in (story.holes if one.gaps else every))
        ]  # fmt: skip
        if len(told.breaks) > (places := _places(every)):
            faults.append(f"{story.label}: {len(told.breaks)} breaks for {places} holes: {told.breaks}")
    return faults


def _near(one: Break, hole: Hole, shift: float) -> bool:
    begin = hole.begin + shift
    return one.begin <= begin + hole.seconds + NEAR_S and one.end >= begin - NEAR_S


def _places(holes: Sequence[Hole]) -> int:
    """How many holes there are where those count once that are at one place in several tracks."""
    count, end = 0, 0.0
    for hole in sorted(holes, key=lambda hole: hole.begin):
        count += hole.begin > end
        end = max(end, hole.begin + hole.seconds)
    return count
