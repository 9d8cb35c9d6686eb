"""Any grouping of tracks in streams gives the same presentation (ingest specification, "Streams"), from one and several encoders.

The manifests of all formats are compared as text, with tracks that are late, dead, or back.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from pypackager.packaging.publish import answer
from tests.helpers.channel_node import VIDEO, ChannelNode
from tests.helpers.presentations import ASC, AVCC, body_of
from tests.helpers.timeline_rig import Header, Stored, audio_header

RATES = {"v3000": 3_000_000, "v1500": 1_500_000, "v750": 750_000, "a": 128_000}
GOP_S = 2
START_S = 1_000_000
ALL = ("v3000", "v1500", "v750", "a")

Stream = tuple[str, str, tuple[str, ...]]
"""(ingest side, name, tracks)."""

ALONE: list[Stream] = [("primary", "high", ("v3000",)), ("primary", "mid", ("v1500",)), ("primary", "low", ("v750",))]
GROUPINGS: dict[str, list[Stream]] = {
    "1: all in one": [("primary", "all", ALL)],
    "2: one each": [*ALONE, ("primary", "sound", ("a",))],
    "2: one each, two encoders": [("secondary" if n % 2 else "primary", name, tracks) for n, (_, name, tracks) in enumerate(ALONE)]
    + [("secondary", "sound", ("a",))],
    "2: one each, each from two encoders": [(side, name, t) for side in ("primary", "secondary") for _, name, t in ALONE]
    + [(side, "sound", ("a",)) for side in ("primary", "secondary")],
    "3: sound with the lowest": [*ALONE[:2], ("primary", "low", ("v750", "a"))],
    "4: (2) and a spare": [*ALONE, ("primary", "sound", ("a",)), ("secondary", "spare", ("a",))],
    "5: (3), sound in two": [ALONE[0], ("primary", "mid", ("a", "v1500")), ("primary", "low", ("v750", "a"))],
    "5: (3), sound in all, two encoders": [
        (side, name, (*tracks, "a")) for side in ("primary", "secondary") for _, name, tracks in ALONE
    ],
}  # fmt: skip


def header(track: str, number: int) -> Header:
    """The header of a track, at some number of its stream."""
    if track == "a":
        return audio_header(number, codec_private=ASC, name="audio", bitrate=RATES[track], frame_ticks=1024)
    return Header(number, "video", codec_private=AVCC, name="video", bitrate=RATES[track], width=16 * int(track[1:]) // 25)


class Broadcast(ChannelNode):
    """A channel that is fed in a grouping."""

    def __init__(self, directory: Path, streams: Sequence[Stream], seed: int) -> None:
        directory.mkdir()
        super().__init__(directory)
        self.chance = random.Random(seed)
        self.streams = dict(enumerate(streams))
        self.slot = 0
        self.open: dict[int, int] = {}
        self.conns = 0

    def encoders(self, *, only: Sequence[int] = ()) -> None:
        """Streams connect, in any order."""
        numbers = [n for n in self.streams if n not in self.open and (not only or n in only)]
        self.chance.shuffle(numbers)
        for number in numbers:
            side, name, tracks = self.streams[number]
            self.conns += 1
            self.open[number] = self.conns
            self.channel.open_feed(self.conns, side, name)
            for at, track in enumerate(tracks, 1):
                self.channel.track_found(self.conns, cast(Any, header(track, at)))
            self.channel.admit(self.conns)

    def gone(self, number: int) -> None:
        """A stream breaks off."""
        self.channel.close_feed(self.open.pop(number))

    def push(self, slots: int, *, without: Mapping[str, int] | None = None) -> None:
        """Fragments of all tracks in any order, or all but those that a track is `without` up to a slot, one track after the other.

        A track that joins or comes back is not waited for: who is first decides in which slot it is listed.
        """
        for _ in range(slots):
            self.wait(GOP_S)
            sends = [(number, track) for track in ALL for number, (_, _, tracks) in self.streams.items() if track in tracks]
            if without is None:
                self.chance.shuffle(sends)
            for number, track in sends:
                if number in self.open and (without or {}).get(track, -1) < self.slot:
                    self._one(number, track, self.slot)
            self.slot += 1
            self.settle()

    def resend(self, number: int) -> None:
        """The last two fragments of each track of a stream come again."""
        for slot in (self.slot - 2, self.slot - 1):
            for track in self.streams[number][2]:
                self._one(number, track, slot)

    def _one(self, number: int, track: str, slot: int) -> None:
        at = 1 + self.streams[number][2].index(track)
        scale = 48_000 if track == "a" else VIDEO
        time = (START_S + GOP_S * slot) * scale
        size = RATES[track] * GOP_S // 8 + slot % 3
        self.channel.chunk(self.open[number], cast(Any, Stored(at, time, GOP_S * scale, scale, size=size)))
        self.channel.advance()
        self.settle()

    def manifests(self) -> dict[str, str]:
        """Every manifest of the program."""
        paths = ["manifest", "manifest.mpd", "master.m3u8", "manifest(format=m3u8-aapl)", "manifest(format=m3u8-aapl-v3)"]
        shown = self.channel.programs.present("show")
        paths += [f"hls/{track.info.id}.m3u8" for track in shown.tracks]
        return {path: body_of(answer(shown, path, "")).decode() for path in paths}


def steady(made: Broadcast) -> None:
    made.encoders()
    made.push(12)


def late(made: Broadcast) -> None:
    """The highest layer begins ten fragments after the others."""
    made.encoders()
    made.push(16, without={"v3000": 9})


def dead_and_back(made: Broadcast) -> None:
    """The middle layer stops for nine fragments, and comes back."""
    made.encoders()
    made.push(8)
    made.push(33, without={"v1500": made.slot + 8})


def cut(made: Broadcast) -> None:
    """Every stream breaks off once, and comes back with what it had sent."""
    made.encoders()
    made.push(4)
    for number in made.streams:
        made.push(1)
        made.gone(number)
        made.encoders(only=[number])
        made.resend(number)
    made.push(12 - len(made.streams))


SHOWS = {"steady": steady, "late": late, "dead and back": dead_and_back, "cut": cut}


@pytest.mark.parametrize("show", SHOWS)
def test_all_groupings_give_the_same_presentation(show: str, tmp_path: Path) -> None:
    expected: dict[str, str] = {}
    for number, (name, streams) in enumerate(GROUPINGS.items()):
        made = Broadcast(tmp_path / str(number), streams, number)
        SHOWS[show](made)
        found = made.manifests()
        expected = expected or found
        assert found.keys() == expected.keys(), name
        for path, text in found.items():
            assert text == expected[path], f"{name}: {path}"
        assert (found["manifest"].count("<QualityLevel "), found["manifest.mpd"].count("<AdaptationSet") > 0) == (4, True)
        assert not {"ENCODERS_OUT_OF_SYNC", "HEADER_MISMATCH", "GOPS_MISALIGNED"} & made.channel.alarm.alerts.keys(), name
