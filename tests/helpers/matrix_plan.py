"""What goes wrong in a run of the fault matrix: set-ups, faults, and when each comes to whom, drawn from a seed.

In: a set-up, the faults, a seed. Out: a plan in which one path of every stream is whole at every instant. Never: a daemon or an encoder.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pypackager.model.side import Side

Protocol = Literal["fmp4", "rtmp"]

FIRST_S = 6.0
"""When the first fault comes: the channel has begun."""
RECOVERY_S = 7.0
"""What a path needs behind an outage: another connection, its next key frame, a fragment to its end."""
QUIET_S = 6.0
"""No fault comes so near to the end."""
GOP_S = 2.0
"""Of the recording."""
AGAIN_S = 1.5
"""What another connection takes of itself, pauses between attempts included."""
PAIRED_S = 5.0
"""The second fault of a pair comes within so long behind the first."""


@dataclass(frozen=True)
class SetUp:
    """Who pushes where."""

    name: str
    paths: tuple[tuple[int, Side], ...]
    """(encoder, URL)."""

    @property
    def encoders(self) -> int:
        """How many there are."""
        return 1 + max(encoder for encoder, _ in self.paths)

    def sides(self, encoder: int) -> list[Side]:
        """Where an encoder pushes."""
        return [side for one, side in self.paths if one == encoder]


SET_UPS = {
    one.name: one
    for one in (
        SetUp("a", ((0, "primary"), (0, "secondary"))),
        SetUp("b", ((0, "primary"), (1, "secondary"))),
        SetUp("c", ((0, "primary"), (0, "secondary"), (1, "primary"), (1, "secondary"))),
        SetUp("active", ((0, "primary"), (1, "primary"))),
    )
}
"""The redundant ones: mission 2.3 (a), (b) and (c), and two encoders on one URL (4.16)."""

SINGLE = SetUp("single", ((0, "primary"),))


@dataclass(frozen=True)
class Kind:
    """A fault."""

    least: float
    most: float
    """Its value, drawn between."""
    lasts: bool = False
    """Whether the value is an outage in seconds."""
    whole: bool = False
    """Whether it befalls an encoder, not a path."""


KINDS = {
    "cut": Kind(0.0, 4.0, lasts=True),
    "hangup": Kind(0.0, 4.0, lasts=True),
    "truncate": Kind(0, 0),
    "vanish": Kind(0, 0),
    "stall": Kind(1.0, 5.0, lasts=True),
    "slow": Kind(1.0, 4.0, lasts=True),
    "garbage": Kind(50, 5000),
    "drop": Kind(0.1, 4.0, lasts=True),
    "dup": Kind(1, 3),
    "reorder": Kind(0, 0),
    "kill": Kind(0.5, 4.0, lasts=True, whole=True),
    "restart": Kind(0.5, 4.0, lasts=True, whole=True),
    "down": Kind(0.5, 5.0, lasts=True, whole=True),
    "freeze": Kind(0.5, 4.0, lasts=True, whole=True),
}
"""The faults of `pypackager push`, `down`: the cable of the encoder's network is pulled, and `freeze`: its process hangs and goes on."""


@dataclass(frozen=True)
class Hit:
    """A fault that comes to an encoder, or to one of its paths."""

    kind: str
    at: float
    """Seconds of the run."""
    value: float
    encoder: int
    side: Side | None
    """None: all its paths."""
    streams: str = ""
    """A pattern of tracks; empty: all."""

    @property
    def end(self) -> float:
        """When it is over."""
        return self.at + (self.value if KINDS[self.kind].lasts else 0.0)

    def paths(self, set_up: SetUp) -> set[tuple[int, Side]]:
        """Whom it befalls."""
        return {path for path in set_up.paths if path[0] == self.encoder and self.side in (None, path[1])}

    def stated(self, sides: Sequence[Side]) -> str:
        """As `push` is asked for it; its sides are called by their order."""
        side = "*" if self.side is None else ("primary", "secondary")[sides.index(self.side)]
        value = f"{self.value:.3f}s" if KINDS[self.kind].lasts else f"{self.value:.0f}"
        none = self.kind in ("vanish", "reorder") or (self.kind == "truncate" and not self.value)
        return f"{self.kind}[{side}/{self.streams or '*'}]@{self.at:.3f}s" + ("" if none else f":{value}")

    def __str__(self) -> str:
        """For a person."""
        streams = f" {self.streams}" if self.streams else ""
        return f"{self.at:.1f} s: {self.kind} {self.value:.1f} of encoder {self.encoder}{'/' + self.side if self.side else ''}{streams}"


