"""A good recording that is about to be broken, and the chance that decides where."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.helpers.made_hls import COPIES, FOLDERS, SEGMENTS, Container, segment_url
from tests.helpers.recorded import Recording, with_body


@dataclass
class Patient:
    """A recording, with the tools to spoil it."""

    recording: Recording
    chance: random.Random
    container: Container = "fmp4"
    media: dict[str, list[str]] = field(default_factory=dict)
    """URLs of six segments of each of `low`, `high` and `audio`; of HLS when nothing is said."""
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """What is not said is as in HLS."""
        if not self.media:
            self.media = {name: [segment_url(self.container, name, n) for n in range(SEGMENTS)] for name in ("low", "high", "audio")}
            self.headers = {name: f"{FOLDERS[self.container]}{name}.mp4" for name in self.media}

    def text(self, name: str, old: str, new: str, *, copies: range | None = None) -> None:
        """Replaces a pattern, once, in all copies of a playlist or in some; it must be there in one of them at least."""
        url = f"{FOLDERS[self.container]}{name}.m3u8"
        copies = range(COPIES) if copies is None else copies
        kept = self.recording.answers[url]
        changed = False
        for n, (at, answer) in enumerate(kept):
            if n in copies:
                text = answer.body.decode()
                spoiled = re.sub(old, new, text, count=1, flags=re.MULTILINE)
                changed = changed or spoiled != text
                kept[n] = at, with_body(answer, spoiled.encode())
        assert changed, f"{old!r} is not in {url}"

    def body(self, url: str, change: Callable[[bytearray], bytes | bytearray]) -> None:
        """Changes what is answered."""
        kept = self.recording.answers[url]
        spoiled = [(at, with_body(answer, bytes(change(bytearray(answer.body))))) for at, answer in kept]
        assert spoiled != kept, f"{url} is as it was"
        self.recording.answers[url] = spoiled

    def number(self) -> int:
        """Of a segment that has neighbours on both sides."""
        return self.chance.randint(1, 4)

    def copy(self) -> int:
        """Of a copy of a playlist that has one before and one behind it."""
        return self.chance.randint(1, COPIES - 2)

    def variant(self) -> str:
        """A playlist with video."""
        return self.chance.choice(["low", "high"])

    def segment(self, name: str = "") -> str:
        """The URL of a segment with neighbours, of a playlist or of any with video."""
        return self.media[name or self.variant()][self.number()]


Spoil = Callable[[Patient], object]


@dataclass(frozen=True)
class Mutation:
    """One way to break a presentation."""

    rule: str
    """The one that is meant to find it."""
    spoil: Spoil
    also: frozenset[str] = field(default_factory=frozenset)
    """Rules that see the same mistake from another side; they may speak, or not."""


def mutation(rule: str, spoil: Spoil, *also: str) -> Mutation:
    """Declares one."""
    return Mutation(rule, spoil, frozenset(also))


ANY = ""
"""A playlist with video."""
FIRST, LAST = range(1), range(COPIES - 1, COPIES)
LATER = range(0)
"""From some copy on."""


def edit(name: str, old: str, new: str, copies: range | None = None) -> Spoil:
    """Replaces a pattern once, in all copies of a playlist or in some."""

    def spoil(patient: Patient) -> None:
        which = range(patient.copy(), COPIES) if copies == LATER else copies
        patient.text(name or patient.variant(), old, new, copies=which)

    return spoil


def every(name: str, old: str, new: str) -> Spoil:
    """Replaces a pattern everywhere, in all copies of a playlist."""
    return lambda patient: all_of(patient, name or patient.variant(), old, new)


def all_of(patient: Patient, name: str, old: str, new: str) -> None:
    """Replaces a pattern everywhere, in all copies of a playlist."""
    url = f"{FOLDERS[patient.container]}{name}.m3u8"
    kept = patient.recording.answers[url]
    spoiled = [(at, with_body(answer, re.sub(old, new, answer.body.decode()).encode())) for at, answer in kept]
    assert spoiled != kept, f"{old!r} is not in {url}"
    patient.recording.answers[url] = spoiled
