"""MPEG-2 transport stream segments (ISO 13818-1, RFC 8216bis 3.1.1): bytes in, samples out."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pypackager.check.finding import Scope
from pypackager.check.media.aac import RATES
from pypackager.check.media.avc import read_parameter_sets
from pypackager.check.media.samples import Codec, Header, Media, Samples, digest_avc, digest_raw
from pypackager.check.media.ts_clock import Delivery, check_clock
from pypackager.check.media.ts_packets import Pes, read_packets
from pypackager.check.rules import rule

PES = rule(
    "TS-PES", "error", "ISO 13818-1 2.4.3.6", "a stream is whole PES packets with a PTS, and a DTS that is not above it",
    example="a PES packet without PTS",
)  # fmt: skip
DTS = rule(
    "TS-DTS", "error", "ISO 13818-1 2.4.3.7", "decode times of a stream rise",
    example="two access units with one DTS",
)  # fmt: skip
AUD = rule(
    "TS-AUD", "error", "ISO 13818-1 2.14.1", "each H.264 access unit starts with an access unit delimiter",
    example="a PES packet that starts with a slice",
)  # fmt: skip
SETS = rule(
    "TS-PARAMETER-SETS", "error", "RFC 8216bis 3.1.1", "the first IDR picture of a segment comes with SPS and PPS",
    example="parameter sets are in the first segment alone",
)  # fmt: skip
ADTS = rule(
    "TS-ADTS", "error", "ISO 14496-3 1.A.2.2", "AAC is whole ADTS frames of one configuration",
    example="4 bytes between two frames",
)  # fmt: skip

_CLOCK = 90_000
_WRAP = 1 << 33
_AVC, _ADTS = 0x1B, 0x0F
_FRAME = 1024


def read_ts(data: bytes, header: Header | None, scope: Scope) -> Media:
    """Reads a segment; `header` (EXT-X-MAP) stands before it when there is one."""
    program = read_packets((header.data if header is not None else b"") + data, scope)
    if program is None:
        return Media()
    streams = [ElementaryStream(pes, scope) for pes in program.streams if pes.type in (_AVC, _ADTS)]
    media = Media([stream.read() for stream in streams])
    if program.clock:
        media.clock = program.clock[0][1], program.clock[-1][1]
        check_clock(program, [stream.delivery for stream in streams], scope)
    return media


@dataclass
class ElementaryStream:
    """Reads one elementary stream: PES packets of H.264, or of AAC in ADTS."""

    pes: Pes
    scope: Scope
    dts: list[int] = field(default_factory=list)
    pts: list[int] = field(default_factory=list)
    duration: list[int] = field(default_factory=list)
    idr: list[bool] = field(default_factory=list)
    digest: list[int] = field(default_factory=list)
    size: int = 0
    codec: Codec | None = None
    carry: bytes = b""
    """The beginning of an ADTS frame that ends in the next PES packet."""

    def __post_init__(self) -> None:
        self.delivery = Delivery(self.pes.pid, self.pes.type == _AVC)

    def read(self) -> Samples:
        """The samples of the stream."""
        pes, video = self.pes, self.delivery.video
        if pes.bounds and pes.bounds[0] > 0:
            self.scope.breach(PES, f"PID {pes.pid:#x} starts inside a PES packet", "a packet with payload_unit_start_indicator")
        for n, (start, end) in enumerate(zip(pes.bounds, pes.bounds[1:], strict=False)):
            times = self._times(start, end, pes.places[n])
            if times is None:
                continue
            decoded, shown, payload = times
            self.delivery.places.append(pes.places[n])
            self.delivery.dts.append(decoded)
            if video:
                self._picture(decoded, shown, pes.data[payload:end], pes.places[n])
            else:
                self._sound(shown, pes.data[payload:end], pes.places[n])
        if self.carry:
            self.scope.breach(ADTS, f"the last frame lacks {len(self.carry)} of its bytes or more", "a whole frame")
        dts = _unwrap(self.dts)
        pts = _unwrap_beside(self.pts, dts)
        for n in np.flatnonzero(np.diff(dts) <= 0)[:1].tolist():
            self.scope.breach(DTS, f"{int(dts[n + 1])} after {int(dts[n])}", "a later time")
        duration, idr, digest = np.array(self.duration, np.int64), np.array(self.idr, np.bool_), np.array(self.digest, np.uint64)
        return Samples(
            "video" if video else "audio", _CLOCK, self.codec, dts, pts, duration, idr, idr, digest, self.size, pes.language, pes.pid,
            free_dts=True, wrap=_WRAP,
        )  # fmt: skip

    def _times(self, start: int, end: int, place: int) -> tuple[int, int, int] | None:
        """DTS, PTS, and where the payload starts."""
        data = self.pes.data
        if end - start < 9 or data[start : start + 3] != b"\x00\x00\x01" or data[start + 6] & 0xC0 != 0x80:
            self.scope.breach(PES, f"{data[start : start + 9].hex()}", "a PES header", byte=place)
            return None
        length, flags, extra = int.from_bytes(data[start + 4 : start + 6], "big"), data[start + 7] >> 6, data[start + 8]
        payload = start + 9 + extra
        if (length and start + 6 + length != end) or payload > end or (not length and self.pes.type != _AVC):
            self.scope.breach(PES, f"PES_packet_length {length} with {end - start - 6} bytes", "the same", byte=place)
        if flags < 2:
            self.scope.breach(PES, "no PTS", "a PTS", byte=place)
            return None
        pts = _stamp(data, start + 9)
        dts = _stamp(data, start + 14) if flags == 3 else pts
        if (pts - dts) % _WRAP > _WRAP // 2:
            self.scope.breach(PES, f"DTS {dts} above PTS {pts}", "at most the PTS", byte=place)
        return dts, pts, payload

    def _picture(self, dts: int, pts: int, data: bytes, place: int) -> None:
        units = split_start_codes(data)
        if not units or data[units[0][0]] & 0x1F != 9:
            self.scope.breach(AUD, f"PTS {pts} starts with NAL unit type {data[units[0][0]] & 0x1F if units else 'none'}", 9, byte=place)
        digest, idr = digest_avc(units, data)
        if idr and self.codec is None:
            sets = [data[first:last].rstrip(b"\x00") for first, last in units if data[first] & 0x1F in (7, 8)]
            try:
                self.codec = read_parameter_sets(sets)
            except ValueError as fault:
                self.scope.breach(SETS, str(fault), "SPS and PPS with the first IDR picture", byte=place)
        self._add(dts, pts, -1, digest, idr, sum(last - first for first, last in units))

    def _sound(self, pts: int, data: bytes, place: int) -> None:
        at, count = 0, 0
        if self.carry:
            # The PTS is of the first frame that begins in the packet (ISO 13818-1 2.4.3.7).
            missing = _adts_size(self.carry) - len(self.carry)
            data, self.carry = (self.carry + data, b"") if missing > 0 else (data, b"")
            count = -1
        while at + 7 <= len(data):
            if data[at] != 0xFF or data[at + 1] & 0xF6 != 0xF0:
                self.scope.breach(ADTS, f"{data[at : at + 4].hex()} at PTS {pts}", "a sync word", byte=place)
                return
            size, head = _adts_size(data[at : at + 7]), 7 if data[at + 1] & 1 else 9
            if size < head:
                self.scope.breach(ADTS, f"a frame of {size} bytes", f"more than {head}", byte=place)
                return
            if at + size > len(data):
                break
            codec = _adts_codec(data[at : at + 7])
            if codec is None or (self.codec is not None and self.codec != codec):
                self.scope.breach(ADTS, f"configuration {data[at + 2 : at + 4].hex()} at PTS {pts}", "the one before", byte=place)
                return
            self.codec = codec
            time = pts + (2 * count * _FRAME * _CLOCK + codec.sample_rate) // (2 * codec.sample_rate)
            duration = (2 * _FRAME * _CLOCK + codec.sample_rate) // (2 * codec.sample_rate)
            self._add(time % _WRAP, time % _WRAP, duration, digest_raw(data[at + head : at + size]), True, size - head)
            at += size
            count += 1
        self.carry = data[at:]

    def _add(self, dts: int, pts: int, duration: int, digest: int, idr: bool, size: int) -> None:
        for column, value in (self.dts, dts), (self.pts, pts), (self.duration, duration), (self.digest, digest):
            column.append(value)
        self.idr.append(idr)
        self.size += size


def split_start_codes(data: bytes) -> list[tuple[int, int]]:
    """Bounds of the NAL units of a byte stream (ISO 14496-10 annex B); zeros before a start code are left at the unit's end."""
    bounds: list[tuple[int, int]] = []
    at = data.find(b"\x00\x00\x01")
    while at >= 0:
        following = data.find(b"\x00\x00\x01", at + 3)
        end = following if following >= 0 else len(data)
        if end > at + 3:
            bounds.append((at + 3, end))
        at = following
    return bounds


