"""Mistakes in transport streams: packets, tables, clocks, PES packets, access units."""

from __future__ import annotations

from collections.abc import Callable

from tests.helpers.mutations.patient import Mutation, Patient, mutation

_SIZE, _VIDEO, _AUDIO = 188, 0x100, 0x101
_WRAP = 1 << 33


def _pid(packet: bytearray) -> int:
    return (packet[1] & 0x1F) << 8 | packet[2]


def _payload(packet: bytearray) -> int:
    return 5 + packet[4] if packet[3] & 0x20 else 4


def _starts(packet: bytearray) -> bool:
    return bool(packet[1] & 0x40)


def _packets(patient: Patient, change: Callable[[list[bytearray]], list[bytearray] | None], url: str = "") -> None:
    """Changes the packets of a segment, in place or by a new list."""

    def whole(data: bytearray) -> bytes:
        packets = [data[n : n + _SIZE] for n in range(0, len(data), _SIZE)]
        changed = change(packets)
        return b"".join(packets if changed is None else changed)

    patient.body(url or patient.segment(), whole)


def _plain(patient: Patient, packets: list[bytearray]) -> int:
    """The place of a packet with video alone in it, between two others of its stream."""
    places = [n for n, packet in enumerate(packets) if _pid(packet) == _VIDEO]
    return patient.chance.choice([n for n in places[2:-2] if not _starts(packets[n]) and not packets[n][3] & 0x20])


def _lose(patient: Patient) -> None:
    def change(packets: list[bytearray]) -> None:
        del packets[_plain(patient, packets)]

    _packets(patient, change)


def _swap(patient: Patient) -> None:
    def change(packets: list[bytearray]) -> None:
        one = _plain(patient, packets)
        other = next(n for n in range(one + 1, len(packets)) if _pid(packets[n]) == _VIDEO)
        packets[one], packets[other] = packets[other], packets[one]

    _packets(patient, change)


def _no_sync(patient: Patient) -> None:
    def change(packets: list[bytearray]) -> None:
        packets[_plain(patient, packets)][0] = 0

    _packets(patient, change)


def _transport_error(patient: Patient) -> None:
    def change(packets: list[bytearray]) -> None:
        packets[_plain(patient, packets)][1] |= 0x80

    _packets(patient, change)


def _without(patient: Patient, wanted: Callable[[bytearray], bool]) -> None:
    _packets(patient, lambda packets: [packet for packet in packets if not wanted(packet)])


def _bad_crc(patient: Patient) -> None:
    def change(packets: list[bytearray]) -> None:
        table = next(packet for packet in packets if _pid(packet) == 0)
        table[_payload(table) + 1 + 12] ^= 1

    _packets(patient, change)


def _clocks(packets: list[bytearray]) -> list[bytearray]:
    return [packet for packet in packets if packet[3] & 0x20 and packet[4] >= 7 and packet[5] & 0x10]


def _no_clock(patient: Patient, first: int, last: int) -> None:
    """So many clock references are left at both ends."""

    def change(packets: list[bytearray]) -> None:
        for packet in _clocks(packets)[first : -last or None]:
            packet[5] &= ~0x10

    _packets(patient, change)


def _clock_pauses(patient: Patient) -> None:
    """Between two segments: the last reference of one is gone and the first of the next, each no breach in itself."""

    def silence(n: int) -> Callable[[list[bytearray]], None]:
        def change(packets: list[bytearray]) -> None:
            _clocks(packets)[n][5] &= ~0x10

        return change

    name, number = patient.variant(), patient.number()
    for n, url in zip((-1, 0), patient.media[name][number : number + 2], strict=True):
        _packets(patient, silence(n), url)


def _clock_ahead(patient: Patient) -> None:
    def change(packets: list[bytearray]) -> None:
        for packet in _clocks(packets):
            value = int.from_bytes(packet[6:12], "big") + (2 * 90_000 << 15)
            packet[6:12] = value.to_bytes(6, "big")

    _packets(patient, change)


