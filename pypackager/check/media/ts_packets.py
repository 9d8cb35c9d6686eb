"""Packets of MPEG-2 transport streams (ISO 13818-1 2.4): a segment's bytes in, the PES packets of each stream out.

In: a segment. Out: streams of the one program, each as one run of payload with the bounds of its PES packets, and the clock references.
Never: what is inside a PES packet.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pypackager.check.finding import Scope
from pypackager.check.media.ts_tables import read_pat, read_pmt
from pypackager.check.rules import rule

PACKETS = rule(
    "TS-SYNC", "error", "ISO 13818-1 2.4.3.2", "a segment is whole packets of 188 bytes, each starting with 47 and without error",
    example="a segment of 188,001 bytes",
)  # fmt: skip
TABLES = rule(
    "TS-TABLES", "error", "RFC 8216bis 3.1.1", "a segment starts with PAT and PMT of its one program, before any stream",
    example="a segment whose first packet is video",
)  # fmt: skip
COUNTER = rule(
    "TS-CONTINUITY", "error", "ISO 13818-1 2.4.3.3", "the continuity counter of a PID rises by one with each packet that has payload",
    example="a packet was lost: 7 is followed by 9",
)  # fmt: skip
PCR = rule(
    "TS-PCR", "error", "ISO 13818-1 2.4.2.2", "the PID that the PMT names has clock references, and they rise",
    example="a segment without PCR",
)  # fmt: skip
SPACING = rule(
    "TS-PCR-SPACING", "warning", "ISO 13818-1 2.7.2", "clock references are at most 100 ms apart, from segment to segment as well",
    example="no PCR for a third of a second in a stream of audio alone",
)  # fmt: skip
STRAY = rule(
    "TS-PID", "warning", "ISO 13818-1 2.4.4.9", "each PID with packets is in the PMT",
    example="packets of PID 0x103 that no table names",
)  # fmt: skip
SCRAMBLED = rule(
    "TS-ADAPTATION", "error", "ISO 13818-1 2.4.3.4", "an adaptation field fits into its packet",
    example="a field of 190 bytes",
)  # fmt: skip

SIZE = 188
_NULL, _FIRST_FREE = 0x1FFF, 0x20
PCR_WRAP = 300 << 33
MOST_APART = 27_000_000 // 10
"""Ticks of 27 MHz between two clock references."""


@dataclass
class Pes:
    """The PES packets of one stream."""

    pid: int
    type: int
    """stream_type of the PMT (ISO 13818-1 table 2-34)."""
    data: bytes
    bounds: list[int]
    """Where each packet starts in `data`, and the end."""
    places: list[int]
    """Offset in the segment of each packet's first byte."""
    language: str = "und"


@dataclass
class Program:
    """A segment, taken apart."""

    streams: list[Pes] = field(default_factory=list)
    clock: list[tuple[int, int]] = field(default_factory=list)
    """Offset in the segment, and PCR in ticks of 27 MHz."""
    clock_pid: int = _NULL


