"""Reads a playlist line by line (RFC 8216bis 4.1, 4.2): tags with their values and attributes, and URIs.

In: the body of a playlist. Out: lines, and a finding for each one that breaks the grammar. Never: what a line means for its neighbours.
"""

from __future__ import annotations

import re

import msgspec

from pypackager.check.finding import Scope
from pypackager.check.hls.tags import BYTE_RANGE, DATE, EXTINF, SYNTAX, TAGS, Tag
from pypackager.check.rules import rule

TEXT = rule(
    "HLS-TEXT", "error", "RFC 8216bis 4.1", "a playlist is UTF-8 without byte order mark and control characters",
    example="a playlist that starts with EF BB BF",
)  # fmt: skip
EXTM3U = rule(
    "HLS-EXTM3U", "error", "RFC 8216bis 4.4.1.1", "the first line is #EXTM3U",
    example="#EXT-X-VERSION:7 stands first",
)  # fmt: skip
TAG = rule(
    "HLS-TAG", "error", "RFC 8216bis 4.4", "a tag has the value that its definition demands, and stands as often as it may",
    example="#EXT-X-TARGETDURATION:6.0",
)  # fmt: skip
UNKNOWN = rule(
    "HLS-TAG-UNKNOWN", "note", "RFC 8216bis 4.1", "tags are those of the standard: clients ignore others",
    example="#EXT-X-CUE-OUT:30",
)  # fmt: skip
ATTRIBUTES = rule(
    "HLS-ATTRIBUTES", "error", "RFC 8216bis 4.2", "an attribute list is NAME=value,… without spaces, each name once, each value typed",
    example='RESOLUTION="1280x720"',
)  # fmt: skip
MISSING = rule(
    "HLS-ATTRIBUTE-MISSING", "error", "RFC 8216bis 4.4", "an attribute that is required is there",
    example="#EXT-X-STREAM-INF without BANDWIDTH",
)  # fmt: skip

_PAIR = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)(,|$)')
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Line(msgspec.Struct, frozen=True):
    """A tag, or a URI (then `tag` is empty)."""

    number: int
    tag: str
    value: str
    attributes: dict[str, str] = {}
    """Quoted strings without their quotes."""


def read_lines(body: bytes, scope: Scope) -> list[Line]:
    """The lines that mean something."""
    if body.startswith(b"\xef\xbb\xbf"):
        scope.breach(TEXT, "a byte order mark", "none", line=1)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        scope.breach(TEXT, f"byte {fault.start} is no UTF-8", "UTF-8", byte=fault.start)
        text = body.decode("latin-1")
    out: list[Line] = []
    seen: set[str] = set()
    rows = text.replace("\r\n", "\n").split("\n")
    if rows[0] != "#EXTM3U":
        scope.breach(EXTM3U, rows[0][:80] or "an empty line", "#EXTM3U", line=1)
    for number, row in enumerate(rows, 1):
        if _CONTROL.search(row) or "\r" in row:
            scope.breach(TEXT, f"a control character in {row[:80]!r}", "none", line=number)
        if row.startswith("#EXT"):
            out.append(_read_tag(row, number, seen, scope))
        elif row and not row.startswith("#"):
            if row != row.strip():
                scope.breach(TEXT, f"white space around {row[:80]!r}", "the URI alone", line=number)
            out.append(Line(number, "", row.strip()))
    return out


def _read_tag(row: str, number: int, seen: set[str], scope: Scope) -> Line:
    name, colon, value = row[1:].partition(":")
    tag = TAGS.get(name)
    if tag is None:
        scope.breach(UNKNOWN, row[:80], "a tag of the standard", line=number)
        return Line(number, name, value)
    if tag.once and name in seen:
        scope.breach(TAG, f"a second {name}", "one", line=number)
    seen.add(name)
    if bool(colon) != (tag.value != "none"):
        scope.breach(TAG, row[:80], f"#{name} {'with' if tag.value != 'none' else 'without'} a value", line=number)
        return Line(number, name, value)
    if tag.value == "attributes":
        return Line(number, name, value, _read_attributes(value, name, tag, number, scope))
    patterns = {"integer": SYNTAX["integer"], "date": DATE, "range": BYTE_RANGE, "extinf": EXTINF, "playlist-type": re.compile("EVENT|VOD")}
    pattern = patterns.get(tag.value)
    if pattern is not None and not pattern.fullmatch(value):
        scope.breach(TAG, row[:80], f"{tag.value} (clause {tag.clause})", line=number)
    return Line(number, name, value)


def _read_attributes(text: str, name: str, tag: Tag, number: int, scope: Scope) -> dict[str, str]:
    out: dict[str, str] = {}
    at, ended = 0, False
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            break
        key, value, comma = pair.groups()
        if key in out:
            scope.breach(ATTRIBUTES, f"a second {key} in {name}", "one", line=number)
        attribute = tag.attributes.get(key)
        if attribute is None:
            if not key.startswith("X-"):
                scope.breach(UNKNOWN, f"{name} with {key}", "an attribute of the standard", line=number)
        elif name == "EXT-X-STREAM-INF" and key == "CLOSED-CAPTIONS" and value == "NONE":
            pass
        elif not SYNTAX[attribute.type].fullmatch(value) or (attribute.values and value not in attribute.values):
            wanted = " | ".join(attribute.values) or attribute.type
            scope.breach(ATTRIBUTES, f"{key}={value} in {name}", wanted, line=number)
        out[key] = value[1:-1] if value.startswith('"') else value
        at, ended = pair.end(), not comma
    if not ended:
        scope.breach(ATTRIBUTES, f"{text[at : at + 40]!r} in {name}", "NAME=value,…", line=number)
    for key, attribute in tag.attributes.items():
        if attribute.required and key not in out:
            scope.breach(MISSING, f"{name} without {key}", key, line=number)
    return out
