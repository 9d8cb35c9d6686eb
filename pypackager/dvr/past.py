"""What a deleted channel leaves behind: how far its times and versions were used, so that the next one of its name uses none of them again.

In: a channel's directory. Out: three numbers. Never: media, which is gone.

Players and caches know URLs by the channel's name and by time, for as long as they please. An encoder that counts from zero would fill
the same URLs with other bytes.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from pypackager.dvr import retention
from pypackager.dvr.description import sync_directory
from pypackager.dvr.lock import LOCK
from pypackager.dvr.recovery import BLOBS, JOURNALS, Replay
from pypackager.model.errors import PackagerError

PAST = "past.json"


class Past(msgspec.Struct, frozen=True):
    """How far channels of this name came; nothing while there was none."""

    end_ns: int = 0
    """Media time at which the newest row of all ended."""
    version: int = 0
    """Of the last presentation."""
    count: int = 0
    """How many there were."""


def read_past(directory: Path) -> Past:
    """What earlier channels left in the directory.

    Raises:
        PackagerError: CHANNEL_PAST_UNREADABLE.
    """
    path = directory / PAST
    try:
        return msgspec.json.decode(path.read_bytes(), type=Past)
    except FileNotFoundError:
        return Past()
    except msgspec.MsgspecError as error:
        raise PackagerError("CHANNEL_PAST_UNREADABLE", str(error), status=500, where=str(path), fault="operator") from error


def bury(directory: Path) -> None:
    """Removes a channel's files but for its past, which is on the disk before anything goes. May read a lot: call it in a thread.

    Raises:
        OSError: something can't be removed, or the past not be written; it can be done again.
    """
    if not directory.exists():
        return
    past = _past(directory)
    if past.end_ns:
        new = directory / f"{PAST}.new"
        with new.open("wb") as file:
            file.write(msgspec.json.encode(past))
            file.flush()
            os.fsync(file.fileno())
        new.replace(directory / PAST)
        sync_directory(directory)
        for name in (JOURNALS, BLOBS):
            if (directory / name).exists():
                shutil.rmtree(directory / name)
        (directory / LOCK).unlink(missing_ok=True)
    else:
        shutil.rmtree(directory)
        directory = directory.parent
    sync_directory(directory)


def _past(directory: Path) -> Past:
    """Of all channels of the name; what can be read no more tells nothing, and keeps nobody from deleting it."""
    try:
        before = read_past(directory)
        if not (directory / JOURNALS).exists():
            return before
        ledger = Replay(directory).ledger
    except PackagerError:
        return Past()
    return Past(max(before.end_ns, retention.edge_ns(ledger)), max(before.version, ledger.version), before.count + 1)
