"""The report for machines: JSON and JUnit XML."""

from __future__ import annotations

from typing import Any

import msgspec
from lxml import etree

from pypackager.check.finding import Fold, Report
from pypackager.check.rules import SEVERITIES
from pypackager.check.tables import cite, describe


def render_json(report: Report) -> bytes:
    """The whole report as one JSON object."""
    document: dict[str, Any] = {
        "counts": {severity: report.count(severity) for severity in SEVERITIES},
        "findings": [_fold(fold) for fold in report.folds()],
        "tracks": report.tracks,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _fold(fold: Fold) -> dict[str, Any]:
    rule = fold.rule
    places = [{**_present(finding.place), "found": finding.found, "expected": finding.expected} for finding in fold.findings]
    head = {"rule": rule.id, "severity": rule.severity, "clause": rule.clause, "verified": rule.verified, "demand": rule.demand}
    return {**head, "count": fold.count, "places": places}


def _present(place: msgspec.Struct) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(place).items() if value not in ("", None)}


def render_junit(report: Report) -> bytes:
    """A test case per track, and per presentation for what is no track's; each broken rule of severity error is a failure."""
    places = [(track.presentation, track.track) for track in report.tracks]
    folds: dict[tuple[str, str], list[Fold]] = {}
    for presentation in dict.fromkeys(presentation for presentation, _ in places):
        folds[presentation, ""] = []
    folds.update((place, []) for place in places)
    for fold in report.folds():
        place = fold.findings[0].place
        folds.setdefault((place.presentation, place.track), []).append(fold)
    failed = sum(any(fold.rule.severity == "error" for fold in each) for each in folds.values())
    root = etree.Element("testsuites")
    suite = etree.SubElement(root, "testsuite", name="pypackager check", tests=str(len(folds)), failures=str(failed))
    for (presentation, track), each in folds.items():
        case = etree.SubElement(suite, "testcase", classname=presentation or "check", name=track or "presentation")
        errors = [fold for fold in each if fold.rule.severity == "error"]
        others = [fold for fold in each if fold.rule.severity != "error"]
        if errors:
            failure = etree.SubElement(case, "failure", message=", ".join(fold.rule.id for fold in errors))
            failure.text = _xml_text("\n".join(_text(fold) for fold in errors))
        if others:
            etree.SubElement(case, "system-out").text = _xml_text("\n".join(_text(fold) for fold in others))
    return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True))


def _text(fold: Fold) -> str:
    lines = [f"{fold.rule.id} [{cite(fold.rule)}]: {fold.rule.demand}; {fold.count} times"]
    lines += [f"  {describe(each.place).replace(chr(10), ' ')}: {each.found}; expected: {each.expected}" for each in fold.findings]
    return "\n".join(lines)


def _xml_text(text: str) -> str:
    """Without the control characters that XML 1.0 has no place for: what was found may be anything."""
    return "".join(char if char in "\t\n" or " " <= char <= "\ud7ff" or char > "\ue000" else "�" for char in text)
