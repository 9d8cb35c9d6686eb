"""PAT and PMT (ISO 13818-1 2.4.4): sections in, programs and streams out, with what is wrong in words."""

from __future__ import annotations

import zlib

_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def read_pat(payload: bytes) -> tuple[dict[int, int], str]:
    """PIDs of the PMTs by program number, and a fault."""
    section, fault = _section(payload, 0x00)
    programs: dict[int, int] = {}
    for at in range(8, len(section) - 4, 4):
        number = int.from_bytes(section[at : at + 2], "big")
        if number:
            programs[number] = int.from_bytes(section[at + 2 : at + 4], "big") & 0x1FFF
    return programs, fault


def read_pmt(payload: bytes) -> tuple[dict[int, tuple[int, str]], int, str]:
    """Stream types and languages by PID, the PID of the clock, and a fault."""
    section, fault = _section(payload, 0x02)
    if len(section) < 16:
        return {}, 0x1FFF, fault or "a PMT of less than 16 bytes"
    clock = int.from_bytes(section[8:10], "big") & 0x1FFF
    at = 12 + (int.from_bytes(section[10:12], "big") & 0xFFF)
    streams: dict[int, tuple[int, str]] = {}
    while at + 5 <= len(section) - 4:
        kind, pid = section[at], int.from_bytes(section[at + 1 : at + 3], "big") & 0x1FFF
        size = int.from_bytes(section[at + 3 : at + 5], "big") & 0xFFF
        streams[pid] = (kind, _language(section[at + 5 : at + 5 + size]))
        at += 5 + size
    return streams, clock, fault


def _section(payload: bytes, table: int) -> tuple[bytes, str]:
    """The section behind a pointer field; empty when it can't be read. Tables of one program fit into one packet."""
    if not payload or payload[0] + 4 > len(payload):
        return b"", "a table without room for its header"
    section = payload[1 + payload[0] :]
    if section[0] != table:
        return b"", f"table_id {section[0]:#x} where {table:#x} is due"
    size = 3 + (int.from_bytes(section[1:3], "big") & 0xFFF)
    if size > len(section) or size < 12:
        return b"", f"a section of {size} bytes in a packet with {len(section)}"
    return section[:size], "" if crc32_mpeg(section[:size]) == 0 else "a wrong CRC"


def _language(descriptors: bytes) -> str:
    """ISO_639_language_descriptor (ISO 13818-1 2.6.18)."""
    at = 0
    while at + 2 <= len(descriptors):
        size = descriptors[at + 1]
        if descriptors[at] == 0x0A and size >= 4:
            return descriptors[at + 2 : at + 5].decode("latin-1").lower()
        at += 2 + size
    return "und"


def crc32_mpeg(data: bytes) -> int:
    """The CRC of sections; 0 over one that ends in its own (ISO 13818-1 annex A)."""
    # It is the CRC of zlib with the bits of every byte, and of the result, in the other order.
    mirrored = zlib.crc32(data.translate(_MIRROR)) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_MIRROR), "big")
