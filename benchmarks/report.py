"""RESULTS.md: each program that measures owns one section and replaces it."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.processes import machine, versions

RESULTS = Path(__file__).with_name("RESULTS.md")
_HEAD = "# Results\n\nWritten by `make bench` and the `make bench-…` beside it: do not edit by hand.\n"


def write_section(name: str, title: str, body: str) -> None:
    """Puts a section in place of the one of that name, or at the end."""
    text = RESULTS.read_text() if RESULTS.exists() else _HEAD
    today = dt.datetime.now(dt.UTC).date()
    section = f"<!-- {name} -->\n## {title}\n{today} · {machine()} · {versions()}\n\n{body.strip()}\n<!-- /{name} -->\n"
    found = re.compile(rf"<!-- {name} -->\n.*?<!-- /{name} -->\n", re.DOTALL)
    text = found.sub(lambda _: section, text) if found.search(text) else f"{text}\n{section}"
    RESULTS.write_text(text)


def finish(name: str, title: str, body: str, *, dry: bool) -> None:
    """Prints a section, with how busy the machine was, and puts it in its place unless that is not wanted."""
    body += f"\nLoad average of the machine at the end {os.getloadavg()[1]:.2f}.\n"
    print(f"\n{body}")
    if not dry:
        write_section(name, title, body)


def read_section(name: str) -> str:
    """The text of a section under its heading; empty when there is none."""
    text = RESULTS.read_text() if RESULTS.exists() else ""
    found = re.search(rf"<!-- {name} -->\n## [^\n]*\n[^\n]*\n\n(.*?)\n<!-- /{name} -->\n", text, re.DOTALL)
    return found[1] if found else ""


def table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all but the first column right-aligned."""
    lines = [" | ".join(heading), " | ".join(["---", *["---:"] * (len(heading) - 1)]), *(" | ".join(row) for row in rows)]
    return "".join(f"| {line} |\n" for line in lines)


def read_table(text: str) -> list[dict[str, str]]:
    """The rows of the first Markdown table in a text, cells by their column's heading."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", text, re.MULTILINE)]
    return [dict(zip(lines[0], cells, strict=True)) for cells in lines[2:]]
