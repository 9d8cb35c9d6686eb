"""Smooth Streaming fragments ([MS-SSTR] 2.2.4): moof with tfxd and tfrf, and mdat; there is no initialisation segment.

In: bytes, and a header that the manifest's CodecPrivateData was made into. Out: samples, and what the fragment says of its time and of
those that follow. Never: the manifest's opinion of either.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from uuid import UUID

from pypackager.check.finding import Scope
from pypackager.check.media.bits import Bits, unescape
from pypackager.check.media.boxes import Box, BoxError, boxes, find, u24, u32, u64
from pypackager.check.media.mp4_fragments import UNUSED, read_runs
from pypackager.check.media.mp4_header import BOX, Mp4Header
from pypackager.check.media.samples import Header, Media
from pypackager.check.rules import rule

FRAGMENT = rule(
    "SMOOTH-FRAGMENT", "error", "MS-SSTR 2.2.4", "a fragment is one moof (mfhd, one traf with tfhd and trun), then one mdat",
    example="a fragment that starts with styp and has two moof",
)  # fmt: skip
TIME_BOX = rule(
    "SMOOTH-TIME-BOX", "error", "MS-SSTR 2.2.4.5", "tfxd and tfrf are as long as their version and count say, once each at most",
    example="a tfrf of 2 fragments with room for one", verified=True,
)  # fmt: skip
OFFSETS = rule(
    "SMOOTH-OFFSETS", "warning", "MS-SSTR 2.2.4", "composition offsets are not negative: clients read trun as version 0",
    example="a trun of version 1 whose first offset is -3600",
)  # fmt: skip

TFXD = UUID("6d1d9b05-42d5-44e6-80e2-141daff757b2").bytes
TFRF = UUID("d4807ef2-ca39-4695-8e54-26cb9e46a79f").bytes


@dataclass
class SmoothMedia(Media):
    """A fragment."""

    tfxd: tuple[int, int] | None = None
    """Time and duration, in ticks of the stream."""
    tfrf: tuple[tuple[int, int], ...] | None = None
    """Times and durations of those that follow."""
    tfdt: int | None = None
    parameter_sets: tuple[bytes, ...] = ()
    """SPS and PPS before the first slice."""
    picture_parameter_set: int | None = None
    """Which one the first slice refers to."""
    first_element: int | None = None
    """id_syn_ele of the first sample's first element, for AAC (ISO 14496-3 4.5.2.1)."""

    @property
    def base(self) -> int:
        """Where its samples were put: its own time, or zero when it has none."""
        return self.tfxd[0] if self.tfxd else self.tfdt or 0


def read_smooth_fragment(data: bytes, header: Header | None, scope: Scope) -> SmoothMedia:
    """Reads a fragment by the header of its quality level."""
    media = SmoothMedia()
    try:
        kinds = [(box.kind, box) for box in boxes(data) if box.kind not in (b"free", b"skip")]
        if [kind for kind, _ in kinds] != [b"moof", b"mdat"]:
            scope.breach(FRAGMENT, " ".join(box.name for _, box in kinds) or "nothing", "moof mdat")
        moof, mdat = (next((box for kind, box in kinds if kind == wanted), None) for wanted in (b"moof", b"mdat"))
        if moof is None or mdat is None or not isinstance(header, Mp4Header):
            return media
        _read_moof(data, moof, mdat, header, media, scope)
    except BoxError as fault:
        scope.breach(BOX, str(fault), "boxes that fit", byte=fault.at)
    except (struct.error, IndexError):
        scope.breach(BOX, "a box ends before its fields", "boxes that hold their fields")
    return media


