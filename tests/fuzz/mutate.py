"""Changes of an input that a parser still reads far into: what a fuzzer that knows bytes alone seldom hits on in text.

In: bytes and chance. Out: other bytes. Rows, values and numbers are exchanged whole; what stands around them stays.
"""

from __future__ import annotations

import random
import re

_VALUE = re.compile(rb'(?<=[=">:,@])[^"<>=,\n]{1,80}(?=[",<\n]|$)')
_NUMBER = re.compile(rb"\d+")
_ODD = [
    b"", b"0", b"-1", b"1", b"007", b"+5", b"1.5", b".5", b"5.", b"1e9", b"1e999999999", b"1/0", b"NaN", b"INF", b"-INF", b"4294967295",
    b"9007199254740993", b"9223372036854775807", b"9223372036854775808", b"18446744073709551615", b"18446744073709551616", b"9" * 40,
    "\u00b2".encode(), "\u0663".encode(), b"PT0S", b"P1Y2M3DT4H5M6.7S", b"-PT1S", b"2024-02-30T00:00:00Z", b"0001-01-01T00:00:00+14:00",
    b"9999-12-31T23:59:59-14:00", b"true", b"http://[", b"//[::1", b"../../..", b"$Number%020d$", b"$Time$", b"$$", b"YES", b"NONE", b"0x",
    b"1@0", b"5-1", b"AA==", b"static", b"dynamic",
]  # fmt: skip


def changed(data: bytes, chance: random.Random) -> bytes:
    """Some bytes of it are others, missing, or there twice."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(out) + 1)
        end = min(len(out), at + chance.choice([1, 1, 2, 4, 8, 30]))
        match chance.randrange(4):
            case 0:
                out[at:end] = chance.randbytes(end - at)
            case 1:
                del out[at:end]
            case 2:
                out[at:at] = out[at:end]
            case _:
                out[at:at] = chance.choice([b"0", b"-", b"%", b"\xff", b"\0\0\0\0", b"99999999999999999999", b'"', b"\n", b"<", b"="])
    return bytes(out)


def rewritten(data: bytes, chance: random.Random) -> bytes:
    """One or two rows, values or numbers of a text are others."""
    for _ in range(chance.randint(1, 2)):
        kind = chance.randrange(4)
        if kind == 0:
            rows = data.splitlines(keepends=True)
            if rows:
                one, other = chance.randrange(len(rows)), chance.randrange(len(rows))
                match chance.randrange(3):
                    case 0:
                        rows[one], rows[other] = rows[other], rows[one]
                    case 1:
                        rows.insert(one, rows[other])
                    case _:
                        del rows[one]
                data = b"".join(rows)
            continue
        found = [match.span() for match in (_NUMBER if kind == 1 else _VALUE).finditer(data)]
        if not found:
            continue
        start, end = chance.choice(found)
        first, last = chance.choice(found)
        data = data[:start] + (data[first:last] if kind == 2 else chance.choice(_ODD)) + data[end:]
    return data
