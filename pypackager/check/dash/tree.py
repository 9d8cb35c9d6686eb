"""Reads an MPD as XML and checks what it is made of (ISO/IEC 23009-1 5, annex B).

In: bytes. Out: a tree of nodes with the line that each begins on. Never: the meaning of a value.
"""

from __future__ import annotations

from typing import Any

from lxml import etree

from pypackager.check.dash.elements import ELEMENTS, Element
from pypackager.check.dash.values import TYPES, has_calendar_units, has_zone
from pypackager.check.finding import Scope
from pypackager.check.rules import rule

XML = rule(
    "DASH-XML", "error", "ISO 23009-1 5.2.1", "an MPD is well-formed XML whose root is MPD of the namespace urn:mpeg:dash:schema:mpd:2011",
    example="a page of HTML with status 200",
)  # fmt: skip
ELEMENT = rule(
    "DASH-ELEMENT", "error", "ISO 23009-1 annex B", "each element stands where the schema has a place for it, in order, as often as it may",
    example="a Period behind UTCTiming", verified=True,
)  # fmt: skip
ATTRIBUTE = rule(
    "DASH-ATTRIBUTE", "error", "ISO 23009-1 annex B", "an element has no attribute that the schema does not know",
    example="Representation@bitrate", verified=True,
)  # fmt: skip
REQUIRED = rule(
    "DASH-REQUIRED", "error", "ISO 23009-1 annex B", "an element has the attributes that are required of it",
    example="a Representation without @bandwidth", verified=True,
)  # fmt: skip
VALUE = rule(
    "DASH-VALUE", "error", "ISO 23009-1 annex B", "an attribute's value is of the attribute's type",
    example='minBufferTime="2"', verified=True,
)  # fmt: skip
ZONE = rule(
    "DASH-ZONE", "warning", "ISO 23009-1 5.3.1.2", "a date says its time zone",
    example='availabilityStartTime="2024-01-01T00:00:00"',
)  # fmt: skip
UNITS = rule(
    "DASH-DURATION-UNITS", "warning", "DASH-IF Timing Model, Representing durations in XML", "durations have neither years nor months",
    example='timeShiftBufferDepth="P1M"', verified=True,
)  # fmt: skip

NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"


class Node:
    """An element of an MPD. Those of other namespaces are left out."""

    __slots__ = ("_named", "children", "line", "name", "text", "values")

    def __init__(self, name: str, line: int, values: dict[str, str], text: str) -> None:
        self.name = name
        self.line = line
        self.values = values
        """Attributes of no namespace."""
        self.text = text
        self.children: list[Node] = []
        self._named: dict[str, list[Node]] = {}

    def add(self, child: Node) -> None:
        """Puts a child behind the others."""
        self.children.append(child)
        self._named.setdefault(child.name, []).append(child)

    def all(self, name: str) -> list[Node]:
        """Its children of a name."""
        return [*self._named.get(name, ())]

    def first(self, name: str) -> Node | None:
        """Its first child of a name."""
        return next(iter(self._named.get(name, ())), None)

    def valid(self, name: str) -> str | None:
        """An attribute whose value is of its type; None when it is not there or is not."""
        value = self.values.get(name)
        kind = ELEMENTS[self.name].attributes.get(name)
        return value.strip() if value is not None and kind is not None and TYPES[kind][0](value) else None

    def number(self, name: str) -> int | None:
        """An attribute that is a whole number."""
        value = self.valid(name)
        return int(value) if value is not None else None


def read_tree(data: bytes, scope: Scope) -> Node | None:
    """The root of an MPD, judged against the schema; None when it is no MPD."""
    try:
        # Neither entities nor anything from elsewhere: what an origin sends must not make the judge ask or grow.
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
        root: Any = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as fault:
        scope.breach(XML, fault.msg, "well-formed XML", line=fault.lineno)
        return None
    if root.tag != f"{{{NAMESPACE}}}MPD":
        scope.breach(XML, f"the root is {root.tag}", f"MPD of {NAMESPACE}", line=root.sourceline)
        return None
    return _read(root, scope)


def _read(element: Any, scope: Scope) -> Node:
    name = etree.QName(element).localname
    known = ELEMENTS[name]
    values = {str(key): str(value) for key, value in element.attrib.items() if key[0] != "{"}
    node = Node(name, element.sourceline or 0, values, (element.text or "").strip())
    _check_attributes(node, known, scope)
    order = 0
    for child in element:
        if not isinstance(child.tag, str):
            continue
        label = etree.QName(child)
        if label.namespace != NAMESPACE:
            continue
        order = _check_child(node, known, label.localname, order, child.sourceline, scope)
        if label.localname in known.children and label.localname in ELEMENTS:
            node.add(_read(child, scope))
    for wanted in known.least:
        if node.first(wanted) is None:
            scope.breach(ELEMENT, f"{name} without {wanted}", "one at least", line=node.line)
    stray = [node.text, *((child.tail or "").strip() for child in element)]
    if not known.text and any(stray):
        scope.breach(ELEMENT, f"text in {name}: {''.join(stray)[:40]}", "none", line=node.line)
    return node


def _check_child(node: Node, known: Element, name: str, order: int, line: int, scope: Scope) -> int:
    """Checks the place of a child, and returns the place in the order that has been reached."""
    if name not in known.children:
        scope.breach(ELEMENT, f"{name} in {node.name}", f"no {name} here", line=line)
        return order
    place = known.children.index(name)
    if place < order:
        scope.breach(ELEMENT, f"{name} behind {known.children[order]}", f"{name} before it", line=line)
    elif name in known.single and node.first(name) is not None:
        scope.breach(ELEMENT, f"another {name} in {node.name}", "one at most", line=line)
    return max(place, order)


def _check_attributes(node: Node, known: Element, scope: Scope) -> None:
    for name in known.required:
        if name not in node.values:
            scope.breach(REQUIRED, f"{node.name} without @{name}", f"@{name}", line=node.line)
    for name, value in node.values.items():
        kind = known.attributes.get(name)
        if kind is None:
            scope.breach(ATTRIBUTE, f"{node.name}@{name}", "attributes of the schema", line=node.line)
            continue
        valid, expected = TYPES[kind]
        if not valid(value):
            scope.breach(VALUE, f'{node.name}@{name}="{value[:60]}"', expected, line=node.line)
        elif kind == "dateTime" and not has_zone(value):
            scope.breach(ZONE, f'{node.name}@{name}="{value}"', "Z or an offset at its end", line=node.line)
        elif kind == "duration" and has_calendar_units(value):
            scope.breach(UNITS, f'{node.name}@{name}="{value}"', "days, hours, minutes and seconds alone", line=node.line)
