"""The page of codes and the code say the same."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Every text in capitals with an underscore is a code, and every text that is handed to what raises or alerts.
_BY_SHAPE = re.compile(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"')
_BY_PLACE = re.compile(r'(?:Error::new|Fault::new|PackagerError|alert|report|_misuse)\(\s*"([A-Z][A-Z0-9_]*)"')
_NO_CODES = {"CARGO_PKG_VERSION", "PYPACKAGER_CACERT", "PYPACKAGER_CONTROL", "PYPACKAGER_TOKEN", "XDG_CACHE_HOME"}


def codes_of(path: Path) -> set[str]:
    """The codes that a source file raises."""
    text = path.read_text().partition("#[cfg(test)]\nmod tests {")[0]
    return (set(_BY_SHAPE.findall(text)) | set(_BY_PLACE.findall(text))) - _NO_CODES


def test_the_reference_page_lists_every_code_once_with_cause_and_remedy() -> None:
    rows = [line for line in (ROOT / "docs/reference/codes.md").read_text().splitlines() if line.startswith("| `")]
    listed = [row.split("`")[1] for row in rows]
    assert all(len([cell for cell in row.strip("|").split("|") if cell.strip()]) == 3 for row in rows)
    sources = [*ROOT.glob("rust/core/src/**/*.rs"), *ROOT.glob("rust/pump/src/**/*.rs"), *ROOT.glob("pypackager/**/*.py")]
    raised = set().union(*(codes_of(path) for path in sources if path.name != "tests.rs"))
    assert sorted(set(listed)) == sorted(listed), "a code is listed twice"
    assert sorted(raised - set(listed)) == [], "codes without a row"
    assert sorted(set(listed) - raised) == [], "rows without a code"
