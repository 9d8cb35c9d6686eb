"""Journal files: framing of records, and reading them back up to the first one that is torn.

In: records, and the bytes of a file. Out: frames to append, and records with their positions. Never: a decision about what they mean.

A file is a 12-byte header (magic, format version, file number) and frames: u32 CRC32C, u32 length, payload, all little-endian; the
checksum covers what follows it, so that neither a run of zeros nor a shifted length passes for a record. The payload is one record in
MessagePack (docs/design/journal.md).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

from pypackager._core import crc32c
from pypackager.dvr.records import JournalRecord
from pypackager.model.errors import PackagerError

FORMAT_VERSION = 1
MAX_RECORD = 16 * 1024 * 1024
"""A length beyond this is damage, not a record: replay does not try to read it."""

HEADER = struct.Struct("<4sII")
_MAGIC = b"PPKJ"
_FRAME = struct.Struct("<II")
FRAME_SIZE = _FRAME.size
"""Bytes before the payload of a record."""
_WORD = struct.Struct("<I")
_NAME = re.compile(r"(\d{8})\.journal")

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[JournalRecord] = msgspec.msgpack.Decoder(JournalRecord)


class BadHeaderError(Exception):
    """The file is no journal, or its first bytes are damaged."""


def file_name(number: int) -> str:
    """Name of a journal file; names sort like numbers."""
    return f"{number:08d}.journal"


def file_numbers(directory: Path) -> list[int]:
    """Numbers of the journal files in a directory, rising."""
    return sorted(int(match[1]) for name in directory.iterdir() if (match := _NAME.fullmatch(name.name)))


def write_header(number: int) -> bytes:
    """First bytes of journal file `number`."""
    return HEADER.pack(_MAGIC, FORMAT_VERSION, number)


def write_frame(record: JournalRecord) -> bytes:
    """A record as it is appended to a file."""
    payload = _encoder.encode(record)
    sized = _WORD.pack(len(payload)) + payload
    return _WORD.pack(crc32c(sized)) + sized


class Scan:
    """Iterates over the records of one file's bytes; afterwards `end` is where the good part ends and `damage` says why it ends there.

    It goes on at `end`, which who has read on by himself may set.

    Raises:
        BadHeaderError: on construction, when the header is torn or of another file.
        PackagerError: JOURNAL_FORMAT, on construction: the file is sound and of another version of this program.
    """

    def __init__(self, data: bytes, number: int) -> None:
        if len(data) < HEADER.size:
            raise BadHeaderError(f"header is {len(data)} bytes of {HEADER.size}")
        magic, version, written = HEADER.unpack_from(data)
        if magic != _MAGIC or written != number:
            raise BadHeaderError(f"magic {magic!r}, file {written}; expected {_MAGIC!r}, file {number}")
        if version != FORMAT_VERSION:
            detail = f"journal is of format {version}; this program reads {FORMAT_VERSION}"
            raise PackagerError("JOURNAL_FORMAT", detail, status=500, where=file_name(number), fault="operator")
        self._data = data
        self.end = HEADER.size
        self.damage = ""

    def __iter__(self) -> Iterator[tuple[int, JournalRecord]]:
        """(position behind the record, record) of each good record."""
        data, size, decode, frame = self._data, len(self._data), _decoder.decode, _FRAME.unpack_from
        while (at := self.end) < size:
            if at + 8 > size:
                self.damage = f"frame header torn at {at}"
                return
            checksum, length = frame(data, at)
            stop = at + 8 + length
            if length > MAX_RECORD or stop > size:
                self.damage = f"record of {length} bytes torn at {at}"
                return
            if crc32c(data[at + 4 : stop]) != checksum:
                self.damage = f"checksum wrong at {at}"
                return
            try:
                record = decode(data[at + 8 : stop])
            except msgspec.MsgspecError as error:
                self.damage = f"record at {at} can't be read: {error}"
                return
            self.end = stop
            yield stop, record
