"""H.264 parameter sets (ISO 14496-10 7.3.2.1): what the bitstream itself says of size, rate and profile."""

from __future__ import annotations

from pypackager.check.media.bits import Bits, unescape
from pypackager.check.media.samples import Codec

_HIGH = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135))
_ASPECTS = (
    (1, 1), (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11), (80, 33), (18, 11), (15, 11), (64, 33), (160, 99),
    (4, 3), (3, 2), (2, 1),
)  # fmt: skip

_MOST_CYCLE = 255
"""num_ref_frames_in_pic_order_cnt_cycle (ISO 14496-10 7.4.2.1.1)."""


def read_parameter_sets(units: list[bytes], fourcc: str = "avc1") -> Codec:
    """The codec that a list of parameter sets (without start codes) stands for.

    Raises:
        ValueError: there is no sequence parameter set, or it can't be read.
    """
    sps = next((unit for unit in units if unit and unit[0] & 0x1F == 7), None)
    if sps is None or len(sps) < 4:
        raise ValueError("no sequence parameter set")
    try:
        width, height, aspect, rate = _read_sps(sps)
    except EOFError:
        raise ValueError("the sequence parameter set ends early") from None
    config = b"".join(len(unit).to_bytes(4, "big") + unit for unit in units if unit and unit[0] & 0x1F in (7, 8))
    return Codec(f"{fourcc}.{sps[1:4].hex()}", "video", config, width, height, rate, aspect)


def _read_sps(unit: bytes) -> tuple[int, int, tuple[int, int], tuple[int, int] | None]:
    bits = Bits(unescape(unit[1:]))
    profile = bits.take(24) >> 16
    bits.golomb()
    chroma = 1
    if profile in _HIGH:
        chroma = bits.golomb()
        separate = bits.flag() if chroma == 3 else False
        bits.golomb()
        bits.golomb()
        bits.flag()
        if bits.flag():
            for n in range(8 if chroma != 3 else 12):
                if bits.flag():
                    _skip_scaling_list(bits, 16 if n < 6 else 64)
        chroma = 0 if separate else chroma
    bits.golomb()
    order = bits.golomb()
    if order == 0:
        bits.golomb()
    elif order == 1:
        bits.flag()
        bits.signed_golomb()
        bits.signed_golomb()
        cycle = bits.golomb()
        if cycle > _MOST_CYCLE:
            raise ValueError(f"a cycle of {cycle} reference frames")
        for _ in range(cycle):
            bits.signed_golomb()
    bits.golomb()
    bits.flag()
    width, map_height = (bits.golomb() + 1) * 16, (bits.golomb() + 1) * 16
    frames_only = bits.flag()
    if not frames_only:
        bits.flag()
    bits.flag()
    height = map_height * (1 if frames_only else 2)
    if bits.flag():
        left, right, top, bottom = (bits.golomb() for _ in range(4))
        unit_x = 2 if chroma in (1, 2) else 1
        unit_y = (2 if chroma == 1 else 1) * (1 if frames_only else 2)
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    if not bits.flag():
        return width, height, (1, 1), None
    return width, height, *_read_vui(bits)


def _read_vui(bits: Bits) -> tuple[tuple[int, int], tuple[int, int] | None]:
    aspect = (1, 1)
    if bits.flag():
        number = bits.take(8)
        if number == 255:
            aspect = (bits.take(16), bits.take(16))
        elif number < len(_ASPECTS):
            aspect = _ASPECTS[number]
        if 0 in aspect:
            aspect = (1, 1)
    if bits.flag():
        bits.flag()
    if bits.flag():
        bits.take(4)
        if bits.flag():
            bits.take(24)
    if bits.flag():
        bits.golomb()
        bits.golomb()
    if not bits.flag():
        return aspect, None
    tick, scale = bits.take(32), bits.take(32)
    # Two ticks are a frame: a tick is a field's (ISO 14496-10 E.2.1).
    return aspect, (scale, 2 * tick) if tick and scale else None


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb() + 256) % 256
        last = following or last
