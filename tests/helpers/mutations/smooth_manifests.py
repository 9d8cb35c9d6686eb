"""Mistakes in the manifests of the made Smooth presentation: in all copies, in one, between them, at the edges of the window.

What is broken is fixed; where is chance, where it may be any.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.helpers.made_media import AAC_MONO, AAC_STEREO, PPS, SPS, START_CODE
from tests.helpers.made_smooth import LAST, SmoothShow

Mistake = Callable[[SmoothShow, Random], object]

VIDEO_SPS = SPS[160].hex()


def first_c(show: SmoothShow, number: int) -> str:
    start, duration = show.streams[0].chunks()[number]
    return f'<c t="{start}" d="{duration}"/>\n'


def joined(show: SmoothShow) -> None:
    """The first two chunks of the first copy become one element."""
    start, duration = show.streams[0].chunks()[0]
    show.edit(first_c(show, 0) + first_c(show, 1), f'<c t="{start}" d="{duration}" r="2"/>\n', 0)


def chunk_without_duration(show: SmoothShow) -> None:
    show.edit(first_c(show, 4), first_c(show, 4).replace(' d="180000"', ""), 1)


def repeat_in_old_version(show: SmoothShow) -> None:
    joined(show)
    show.edit('MinorVersion="2"', 'MinorVersion="0"')


def longer_chunk(show: SmoothShow) -> None:
    """A chunk of copy 1 lasts longer than it did: the next has its own t, so it overlaps as well, in that copy."""
    show.edit(first_c(show, 2), first_c(show, 2).replace('d="180000"', 'd="172800"'), 1)


def dropped_chunk(show: SmoothShow) -> None:
    show.edit(first_c(show, 2), "", 1)


def withdrawn(show: SmoothShow) -> None:
    show.heads[1] = 0
    for stream in show.streams:
        start, duration = stream.chunks()[4]
        show.edit(f'<c t="{start}" d="{duration}"/>\n', "", 1)
        start, duration = stream.chunks()[3]
        show.edit(f'<c t="{start}" d="{duration}"/>\n', "", 1)


def short_window(show: SmoothShow) -> None:
    show.heads |= {1: 3, 2: 3, 3: 4, 4: 5}


def live_again(show: SmoothShow) -> None:
    """Copy 2 has ended, copy 3 has not."""
    show.edit('Chunks="0"', 'Chunks="4"', 2)
    show.edit(' IsLive="TRUE" LookAheadFragmentCount="2" DVRWindowLength="120000000" Duration="0"', ' Duration="80000000"', 2)


def other_parameter_set(show: SmoothShow) -> None:
    show.edit(VIDEO_SPS + (START_CODE + PPS).hex(), VIDEO_SPS + (START_CODE + b"\x68\x4e\x3c\x80").hex())


def stream_twice(show: SmoothShow) -> None:
    show.streams.append(show.streams[1])


def chunk_over_the_next(show: SmoothShow, chance: Random) -> None:
    """A chunk that is listed in all copies but the first lasts longer than until the next one, which has a time of its own."""
    start, duration = show.streams[0].chunks()[4 + chance.randint(0, 1)]
    show.edit(f'<c t="{start}" d="{duration}"/>', f'<c t="{start}" d="{duration + 3600}"/>')


def mono(show: SmoothShow) -> None:
    show.edit(AAC_STEREO.hex(), AAC_MONO.hex())
    show.edit('Channels="2"', 'Channels="1"')


MANIFESTS: dict[str, tuple[str, Mistake]] = {  # the rule meant for it, and what it cannot help breaking
    # the manifest
    "cut manifest": ("SMOOTH-XML", lambda show, chance: show.edit("</SmoothStreamingMedia>", "", chance.randint(0, 4))),
    "bitrate with a unit": ("SMOOTH-ATTRIBUTE", lambda show, _: show.edit('Channels="2"', 'Channels="two"')),
    "no Duration": ("SMOOTH-ATTRIBUTE-MISSING", lambda show, chance: show.edit(' Duration="0"', "", chance.randint(0, 4))),
    "version 1": ("SMOOTH-VERSION", lambda show, _: show.edit('MajorVersion="2"', 'MajorVersion="1"')),
    "look-ahead on demand": ("SMOOTH-ON-DEMAND", lambda show, _: show.edit('"200000000"', '"200000000" LookaheadCount="2"')),
    "live with a duration": ("SMOOTH-LIVE-DURATION", lambda show, _: show.edit('Duration="0"', 'Duration="5000000"')),
    "no look-ahead": ("SMOOTH-LOOKAHEAD-MISSING", lambda show, _: show.edit('LookAheadFragmentCount="2" ', "")),
    "wrong duration": ("SMOOTH-DURATION", lambda show, _: show.edit('Duration="200000000"', 'Duration="190000000"')),
    "wrong Chunks": ("SMOOTH-CHUNKS", lambda show, _: show.edit(f'Chunks="{LAST + 1}"', f'Chunks="{LAST}"')),
    "wrong QualityLevels": ("SMOOTH-LEVELS", lambda show, _: show.edit('QualityLevels="2"', 'QualityLevels="3"')),
    "URL without time": ("SMOOTH-URL HTTP-STATUS", lambda show, _: show.edit("Fragments(audio={start time})", "Fragments(audio)")),
    "two levels of one Index": ("SMOOTH-INDEX", lambda show, _: show.edit('Index="1"', 'Index="0"')),
    "Index from 1": ("SMOOTH-INDEX-ORDER", lambda show, _: show.edit('Bitrate="25000" Index="0"', 'Bitrate="25000" Index="1"')),
    "no streams": ("SMOOTH-EMPTY SMOOTH-CONSTANT", lambda show, chance: show.edit("StreamIndex", "Stream", chance.randint(1, 4))),
    "no PPS": ("SMOOTH-CODEC-PRIVATE", lambda show, _: show.edit(VIDEO_SPS + (START_CODE + PPS).hex(), VIDEO_SPS)),
    "wrong size": ("SMOOTH-CODEC-AGREES", lambda show, _: show.edit('MaxWidth="160"', 'MaxWidth="80"')),
    "room for more": ("SMOOTH-SIZE-DIFFERS", lambda show, _: show.edit('MaxWidth="160"', 'MaxWidth="320"')),
    "wrong rate": ("SMOOTH-CODEC-AGREES", lambda show, _: show.edit('SamplingRate="48000"', 'SamplingRate="44100"')),
    "last chunk without duration": ("SMOOTH-CHUNK", lambda show, _: chunk_without_duration(show)),
    "r in version 2.0": ("SMOOTH-REPEAT", lambda show, _: repeat_in_old_version(show)),
    "one stream twice": ("SMOOTH-NAME", lambda show, _: stream_twice(show)),
    "one Bitrate for two": ("SMOOTH-BITRATE-KEY SMOOTH-CODEC-CHANGED", lambda show, _: show.edit('Bitrate="30000"', 'Bitrate="20000"')),
    "a chunk over the next": ("SMOOTH-CHUNK-OVERLAP SMOOTH-CHUNK-CHANGED SMOOTH-TFRF MEDIA-DURATION-EXACT", chunk_over_the_next),
    # from copy to copy
    "version changes": ("SMOOTH-CONSTANT", lambda show, chance: show.edit('MinorVersion="2"', 'MinorVersion="0"', chance.randint(1, 4))),
    "bitrate changes": ("SMOOTH-BITRATE-CHANGED HTTP-STATUS", lambda show, _: show.edit('Bitrate="30000"', 'Bitrate="30001"', 2)),
    "codec changes": ("SMOOTH-CODEC-CHANGED", lambda show, chance: show.edit("1190", "119056e500", chance.randint(1, 4))),
    "a chunk shrinks": ("SMOOTH-CHUNK-CHANGED SMOOTH-CHUNK-GAP", lambda show, _: longer_chunk(show)),
    "a chunk vanishes": ("SMOOTH-CHUNK-CHANGED SMOOTH-CHUNK-GAP", lambda show, _: dropped_chunk(show)),
    "the newest chunk is withdrawn": ("SMOOTH-CHUNK-WITHDRAWN", lambda show, _: withdrawn(show)),
    "chunks go too early": ("SMOOTH-WINDOW-SHORT", lambda show, _: short_window(show)),
    "window too long": ("SMOOTH-WINDOW", lambda show, _: show.edit('DVRWindowLength="120000000"', 'DVRWindowLength="10000000"')),
    "live again": ("SMOOTH-END", lambda show, _: live_again(show)),
    # what is said of the media
    "no TimeScale": ("SMOOTH-TIMESCALE SMOOTH-DURATION SMOOTH-WINDOW-SHORT", lambda show, _: show.edit(' TimeScale="48000"', "")),
    "twice the bitrate": ("SMOOTH-BITRATE", lambda show, _: setattr(show.streams[1], "levels", {10_000: show.streams[1].levels[25_000]})),
    "PPS of another number": ("SMOOTH-BITSTREAM", lambda show, _: other_parameter_set(show)),
    "stereo under mono": ("SMOOTH-BITSTREAM", lambda show, _: mono(show)),
    # both edges
    "404 too early": ("SMOOTH-TOO-EARLY", lambda show, _: setattr(show, "early", 404)),
    "412 for what is gone": ("SMOOTH-GONE", lambda show, _: setattr(show, "gone", 412)),
}  # fmt: skip
