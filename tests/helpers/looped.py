"""A witness of synchronised encoders: what stands in the archive against the recording that was played over and over by the clock.

In: the recording's tracks, whose length is a whole number of their frames, and tracks of an output. Out: where each begins and ends in UTC,
and every hole, frame by frame; a frame that is another one, comes twice or goes back is a fault. Nothing here imports pypackager.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tests.helpers.frames import Track

NEAR_S = 0.002
"""A frame's time may be off by so much: RTMP counts in milliseconds."""
TOLD = 3
"""So many faults of a track are told."""


@dataclass(frozen=True)
class Hole:
    """Frames in a row that are not there."""

    label: str
    begin: float
    """Where the first of them starts; UTC seconds."""
    seconds: float
    frames: int


@dataclass
class Story:
    """What is there of a track."""

    label: str
    kind: Literal["video", "audio"]
    shift: float
    """Seconds that output times are off UTC."""
    begin: float
    end: float
    """Of all its frames, in UTC seconds."""
    holes: list[Hole] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Loop:
    """A track of a recording that is played over and over."""

    def __init__(self, track: Track, length: float) -> None:
        """What lies before the recording's beginning, or behind its end, is not played."""
        frames = [(float(track.seconds(frame.dts)), frame.digest) for frame in track.frames]
        self.kind = track.kind
        self.length = length
        self._frames = [(at, digest) for at, digest in frames if -NEAR_S < at < length - NEAR_S]
        self._places = [at for at, _ in self._frames]
        counted = Counter(digest for _, digest in self._frames)
        self._unique = {digest: at for at, digest in self._frames if counted[digest] == 1}
        self._step = length / len(self._frames)

    def knows(self, track: Track) -> bool:
        """Whether a track is this one: what it brings is of it."""
        return track.kind == self.kind and any(frame.digest in self._unique for frame in track.frames)

    def follow(self, track: Track) -> Story:
        """What of the loop a track has."""
        first = next(frame for frame in track.frames if frame.digest in self._unique)
        time, place = float(track.seconds(first.dts)), self._unique[first.digest]
        shift = time - place - self.length * round((time - place) / self.length)
        story = Story(track.label, track.kind, shift, 0.0, 0.0)
        last: int | None = None
        for frame in track.frames:
            utc = float(track.seconds(frame.dts)) - shift
            number, off = self._number(utc)
            _, digest = self._frames[number % len(self._frames)]
            if off > NEAR_S:
                story.faults.append(f"{track.label}: no frame starts at {utc:.4f}, the next one is {off:.4f} s off")
            elif digest != frame.digest:
                story.faults.append(f"{track.label}: the frame at {utc:.4f} is another one")
            elif last is not None and number <= last:
                story.faults.append(f"{track.label}: the frame at {utc:.4f} comes behind the one at {self._utc(last):.4f}")
            elif last is not None and number > last + 1:
                count = number - last - 1
                story.holes.append(Hole(track.label, self._utc(last + 1), count * self._step, count))
            story.begin = story.begin if last is not None else utc
            last, story.end = number, utc + self._step
            if len(story.faults) >= TOLD:
                break
        return story

    def _number(self, utc: float) -> tuple[int, float]:
        """The frame that starts nearest to an instant, counted from 1970, and how far off that is."""
        rounds, place = divmod(utc, self.length)
        at = bisect_left(self._places, place)
        near = [(abs(place - self._places[n]), n) for n in (at - 1, at) if 0 <= n < len(self._places)]
        # Behind the last one comes the first one of the next round.
        near.append((self.length - place + self._places[0], len(self._places)))
        off, number = min(near)
        return round(rounds) * len(self._frames) + number, off

    def _utc(self, number: int) -> float:
        rounds, n = divmod(number, len(self._frames))
        return rounds * self.length + self._places[n]


def follow(loops: Sequence[Loop], tracks: Sequence[Track]) -> list[Story]:
    """The story of each loop in an output.

    Raises:
        AssertionError: a loop is not in it, or more than once; a track is of no loop; tracks do not agree on the clock.
    """
    stories = []
    left = list(tracks)
    for number, loop in enumerate(loops):
        mine = [track for track in left if loop.knows(track)]
        assert len(mine) == 1, f"track {number} of the recording ({loop.kind}) is {len(mine)} times in the output"
        stories.append(loop.follow(mine[0]))
        left.remove(mine[0])
    assert not left, f"of no track of the recording: {[track.label for track in left]}"
    shifts = [story.shift for story in stories]
    assert max(shifts) - min(shifts) <= NEAR_S, f"tracks are apart: {shifts}"
    return stories
