"""Findings: which rule was broken, where, what was found and what was expected.

In: breaches, each with its place. Out: a report with every finding in order, repeats folded, and a verdict. Never: text layout.
"""

from __future__ import annotations

from typing import Self

import msgspec

from pypackager.check.rules import SEVERITIES, Rule, Severity

_IN_FULL = 3
"""So many findings of one rule on one track are told in full; of the rest only the number is."""


class Place(msgspec.Struct, frozen=True):
    """Where a finding is. What does not apply is empty."""

    presentation: str = ""
    """Which of the presentations that are checked, by its format: `hls`."""
    track: str = ""
    url: str = ""
    segment: str = ""
    """A number or a time, as the format names segments."""
    line: int | None = None
    """Of a manifest, from 1."""
    byte: int | None = None
    """Offset in the body."""


class Finding(msgspec.Struct, frozen=True):
    """A breach."""

    rule: Rule
    place: Place
    found: str
    expected: str


class TrackSummary(msgspec.Struct, frozen=True):
    """What was seen of a track."""

    presentation: str
    track: str
    segments: int
    seconds: float
    bps: int
    """Of the payload of all segments over their media time."""
    frames: int
    gaps: int


class Fold(msgspec.Struct):
    """All findings of one rule on one track."""

    rule: Rule
    findings: list[Finding]
    """The first few."""
    count: int = 0


class Report:
    """All that was found."""

    def __init__(self) -> None:
        self.tracks: list[TrackSummary] = []
        self._folds: dict[tuple[str, str, str], Fold] = {}

    def scope(self, **where: str | int | None) -> Scope:
        """Somewhere to report from."""
        return Scope(self, Place()).at(**where)

    def add(self, finding: Finding) -> None:
        """Takes a finding."""
        key = (finding.rule.id, finding.place.presentation, finding.place.track)
        fold = self._folds.setdefault(key, Fold(finding.rule, []))
        fold.count += 1
        if len(fold.findings) < _IN_FULL:
            fold.findings.append(finding)

    def folds(self) -> list[Fold]:
        """Findings by severity, then in the order in which they came."""
        return sorted(self._folds.values(), key=lambda fold: SEVERITIES.index(fold.rule.severity))

    def findings(self) -> list[Finding]:
        """Those that are told in full."""
        return [finding for fold in self.folds() for finding in fold.findings]

    def broken(self, severity: Severity | None = None) -> set[str]:
        """Ids of the rules that were broken."""
        return {fold.rule.id for fold in self._folds.values() if severity in (None, fold.rule.severity)}

    def count(self, severity: Severity) -> int:
        """How many findings of a severity there are, folded ones included."""
        return sum(fold.count for fold in self._folds.values() if fold.rule.severity == severity)


class Scope:
    """A place to report from; places nest."""

    __slots__ = ("place", "report")

    def __init__(self, report: Report, place: Place) -> None:
        self.report = report
        self.place = place

    def at(self, **where: str | int | None) -> Self:
        """The same place, more exactly."""
        return type(self)(self.report, msgspec.structs.replace(self.place, **where))

    def breach(self, rule: Rule, found: object, expected: object, *, line: int | None = None, byte: int | None = None) -> None:
        """Reports a breach of a rule here."""
        place = self.place
        if line is not None or byte is not None:
            place = msgspec.structs.replace(place, line=line, byte=byte)
        self.report.add(Finding(rule, place, str(found), str(expected)))
