"""Smooth Streaming: a good presentation, and one mistake after the other, each found by the rule meant for it alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pypackager.check.finding import Report
from pypackager.check.smooth.manifest import read_manifest
from pypackager.check.smooth.one_copy import check_copy
from tests.helpers.judged import assert_clean, judge_recording
from tests.helpers.made_media import AAC_MONO, AAC_STEREO, PPS, SPS, START_CODE, lengths
from tests.helpers.made_smooth import LAST, SECONDS, URL, SmoothShow

Mistake = Callable[[SmoothShow], object]

VIDEO_SPS = SPS[160].hex()


def judged(show: SmoothShow) -> Report:
    return judge_recording(show.recording(), URL, seconds=SECONDS)


def broken(report: Report) -> set[str]:
    """Rules on Smooth and on media: a recording has no headers to judge, and no clock worth it."""
    return {name for name in report.broken() if name == "HTTP-STATUS" or name.partition("-")[0] not in ("HTTP", "LIVE")}


def test_a_good_presentation_is_clean() -> None:
    report = judged(SmoothShow())
    assert broken(report) == set()
    assert [(track.track, track.segments) for track in report.tracks] == [
        ("video 20k", LAST + 1), ("video 30k", LAST + 1), ("audio 25k", LAST + 1),
    ]  # fmt: skip
    assert_clean(report)


@pytest.mark.parametrize("follows", [True, False])
def test_pictures_that_become_larger_are_announced_by_the_manifests_from_then_on(follows: bool) -> None:
    """An encoder came back with another size: who has the first manifest goes by what is in band."""
    show = SmoothShow()
    show.spoil(6, inband=lengths(SPS[640], PPS))
    for copy in range(2, 20) if follows else ():
        show.edit('MaxWidth="160" MaxHeight="90"', 'MaxWidth="640" MaxHeight="360"', copy)
    assert broken(judged(show)) - {"SMOOTH-SIZE-DIFFERS"} == (set() if follows else {"SMOOTH-MAX-SIZE"})


def first_c(show: SmoothShow, number: int) -> str:
    start, duration = show.streams[0].chunks()[number]
    return f'<c t="{start}" d="{duration}"/>\n'


def joined(show: SmoothShow) -> None:
    """The first two chunks of the first copy become one element."""
    start, duration = show.streams[0].chunks()[0]
    show.edit(first_c(show, 0) + first_c(show, 1), f'<c t="{start}" d="{duration}" r="2"/>\n', 0)


def test_repeated_chunks_are_counted_with_the_first() -> None:
    show = SmoothShow()
    joined(show)
    assert broken(judged(show)) == set()


def chunk_without_duration(show: SmoothShow) -> None:
    show.edit(first_c(show, 4), first_c(show, 4).replace(' d="180000"', ""), 1)


def test_durations_may_follow_from_the_next_time() -> None:
    show = SmoothShow()
    show.edit(first_c(show, 1), first_c(show, 1).replace(' d="180000"', ""), 0)
    assert broken(judged(show)) == set()


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


def mono(show: SmoothShow) -> None:
    show.edit(AAC_STEREO.hex(), AAC_MONO.hex())
    show.edit('Channels="2"', 'Channels="1"')


MISTAKES: dict[str, tuple[set[str], Mistake]] = {
    # the manifest
    "cut manifest": ({"SMOOTH-XML"}, lambda show: show.edit("</SmoothStreamingMedia>", "", 1)),
    "bitrate with a unit": ({"SMOOTH-ATTRIBUTE"}, lambda show: show.edit('Channels="2"', 'Channels="two"')),
    "no Duration": ({"SMOOTH-ATTRIBUTE-MISSING"}, lambda show: show.edit(' Duration="0"', "", 0)),
    "version 1": ({"SMOOTH-VERSION"}, lambda show: show.edit('MajorVersion="2"', 'MajorVersion="1"')),
    "look-ahead on demand": ({"SMOOTH-ON-DEMAND"}, lambda show: show.edit('"200000000"', '"200000000" LookaheadCount="2"')),
    "live with a duration": ({"SMOOTH-LIVE-DURATION"}, lambda show: show.edit('Duration="0"', 'Duration="5000000"')),
    "no look-ahead": ({"SMOOTH-LOOKAHEAD-MISSING"}, lambda show: show.edit('LookAheadFragmentCount="2" ', "")),
    "wrong duration": ({"SMOOTH-DURATION"}, lambda show: show.edit('Duration="200000000"', 'Duration="190000000"')),
    "wrong Chunks": ({"SMOOTH-CHUNKS"}, lambda show: show.edit(f'Chunks="{LAST + 1}"', f'Chunks="{LAST}"')),
    "wrong QualityLevels": ({"SMOOTH-LEVELS"}, lambda show: show.edit('QualityLevels="2"', 'QualityLevels="3"')),
    "URL without time": ({"SMOOTH-URL", "HTTP-STATUS"}, lambda show: show.edit("Fragments(audio={start time})", "Fragments(audio)")),
    "two levels of one Index": ({"SMOOTH-INDEX"}, lambda show: show.edit('Index="1"', 'Index="0"')),
    "Index from 1": ({"SMOOTH-INDEX-ORDER"}, lambda show: show.edit('Bitrate="25000" Index="0"', 'Bitrate="25000" Index="1"')),
    "no streams": ({"SMOOTH-EMPTY", "SMOOTH-CONSTANT"}, lambda show: show.edit("StreamIndex", "Stream", 1)),
    "no PPS": ({"SMOOTH-CODEC-PRIVATE"}, lambda show: show.edit(VIDEO_SPS + (START_CODE + PPS).hex(), VIDEO_SPS)),
    "wrong size": ({"SMOOTH-CODEC-AGREES"}, lambda show: show.edit('MaxWidth="160"', 'MaxWidth="80"')),
    "room for more": ({"SMOOTH-SIZE-DIFFERS"}, lambda show: show.edit('MaxWidth="160"', 'MaxWidth="320"')),
    "wrong rate": ({"SMOOTH-CODEC-AGREES"}, lambda show: show.edit('SamplingRate="48000"', 'SamplingRate="44100"')),
    "last chunk without duration": ({"SMOOTH-CHUNK"}, chunk_without_duration),
    "r in version 2.0": ({"SMOOTH-REPEAT"}, repeat_in_old_version),
    # from copy to copy
    "version changes": ({"SMOOTH-CONSTANT"}, lambda show: show.edit('MinorVersion="2"', 'MinorVersion="0"', 2)),
    "bitrate changes": ({"SMOOTH-BITRATE-CHANGED", "HTTP-STATUS"}, lambda show: show.edit('Bitrate="30000"', 'Bitrate="30001"', 2)),
    "codec changes": ({"SMOOTH-CODEC-CHANGED"}, lambda show: show.edit("1190", "119056e500", 2)),
    "a chunk shrinks": ({"SMOOTH-CHUNK-CHANGED", "SMOOTH-CHUNK-GAP"}, longer_chunk),
    "a chunk vanishes": ({"SMOOTH-CHUNK-CHANGED", "SMOOTH-CHUNK-GAP"}, dropped_chunk),
    "the newest chunk is withdrawn": ({"SMOOTH-CHUNK-WITHDRAWN"}, withdrawn),
    "chunks go too early": ({"SMOOTH-WINDOW-SHORT"}, short_window),
    "window too long": ({"SMOOTH-WINDOW"}, lambda show: show.edit('DVRWindowLength="120000000"', 'DVRWindowLength="10000000"')),
    "live again": ({"SMOOTH-END"}, live_again),
    # fragments
    "wrong tfxd": ({"SMOOTH-TFXD"}, lambda show: show.spoil(4, tfxd=400)),
    "no tfxd": ({"SMOOTH-TFXD"}, lambda show: show.spoil(4, tfxd=None)),
    "wrong duration in tfxd": ({"SMOOTH-TFXD-DURATION"}, lambda show: show.spoil(4, lasts=7200)),
    "tfdt from zero": ({"SMOOTH-TFDT"}, lambda show: show.spoil(4, tfdt=-9_000_000)),
    "no tfrf": ({"SMOOTH-TFRF-MISSING"}, lambda show: show.spoil(4, tfrf=None)),
    "stale tfrf": ({"SMOOTH-TFRF"}, lambda show: show.spoil(4, promise=-180_000)),
    "tfrf of another time": ({"SMOOTH-TFRF"}, lambda show: show.spoil(4, promise=90)),
    "tfrf without room": ({"SMOOTH-TIME-BOX", "SMOOTH-TFRF-MISSING"}, lambda show: show.spoil(4, room=1)),
    "bytes of no sample": ({"MP4-MDAT-UNUSED"}, lambda show: show.spoil(4, tail=b"12345678")),
    "no TimeScale": ({"SMOOTH-TIMESCALE", "SMOOTH-DURATION", "SMOOTH-WINDOW-SHORT"}, lambda show: show.edit(' TimeScale="48000"', "")),
    "twice the bitrate": ({"SMOOTH-BITRATE"}, lambda show: setattr(show.streams[1], "levels", {10_000: show.streams[1].levels[25_000]})),
    "one in tfrf": ({"SMOOTH-LOOKAHEAD"}, lambda show: show.spoil(4, tfrf=1)),
    "no key frame": ({"MEDIA-KEY-FIRST"}, lambda show: show.spoil(4, key=False, marked=False)),
    "key frame that is none": ({"MP4-SYNC"}, lambda show: show.spoil(4, key=False)),
    "last samples missing": ({"MEDIA-DURATION", "MEDIA-CONTINUOUS", "SMOOTH-TFXD-DURATION"}, lambda show: show.spoil(4, drop=5)),
    "styp in front": ({"SMOOTH-FRAGMENT"}, lambda show: show.spoil(4, prefix=b"\x00\x00\x00\x10stypiso6\x00\x00\x00\x00")),
    "cut off": ({"MP4-BOX", "MEDIA-EMPTY"}, lambda show: show.spoil(4, cut=100)),
    "negative offsets": ({"SMOOTH-OFFSETS"}, lambda show: show.spoil(4, shift=-3600)),
    "larger picture in band": ({"SMOOTH-MAX-SIZE"}, lambda show: show.spoil(4, inband=lengths(SPS[640], PPS))),
    "mono under stereo": ({"SMOOTH-BITSTREAM"}, lambda show: show.spoil(4, stream="audio", bitrate=25_000, channels=1)),
    "PPS of another number": ({"SMOOTH-BITSTREAM"}, other_parameter_set),
    "stereo under mono": ({"SMOOTH-BITSTREAM"}, mono),
    # both edges
    "404 too early": ({"SMOOTH-TOO-EARLY"}, lambda show: setattr(show, "early", 404)),
    "412 for what is gone": ({"SMOOTH-GONE"}, lambda show: setattr(show, "gone", 412)),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_by_the_rule_meant_for_it(name: str) -> None:
    rules, spoil = MISTAKES[name]
    show = SmoothShow()
    spoil(show)
    assert broken(judged(show)) == rules


MANIFEST = """<SmoothStreamingMedia MajorVersion="2" MinorVersion="2" Duration="40000000">
<StreamIndex Type="audio" Chunks="2" QualityLevels="1" Url="QualityLevels({bitrate})/Fragments(audio={start time})">
<QualityLevel Index="0" Bitrate="64000" FourCC="AACL" SamplingRate="48000" Channels="2" BitsPerSample="16" PacketSize="4" AudioTag="255"
 CodecPrivateData="1190"/><c d="20000000"/><c d="20000000"/></StreamIndex></SmoothStreamingMedia>"""


def said(text: str) -> list[tuple[str, int | None]]:
    """Rules that a manifest breaks by itself, each with its line."""
    report = Report()
    manifest = read_manifest(text.encode(), URL, report.scope())
    if manifest is not None:
        check_copy(manifest, report.scope())
    return [(finding.rule.id, finding.place.line) for finding in report.findings()]


def test_findings_have_lines() -> None:
    assert said(MANIFEST) == []
    stream = MANIFEST[MANIFEST.index("<StreamIndex") : MANIFEST.index("</SmoothS")]
    level = stream[stream.index("<QualityLevel") : stream.index("<c ")]
    assert said(MANIFEST.replace(stream, f"{stream}\n{stream}")) == [("SMOOTH-NAME", 2)]
    twice = level + level.replace('Index="0"', 'Index="1"')
    assert said(MANIFEST.replace(level, twice).replace('Levels="1"', 'Levels="2"')) == [("SMOOTH-BITRATE-KEY", 2)]
    assert said(MANIFEST.replace('<c d="20000000"/></', '\n<c t="19000000" d="21000000"/></')) == [("SMOOTH-CHUNK-OVERLAP", 5)]
    assert said(MANIFEST.replace('<c d="20000000"/></', '\n<c t="21000000" d="19000000"/></')) == [("SMOOTH-CHUNK-GAP", 5)]
    assert said(MANIFEST.replace('<c d="20000000"/></', '<c d="20000000" r="0"/></')) == [("SMOOTH-REPEAT", 4)]
    assert said("<Manifest/>") == [("SMOOTH-XML", 1)]
    assert said("") == [("SMOOTH-XML", 1)]
