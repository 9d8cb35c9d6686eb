"""What an MPD says once inheritance, URLs and timelines are resolved (ISO/IEC 23009-1 5.3).

In: a tree that was judged against the schema. Out: periods, sets and Representations with their segments. Never: a second copy, or media.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from pypackager.check.dash.template import expand
from pypackager.check.dash.timeline import Rows
from pypackager.check.dash.tree import Node
from pypackager.check.dash.values import parse_date_time, parse_duration, parse_range
from pypackager.check.numerals import decimal
from pypackager.check.references import resolve_reference


@dataclass
class Addressing:
    """SegmentBase, SegmentList or SegmentTemplate of a Representation, with what it inherits (5.3.9.1)."""

    kind: str = ""
    """`SegmentTemplate`, `SegmentList` or `SegmentBase`; empty when there is none."""
    values: dict[str, str] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    """From the Period's down to its own."""

    def child(self, name: str) -> Node | None:
        """The closest child of a name."""
        return next((child for node in reversed(self.nodes) if (child := node.first(name)) is not None), None)

    def number(self, name: str, default: int) -> int:
        """An attribute that is a whole number."""
        for node in reversed(self.nodes):
            value = node.number(name)
            if value is not None:
                return value
        return default

    @property
    def line(self) -> int:
        """Of the closest element."""
        return self.nodes[-1].line if self.nodes else 0


@dataclass
class Representation:
    """A Representation in one Period."""

    id: str
    node: Node
    set: Node
    period: Period
    base: str
    addressing: Addressing
    rows: Rows = field(default_factory=Rows)
    ranges: list[tuple[str, tuple[int, int] | None]] = field(default_factory=list)
    """URL and byte range of each row, where they are listed one by one."""
    exact: bool = True
    """Times of rows are exact; those of `@duration` may be off by half a segment (7.2.1)."""

    @property
    def values(self) -> dict[str, str]:
        """Its attributes and those common ones of its AdaptationSet that it does not override (5.3.7)."""
        return {**self.set.values, **self.node.values}

    @property
    def line(self) -> int:
        """Where it begins."""
        return self.node.line

    @property
    def timescale(self) -> int:
        """Ticks a second."""
        return self.addressing.number("timescale", 1) or 1

    @property
    def offset(self) -> int:
        """@presentationTimeOffset: the tick that plays when the Period begins."""
        return self.addressing.number("presentationTimeOffset", 0)

    @property
    def kind(self) -> str:
        """video, audio, text, or what the media type begins with."""
        values = self.values
        top = values.get("contentType") or values.get("mimeType", "").partition("/")[0]
        return top if top != "application" else "text"

    def fill(self, template: str, **values: int) -> str:
        """The URL that a template stands for."""
        known: dict[str, str | int] = {"RepresentationID": self.id, "Bandwidth": self.node.number("bandwidth") or 0, **values}
        return resolve_reference(self.base, expand(template, known))

    def url(self, row: int) -> tuple[str, tuple[int, int] | None]:
        """Where a row's segment is."""
        if self.ranges:
            return self.ranges[row]
        template = self.addressing.values.get("media", "")
        return self.fill(template, Number=int(self.rows.number[row]), Time=int(self.rows.time[row])), None

    @property
    def init(self) -> tuple[str, tuple[int, int] | None]:
        """Where its initialisation segment is; empty when it has none."""
        node = self.addressing.child("Initialization")
        if node is not None:
            return resolve_reference(self.base, node.values.get("sourceURL", "")), parse_range(node.values.get("range", ""))
        template = self.addressing.values.get("initialization")
        return (self.fill(template), None) if template else ("", None)

    def presentation_time(self, tick: int) -> Fraction:
        """Seconds behind the start of the presentation at which a tick plays (5.3.9.6, 7.2.1)."""
        return (self.period.start or Fraction(0)) + Fraction(tick - self.offset, self.timescale)


@dataclass
class Period:
    """A Period."""

    id: str
    """Empty when it has none."""
    node: Node
    start: Fraction | None
    """None: neither stated nor known by what is before it (5.3.2.1)."""
    end: Fraction | None
    """None: it has no end yet."""
    representations: list[Representation] = field(default_factory=list)

    @property
    def sets(self) -> list[Node]:
        """Its AdaptationSets."""
        return self.node.all("AdaptationSet")


@dataclass
class Mpd:
    """An MPD."""

    url: str
    """What its relative URLs are relative to, unless a BaseURL says otherwise."""
    node: Node
    periods: list[Period] = field(default_factory=list)

    @property
    def dynamic(self) -> bool:
        """It may go on."""
        return self.node.values.get("type") == "dynamic"

    def duration(self, name: str) -> Fraction | None:
        """An attribute that is a duration, in seconds."""
        value = self.node.valid(name)
        return parse_duration(value) if value is not None else None

    def date(self, name: str) -> Fraction | None:
        """An attribute that is a date, in seconds UTC."""
        value = self.node.valid(name)
        return parse_date_time(value) if value is not None else None

    @property
    def representations(self) -> list[Representation]:
        """Those of all periods, in order."""
        return [representation for period in self.periods for representation in period.representations]

    def available(self, representation: Representation, tick: int) -> Fraction:
        """UTC at which a segment that ends at `tick` is there (5.3.9.5.3)."""
        start = self.date("availabilityStartTime") or Fraction(0)
        return start + representation.presentation_time(tick) - time_offset(self, representation)


def time_offset(mpd: Mpd, representation: Representation) -> Fraction:
    """The sum of all @availabilityTimeOffset on the way to a Representation, in seconds (5.3.9.5.3)."""
    chain = (mpd.node, representation.period.node, representation.set, representation.node)
    offsets = [base.values.get("availabilityTimeOffset", "0") for node in chain if (base := node.first("BaseURL")) is not None]
    offsets.append(representation.addressing.values.get("availabilityTimeOffset", "0"))
    total = Fraction(0)
    for text in offsets:
        offset = decimal(text.strip())
        if offset is None:
            # INF: everything is there as soon as it is listed.
            return Fraction(1 << 40)
        total += offset
    return total
