"""URL templates (ISO/IEC 23009-1 5.3.9.4.4): a template and values in, a URL out."""

from __future__ import annotations

import re

_PART = re.compile(r"\$([^$]*)\$")
_IDENTIFIER = re.compile(r"(RepresentationID|Number|Bandwidth|Time|SubNumber)(%0([0-9]{1,2})([diuxXo]))?")


def fault_in(template: str) -> str | None:
    """What is wrong with a template; None when nothing is."""
    if template.count("$") % 2:
        return f"a $ without its partner in {template}"
    for name in _PART.findall(template):
        match = _IDENTIFIER.fullmatch(name)
        if name and match is None:
            return f"the identifier ${name}$"
        if match and match[1] == "RepresentationID" and match[2]:
            return f"a format tag in ${name}$"
    return None


def identifiers(template: str) -> set[str]:
    """Names of the identifiers in a template, without their format tags."""
    return {name.partition("%")[0] for name in _PART.findall(template) if name}


def expand(template: str, values: dict[str, str | int]) -> str:
    """The URL that a template stands for; identifiers without a value stay as they are."""

    def replace(match: re.Match[str]) -> str:
        if not match[1]:
            return "$"
        identifier = _IDENTIFIER.fullmatch(match[1])
        value = values.get(identifier[1]) if identifier else None
        if identifier is None or value is None:
            return match[0]
        if identifier[2] is None or isinstance(value, str):
            return str(value)
        letter = identifier[4].replace("i", "d").replace("u", "d")
        return format(value, f"0{identifier[3]}{letter}")

    return _PART.sub(replace, template)
