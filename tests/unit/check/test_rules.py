"""The rules themselves: ids, the reference page, and the report that they make."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path

import pytest
from lxml import etree
from rich.console import Console

from pypackager.check.documents import render_json, render_junit
from pypackager.check.finding import Report, TrackSummary
from pypackager.check.hls.one_copy import TARGET
from pypackager.check.judge.continuity import EXACT
from pypackager.check.reference import render_reference
from pypackager.check.rules import every_rule, rule
from pypackager.check.tables import print_report

ROOT = Path(__file__).parents[3]


def test_the_reference_page_is_what_the_rules_say() -> None:
    text = (ROOT / "docs/reference/check.md").read_text(encoding="utf-8")
    assert text == render_reference(), "python -m pypackager.check.reference > docs/reference/check.md"


def test_rules_are_complete_and_short() -> None:
    rules = every_rule()
    assert len(rules) > 30
    for each in rules:
        assert re.fullmatch(r"[A-Z0-9]+(-[A-Z0-9]+)+", each.id), each.id
        assert each.clause, each.id
        assert each.example, each.id
        assert 10 < len(each.demand) <= 140, each.id
        assert "\n" not in each.demand + each.example, each.id


def test_an_id_is_taken_once() -> None:
    with pytest.raises(ValueError, match="HLS-TARGETDURATION"):
        rule("HLS-TARGETDURATION", "error", "none", "anything", example="anything")


def flooded() -> Report:
    report = Report()
    report.tracks.append(TrackSummary("hls", "720p", 100, 600.0, 2_000_000, 15_000, 1))
    report.scope(presentation="hls", track="720p").breach(EXACT, "2 s", "18 s")
    scope = report.scope(presentation="hls", track="720p", url="http://origin/720p.m3u8")
    for number in range(100):
        scope.at(segment=str(number)).breach(TARGET, "6.6 [\x00]", "at most 6", line=number)
    return report


def test_repeats_are_folded_and_errors_come_first() -> None:
    report = flooded()
    folds = report.folds()
    assert [(fold.rule.id, fold.count, len(fold.findings)) for fold in folds] == [
        ("HLS-TARGETDURATION", 100, 3),
        ("MEDIA-DURATION-EXACT", 1, 1),
    ]
    assert report.count("error") == 100
    assert report.broken("warning") == {"MEDIA-DURATION-EXACT"}


def test_the_report_as_json_and_junit() -> None:
    document = json.loads(render_json(flooded()))
    assert document["counts"] == {"error": 100, "warning": 1, "note": 0}
    assert document["findings"][0]["places"][0]["segment"] == "0"
    suite = etree.fromstring(render_junit(flooded()))
    assert suite.xpath("//testcase[@name='720p']/failure/@message") == ["HLS-TARGETDURATION"]
    assert suite.xpath("//testsuite/@failures") == ["1"]
    assert f"HLS-TARGETDURATION [{TARGET.clause} (unverified)]" in suite.findtext(".//failure")
    assert document["findings"][0]["verified"] is False


def test_the_report_as_a_table() -> None:
    out = StringIO()
    print_report(flooded(), Console(file=out, width=200))
    text = out.getvalue()
    assert "HLS-TARGETDURATION" in text
    assert "… and 97 more" in text
    assert "6.6 [" in text
    assert "100 errors, 1 warnings, 0 notes" in text