def _read_moof(data: bytes, moof: Box, mdat: Box, header: Mp4Header, media: SmoothMedia, scope: Scope) -> None:
    mfhd, trafs = find(data, "mfhd", moof.payload, moof.end), find(data, "traf", moof.payload, moof.end)
    media.numbers = [u32(data, box.payload + 4) for box in mfhd]
    if len(mfhd) != 1 or len(trafs) != 1:
        scope.breach(FRAGMENT, f"{len(mfhd)} mfhd and {len(trafs)} traf in moof", "one of each", byte=moof.start)
    if not trafs:
        return
    traf = trafs[0]
    children = {box.kind: box for box in boxes(data, traf.payload, traf.end)}
    if b"tfhd" not in children or b"trun" not in children:
        scope.breach(FRAGMENT, "no tfhd or no trun", "both in traf", byte=traf.start)
        return
    _read_times(data, traf, media, scope)
    if tfdt := children.get(b"tfdt"):
        media.tfdt = u64(data, tfdt.payload + 4) if data[tfdt.payload] else u32(data, tfdt.payload + 4)
    track = header.tracks[0]
    track.ident = 0
    samples = read_runs(data, moof, traf, mdat, track, media.base, scope)
    if samples is None:
        return
    media.streams = [samples]
    if samples.size < mdat.end - mdat.payload:
        scope.breach(UNUSED, f"{mdat.end - mdat.payload - samples.size} bytes of no sample", "none", byte=mdat.start)
    if len(samples) and int((samples.pts - samples.dts).min()) < 0:
        scope.breach(OFFSETS, f"{int((samples.pts - samples.dts).min())} ticks", "0 or more", byte=children[b"trun"].start)
    first = None if not len(samples) else _first_sample(data, moof, children[b"tfhd"], children[b"trun"])
    if track.length_size and first is not None:
        _read_first_slice(data, first, mdat.end, track.length_size, media)
    elif track.kind == "audio" and first is not None and first < mdat.end:
        media.first_element = data[first] >> 5


def _read_times(data: bytes, traf: Box, media: SmoothMedia, scope: Scope) -> None:
    for box in boxes(data, traf.payload, traf.end):
        if box.kind != b"uuid":
            continue
        ident, at = data[box.payload : box.payload + 16], box.payload + 16
        if ident not in (TFXD, TFRF):
            continue
        wide = data[at : at + 1] == b"\x01"
        count = 1 if ident == TFXD else data[at + 4] if at + 4 < box.end else 0
        at += 4 if ident == TFXD else 5
        size = 16 if wide else 8
        if at + count * size != box.end or (media.tfxd if ident == TFXD else media.tfrf) is not None:
            name = "tfxd" if ident == TFXD else "tfrf"
            scope.breach(TIME_BOX, f"a {name} with {box.end - at} bytes of times", f"one, with {count * size}", byte=box.start)
            continue
        pairs = tuple(struct.unpack_from(">QQ" if wide else ">II", data, at + n * size) for n in range(count))
        if ident == TFXD:
            media.tfxd = pairs[0][0], pairs[0][1]
        else:
            media.tfrf = tuple((time, duration) for time, duration in pairs)


def _first_sample(data: bytes, moof: Box, tfhd: Box, trun: Box) -> int | None:
    base = u64(data, tfhd.payload + 8) if u24(data, tfhd.payload + 1) & 1 else moof.start
    if not u24(data, trun.payload + 1) & 1:
        return None
    return base + int.from_bytes(data[trun.payload + 8 : trun.payload + 12], "big", signed=True)


def _read_first_slice(data: bytes, at: int, end: int, width: int, media: SmoothMedia) -> None:
    sets: list[bytes] = []
    while at + width < end:
        size = int.from_bytes(data[at : at + width], "big")
        start, at = at + width, at + width + size
        kind = data[start] & 0x1F
        if kind in (7, 8):
            sets.append(data[start : min(at, end)])
        elif kind in (1, 5):
            bits = Bits(unescape(data[start + 1 : min(start + 40, at, end)]))
            try:
                bits.golomb()
                bits.golomb()
                media.picture_parameter_set = bits.golomb()
            except (EOFError, ValueError):
                pass
            break
    media.parameter_sets = tuple(sets)
