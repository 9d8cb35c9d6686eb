"""Reads XML attributes by a table: which there must be, and what each may hold ([MS-SSTR] 2.2.2).

In: an element. Out: its values, numbers as numbers, and a finding for each that is missing or wrong. Never: attributes that no table
has: [MS-SSTR] 2.2.2 lets vendors add their own.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from lxml import etree

from pypackager.check.finding import Scope
from pypackager.check.rules import rule

ATTRIBUTE = rule(
    "SMOOTH-ATTRIBUTE", "error", "MS-SSTR 2.2.2", "an attribute has the value that its definition demands",
    example='Bitrate="1.5M"', verified=True,
)  # fmt: skip
MISSING = rule(
    "SMOOTH-ATTRIBUTE-MISSING", "error", "MS-SSTR 2.2.2", "an attribute that is required is there",
    example="a SmoothStreamingMedia without Duration", verified=True,
)  # fmt: skip

Type = Literal["number", "positive", "boolean", "hex", "text"]

_SYNTAX = {
    "number": re.compile(r"[0-9]{1,20}"),
    "positive": re.compile(r"0*[1-9][0-9]{0,19}"),
    "boolean": re.compile(r"true|false", re.IGNORECASE),
    "hex": re.compile(r"([0-9A-Fa-f]{2})*"),
    "text": re.compile(r".*", re.DOTALL),
}


class Attribute(msgspec.Struct, frozen=True):
    """What an attribute may hold."""

    type: Type
    required: bool = False


class Values(msgspec.Struct, frozen=True):
    """The attributes of an element that are as they must be."""

    texts: dict[str, str]
    line: int

    def number(self, name: str) -> int | None:
        """A number; None when it is missing or none."""
        text = self.texts.get(name)
        return int(text) if text is not None else None

    def flag(self, name: str) -> bool:
        """A truth value; false when it is missing."""
        return self.texts.get(name, "").lower() == "true"

    def text(self, name: str) -> str:
        """A text; empty when it is missing."""
        return self.texts.get(name, "")


def read_attributes(element: etree._Element, table: dict[str, Attribute], scope: Scope) -> Values:
    """The attributes of an element that a table has."""
    line = element.sourceline or 0
    texts: dict[str, str] = {}
    for name, attribute in table.items():
        value = element.get(name)
        if value is None:
            if attribute.required:
                scope.breach(MISSING, f"{element.tag} without {name}", name, line=line)
        elif _SYNTAX[attribute.type].fullmatch(value):
            texts[name] = value
        else:
            scope.breach(ATTRIBUTE, f'{name}="{value[:80]}" in {element.tag}', f"a value of type {attribute.type}", line=line)
    return Values(texts, line)
