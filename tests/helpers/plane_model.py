"""A model of the control plane: what operators were told, and what became of each fragment that encoders brought."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy

import msgspec

from pypackager.control.resources import Resources

Rows = Sequence[tuple[int, bytes | None]]
"""(time, bytes or None for a gap) of a track."""
SEGMENT = 3
"""Fragments of two seconds in an HLS segment: a program begins with the next one."""


class Told(msgspec.Struct):
    """What the registry has to say, in plain values."""

    channels: dict[str, list[str]] = {}
    """Desired state, description."""
    programs: dict[tuple[str, str], list[str]] = {}
    """Desired state, description, window, asset."""
    locators: dict[str, str] = {}
    endpoints: dict[str, list[str]] = {}

    @classmethod
    def of(cls, resources: Resources) -> Told:
        """What it says."""
        return cls(
            {name: [each.desired, each.settings.description] for name, each in resources.channels.items()},
            {
                name: [each.desired, each.settings.description, each.settings.archive_window, each.asset]
                for name, each in resources.programs.items()
            },
            {path: each.asset for path, each in resources.locators.items()},
            {name: [each.desired, each.settings.description] for name, each in resources.endpoints.items()},
        )

    def copy(self) -> Told:
        """One that can be changed."""
        return deepcopy(self)

    def programs_of(self, channel: str) -> list[str]:
        """Names of a channel's programs."""
        return [name for owner, name in self.programs if owner == channel]

    def user(self, asset: str) -> tuple[str, str] | None:
        """The program that refers to an asset."""
        return next((name for name, told in self.programs.items() if told[3] == asset), None)


class Run(msgspec.Struct):
    """From one start of a program to its stop."""

    after: int
    """Fragments behind this one were sent while it ran."""
    until: int | None = None
    """Those up to this one were sent when it was told to stop."""


class Recording(msgspec.Struct):
    """What an asset has to show."""

    channel: str
    runs: list[Run]
    shown: Mapping[str, Rows] | None = None
    """Since it ended: the same for ever."""


def numbers(rows: Rows) -> list[int]:
    """The fragments that are in rows, by the number that is in their bytes."""
    return [number_in(data) for _, data in rows if data is not None]


def number_in(data: bytes) -> int:
    """The number of a fragment."""
    return int(data.split()[2])


class Media:
    """Every fragment that an encoder brought, by number; they rise with time."""

    def __init__(self) -> None:
        self.count = 1_000
        self.sent: dict[str, list[int]] = {}
        """By channel: what was published, or may yet be."""
        self.ends_ns: dict[int, int] = {}
        """Media time at which a published one ends."""
        self.bytes_at: dict[tuple[str, str, int], bytes] = {}
        """What a URL (its root, the track and the time) once had."""

    def next(self, channel: str) -> int:
        """A new one."""
        self.count += 1
        self.sent.setdefault(channel, []).append(self.count)
        return self.count

    def serves(self, root: str, track: str, rows: Rows) -> None:
        """What is listed under a root is judged: in order, each time once, and never with other bytes than before."""
        times = [time for time, _ in rows]
        assert times == sorted(set(times)), f"{root}: a time twice"
        ids = numbers(rows)
        assert ids == sorted(set(ids)), f"{root}: a fragment twice"
        for time, data in rows:
            if data is not None:
                assert self.bytes_at.setdefault((root, track, time), data) == data, f"{root}/{track}/{time} had other bytes"

    def judge(self, recording: Recording, rows: Rows, edge_ns: int, window_ns: int) -> None:
        """What an asset shows of one track is all that its runs covered, as far as the window goes."""
        shown = set(numbers(rows))
        for run in recording.runs:
            ours = [n for n in self.sent[recording.channel] if n > run.after and (run.until is None or n <= run.until)]
            missing = [n for n in ours if n not in shown and self.ends_ns[n] > edge_ns - window_ns]
            begun = [n for n in ours if n not in missing]
            assert len(missing) < SEGMENT, f"{missing} of {ours} are not in {sorted(shown)}"
            assert not missing or not begun or missing[-1] < begun[-1], "the last ones are"
            early = [n for n in missing if any(other < n for other in begun)]
            assert not early, f"{early} of {ours} are missing in the middle"
