"""Reads MPEG-2 transport streams: packets in, frames out (ISO 13818-1). Independent of the code under test.

Checks on the way what players stumble over: sync bytes, continuity counters, CRC of PAT and PMT, ADTS syntax.
"""

from __future__ import annotations

from typing import Literal

from tests.helpers.frames import Frame, Track, digest_nal_units, digest_raw, split_start_codes

_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350)
_CLOCK = 90_000
_AVC, _ADTS = 0x1B, 0x0F


def read_ts(segments: list[bytes], label: str) -> list[Track]:
    """Tracks of the segments, taken as one stream; each segment must bring its own PAT and PMT."""
    pes: dict[int, list[bytearray]] = {}
    kinds: dict[int, int] = {}
    counters: dict[int, int] = {}
    for number, segment in enumerate(segments):
        _read_segment(segment, f"{label} segment {number}", pes, kinds, counters)
    tracks = []
    for pid, kind in sorted(kinds.items()):
        name: Literal["video", "audio"] = "video" if kind == _AVC else "audio"
        track = Track(name, _CLOCK, f"{label} pid {pid}", decodes_before=True)
        last: int | None = None
        for packet in pes.get(pid, []):
            pts, dts, payload = _read_pes(bytes(packet), track.label)
            dts = dts if last is None else last + (dts - last + (1 << 32)) % (1 << 33) - (1 << 32)
            last = dts
            pts = dts + (pts - dts) % (1 << 33)
            if kind == _AVC:
                units = split_start_codes(payload)
                assert units, f"{track.label}: an access unit without NAL units at {dts}"
                assert units[0][0] & 0x1F == 9, f"{track.label}: no AUD at the start of the access unit at {dts}"
                track.frames.append(Frame(dts, pts, digest_nal_units(units), any(unit[0] & 0x1F == 5 for unit in units)))
            else:
                track.frames += _read_adts(payload, pts, track.label)
        tracks.append(track)
    return tracks


def _read_segment(data: bytes, label: str, pes: dict[int, list[bytearray]], kinds: dict[int, int], counters: dict[int, int]) -> None:
    assert len(data) % 188 == 0, f"{label}: {len(data)} bytes are no whole number of packets"
    pmt_pid: int | None = None
    seen_pmt = False
    for at in range(0, len(data), 188):
        packet = data[at : at + 188]
        assert packet[0] == 0x47, f"{label}: no sync byte at {at}"
        pid, start, control = (packet[1] & 0x1F) << 8 | packet[2], bool(packet[1] & 0x40), packet[3] >> 4 & 3
        if pid == 0x1FFF or 0 < pid < 0x20:  # null packets; CAT, SDT and their kind
            continue
        assert control & 1 or pid in counters or control == 2, f"{label}: neither payload nor adaptation field at {at}"
        payload_at = 4 + (1 + packet[4] if control & 2 else 0)
        if not control & 1:
            continue
        # A discontinuity_indicator or a segment border may restart the counter; inside a segment it counts.
        counter = packet[3] & 0xF
        if pid in counters and at and not start:
            assert counter == (counters[pid] + 1) & 0xF, f"{label}: continuity counter of pid {pid} jumps at {at}"
        counters[pid] = counter
        payload = packet[payload_at:]
        if pid == 0:
            pmt_pid = _read_pat(payload, label)
        elif pid == pmt_pid:
            seen_pmt = True
            kinds.update(_read_pmt(payload, label))
        elif start:
            assert seen_pmt, f"{label}: media before PAT and PMT at {at}"
            pes.setdefault(pid, []).append(bytearray(payload))
        else:
            assert pid in pes, f"{label}: pid {pid} does not begin at a PES header"
            pes[pid][-1] += payload


def _read_pat(payload: bytes, label: str) -> int:
    section = _section(payload, label)
    return (section[10] & 0x1F) << 8 | section[11]


def _read_pmt(payload: bytes, label: str) -> dict[int, int]:
    section = _section(payload, label)
    at, end, out = 12 + ((section[10] & 0xF) << 8 | section[11]), len(section) - 4, {}
    while at < end:
        if section[at] in {_AVC, _ADTS}:
            out[(section[at + 1] & 0x1F) << 8 | section[at + 2]] = section[at]
        at += 5 + ((section[at + 3] & 0xF) << 8 | section[at + 4])
    return out


def _section(payload: bytes, label: str) -> bytes:
    start = 1 + payload[0]
    section = payload[start : start + 3 + ((payload[start + 1] & 0xF) << 8 | payload[start + 2])]
    assert _crc32(section) == 0, f"{label}: wrong CRC in a section"
    return section


def _crc32(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc


def _read_pes(packet: bytes, label: str) -> tuple[int, int, bytes]:
    assert packet[:3] == b"\x00\x00\x01", f"{label}: no PES start code"
    length = int.from_bytes(packet[4:6], "big")
    flags, header = packet[7] >> 6, packet[8]
    assert flags & 2, f"{label}: a PES packet without PTS"
    pts = _timestamp(packet[9:14])
    dts = _timestamp(packet[14:19]) if flags == 3 else pts
    return pts, dts, packet[9 + header : 6 + length if length else None]


def _timestamp(field: bytes) -> int:
    return (field[0] >> 1 & 7) << 30 | field[1] << 22 | (field[2] >> 1) << 15 | field[3] << 7 | field[4] >> 1


def _read_adts(data: bytes, pts: int, label: str) -> list[Frame]:
    frames: list[Frame] = []
    at = 0
    while at < len(data):
        assert data[at] == 0xFF and data[at + 1] & 0xF6 == 0xF0, f"{label}: no ADTS sync word at {at} of the PES packet at {pts}"  # noqa: PT018
        rate = _RATES[data[at + 2] >> 2 & 0xF]
        length = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        header = 7 if data[at + 1] & 1 else 9
        assert at + length <= len(data), f"{label}: an ADTS frame leaves its PES packet at {pts}"
        time = pts + round(len(frames) * 1024 * _CLOCK / rate)
        frames.append(Frame(time, time, digest_raw(data[at + header : at + length]), key=True))
        at += length
    return frames
