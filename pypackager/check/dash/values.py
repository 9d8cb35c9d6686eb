"""Types of attributes in an MPD (XML Schema part 2 as the MPD schema uses it): text in, whether it is one and what it means out."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from fractions import Fraction

from pypackager.check.numerals import whole

_DURATION = re.compile(
    r"(-)?P(?=\d|T\d)(?:(\d{1,20})Y)?(?:(\d{1,20})M)?(?:(\d{1,20})D)?"
    r"(?:T(?=\d)(?:(\d{1,20})H)?(?:(\d{1,20})M)?(?:(\d{1,20}(?:\.\d{1,40})?)S)?)?",
    re.ASCII,
)  # fmt: skip
_DATE_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:(\.\d{1,40}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_DOUBLE = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|-?INF|NaN"
_RFC2045_WORD = r"[A-Za-z0-9$\-_.+^|'`%!*#\\~&]+"
_DAY = 86_400


def parse_duration(text: str) -> Fraction | None:
    """xs:duration in seconds; None when it is none. A year counts as 365 days, a month as 30, where they are written at all."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        return None
    sign, *parts = match.groups()
    scales = (365 * _DAY, 30 * _DAY, _DAY, 3600, 60, 1)
    seconds = sum((Fraction(part) * scale for part, scale in zip(parts, scales, strict=True) if part), Fraction(0))
    return -seconds if sign else seconds


def has_calendar_units(text: str) -> bool:
    """A duration is written with years or months, whose length depends on the date."""
    return "Y" in text or "M" in text.partition("T")[0]


def parse_date_time(text: str) -> Fraction | None:
    """xs:dateTime in seconds since 1970; None when it is none. Without a zone it is taken for UTC (ISO/IEC 23009-1 5.3.1.2)."""
    match = _DATE_TIME.fullmatch(text.strip())
    if match is None:
        return None
    *numbers, fraction, zone = match.groups()
    year, month, day, hour, minute, second = map(int, numbers)
    offset = timedelta()
    if zone not in (None, "Z"):
        hours, minutes = int(zone[1:3]), int(zone[4:])
        if hours > 14 or minutes > 59:
            return None
        offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
    try:
        whole = datetime(year, month, day, hour, minute, second, tzinfo=timezone(offset))
    except ValueError:
        return None
    return Fraction(int(whole.timestamp())) + (Fraction("0" + fraction) if fraction else 0)


def has_zone(text: str) -> bool:
    """A date says its time zone."""
    match = _DATE_TIME.fullmatch(text.strip())
    return match is not None and match[8] is not None


def parse_range(text: str) -> tuple[int, int] | None:
    """A byte range `first-last` as first byte and length."""
    first, dash, last = text.strip().partition("-")
    start, end = whole(first), whole(last)
    return (start, end - start + 1) if dash and start is not None and end is not None and start <= end else None


def parse_frame_rate(text: str) -> Fraction | None:
    """@frameRate as frames a second."""
    number, _, per = text.partition("/")
    frames, seconds = whole(number), whole(per or "1")
    return Fraction(frames, seconds) if frames is not None and seconds else None


def _pattern(expression: str) -> Callable[[str], bool]:
    compiled = re.compile(expression)
    return lambda text: compiled.fullmatch(text) is not None


def _collapsed(expression: str) -> Callable[[str], bool]:
    """White space around is no part of the value (XML Schema part 2 4.3.6)."""
    compiled = re.compile(expression)
    return lambda text: compiled.fullmatch(text.strip(" \t\r\n")) is not None


def _unsigned(bits: int) -> Callable[[str], bool]:
    def is_unsigned(text: str) -> bool:
        digits = text.strip(" \t\r\n").removeprefix("+")
        number = whole(digits)
        return number is not None and number < 1 << bits

    return is_unsigned


def _list_of(item: Callable[[str], bool], least: int = 0, most: int = 1 << 16) -> Callable[[str], bool]:
    return lambda text: least <= len(text.split()) <= most and all(map(item, text.split()))


def _one_of(*words: str) -> Callable[[str], bool]:
    return lambda text: text in words


TYPES: dict[str, tuple[Callable[[str], bool], str]] = {
    "string": (lambda _: True, "text"),
    "uri": (_collapsed(r"([A-Za-z][A-Za-z0-9+.-]*:.*)?|[^:/?#]*([/?#].*)?"), "a URI"),
    "word": (_pattern(r"\S*"), "text without white space"),
    "name": (_collapsed(r"[^\W\d][\w.-]*"), "an XML name without a colon"),
    "u32": (_unsigned(32), "an unsigned 32-bit number"),
    "u64": (_unsigned(64), "an unsigned 64-bit number"),
    "i32": (_collapsed(r"[+-]?[0-9]{1,10}"), "a 32-bit number"),
    "int": (_collapsed(r"[+-]?[0-9]{1,20}"), "a whole number"),
    "bool": (_collapsed("true|false|0|1"), "true or false"),
    "double": (_collapsed(_DOUBLE), "a decimal number"),
    "duration": (lambda text: parse_duration(text) is not None, "a duration such as PT2.5S"),
    "dateTime": (lambda text: parse_date_time(text) is not None, "a date and time such as 2024-01-01T00:00:00Z"),
    "language": (_collapsed("[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*"), "a language tag"),
    "ratio": (_pattern("[0-9]*:[0-9]*"), "a ratio such as 16:9"),
    "frameRate": (_pattern("[0-9]+(/[1-9][0-9]*)?"), "a frame rate such as 30000/1001"),
    "codecs": (_pattern(f"{_RFC2045_WORD}(,{_RFC2045_WORD})*"), "codecs with commas and without spaces"),
    "profiles": (_pattern(r"[^\s<>{}|\\^`\[\]]+(,[ \t]*[^\s<>{}|\\^`\[\]]+)*"), "URIs with commas"),
    "sap": (_collapsed(r"\+?0*[0-6]"), "0 to 6"),
    "percent": (_collapsed(r"\+?0*([1-9][0-9]?|100)"), "1 to 100"),
    "u32s": (_list_of(_unsigned(32)), "unsigned 32-bit numbers"),
    "rates": (_list_of(_unsigned(32), 1, 2), "one or two sampling rates"),
    "strings": (lambda _: True, "words"),
    "range": (_pattern("[0-9]*(-[0-9]*)?"), "a byte range such as 0-999"),
    "type": (_one_of("static", "dynamic"), "static or dynamic"),
    "content": (_one_of("text", "image", "audio", "video", "application", "font"), "a top-level media type"),
    "scan": (_one_of("progressive", "interlaced", "unknown"), "progressive, interlaced or unknown"),
    "switching": (_one_of("media", "bitstream"), "media or bitstream"),
    "random": (_one_of("closed", "open", "gradual"), "closed, open or gradual"),
    "order": (_one_of("undefined", "time-ordered", "fully-ordered"), "undefined, time-ordered or fully-ordered"),
    "base64": (_one_of("base64"), "base64"),
    "reference": (_one_of("encoder", "captured", "application"), "encoder, captured or application"),
    "source": (_one_of("content", "statistics", "other"), "content, statistics or other"),
    "quality": (_one_of("video", "audio", "any"), "video, audio or any"),
    "traffic": (_one_of("video", "audio", "any", "all"), "video, audio, any or all"),
}
"""By the names that the element tables use: whether a text is a value, and what is expected, in words."""