@dataclass
class Plan:
    """A run."""

    name: str
    set_up: SetUp
    protocol: Protocol
    seconds: float
    hits: list[Hit] = field(default_factory=list)
    resend: int = 2
    begins: list[float] = field(default_factory=list)
    """When each encoder is started."""
    ends: dict[int, float] = field(default_factory=dict)
    """When an encoder leaves for good, without a word."""
    longest_gap: float = 0.0
    """Seconds that may be missing at a time, if they are signalled."""
    holes: int = 0
    """How often, in each track: as many times as something costs one."""

    def unhurt(self) -> set[tuple[int, Side]]:
        """The paths that nothing befalls."""
        hurt = {path for hit in self.hits for path in hit.paths(self.set_up)}
        return {path for path in self.set_up.paths if path not in hurt and path[0] not in self.ends}

    def told(self) -> str:
        """For a failure's message."""
        return f"{self.name} (resend {self.resend}): " + "; ".join(str(hit) for hit in self.hits)


OF_FRAGMENTS = ("drop", "dup", "reorder")
"""What a path may do to fragments. RTMP is a stream of frames: there it would be what an encoder does, and what it sent."""
OF_PROCESSES = ("kill", "restart", "freeze")
"""What befalls a real encoder; all else comes to its paths."""


def faults_of(set_up: SetUp, protocol: Protocol, *, networks: bool) -> list[str]:
    """The kinds that a set-up of our own encoders survives: where one feeds all paths, its network has to be there."""
    out: set[str] = {"freeze", *(OF_FRAGMENTS if protocol == "rtmp" else ())}
    if not networks or set_up.encoders == 1:
        out.add("down")
    return [name for name in KINDS if name not in out]


def drawn(
    name: str, set_up: SetUp, protocol: Protocol, cases: Iterable[Sequence[str]], chance: random.Random, *, recovery: float = RECOVERY_S
) -> Plan:
    """A run with one case (a fault, or a pair of faults) behind the other, each at a drawn instant, to a drawn path, for a drawn time."""
    plan = Plan(name, set_up, protocol, 0.0, resend=chance.choice((2, 2, 0)) if len(set_up.paths) > 1 else 2)
    plan.begins = [0.0] + [chance.uniform(0.2, 2.5) for _ in range(1, set_up.encoders)]
    at = FIRST_S
    for case in cases:
        at += chance.uniform(0, 2.0)
        hits = [_hit(case[0], at, set_up, chance)]
        for kind in case[1:]:
            hits.append(_second(kind, hits[0], set_up, chance, recovery))
        plan.hits += hits
        at = max(hit.end for hit in hits) + recovery
    plan.seconds = at - recovery + QUIET_S
    return plan


def _hit(kind: str, at: float, set_up: SetUp, chance: random.Random) -> Hit:
    what = KINDS[kind]
    encoder, side = chance.choice(set_up.paths)
    whole = what.whole and set_up.encoders > 1
    return Hit(kind, at, chance.uniform(what.least, what.most), encoder, None if whole else side)


def _second(kind: str, first: Hit, set_up: SetUp, chance: random.Random, recovery: float) -> Hit:
    """The second of a pair: at any time where a path is left that neither befalls, else when the first one is over."""
    second = _hit(kind, first.at + chance.uniform(0, PAIRED_S), set_up, chance)
    if first.paths(set_up) | second.paths(set_up) < set(set_up.paths):
        return second
    return Hit(kind, first.end + recovery, second.value, second.encoder, second.side)


def swapped(name: str, protocol: Protocol) -> Plan:
    """Two encoders of which one has only sound and the other only pictures, then the other way round."""
    early, late = 8.0, 22.0
    plan = Plan(name, SET_UPS["b"], protocol, 38.0, begins=[0.0, 1.0])
    for at, encoder, streams in ((early, 0, "video-*"), (early + 1, 1, "audio-*"), (late, 1, "video-*"), (late + 1, 0, "audio-*")):
        plan.hits.append(Hit("kill", at, 8.0, encoder, None, streams))
    return plan


def succeeded(name: str, protocol: Protocol) -> Plan:
    """An encoder that dies, and its successor on the same URL."""
    plan = Plan(name, SET_UPS["active"], protocol, 32.0, begins=[0.0, 16.0], ends={0: 14.0})
    # Whatever the other had not finished, and until the next key frame: where that one comes just ahead of the connection, all of a GOP.
    plan.longest_gap, plan.holes = 2.0 + 2 * GOP_S + 0.5, 1
    return plan


def alone(name: str, protocol: Protocol, cases: Iterable[Sequence[str]], chance: random.Random) -> Plan:
    """One encoder, one path. Fragments that are sent again lose nothing; a break of RTMP, or an encoder that was away, is one gap."""
    plan = drawn(name, SINGLE, protocol, cases, chance)
    outages = [hit.value if KINDS[hit.kind].lasts else 0.0 for hit in plan.hits if protocol == "rtmp" or KINDS[hit.kind].whole]
    plan.longest_gap, plan.holes = max(outages) + GOP_S + AGAIN_S if outages else 0.0, len(outages)
    return plan


def lanes(
    name: str, set_up: SetUp, protocol: Protocol, cases: Sequence[Sequence[str]], count: int, chance: random.Random
) -> list[Plan]:  # fmt: skip
    """The cases dealt to so many runs that go on at once."""
    dealt = list(cases)
    chance.shuffle(dealt)
    return [drawn(f"{name}-{n}", set_up, protocol, dealt[n::count], chance) for n in range(count) if dealt[n::count]]
