"""The reference page of all rules, made of their declarations: `python -m pypackager.check.reference` prints it."""

from __future__ import annotations

import sys

from pypackager.check.rules import Rule, every_rule

_HEAD = """# Rules of `pypackager check`

Generated from the rules themselves (`python -m pypackager.check.reference`); a test keeps it equal. How rules are written and proved:
[design/check.md](../design/check.md).

Severities: **error** - a player may fail, or the standard says MUST; **warning** - SHOULD, or a risk; **note** - worth knowing. A clause
in brackets is cited from general knowledge: its text was not at hand when the rule was written. Exit codes: 0 no error, 1 errors, 2 the
check could not run.
"""

_TITLES = {
    "CHECK": "The check itself", "DASH": "MPEG-DASH", "HDS": "HDS", "HLS": "HLS", "HTTP": "HTTP", "LIVE": "Liveness", "MEDIA": "Media",
    "MP4": "ISO base media files", "SMOOTH": "Smooth Streaming", "SYNC": "Between tracks and formats", "TS": "MPEG-2 transport streams",
    "FLV": "FLV and F4F",
}  # fmt: skip


def render_reference() -> str:
    """The whole page."""
    sections: dict[str, list[Rule]] = {}
    for rule in every_rule():
        sections.setdefault(rule.id.partition("-")[0], []).append(rule)
    text = _HEAD
    for family in sorted(sections, key=_title):
        text += f"\n## {_title(family)}\n\n| rule | severity | clause | demand | a breach |\n|---|---|---|---|---|\n"
        text += "".join(_row(rule) for rule in sections[family])
    return text


def _title(family: str) -> str:
    return _TITLES.get(family, family)


def _row(rule: Rule) -> str:
    clause = rule.clause if rule.verified else f"({rule.clause})"
    cells = [f"`{rule.id}`", rule.severity, clause, rule.demand, rule.example]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    sys.stdout.write(render_reference())
