"""Mistakes in the manifest and the bootstraps of the made HDS presentation, and in what changes between these.

What is broken is fixed; where is chance, where it may be any.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from tests.helpers.made_hds import COPIES, LAST, MARK, HdsShow

Mistake = Callable[[HdsShow, Random], object]


def run(first: int, time: int, duration: int = 2000) -> bytes:
    """An entry of the fragment run table."""
    return struct.pack(">IQI", first, time, duration)


def jump(show: HdsShow, *, marked: bool) -> None:
    """Half a second is missing before fragment 5."""
    for copy in range(1, COPIES):
        mark = [MARK.pack(5, 48_500, 0, 2)] if marked else []
        end = [MARK.pack(0, 0, 0, 0)] if copy == COPIES - 1 else []
        show.table(copy, runs=[run(1, 40_000), *mark, run(5, 48_500), *end], current=500)
    for bitrate in (20, 30):
        for number in range(5, LAST + 1):
            show.spoil(number, bitrate=bitrate, shift=500)


def repeated_version(show: HdsShow, chance: Random) -> None:
    """A copy has the version of the one before."""
    copy = chance.randint(1, 4)
    show.table(copy, version=copy)


MANIFESTS: dict[str, tuple[str, Mistake]] = {  # the rule meant for it, and what it cannot help breaking
    # --- the manifest
    "no XML": ("HDS-XML", lambda show, _: show.edit("</manifest>", "")),
    "another namespace": ("HDS-XML", lambda show, _: show.edit("f4m/1.0", "f4m/7.0")),
    "a stream type that is none": ("HDS-VALUE", lambda show, _: show.edit(">live<", ">vod<")),
    "a width that is no number": ("HDS-VALUE", lambda show, _: show.edit('width="160"', 'width="wide"')),
    "recorded over a live bootstrap": ("HDS-STREAM-TYPE", lambda show, _: show.edit(">live<", ">recorded<")),
    "a bootstrap that is not there": ("HDS-MEDIA", lambda show, _: show.edit('bootstrapInfoId="b30"', 'bootstrapInfoId="b31"')),
    "a bootstrap without a place": ("HDS-BOOTSTRAP-INFO", lambda show, _: show.edit(' url="show30.bootstrap"', "")),
    "metadata that is none": ("HDS-METADATA", lambda show, _: show.edit('Id="b20"/>', 'Id="b20"><metadata>AAAA</metadata></media>')),
    "one bitrate for two": ("HDS-BITRATES", lambda show, _: show.edit('bitrate="30"', 'bitrate="20"')),
    "a bitrate far below": ("HDS-BITRATE", lambda show, _: show.edit('bitrate="30"', 'bitrate="3"')),
    "another width": ("MEDIA-RESOLUTION", lambda show, _: show.edit('width="640"', 'width="320"')),
    "a media is taken away": ("HDS-MEDIA-CHANGED", lambda show, _: show.late_edits.append(('bitrate="30"', 'bitrate="31"'))),
    # --- one bootstrap
    "bytes behind the tables": ("HDS-ABST", lambda show, _: show.table(tail=b"\x00")),
    "entries out of order": (
        "HDS-RUN-ORDER HDS-FRAGMENT-CHANGED HDS-FRAGMENT-TIME",
        lambda show, _: show.table(0, runs=[run(1, 40_000), run(3, 44_000), run(2, 46_000)], count=4, current=2000),
    ),
    "a jump without a mark": ("HDS-RUN-TIME", lambda show, _: jump(show, marked=False)),
    "a mark that is none": (
        "HDS-DISCONTINUITY",
        lambda show, _: show.table(0, runs=[run(1, 40_000), MARK.pack(3, 44_000, 0, 7), run(3, 44_000)]),
    ),
    "fewer fragments than entries": ("HDS-SEGMENT-RUN", lambda show, _: show.table(0, runs=[run(1, 40_000), run(4, 46_000)], count=2)),
    "a time past the newest": ("HDS-CURRENT-TIME", lambda show, _: show.table(1, current=9000)),
    "an end that goes on": ("HDS-END", lambda show, _: show.table(COPIES - 1, live=True)),
    # --- two bootstraps
    "one version for two": ("HDS-VERSION", repeated_version),
    "an old fragment moves": ("HDS-FRAGMENT-CHANGED", lambda show, _: show.table(1, move=2, current=0)),
    "the newest is taken back": ("HDS-WITHDRAWN", lambda show, _: show.table(2, newest=4)),
    "an end before the end": ("HDS-AFTER-END", lambda show, _: show.table(2, live=False)),
    # --- fragments
    "an answer for what will be": ("HDS-FUTURE", lambda show, _: setattr(show, "future", 500)),
}  # fmt: skip
