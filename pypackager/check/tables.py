"""The report for a person: a table of findings, and a summary of each track."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pypackager.check.finding import Finding, Fold, Place, Report
from pypackager.check.rules import SEVERITIES, Rule

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def print_report(report: Report, console: Console) -> None:
    """Prints everything."""
    if report.folds():
        console.print(_findings(report))
    console.print(_tracks(report))
    counts = ", ".join(f"{report.count(severity)} {severity}s" for severity in SEVERITIES)
    console.print(f"[bold]{'no breach' if not report.folds() else counts}[/bold]")


def _findings(report: Report) -> Table:
    table = Table("severity", "rule, clause", "where", "found", "expected", show_lines=True)
    for fold in report.folds():
        for finding in fold.findings:
            table.add_row(*_cells(finding), style=None)
        if fold.count > len(fold.findings):
            table.add_row(*_rest(fold))
    return table


def _cells(finding: Finding) -> list[str]:
    rule = finding.rule
    severity = f"[{_STYLES[rule.severity]}]{rule.severity}[/]"
    return [severity, escape(f"{rule.id}\n{cite(rule)}"), escape(describe(finding.place)), escape(finding.found), escape(finding.expected)]


def _rest(fold: Fold) -> list[str]:
    place = fold.findings[0].place
    where = f"{place.presentation} {place.track}".strip()
    return ["", escape(fold.rule.id), escape(where), f"… and {fold.count - len(fold.findings)} more", ""]


def cite(rule: Rule) -> str:
    """A rule's clause, and whether its text was read."""
    return rule.clause if rule.verified else f"{rule.clause} (unverified)"


def describe(place: Place) -> str:
    """A place in words."""
    words = [place.presentation, place.track]
    words += [f"segment {place.segment}"] if place.segment else []
    words += [f"line {place.line}"] if place.line is not None else []
    words += [f"byte {place.byte}"] if place.byte is not None else []
    text = ", ".join(word for word in words if word)
    return f"{text}\n{place.url}" if place.url else text


def _tracks(report: Report) -> Table:
    table = Table("presentation", "track", title="tracks")
    for name in ("segments", "seconds", "kbit/s", "frames", "gaps"):
        table.add_column(name, justify="right")
    for track in report.tracks:
        numbers = (track.segments, f"{track.seconds:.3f}", track.bps // 1000, track.frames, track.gaps)
        table.add_row(escape(track.presentation), escape(track.track), *map(str, numbers))
    return table
