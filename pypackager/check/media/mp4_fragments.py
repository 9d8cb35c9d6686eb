"""Movie fragments (ISO 14496-12 8.8, CMAF ISO 23000-19 7.3.2): bytes of a media segment in, samples out."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pypackager.check.finding import Scope
from pypackager.check.media.boxes import Box, BoxError, boxes, find, u24, u32, u64
from pypackager.check.media.mp4_header import BOX, Mp4Header, Mp4Track
from pypackager.check.media.samples import Header, Media, Samples, digest_avc, digest_raw
from pypackager.check.rules import rule

FRAGMENT = rule(
    "MP4-FRAGMENT", "error", "ISO 23000-19 7.3.2.2", "a segment is pairs of moof (mfhd, traf with tfhd, tfdt, trun) and mdat",
    example="a moof without tfdt",
)  # fmt: skip
UNKNOWN_TRACK = rule(
    "MP4-TRACK-ID", "error", "ISO 14496-12 8.8.7", "a fragment's track_ID is in the initialisation segment",
    example="a fragment of track 2 where moov has track 1",
)  # fmt: skip
TRUN = rule(
    "MP4-TRUN", "error", "ISO 14496-12 8.8.8", "a sample table is as long as its count and flags say",
    example="a trun of 50 samples with room for 49",
)  # fmt: skip
BOUNDS = rule(
    "MP4-SAMPLE-BOUNDS", "error", "ISO 14496-12 8.8.8", "every sample lies inside the mdat behind its moof",
    example="a data offset that is 4 bytes too long",
)  # fmt: skip
UNUSED = rule(
    "MP4-MDAT-UNUSED", "warning", "ISO 14496-12 8.1.1", "every byte of mdat belongs to a sample",
    example="8 bytes behind the last sample",
)  # fmt: skip
NAL = rule(
    "MP4-NAL", "error", "ISO 14496-15 5.3.4.2", "the lengths of NAL units fill their sample exactly",
    example="a NAL unit of 4,000 bytes in a sample of 900",
)  # fmt: skip
SYNC = rule(
    "MP4-SYNC", "error", "ISO 14496-12 8.8.3.1", "a sample is marked as sync sample when, and only when, its picture is an IDR",
    example="sample_is_non_sync_sample is clear on a P picture",
)  # fmt: skip
NUMBERS = rule(
    "MP4-SEQUENCE", "error", "ISO 14496-12 8.8.5.1", "fragment sequence numbers rise inside a segment",
    example="two moof of one segment are both number 7",
)  # fmt: skip

_NON_SYNC = 0x10000
_LARGEST = 1 << 62


def read_fragments(data: bytes, header: Header | None, scope: Scope) -> Media:
    """Reads a media segment by its initialisation segment."""
    media = Media()
    tracks = header.tracks if isinstance(header, Mp4Header) else {}
    parts: dict[int, list[Samples]] = {}
    try:
        top = list(boxes(data))
        for moof, mdat in _pairs(top, scope):
            _read_number(data, moof, media, scope)
            covered = 0
            for traf in find(data, "traf", moof.payload, moof.end):
                samples = _read_traf(data, moof, traf, mdat, tracks, scope)
                if samples is None:
                    continue
                covered += samples.size
                if covered > mdat.end - mdat.payload:
                    # Each byte belongs to one sample; to read them again for every traf would take as long as a hostile origin likes.
                    scope.breach(BOUNDS, f"{covered} bytes of samples", f"at most {mdat.end - mdat.payload}", byte=traf.start)
                    break
                parts.setdefault(samples.ident, []).append(samples)
            if parts and covered < mdat.end - mdat.payload:
                scope.breach(UNUSED, f"{mdat.end - mdat.payload - covered} bytes of no sample", "none", byte=mdat.start)
    except BoxError as fault:
        scope.breach(BOX, str(fault), "boxes that fit", byte=fault.at)
    except (struct.error, IndexError):
        scope.breach(BOX, "a box ends before its fields", "boxes that hold their fields")
    media.streams = [join(each) for _, each in sorted(parts.items())]
    return media


def join(parts: list[Samples]) -> Samples:
    """Neighbouring samples of one stream as one."""
    first = parts[0]
    if len(parts) == 1:
        return first
    whole = replace(first, size=sum(part.size for part in parts))
    for name in ("dts", "pts", "duration", "sync", "idr", "digest"):
        setattr(whole, name, np.concatenate([getattr(part, name) for part in parts]))
    return whole


def _pairs(top: list[Box], scope: Scope) -> Iterable[tuple[Box, Box]]:
    fragments = [box for box in top if box.kind in (b"moof", b"mdat")]
    kinds = [box.kind for box in fragments]
    if kinds != [b"moof", b"mdat"] * (len(kinds) // 2) or not kinds:
        scope.breach(FRAGMENT, " ".join(box.name for box in top) or "nothing", "moof mdat, once or more")
    return [(box, after) for box, after in pairwise(fragments) if (box.kind, after.kind) == (b"moof", b"mdat")]


def _read_number(data: bytes, moof: Box, media: Media, scope: Scope) -> None:
    for mfhd in find(data, "mfhd", moof.payload, moof.end):
        number = u32(data, mfhd.payload + 4)
        if media.numbers and number <= media.numbers[-1]:
            scope.breach(NUMBERS, f"{number} after {media.numbers[-1]}", "a higher number", byte=mfhd.start)
        media.numbers.append(number)
        return
    scope.breach(FRAGMENT, "no mfhd", "mfhd in each moof", byte=moof.start)


def _read_traf(data: bytes, moof: Box, traf: Box, mdat: Box, tracks: dict[int, Mp4Track], scope: Scope) -> Samples | None:
    children = list(boxes(data, traf.payload, traf.end))
    tfhd = next((box for box in children if box.kind == b"tfhd"), None)
    tfdt = next((box for box in children if box.kind == b"tfdt"), None)
    if tfhd is None or tfdt is None:
        scope.breach(FRAGMENT, "no tfhd or no tfdt", "both in each traf", byte=traf.start)
        return None
    track = tracks.get(u32(data, tfhd.payload + 4))
    if track is None:
        scope.breach(UNKNOWN_TRACK, f"track_ID {u32(data, tfhd.payload + 4)}", f"one of {sorted(tracks)}", byte=tfhd.start)
        return None
    time = u64(data, tfdt.payload + 4) if data[tfdt.payload] else u32(data, tfdt.payload + 4)
    return read_runs(data, moof, traf, mdat, track, time, scope)


def read_runs(data: bytes, moof: Box, traf: Box, mdat: Box, track: Mp4Track, time: int, scope: Scope) -> Samples | None:
    """The samples of a traf that starts at `time` (ticks, edit list not applied)."""
    children = list(boxes(data, traf.payload, traf.end))
    tfhd = next(box for box in children if box.kind == b"tfhd")
    present, at = u24(data, tfhd.payload + 1), tfhd.payload + 8
    base = moof.start
    if present & 0x1:
        base, at = u64(data, at), at + 8
    at += 4 if present & 0x2 else 0
    defaults = [track.duration, track.size, track.flags]
    for n, bit in enumerate((0x8, 0x10, 0x20)):
        if present & bit:
            defaults[n], at = u32(data, at), at + 4
    if abs(time - track.edit) >= _LARGEST:
        scope.breach(FRAGMENT, f"a time of {time}", f"one below {_LARGEST}", byte=traf.start)
        return None
    columns: list[list[NDArray[np.int64]]] = [[], [], [], [], []]
    position, room = base, mdat.end - mdat.payload
    for trun in (box for box in children if box.kind == b"trun"):
        table = _read_trun(data, trun, defaults, scope)
        if table is None:
            return None
        duration, size, flags, shift, offset = table
        position = position if offset is None else base + offset
        total = int(size.sum())
        room -= total
        if len(size) and (position < mdat.payload or position + total > mdat.end or room < 0):
            found = f"samples from byte {position} to {position + total}"
            scope.breach(BOUNDS, found, f"between {mdat.payload} and {mdat.end}", byte=moof.start)
            return None
        # Where there are no samples nothing is at the place that it names.
        ends = (position if len(size) else 0) + np.cumsum(size)
        for column, values in zip(columns, (duration, ends - size, ends, flags, shift), strict=True):
            column.append(values)
        position += total
    if not columns[0]:
        return None
    duration, starts, ends, flags, shift = (np.concatenate(column) for column in columns)
    dts = time - track.edit + np.cumsum(duration) - duration
    digest, idr = _digests(data, starts, ends, track, scope)
    sync = (flags & _NON_SYNC) == 0
    if track.length_size:
        for n in np.flatnonzero(sync != idr)[:1]:
            says = "a sync sample" if sync[n] else "no sync sample"
            scope.breach(
                SYNC, f"sample {n} is marked as {says}", "an IDR picture" if sync[n] else "sync: it is an IDR", byte=int(starts[n])
            )
    # What an edit list skips is decoded and never shown (ISO 14496-12 8.6.6): the priming of audio.
    shown = slice(None) if track.edit <= 0 else dts + shift + duration > 0
    return Samples(
        track.kind, track.timescale, track.codec, dts[shown], (dts + shift)[shown], duration[shown], sync[shown], idr[shown], digest[shown],
        int((ends - starts).sum()), track.language, track.ident,
    )  # fmt: skip


_Table = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int | None]


def _read_trun(data: bytes, trun: Box, defaults: list[int], scope: Scope) -> _Table | None:
    """Durations, sizes, flags, composition offsets, and the data offset if there is one."""
    version, present = data[trun.payload], u24(data, trun.payload + 1)
    count, at = u32(data, trun.payload + 4), trun.payload + 8
    offset = first_flags = None
    if present & 0x1:
        offset, at = int.from_bytes(data[at : at + 4], "big", signed=True), at + 4
    if present & 0x4:
        first_flags, at = u32(data, at), at + 4
    names = [bit for bit in (0x100, 0x200, 0x400, 0x800) if present & bit]
    # A sample without a byte is nothing: a count that no column bears out must not fill the memory.
    if at + 4 * len(names) * count != trun.end or count > len(data):
        scope.breach(TRUN, f"{trun.end - at} bytes of table", f"{4 * len(names) * count} for {count} samples", byte=trun.start)
        return None
    table = np.frombuffer(data, ">u4", count * len(names), at).reshape(count, len(names)).astype(np.int64)
    columns = [np.full(count, value, np.int64) for value in (*defaults, 0)]
    for n, bit in enumerate(names):
        columns[(0x100, 0x200, 0x400, 0x800).index(bit)] = table[:, n]
    duration, size, flags, shift = columns
    if version and present & 0x800:
        shift = np.where(shift >= 1 << 31, shift - (1 << 32), shift)
    if first_flags is not None and count:
        flags = flags.copy()
        flags[0] = first_flags
    return duration, size, flags, shift, offset


def _digests(
    data: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], track: Mp4Track, scope: Scope
) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    digests, idrs = np.zeros(len(starts), np.uint64), np.ones(len(starts), np.bool_)
    view, width = memoryview(data), track.length_size
    for n, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        if not width:
            digests[n] = digest_raw(view[start:end])
            continue
        units: list[tuple[int, int]] = []
        at = start
        while at + width <= end:
            size = int.from_bytes(view[at : at + width], "big")
            units.append((at + width, at + width + size))
            at += width + size
        if at != end:
            scope.breach(NAL, f"NAL units of sample {n} end at byte {at}", f"at its end, {end}", byte=start)
            units = [(first, min(last, end)) for first, last in units]
        digests[n], idrs[n] = digest_avc(units, view)
    return digests, idrs