def read_packets(data: bytes, scope: Scope) -> Program | None:
    """Takes a segment apart; None when nothing can be made of it."""
    if not data or len(data) % SIZE:
        scope.breach(PACKETS, f"{len(data)} bytes", f"a multiple of {SIZE}")
    rows = np.frombuffer(data, np.uint8, len(data) // SIZE * SIZE).reshape(-1, SIZE)
    bad = np.flatnonzero((rows[:, 0] != 0x47) | ((rows[:, 1] & 0x80) != 0))
    if len(bad) or not len(rows):
        at = int(bad[0]) * SIZE if len(bad) else 0
        scope.breach(PACKETS, f"{data[at : at + 4].hex()} in {len(bad)} packets", "47 and no transport error", byte=at)
        return None
    pids = ((rows[:, 1] & 0x1F).astype(np.int64) << 8) | rows[:, 2]
    control = (rows[:, 3] >> 4 & 3).astype(np.uint8)
    starts = np.where(control & 2, 5 + rows[:, 4].astype(np.int64), 4)
    starts[(control & 1) == 0] = SIZE
    if (starts > SIZE).any():
        at = int(np.flatnonzero(starts > SIZE)[0]) * SIZE
        scope.breach(SCRAMBLED, f"a field of {data[at + 4]} bytes", "at most 183", byte=at)
        return None
    _check_counters(rows, pids, control, scope)
    types, pcr_pid, first_media = _read_tables(data, rows, pids, starts, scope)
    program = Program(clock_pid=pcr_pid)
    for pid, (kind, language) in types.items():
        program.streams.append(_collect(rows, np.flatnonzero(pids == pid), starts, pid, kind, language))
    named = {*types, pcr_pid, _NULL}
    for pid in np.unique(pids[first_media:]).tolist():
        if pid >= _FIRST_FREE and pid not in named and pid not in _pmt_pids(data, pids, starts):
            scope.breach(STRAY, f"PID {pid:#x}", "a PID of the PMT")
    program.clock = _read_clock(rows, np.flatnonzero((pids == pcr_pid) & ((control & 2) != 0)), scope)
    return program


def _check_counters(rows: NDArray[np.uint8], pids: NDArray[np.int64], control: NDArray[np.uint8], scope: Scope) -> None:
    for pid in np.unique(pids).tolist():
        if pid == _NULL:
            continue
        own = np.flatnonzero(pids == pid)
        counters = (rows[own, 3] & 0xF).astype(np.int64)
        has_payload = (control[own] & 1).astype(np.int64)
        # Without payload the counter stays; a packet may be sent twice; discontinuity_indicator allows a jump.
        step = (counters[1:] - counters[:-1]) % 16
        jump = (control[own] & 2 != 0) & (rows[own, 4] > 0) & (rows[own, 5] & 0x80 != 0)
        twice = (step == 0) & (rows[own[1:], 4:] == rows[own[:-1], 4:]).all(axis=1)
        for n in np.flatnonzero((step != has_payload[1:]) & ~jump[1:] & ~twice).tolist():
            at = int(own[n + 1]) * SIZE
            found = f"PID {pid:#x}: {int(counters[n + 1])} after {int(counters[n])}"
            scope.breach(COUNTER, found, (int(counters[n]) + int(has_payload[n + 1])) % 16, byte=at)


def _pmt_pids(data: bytes, pids: NDArray[np.int64], starts: NDArray[np.int64]) -> set[int]:
    out: set[int] = set()
    for row in np.flatnonzero(pids == 0)[:1].tolist():
        programs, _ = read_pat(data[row * SIZE + int(starts[row]) : (row + 1) * SIZE])
        out.update(programs.values())
    return out


def _read_tables(
    data: bytes, rows: NDArray[np.uint8], pids: NDArray[np.int64], starts: NDArray[np.int64], scope: Scope
) -> tuple[dict[int, tuple[int, str]], int, int]:
    """Stream types and languages by PID, the PID of the clock, and the row of the first stream's first packet."""
    types: dict[int, tuple[int, str]] = {}
    pcr_pid, pmt_pid = _NULL, -1
    first_media = -1
    for row in np.flatnonzero((pids == 0) | (pids >= _FIRST_FREE)).tolist():
        pid = int(pids[row])
        if pid == _NULL:
            continue
        if pid not in (0, pmt_pid):
            if not types and first_media < 0:
                scope.breach(TABLES, f"a packet of PID {pid:#x}", "PAT and PMT first", byte=row * SIZE)
            first_media = row if first_media < 0 else first_media
            if types:
                continue_after = row
                break
            continue
        section = data[row * SIZE + int(starts[row]) : (row + 1) * SIZE]
        fault = ""
        if pid == 0:
            programs, fault = read_pat(section)
            if not fault and len(programs) != 1:
                fault = f"{len(programs)} programs"
            pmt_pid = next(iter(programs.values()), pmt_pid)
        else:
            found, clock, fault = read_pmt(section)
            types, pcr_pid = found or types, clock if found else pcr_pid
        if fault:
            scope.breach(TABLES, fault, "a whole table of one program with a right CRC", byte=row * SIZE)
    else:
        continue_after = len(rows)
    for row in np.flatnonzero((pids[continue_after:] == 0) | (pids[continue_after:] == pmt_pid)).tolist():
        at = (continue_after + row) * SIZE
        section = data[at + int(starts[continue_after + row]) : at + SIZE]
        later = read_pat(section)[1] if pids[continue_after + row] == 0 else _pmt_fault(section, types)
        if later:
            scope.breach(TABLES, later, "the same tables as before", byte=at)
    if not types:
        scope.breach(TABLES, "no PAT with a PMT", "both")
    return types, pcr_pid, max(first_media, 0)


def _pmt_fault(section: bytes, types: dict[int, tuple[int, str]]) -> str:
    found, _, fault = read_pmt(section)
    return fault or ("another PMT" if found != types else "")


def _collect(rows: NDArray[np.uint8], own: NDArray[np.int64], starts: NDArray[np.int64], pid: int, kind: int, language: str) -> Pes:
    own = own[starts[own] < SIZE]
    packets, first = rows[own], starts[own]
    data = packets[np.arange(SIZE) >= first[:, None]].tobytes()
    ends = np.cumsum(SIZE - first)
    opens = (packets[:, 1] & 0x40) != 0
    bounds = [*(ends - (SIZE - first))[opens].tolist(), len(data)]
    return Pes(pid, kind, data, bounds, [*(own[opens] * SIZE).tolist()], language)


def _read_clock(rows: NDArray[np.uint8], own: NDArray[np.int64], scope: Scope) -> list[tuple[int, int]]:
    clock: list[tuple[int, int]] = []
    for row in own.tolist():
        packet = rows[row]
        if packet[4] < 7 or not packet[5] & 0x10:
            continue
        value = int.from_bytes(packet[6:12].tobytes(), "big")
        ticks = (value >> 15) * 300 + (value & 0x1FF)
        if clock:
            step = (ticks - clock[-1][1]) % PCR_WRAP
            if step > PCR_WRAP // 2:
                scope.breach(PCR, "a PCR that falls", "a later one", byte=row * SIZE)
            elif step > MOST_APART and not packet[5] & 0x80:
                scope.breach(SPACING, f"{step / 27_000:.0f} ms after the one before", "at most 100 ms", byte=row * SIZE)
        clock.append((row * SIZE, ticks))
    if not clock:
        scope.breach(PCR, "no PCR", "one at least")
    return clock
