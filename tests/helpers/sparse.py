"""An encoder of sparse tracks: header boxes and fragments as the ingest specification has them."""

from __future__ import annotations

import struct
from uuid import UUID

from tests.helpers.made_media import box

MANIFEST = UUID("a5d40b30-e814-11dd-ba2f-0800200c9a66").bytes
TFXD = UUID("6d1d9b05-42d5-44e6-80e2-141daff757b2").bytes
TIMESCALE = 10_000_000
NUMBER = 1


def header(name: str, parent: str, *, output: bool = True, scheme: str = "urn:scte:scte35:2013:bin", subtype: str = "DATA") -> bytes:
    """`ftyp`, live manifest and `moov` of one sparse track."""
    told = {
        "trackID": NUMBER,
        "trackName": name,
        "timescale": TIMESCALE,
        "Subtype": subtype,
        "Scheme": scheme,
        "parentTrackName": parent,
        "manifestOutput": str(output).lower(),
    }
    params = "".join(f'<param name="{key}" value="{value}" valuetype="data"/>' for key, value in told.items())
    track = f'<textstream systemBitrate="0">{params}</textstream>'
    smil = f'<?xml version="1.0"?><smil xmlns="http://www.w3.org/2001/SMIL20/Language"><body><switch>{track}</switch></body></smil>'
    return box(b"ftyp", b"isml", bytes(4), b"piff", b"iso2") + box(b"uuid", MANIFEST, bytes(4), smil.encode()) + _moov()


def fragment(sequence: int, time: int, duration: int, payload: bytes) -> bytes:
    """A signal; times are ticks of TIMESCALE."""
    size = len(payload)

    def moof(offset: int) -> bytes:
        return box(
            b"moof",
            box(b"mfhd", struct.pack(">II", 0, sequence)),
            box(
                b"traf",
                box(b"tfhd", struct.pack(">II", 0, NUMBER)),
                box(b"trun", struct.pack(">IIiII", 0x301, 1, offset, duration, size)),
                box(b"uuid", TFXD, struct.pack(">IQQ", 1 << 24, time, duration)),
            ),
        )

    return moof(len(moof(0)) + 8) + box(b"mdat", payload)


def _moov() -> bytes:
    mvhd = struct.pack(">IIIIIIH10x", 0, 0, 0, TIMESCALE, 0, 0x10000, 0x100) + bytes(36 + 24) + struct.pack(">I", NUMBER + 1)
    tkhd = struct.pack(">IIIII", 7, 0, 0, NUMBER, 0) + bytes(64)
    mdhd = struct.pack(">IIIIIHH", 0, 0, 0, TIMESCALE, 0, 0x55C4, 0)
    hdlr = struct.pack(">II4s12x", 0, 0, b"meta") + b"signals\0"
    entry = box(b"urim", bytes(6), struct.pack(">H", 1))
    tables = [box(b"stsd", struct.pack(">II", 0, 1), entry), *(box(kind, bytes(8)) for kind in (b"stts", b"stsc", b"stco"))]
    stbl = box(b"stbl", *tables, box(b"stsz", bytes(12)))
    dinf = box(b"dinf", box(b"dref", struct.pack(">II", 0, 1), box(b"url ", struct.pack(">I", 1))))
    minf = box(b"minf", box(b"nmhd", bytes(4)), dinf, stbl)
    trak = box(b"trak", box(b"tkhd", tkhd), box(b"mdia", box(b"mdhd", mdhd), box(b"hdlr", hdlr), minf))
    return box(b"moov", box(b"mvhd", mvhd), trak, box(b"mvex", box(b"trex", struct.pack(">IIIIII", 0, NUMBER, 1, 0, 0, 0))))
