"""The clock that an MPD names (UTCTiming, ISO/IEC 23009-1 5.8.4.11): is it answered, and is it right?

In: an `Mpd` and an `Origin`. Out: how far the origin's clock is ahead of the judge's, and findings.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from fractions import Fraction

from pypackager.check.dash.mpd import Mpd
from pypackager.check.dash.tree import Node
from pypackager.check.dash.values import parse_date_time
from pypackager.check.finding import Scope
from pypackager.check.origin import Answer
from pypackager.check.references import resolve_reference
from pypackager.check.rules import rule
from pypackager.check.session import Session

MISSING = rule(
    "DASH-UTC-MISSING", "warning", "DASH-IF Timing Model, Clock synchronization", "a dynamic MPD names a clock with UTCTiming",
    example="a dynamic MPD without UTCTiming", verified=True,
)  # fmt: skip
SCHEME = rule(
    "DASH-UTC-SCHEME", "warning", "DASH-IF Timing Model, Clock synchronization", "UTCTiming is http-xsdate, http-iso, http-head or direct",
    example="urn:mpeg:dash:utc:ntp:2014", verified=True,
)  # fmt: skip
UNANSWERED = rule(
    "DASH-UTC-ANSWER", "error", "ISO 23009-1 5.8.5.7", "the clock answers with a date of its scheme",
    example="UTCTiming's URL is answered with 404",
)  # fmt: skip
WRONG = rule(
    "DASH-UTC-WRONG", "error", "ISO 23009-1 5.8.5.7", "the clock is right, to two seconds",
    example="a clock in local time, sent as UTC",
)  # fmt: skip
OURS = rule(
    "DASH-CLOCK", "note", "none", "the judge's own clock and the origin's agree",
    example="the machine that judges is 40 s behind", verified=True,
)  # fmt: skip

_PREFIX = "urn:mpeg:dash:utc:"
_DATED = ("http-xsdate", "http-iso")
_LARGEST_ERROR = Fraction(2)


async def ask_clock(mpd: Mpd, session: Session, scope: Scope) -> Fraction:
    """Asks the first clock that can be asked; 0 when none answers well."""
    nodes = mpd.node.all("UTCTiming")
    if not nodes:
        scope.breach(MISSING, "no UTCTiming", "one at least", line=mpd.node.line)
    for node in nodes:
        scheme = node.values.get("schemeIdUri", "").removeprefix(_PREFIX).partition(":")[0]
        if scheme not in (*_DATED, "http-head", "direct"):
            scope.breach(SCHEME, node.values.get("schemeIdUri", ""), "a scheme that players can ask", line=node.line)
            continue
        offset = await _ask(scheme, node, mpd, session, scope)
        if offset is not None:
            return offset
    return Fraction(0)


async def _ask(scheme: str, node: Node, mpd: Mpd, session: Session, scope: Scope) -> Fraction | None:
    value = node.values.get("value", "")
    if scheme == "direct":
        told, answer = parse_date_time(value), None
        found, middle = value, session.origin.utc()
    else:
        # Several URLs may stand side by side (5.8.5.7): a player takes the first.
        url = resolve_reference(mpd.url, value.split()[0] if value.split() else "")
        answer = await session.origin.ask(url, method="HEAD" if scheme == "http-head" else "GET")
        session.note(answer, "clock")
        told, found = _read(scheme, answer)
        middle = (answer.asked + answer.answered) / 2
        scope = scope.at(url=url)
    if told is None:
        scope.breach(UNANSWERED, found, f"a date as {scheme} says it", line=node.line)
        return None
    offset = told - Fraction(middle)
    # A Date header has whole seconds, and the judge asks between them.
    error = abs(offset) - Fraction((answer.answered - answer.asked) / 2 if answer is not None else 0)
    if error <= _LARGEST_ERROR:
        return offset if scheme in _DATED else Fraction(0)
    dated = _date(answer.header("date")) if answer is not None and scheme != "http-head" else None
    if dated is not None and abs(dated - told) <= _LARGEST_ERROR:
        scope.breach(OURS, f"{float(offset):+.1f} s apart", "one time; the origin's is taken for right", line=node.line)
        return offset
    scope.breach(WRONG, f"{float(offset):+.1f} s", "UTC", line=node.line)
    return Fraction(0)


def _read(scheme: str, answer: Answer) -> tuple[Fraction | None, str]:
    """The time that an answer tells, and the answer in short."""
    if answer.status != 200:
        return None, str(answer.status or answer.fault)
    if scheme == "http-head":
        header = answer.header("date")
        return _date(header), f"Date: {header}"
    text = answer.body.decode("utf-8", "replace").strip()
    return parse_date_time(text), repr(text[:60])


def _date(header: str | None) -> Fraction | None:
    """A Date header (RFC 9110 5.6.7) in seconds since 1970."""
    try:
        return Fraction(int(parsedate_to_datetime(header).timestamp())) if header else None
    except ValueError:
        return None
