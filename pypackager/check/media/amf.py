"""AMF0 (Adobe Action Message Format 0, 2.1): script data in, plain values out."""

from __future__ import annotations

import struct

Value = float | bool | str | dict[str, "Value"] | list["Value"] | None

_MOST_DEPTH = 8


def read_amf(data: bytes) -> list[Value]:
    """The values that stand one behind the other.

    Raises:
        ValueError: they end early, nest too deep, or have a type that metadata does not use.
    """
    out: list[Value] = []
    at = 0
    try:
        while at < len(data):
            value, at = _read(data, at, 0)
            out.append(value)
    except (struct.error, IndexError):
        raise ValueError("the script data ends early") from None
    return out


def _read(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    if depth > _MOST_DEPTH:
        raise ValueError("the script data nests too deep")
    marker, at = data[at], at + 1
    match marker:
        case 0x00:
            (number,) = struct.unpack_from(">d", data, at)
            return float(number), at + 8
        case 0x01:
            return data[at] != 0, at + 1
        case 0x02:
            return _read_text(data, at)
        case 0x03:
            return _read_object(data, at, depth)
        case 0x05 | 0x06:
            return None, at
        case 0x08:
            return _read_object(data, at + 4, depth)
        case 0x0A:
            (count,) = struct.unpack_from(">I", data, at)
            items: list[Value] = []
            at += 4
            for _ in range(count):
                item, at = _read(data, at, depth + 1)
                items.append(item)
            return items, at
        case 0x0B:
            (number,) = struct.unpack_from(">d", data, at)
            return float(number), at + 10
        case _:
            raise ValueError(f"script data of type {marker}")


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    (size,) = struct.unpack_from(">H", data, at)
    end = at + 2 + size
    if end > len(data):
        raise ValueError("the script data ends early")
    return data[at + 2 : end].decode("utf-8", "replace"), end


def _read_object(data: bytes, at: int, depth: int) -> tuple[dict[str, Value], int]:
    out: dict[str, Value] = {}
    while True:
        name, at = _read_text(data, at)
        if not name and data[at] == 0x09:
            return out, at + 1
        out[name], at = _read(data, at, depth + 1)
