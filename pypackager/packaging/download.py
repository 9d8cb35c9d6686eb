"""A program that has ended as one file: a fragmented MP4 of its stored fragments, or a progressive one of their media.

In: the presentation of an ended asset, the tracks that are wanted. Out: a file's head, and the fragments that follow in the order of time.
Never: bytes of media; the fragments are in the file as they are stored, but for their times, which count from the movie's start.

The fragmented file is `ftyp`, `moov`, `sidx` and the fragments. A subsegment of the index begins with a key frame of the reference, the
first video track that is wanted (else the first track), and has all fragments of the other tracks that start before the next one. The
order is a function of the rows, so a download that was broken off goes on with the same bytes.

The progressive file is `ftyp`, `moov` with sample tables, and one `mdat` with the media of the fragments in that order: for what knows no
fragments. It has one video track, and a sample table for every frame, which is why it is not for more than four hours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from urllib.parse import parse_qs, quote

import msgspec
import numpy as np
import numpy.typing as npt

from pypackager._core import movie_head, progressive_head
from pypackager.model.errors import PackagerError
from pypackager.model.plan import Movie, MoviePiece
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.model.records import FLAG_SYNC
from pypackager.packaging.timing import NS
from pypackager.packaging.window import track_by_id

_MOST_ENTRIES = 0xFFFF
"""Of one `sidx` (ISO 14496-12 8.16.3)."""
_US = 1_000_000
LONGEST_NS = (4 * 3600 + 60) * NS
"""Of a progressive file: a clip of four hours begins and ends outward, at segments."""

Numbers = npt.NDArray[np.int64]


class _Rows(msgspec.Struct, frozen=True):
    """The rows of one track that have bytes."""

    track: TrackWindow
    time: Numbers
    duration: Numbers
    size: Numbers
    blob: Numbers
    offset: Numbers
    sync: npt.NDArray[np.bool_]
    init: bytes

    @property
    def scale(self) -> int:
        return self.track.info.timescale


class Layout:
    """Where each byte of a movie is.

    Args:
        head: what stands in front of the fragments.
        rows: size, blob, offset of each fragment, and by how many ticks it is earlier in the movie; -1: it is plain media.
        paths: of the blobs.
    """

    def __init__(self, head: bytes, rows: Numbers, paths: Mapping[int, str]) -> None:
        self._head = head
        self._rows = rows
        self._ends = len(head) + np.cumsum(rows[0])
        self._paths = paths

    @property
    def size(self) -> int:
        """Bytes of the movie."""
        return int(self._ends[-1])

    def pieces(self, start: int, stop: int) -> tuple[bytes, list[MoviePiece]]:
        """What the bytes [start, stop) are made of: some of the head, then parts of fragments in order."""
        first = int(self._ends.searchsorted(start, side="right"))
        last = min(int(self._ends.searchsorted(stop, side="left")) + 1, len(self._ends))
        parts: list[MoviePiece] = []
        for end, (size, blob, offset, earlier) in zip(self._ends[first:last].tolist(), self._rows[:, first:last].T.tolist(), strict=True):
            begin = end - size
            low, high = max(start, begin), min(stop, end)
            if low < high:
                parts.append((self._paths[blob], offset, size, low - begin, high - low, earlier if earlier >= 0 else None))
        return self._head[start:stop], parts


def movie(presentation: Presentation, query: str) -> Movie:
    """A presentation as one file.

    Args:
        presentation: of an asset.
        query: `tracks` are the ids of the tracks that are wanted, with commas between them; without it they are all, or all sounds and the
            best picture of a progressive file. `format` is `progressive` or `fragmented`.

    Raises:
        PackagerError: NOT_ENDED (409) while the program runs, NO_SUCH_TRACK (404), NO_MEDIA (404), SEVERAL_CONFIGS (409), FORMAT_UNKNOWN,
            SEVERAL_PICTURES (400), PROGRESSIVE_TOO_LONG (409).
    """
    if not presentation.ended:
        raise PackagerError("NOT_ENDED", "the program runs; what it recorded can be downloaded when it has ended", status=409)
    asked = parse_qs(query)
    wanted = [name for value in asked.get("tracks", []) for name in value.split(",")]
    form = asked.get("format", ["fragmented"])[-1]
    if form not in _FORMS:
        raise PackagerError("FORMAT_UNKNOWN", f"no download is {form[:40]!r}; there are {' and '.join(_FORMS)}", status=400)
    numbers = {track_by_id(presentation, name).info.number for name in wanted}
    tracks = [track for track in presentation.tracks if (not wanted or track.info.number in numbers) and (track.blob[:] >= 0).any()]
    if not tracks:
        raise PackagerError("NO_MEDIA", "nothing is stored of these tracks", status=404)
    if form == "progressive":
        tracks = _progressive(tracks, wanted=bool(wanted))
    for track in tracks:
        if len(np.unique(track.config[:][track.blob[:] >= 0])) > 1:
            detail = f"{track.info.id} changed its configuration; download the parts before and after as clips"
            raise PackagerError("SEVERAL_CONFIGS", detail, status=409, where=track.info.id)
    # Whose it is and what is in it: two assets may have ended at one instant.
    content = [(track.info.id, int(track.time[0]), int(track.time[-1]), int(track.size[:].sum())) for track in tracks]
    chosen = sha256(repr((form, presentation.name, presentation.published_ns, content)).encode()).hexdigest()[:16]
    etag = f'"mp4-{presentation.version:x}-{chosen}"'
    name = f"{presentation.name}.mp4"
    return Movie(etag, f"attachment; filename*=UTF-8''{quote(name, safe='')}", partial(_FORMS[form], presentation, tracks))


def _progressive(tracks: list[TrackWindow], *, wanted: bool) -> list[TrackWindow]:
    """The tracks of a progressive file."""
    pictures = [track for track in tracks if track.info.kind == "video"]
    if len(pictures) > 1:
        if wanted:
            detail = "a progressive file has one picture: name one video track, or download the fragmented file"
            raise PackagerError("SEVERAL_PICTURES", detail, status=400)
        best = max(pictures, key=lambda track: track.average_bps)
        tracks = [track for track in tracks if track.info.kind != "video" or track is best]
    starts = [int(track.time[0]) * NS // track.info.timescale for track in tracks]
    ends = [int(track.time[-1] + track.duration[-1]) * NS // track.info.timescale for track in tracks]
    if (length := max(ends) - min(starts)) > LONGEST_NS:
        detail = f"{length / 3600e9:.1f} hours do not fit into a progressive file of up to 4: download the fragmented file, or clips of it"
        raise PackagerError("PROGRESSIVE_TOO_LONG", detail, status=409)
    return tracks


def lay_out_progressive(presentation: Presentation, tracks: Sequence[TrackWindow]) -> Layout:
    """Puts the media of these tracks in order, behind their sample tables. Reads the head of each fragment: call it in a thread."""
    order = _Order(tracks)
    track = np.concatenate([np.full(len(part.time), number) for number, part in enumerate(order.parts)])[order.order]
    used, path = np.unique(order.rows[1], return_inverse=True)
    paths = [presentation.blob_paths[int(blob)] for blob in used]
    fragments = list(zip(track.tolist(), path.tolist(), order.rows[2].tolist(), order.rows[0].tolist(), strict=True))
    head, runs = progressive_head([(part.init, part.scale) for part in order.parts], paths, fragments)
    blob, offset, size = np.frombuffer(runs, np.int64).reshape(-1, 3).T
    return Layout(head, np.stack([size, blob, offset, np.full(len(size), -1)]), dict(enumerate(paths)))


class _Order:
    """The fragments of some tracks in the order of time, in groups that begin with a key frame of the reference."""

    def __init__(self, tracks: Sequence[TrackWindow]) -> None:
        self.parts = parts = [_rows(track) for track in tracks]
        self.reference = reference = next((part for part in parts if part.track.info.kind == "video"), parts[0])
        first = min(parts, key=lambda part: (int(part.time[0]) * NS // part.scale, part.track.info.number))
        self.starts = [(int(first.time[0]) * part.scale + first.scale // 2) // first.scale for part in parts]
        """Where the movie starts, in ticks of each."""
        times = [(part.time - start) * _US // part.scale for part, start in zip(parts, self.starts, strict=True)]
        opens = np.flatnonzero(reference.sync)
        opens = opens[opens > 0]
        opens = np.concatenate(([0], opens))
        self.opens = opens = opens[:: -(-len(opens) // _MOST_ENTRIES)]
        """Rows of the reference that begin a group."""
        borders = times[parts.index(reference)][opens]
        group = [np.maximum(borders.searchsorted(time, side="right") - 1, 0) for time in times]
        others = [np.full(len(part.time), part is not reference) for part in parts]
        number = [np.full(len(part.time), part.track.info.number) for part in parts]
        self.order = np.lexsort([np.concatenate(key) for key in (number, times, others, group)])
        self.group = np.concatenate(group)[self.order]
        earlier = [np.full(len(part.time), start) for part, start in zip(parts, self.starts, strict=True)]
        columns = ([part.size for part in parts], [part.blob for part in parts], [part.offset for part in parts], earlier)
        self.rows = np.stack([np.concatenate(column)[self.order] for column in columns])
        """Size, blob and offset of each, and by how many ticks it is earlier in the movie."""


def lay_out(presentation: Presentation, tracks: Sequence[TrackWindow]) -> Layout:
    """Puts the fragments of these tracks in order. Takes a moment for hours of many tracks: call it in a thread."""
    order = _Order(tracks)
    parts, reference, opens, starts, rows = order.parts, order.reference, order.opens, order.starts, order.rows
    places = order.group.searchsorted(np.arange(len(opens)))
    sizes = np.add.reduceat(rows[0], places)
    end = int(reference.time[-1] + reference.duration[-1])
    durations = np.diff(np.append(reference.time[opens], end))
    # What the index can't say in its 31 and 32 bits: players then read from fragment to fragment.
    indexed = int(sizes.max()) < 1 << 31 and int(durations.max()) < 1 << 32
    entries: list[tuple[int, int]] = list(zip(sizes.tolist(), durations.tolist(), strict=True)) if indexed else []
    ends_ms = [(int(part.time[-1] + part.duration[-1]) - start) * 1000 // part.scale for part, start in zip(parts, starts, strict=True)]
    shown = int(reference.time[0]) - starts[parts.index(reference)]
    head = movie_head([part.init for part in parts], max(ends_ms), reference.track.info.number, reference.scale, shown, entries)
    return Layout(head, rows, presentation.blob_paths)


def _rows(track: TrackWindow) -> _Rows:
    there = track.blob[:] >= 0
    time, duration, size, blob, offset = (column[:][there] for column in (track.time, track.duration, track.size, track.blob, track.offset))
    init = track.configs[int(track.config[:][there][0])].init
    return _Rows(track, time, duration, size, blob, offset, (track.flags[:][there] & FLAG_SYNC) != 0, init)


_FORMS = {"fragmented": lay_out, "progressive": lay_out_progressive}
