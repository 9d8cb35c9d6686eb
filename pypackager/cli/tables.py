"""What the API answered, for people."""

from __future__ import annotations

import sys
from typing import Any, cast


def print_table(columns: tuple[str, ...], items: list[dict[str, Any]]) -> None:
    """Some fields of each item, below each other."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " ").upper(), overflow="fold")
    for item in items:
        table.add_row(*(_text(item[column]) for column in columns))
    Console(markup=False, highlight=False).print(table)


def print_one(item: dict[str, Any]) -> None:
    """All fields of one item."""
    width = max(len(name) for name in item)
    for name, value in item.items():
        text = "\n".join(f"{'':{width}}  {line}" for line in _text(value, ",\n").split("\n")).lstrip()
        sys.stdout.write(f"{name:{width}}  {text}\n")


def _text(value: Any, between: str = ", ") -> str:
    if isinstance(value, list):
        return between.join(_text(each) for each in cast("list[object]", value))
    if isinstance(value, dict):
        fields = cast("dict[str, object]", value)
        return str(fields.get("code") or " ".join(f"{name}={_text(each)}" for name, each in fields.items() if each not in (None, "")))
    return "" if value is None else str(value)
