"""asset.json: what an asset is called, whose it is, and the runs of its program that it holds.

In: an asset's directory. Out: its description; a new one, whole and durable. Never: a look at media or journals.

A run is one start of the program and its end. A program that is started again adds a run; what earlier runs recorded stays where it is.
The channel's numbers of rows, segments and periods have gone on in between, the asset's own go on without a hole: `Join` says with which,
`Begin` to which of the channel's they belong.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from pypackager.model.errors import PackagerError

DESCRIPTION = "asset.json"
FORMAT = 2


class Stop(msgspec.Struct, frozen=True):
    """How a run ended."""

    utc_ns: int
    file: int
    offset: int
    """The run is the fold of the journal up to this byte of this file."""
    version: int


class Join(msgspec.Struct, frozen=True):
    """Where a later run goes on in the asset's own numbers; decided when it starts."""

    since: dict[int, int]
    """By track number: the first row of the earlier runs that was shown then. What had left the window never comes back."""
    rows: dict[int, int]
    """By track number: rows of the earlier runs. A track that is not named keeps the channel's numbers."""
    segment: int
    """HLS media sequence number of its first segment; -1: nothing was recorded before, the channel's numbers are kept."""
    period: int
    """Number of its first period; -1 likewise."""
    version: int
    """Added to the channel's versions, so that no version of the asset names two contents."""


class Begin(msgspec.Struct, frozen=True):
    """The first segment of a later run in the channel's numbers; decided when it is listed."""

    rows: dict[int, int]
    """By track number: the track's first row of the run. A track that is not named has none yet."""
    segment: int
    period: int
    start_ns: int
    """Media time at which the run's first period starts."""


class Run(msgspec.Struct, frozen=True):
    """One start of the program, and its end."""

    first_file: int
    """Journal file in which it starts."""
    start_rows: dict[int, int]
    """By track number: rows published before the program started. A track that is not named joined later."""
    join: Join | None = None
    """None for the first run: its numbers are the channel's."""
    begin: Begin | None = None
    stop: Stop | None = None
    """None while the program runs."""


class TrackSum(msgspec.Struct, frozen=True):
    """What was read of a track."""

    id: str
    fragments: int
    bytes: int
    sha256: str
    """Of its fragments that are whole, one after the other in the order of time, as CMAF segments have them; in hexadecimal digits."""


class DamagedRange(msgspec.Struct, frozen=True):
    """Fragments of a track, one after the other, whose bytes are not what was recorded."""

    track: str
    start_ns: int
    """Media time."""
    end_ns: int
    fragments: int
    reason: str
    """Of the first of them."""


class Verified(msgspec.Struct, frozen=True):
    """What a reading of all media found."""

    utc_ns: int
    tracks: tuple[TrackSum, ...]
    damaged: tuple[DamagedRange, ...]
    """The first of them, if there are very many; `damaged` of the description has all fragments."""


class Description(msgspec.Struct, frozen=True):
    """asset.json."""

    name: str
    channel: str
    window_ns: int
    """Depth of the archive in media time; what falls out of it while the program runs is gone for good."""
    runs: tuple[Run, ...]
    """Those of which something may be left, oldest first; at least one."""
    damaged: tuple[tuple[int, int], ...] = ()
    """Fragments (track number, time) of ended runs whose bytes are not what was recorded: they are gaps."""
    verified: Verified | None = None
    """What was found when all of it was read; None: it never was, or its program has run since."""
    part: dict[int, tuple[int, int]] | None = None
    """Of an excerpt, which has no program: its rows [first, end) by track number. A track that is not named is not in it."""
    format: int = FORMAT
    earlier: int = 0
    """How many channels of the name there had been before this one: files and numbers of another are not those of this asset."""

    @property
    def stop(self) -> Stop | None:
        """How the last run ended; None while it runs."""
        return self.runs[-1].stop


class _Format(msgspec.Struct):
    format: int = 1


class _Format1(msgspec.Struct):
    """asset.json before a program could be started again."""

    name: str
    channel: str
    window_ns: int
    start_rows: dict[int, int]
    stop: Stop | None = None


def read_description(directory: Path) -> Description:
    """Reads asset.json.

    Raises:
        PackagerError: ASSET_UNKNOWN when there is none, ASSET_UNREADABLE.
    """
    path = directory / DESCRIPTION
    try:
        return _decode(path.read_bytes())
    except FileNotFoundError:
        raise PackagerError("ASSET_UNKNOWN", "there is no such asset", status=404, where=str(directory), fault="operator") from None
    except msgspec.MsgspecError as error:
        raise PackagerError("ASSET_UNREADABLE", str(error), status=500, where=str(path), fault="operator") from error


def _decode(data: bytes) -> Description:
    written = msgspec.json.decode(data, type=_Format).format
    if written == 1:
        old = msgspec.json.decode(data, type=_Format1)
        return Description(old.name, old.channel, old.window_ns, (Run(0, old.start_rows, stop=old.stop),))
    if written != FORMAT:
        raise msgspec.ValidationError(f"format {written}; this program reads up to {FORMAT}")
    description = msgspec.json.decode(data, type=Description)
    if not description.runs:
        raise msgspec.ValidationError("no run")
    return description


def write_description(directory: Path, description: Description) -> None:
    """Writes asset.json: the old one or the new one is there at any moment, the new one for good when this returns.

    Raises:
        OSError: it could not be written; the old one stands.
    """
    path = directory / DESCRIPTION
    old = path.read_bytes() if path.exists() else None
    _put(path, msgspec.json.format(msgspec.json.encode(description)))
    try:
        sync_directory(directory)
    except OSError:
        # A name that may not last would say after a restart what was never acknowledged.
        if old is None:
            path.unlink()
        else:
            _put(path, old)
        raise


def _put(path: Path, data: bytes) -> None:
    new = path.with_name(path.name + ".new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def sync_directory(directory: Path) -> None:
    """Brings names that were made in a directory, or removed from it, to the disk."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