def _stamp(data: bytes, at: int) -> int:
    """33 bits between markers (ISO 13818-1 2.4.3.7)."""
    value = int.from_bytes(data[at : at + 5], "big")
    return (value >> 3 & 7 << 30) | (value >> 2 & 0x7FFF << 15) | (value >> 1 & 0x7FFF) if len(data) >= at + 5 else 0


def _adts_size(data: bytes) -> int:
    return (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5 if len(data) >= 6 else 7


def _adts_codec(head: bytes) -> Codec | None:
    profile, index, channels = head[2] >> 6, head[2] >> 2 & 0xF, (head[2] & 1) << 2 | head[3] >> 6
    if index >= len(RATES):
        return None
    config = bytes(((profile + 1) << 3 | index >> 1, (index & 1) << 7 | channels << 3))
    return Codec(f"mp4a.40.{profile + 1}", "audio", config, sample_rate=RATES[index], channels=channels)


def _unwrap(values: list[int]) -> NDArray[np.int64]:
    """33-bit times as times that go on from the first."""
    out = np.array(values, np.int64)
    if len(out):
        steps = (np.diff(out) + _WRAP // 2) % _WRAP - _WRAP // 2
        out[1:] = out[0] + np.cumsum(steps)
    return out


def _unwrap_beside(values: list[int], beside: NDArray[np.int64]) -> NDArray[np.int64]:
    """33-bit times, each as close as may be to another one."""
    return np.asarray(beside + (np.array(values, np.int64) - beside + _WRAP // 2) % _WRAP - _WRAP // 2, np.int64)
