"""Smooth Streaming: a good presentation, and what is no mistake. Mistakes are made in tests/component/check/test_mutations.py."""

from __future__ import annotations

import pytest

from pypackager.check.finding import Report
from pypackager.check.smooth.manifest import read_manifest
from pypackager.check.smooth.one_copy import check_copy
from tests.helpers.judged import assert_clean, judge_recording
from tests.helpers.made_media import PPS, SPS, lengths
from tests.helpers.made_smooth import LAST, SECONDS, URL, SmoothShow
from tests.helpers.mutations.smooth_manifests import first_c, joined

HOLE = 30
"""Frames of sound."""


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


def holed() -> SmoothShow:
    """Some of the sound is missing; the fragment in front of that is listed up to what follows."""
    show = SmoothShow()
    sound = show.streams[1]
    sound.frames[5] -= HOLE
    sound.holes[5] = HOLE
    return show


def test_a_chunk_that_lasts_over_a_gap_is_no_mistake_where_its_tfxd_says_how_long_it_is() -> None:
    report = judged(holed())
    assert broken(report) == {"MEDIA-HOLE"}
    (finding,) = report.findings()
    assert (finding.place.track, finding.found) == ("audio 25k", f"{HOLE * 1024} ticks of 1/48000 without audio")


def test_a_chunk_that_lasts_over_a_gap_is_one_where_nothing_says_so() -> None:
    show = holed()
    show.spoil(4, stream="audio", bitrate=25_000, lasts=HOLE * 1024)
    assert broken(judged(show)) == {"MEDIA-DURATION", "MEDIA-CONTINUOUS", "SMOOTH-TFXD-DURATION", "SMOOTH-TFRF"}
    show = holed()
    # More is missing than it says.
    show.spoil(4, stream="audio", bitrate=25_000, drop=20)
    assert broken(judged(show)) == {"MEDIA-DURATION", "MEDIA-CONTINUOUS", "SMOOTH-TFXD-DURATION"}


@pytest.mark.parametrize("follows", [True, False])
def test_pictures_that_become_larger_are_announced_by_the_manifests_from_then_on(follows: bool) -> None:
    """An encoder came back with another size: who has the first manifest goes by what is in band."""
    show = SmoothShow()
    show.spoil(6, inband=lengths(SPS[640], PPS))
    for copy in range(2, 20) if follows else ():
        show.edit('MaxWidth="160" MaxHeight="90"', 'MaxWidth="640" MaxHeight="360"', copy)
    assert broken(judged(show)) - {"SMOOTH-SIZE-DIFFERS"} == (set() if follows else {"SMOOTH-MAX-SIZE"})


def test_repeated_chunks_are_counted_with_the_first() -> None:
    show = SmoothShow()
    joined(show)
    assert broken(judged(show)) == set()


def test_durations_may_follow_from_the_next_time() -> None:
    show = SmoothShow()
    show.edit(first_c(show, 1), first_c(show, 1).replace(' d="180000"', ""), 0)
    assert broken(judged(show)) == set()


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
