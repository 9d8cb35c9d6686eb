"""What the native parts are made of, judged by the lists of deny.toml: the check of cargo-deny that needs no cargo-deny.

Building that program takes longer than all of the project, so only `make deny` and `make nightly` do. Advisories are not looked at by
either: their database is no package of a registry.
"""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
DENY = tomllib.loads((ROOT / "deny.toml").read_text())


def allowed(expression: str, allow: set[str]) -> bool:
    """Whether an SPDX expression (annex D; `/` is its old OR) can be met with the allowed licences: AND binds closer than OR."""
    tokens: list[str] = re.findall(r"[()/]|[^\s()/]+(?:\s+WITH\s+[^\s()/]+)?", expression)

    def term() -> bool:
        word = tokens.pop(0)
        if word != "(":
            return word in allow
        value = any_of()
        assert tokens.pop(0) == ")", expression
        return value

    def all_of() -> bool:
        value = term()
        while tokens[:1] == ["AND"]:
            tokens.pop(0)
            value &= term()
        return value

    def any_of() -> bool:
        value = all_of()
        while tokens[:1] in (["OR"], ["/"]):
            tokens.pop(0)
            value |= all_of()
        return value

    value = any_of()
    assert not tokens, expression
    return value


@pytest.fixture(scope="module")
def packages() -> list[dict[str, Any]]:
    """Every crate that the workspace is built of and tested with, on each target."""
    found: dict[str, dict[str, Any]] = {}
    for target in DENY["graph"]["targets"]:
        command = ["cargo", "metadata", "--format-version=1", "--locked", "--all-features", f"--filter-platform={target}"]
        metadata = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=100).stdout)
        used = {node["id"] for node in metadata["resolve"]["nodes"]}
        found |= {package["id"]: package for package in metadata["packages"] if package["id"] in used}
    assert found
    return list(found.values())


def test_licences_are_on_the_list(packages: list[dict[str, Any]]) -> None:
    allow = set(DENY["licenses"]["allow"])
    assert [(one["name"], one["license"]) for one in packages if not allowed(one["license"] or "none", allow)] == []


def test_crates_come_from_crates_io(packages: list[dict[str, Any]]) -> None:
    strangers = [(one["name"], one["source"]) for one in packages if one["source"] != CRATES_IO]
    assert [(name, source) for name, source in strangers if source is not None or not name.startswith("pypackager-")] == []


@pytest.mark.parametrize("target", DENY["graph"]["targets"])
def test_no_crate_is_built_in_twice(target: str) -> None:
    command = ["cargo", "tree", "--locked", "--workspace", "--duplicates", "--edges=no-dev", f"--target={target}"]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=100, text=True).stdout == ""


@pytest.mark.parametrize(
    ("expression", "fine"),
    [
        ("MIT", True),
        ("GPL-3.0", False),
        ("GPL-3.0 OR MIT", True),
        ("GPL-3.0/MIT", True),
        ("GPL-3.0 AND MIT", False),
        ("(MIT OR GPL-3.0) AND Zlib", True),
        ("MIT OR Zlib AND GPL-3.0", True),
        ("Apache-2.0 WITH LLVM-exception", False),
        ("none", False),
    ],
)
def test_expressions_are_read(expression: str, fine: bool) -> None:
    assert allowed(expression, {"MIT", "Zlib"}) == fine
