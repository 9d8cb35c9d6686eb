"""Faults of `pypackager push`, as they are written: `cut@10s,stall[video-*]@20s:5s,jump[secondary]@?/30s:-5s,no-resend`.

In: the text and the streams of the run. Out: what the native replay is told. Never: an instant that is drawn; the seed decides those there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, Protocol

from pypackager.model.errors import PackagerError

Unit = Literal["time", "time±", "count", ""]


@dataclass(frozen=True)
class Kind:
    """A fault that can be asked for."""

    unit: Unit
    """What stands behind its colon; empty: nothing."""
    default: float
    says: str


KINDS = {
    "cut": Kind("time", 0, "reset the connection; the network is back after TIME"),
    "hangup": Kind("time", 0, "close the connection in the middle of the stream; likewise"),
    "truncate": Kind("count", 0, "close it within the next fragment or frame, behind BYTES of it (default: any)"),
    "vanish": Kind("", 0, "neither use nor close the connection any more; a new one takes over"),
    "kill": Kind("time", 3, "the encoder dies; after TIME (3s) it is back, with its clock, without what it had"),
    "restart": Kind("time", 1, "the same (1s), and its clock begins at zero"),
    "stall": Kind("time", 5, "send nothing for TIME (5s), then what has gathered"),
    "slow": Kind("time", 5, "for TIME (5s) the connection takes half the bit rate"),
    "late-start": Kind("", 0, "the stream begins so late"),
    "dup": Kind("count", 1, "send the next fragment or frame COUNT (1) times more"),
    "drop": Kind("time", 0, "leave out what starts within TIME, at least the next fragment or frame"),
    "reorder": Kind("", 0, "send the next one behind the one after it"),
    "jump": Kind("time±", 5, "from here on times are TIME (+5s) later, or earlier"),
    "garbage": Kind("count", 1000, "send so many BYTES (1000) of noise"),
}
RULES = {
    "no-probe": "no empty POST before the stream's",
    "no-headers": "no header boxes on a new connection until the server misses them (412)",
    "no-resend": "nothing is sent again on a new connection, not even what was on its way",
    "no-timeout": "a connection that takes nothing is waited for without end",
    "no-retry": "a stream whose connection ends has failed",
    "no-end": "at the end the connection is dropped without the last chunk and the wait for the answer",
    "no-close": "a stream that has ended keeps its POST open until all have",
}
_GRAMMAR = re.compile(r"(?P<kind>[a-z-]+)(?:\[(?P<streams>[^\]]*)\])?(?:@(?P<when>[^/:]+)(?:/(?P<every>[^:]+))?)?(?::(?P<value>.+))?")
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0, "h": 3600.0}
_SHORTEST = 0.1
_LONGEST = 30 * 86_400.0
_MOST = 10_000_000


Stated = tuple[int, str, int, bool, tuple[float, float, float], float]
"""Position of the stream, name, number of the fault, whether streams draw apart, (first, within, every), value."""


class Named(Protocol):
    """A stream as faults select it."""

    @property
    def side(self) -> str:
        """primary or secondary."""
        ...

    @property
    def name(self) -> str:
        """Name of its track."""
        ...

    @property
    def ladder(self) -> int:
        """Number of its ladder, from 1."""
        ...


@dataclass(frozen=True)
class Fault:
    """A fault and when it comes; times are media seconds."""

    text: str
    kind: str
    streams: str
    """Pattern of the streams that have it; empty: all."""
    first: float
    within: float
    """It comes at a drawn instant from `first` to so much later."""
    every: float
    """0: once."""
    apart: bool
    """Whether each stream draws instants of its own."""
    value: float

    def hits(self, stream: Named) -> bool:
        """Whether a stream has it."""
        words = (stream.name, stream.side, f"{stream.side}/{stream.name}", f"ladder-{stream.ladder}")
        return not self.streams or any(fnmatchcase(word, self.streams) for word in words)


@dataclass(frozen=True)
class Plan:
    """Everything that is to go wrong."""

    faults: tuple[Fault, ...] = ()
    rules: frozenset[str] = frozenset()
    """Names of RULES that are broken."""

    def stated(self, streams: Sequence[Named]) -> list[Stated]:
        """What the replay is told: a fault for each stream that has it.

        Raises:
            PackagerError: CONFIG_PUSH_FAULT: a fault that no stream has.
        """
        found: list[Stated] = []
        for number, fault in enumerate(self.faults):
            hit = [index for index, stream in enumerate(streams) if fault.hits(stream)]
            if not hit:
                names = ", ".join(sorted({stream.name for stream in streams} | {stream.side for stream in streams}))
                raise _refused(fault.text, f"no stream is called {fault.streams}; there are {names}")
            times = (fault.first, fault.within, fault.every)
            found += [(index, fault.kind, number, fault.apart, times, fault.value) for index in hit]
        return found


def parse_faults(texts: Sequence[str], length: float) -> Plan:
    """Faults of comma-separated lists; `length` is the media time within which `?` draws.

    Raises:
        PackagerError: CONFIG_PUSH_FAULT: what can't be understood, and why.
    """
    faults: list[Fault] = []
    rules: set[str] = set()
    for text in (part.strip() for whole in texts for part in whole.split(",")):
        if text in RULES:
            rules.add(text)
        else:
            faults.append(_parse(text, length))
    return Plan(tuple(faults), frozenset(rules))


def _parse(text: str, length: float) -> Fault:
    found = _GRAMMAR.fullmatch(text)
    if found is None:
        raise _refused(text, "a fault is KIND[STREAMS]@TIME/PERIOD:VALUE, all but KIND may be left out")
    kind = KINDS.get(found["kind"])
    if kind is None:
        raise _refused(text, f"there is no {found['kind']}; there are {', '.join([*KINDS, *RULES])}")
    when = found["when"] or "?"
    every = _time(text, found["every"]) if found["every"] else 0.0
    if every and every < _SHORTEST:
        raise _refused(text, f"it would come again more often than every {_SHORTEST} s")
    if every and found["kind"] == "late-start":
        raise _refused(text, "a stream starts once")
    apart = when == "??"
    if when in ("?", "??"):
        first, last = 0.0, every or length
    else:
        low, _, high = when.partition("~")
        first = _time(text, low)
        last = _time(text, high) if high else first
    if last < first:
        raise _refused(text, "the second time is before the first")
    return Fault(text, found["kind"], found["streams"] or "", first, last - first, every, apart, _value(text, kind, found["value"]))


def _value(text: str, kind: Kind, value: str | None) -> float:
    if value is None:
        return kind.default
    if kind.unit == "time":
        return _time(text, value)
    if kind.unit == "time±" and value[0] in "+-":
        return _time(text, value[1:]) * (-1 if value[0] == "-" else 1)
    if kind.unit == "count" and value.isdecimal() and 1 <= int(value) <= _MOST:
        return float(int(value))
    takes = {"": "nothing", "time±": "a time with its sign, +5s or -5s", "count": f"a number from 1 to {_MOST}"}[kind.unit]
    raise _refused(text, f"behind the colon it takes {takes}")


def _time(text: str, time: str) -> float:
    found = _TIME.fullmatch(time)
    seconds = float(found[1]) * _SECONDS[found[2]] if found is not None else -1.0
    if not 0 <= seconds <= _LONGEST:
        raise _refused(text, f"{time!r} is no time such as 10s, 500ms or 2m")
    return seconds


def _refused(text: str, reason: str) -> PackagerError:
    return PackagerError("CONFIG_PUSH_FAULT", f"{text!r}: {reason}", fault="operator")