def _clock_back(patient: Patient) -> None:
    def change(packets: list[bytearray]) -> None:
        clocks = _clocks(packets)
        packet = clocks[len(clocks) // 2]
        packet[6:12] = (int.from_bytes(packet[6:12], "big") - (90_000 << 15)).to_bytes(6, "big")

    _packets(patient, change)


def _times(packets: list[bytearray], pid: int) -> list[tuple[bytearray, int]]:
    """Packets where a PES packet with a PTS starts, and where that lies."""
    out = []
    for packet in packets:
        at = _payload(packet)
        if _pid(packet) == pid and _starts(packet) and packet[at + 7] & 0x80:
            out.append((packet, at + 9))
    return out


def _pts(packet: bytearray, at: int) -> int:
    part = packet[at : at + 5]
    return (part[0] >> 1 & 7) << 30 | part[1] << 22 | part[2] >> 1 << 15 | part[3] << 7 | part[4] >> 1


def _put_pts(packet: bytearray, at: int, value: int) -> None:
    value %= _WRAP
    head = packet[at] & 0xF0
    packet[at : at + 5] = bytes((
        head | value >> 30 << 1 | 1, value >> 22 & 0xFF, (value >> 15 & 0x7F) << 1 | 1, value >> 7 & 0xFF, (value & 0x7F) << 1 | 1,
    ))  # fmt: skip


def _same_time(patient: Patient) -> None:
    def change(packets: list[bytearray]) -> None:
        times = _times(packets, _VIDEO)
        n = patient.chance.randint(5, len(times) - 5)
        _put_pts(*times[n], _pts(*times[n - 1]))

    _packets(patient, change)


def _no_pts(patient: Patient) -> None:
    def change(packets: list[bytearray]) -> None:
        packet, at = _times(packets, _VIDEO)[patient.chance.randint(5, 20)]
        # The field stays, as stuffing.
        packet[at - 2] &= 0x3F
        packet[at : at + 5] = b"\xff" * 5

    _packets(patient, change)


def _late_sound(patient: Patient, seconds: float, *, everywhere: bool) -> None:
    def change(packets: list[bytearray]) -> None:
        for packet, at in _times(packets, _AUDIO):
            _put_pts(packet, at, _pts(packet, at) + int(seconds * 90_000))

    name = patient.variant()
    for url in patient.media[name] if everywhere else [patient.segment(name)]:
        _packets(patient, change, url)


def _long_field(patient: Patient) -> None:
    def change(packets: list[bytearray]) -> None:
        next(packet for packet in packets if packet[3] & 0x20)[4] = 190

    _packets(patient, change)


def _stray(patient: Patient) -> None:
    def change(packets: list[bytearray]) -> None:
        packets.insert(len(packets) // 2, bytearray(b"\x47\x01\xf0\x10" + b"\xff" * 184))

    _packets(patient, change)


def _replace(patient: Patient, old: bytes, new: bytes) -> None:
    """In the payload of the first packet that has it."""

    def change(packets: list[bytearray]) -> None:
        packet = next(packet for packet in packets if _pid(packet) == _VIDEO and old in packet)
        at = packet.index(old)
        packet[at : at + len(old)] = new

    _packets(patient, change)


def _no_adts(patient: Patient) -> None:
    def change(packets: list[bytearray]) -> None:
        packet, at = _times(packets, _AUDIO)[patient.chance.randint(1, 3)]
        packet[packet.index(b"\xff\xf1", at)] = 0

    _packets(patient, change)


_UNREADABLE = ("MEDIA-EMPTY", "MEDIA-CONTINUOUS", "MEDIA-TIME", "MEDIA-CONFIG-CHANGE", "MEDIA-CONTAINER")

PACKETS: dict[str, Mutation] = {
    "a packet is lost": mutation("TS-CONTINUITY", _lose),
    "two packets change places": mutation("TS-CONTINUITY", _swap),
    "a packet without 47": mutation("TS-SYNC", _no_sync, *_UNREADABLE),
    "a transport error": mutation("TS-SYNC", _transport_error, *_UNREADABLE),
    "half a packet at the end": mutation(
        "TS-SYNC", lambda p: p.body(p.segment(), lambda data: data[:-94]), "TS-PES", "TS-ADTS", "TS-CONTINUITY", "MEDIA-CONTINUOUS"
    ),
    "no PAT": mutation("TS-TABLES", lambda p: _without(p, lambda packet: _pid(packet) == 0), *_UNREADABLE, "TS-PCR", "TS-PID"),
    "a PAT with a wrong CRC": mutation("TS-TABLES", _bad_crc, *_UNREADABLE, "TS-PCR", "TS-PID"),
    "no clock": mutation("TS-PCR", lambda p: _no_clock(p, 0, 0)),
    "a clock that falls": mutation("TS-PCR", _clock_back, "TS-PCR-SPACING", "TS-PCR-DTS"),
    "a clock too seldom": mutation("TS-PCR-SPACING", lambda p: _no_clock(p, 2, 1)),
    "a clock that stops": mutation("TS-PCR-SPACING", lambda p: _no_clock(p, p.chance.randint(1, 45), 0)),
    "a clock that pauses between segments": mutation("TS-PCR-SPACING", _clock_pauses),
    "a clock ahead of its pictures": mutation("TS-PCR-DTS", _clock_ahead, "TS-PCR-SPACING"),
    "two pictures of one time": mutation("TS-DTS", _same_time),
    "a picture without a time": mutation("TS-PES", _no_pts, "MEDIA-DURATION"),
    "an adaptation field too long": mutation("TS-ADAPTATION", _long_field, *_UNREADABLE),
    "a PID that no table names": mutation("TS-PID", _stray),
    "no access unit delimiter": mutation("TS-AUD", lambda p: _replace(p, b"\x00\x00\x01\x09", b"\x00\x00\x01\x0c")),
    "no SPS": mutation("TS-PARAMETER-SETS", lambda p: _replace(p, b"\x00\x00\x01\x67", b"\x00\x00\x01\x6c"), "MEDIA-CONFIG-CHANGE"),
    "no sync word of the sound": mutation("TS-ADTS", _no_adts, "MEDIA-CONTINUOUS"),
    "sound of one segment is late": mutation("MEDIA-CONTINUOUS", lambda p: _late_sound(p, 0.1, everywhere=False)),
    "sound is far from its picture": mutation("SYNC-MUXED", lambda p: _late_sound(p, 0.9, everywhere=True)),
}
"""Of the transport streams."""
