"""CodecPrivateData of Smooth Streaming (MS-SSTR 2.2.2.5).

In: a decoder configuration as stored. Out: what the manifest has of it. Never: a judgement on its content.
"""

from __future__ import annotations

from pypackager.model.errors import PackagerError

_START_CODE = b"\x00\x00\x00\x01"


def annex_b(record: bytes) -> bytes:
    """The parameter sets of an AVCDecoderConfigurationRecord (ISO/IEC 14496-15 5.3.3.1), each behind a start code.

    Raises:
        PackagerError: BAD_CONFIG (500) when the stored record is cut short.
    """
    out = bytearray()
    position = 5
    for mask in (0x1F, 0xFF):
        count = _take(record, position, 1)[0] & mask
        position += 1
        for _ in range(count):
            size = int.from_bytes(_take(record, position, 2), "big")
            out += _START_CODE + _take(record, position + 2, size)
            position += 2 + size
    return bytes(out)


def _take(record: bytes, position: int, size: int) -> bytes:
    piece = record[position : position + size]
    if len(piece) < size:
        raise PackagerError("BAD_CONFIG", f"the AVC configuration ends at {len(record)}, before {position + size}", status=500, fault="us")
    return piece
