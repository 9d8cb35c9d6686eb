"""HDS: a good presentation, and one mistake after the other, each found by the rule meant for it alone."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from pypackager.check.finding import Report
from tests.helpers.judged import assert_clean, judge_recording
from tests.helpers.made_hds import COPIES, LAST, MARK, SECONDS, URL, HdsShow, fragment_url

Mistake = Callable[[HdsShow], object]


def judged(show: HdsShow) -> Report:
    return judge_recording(show.recording(), URL, seconds=SECONDS)


def broken(report: Report) -> set[str]:
    """Rules on HDS and on media: a recording has no headers to judge, and no clock worth it."""
    return {name for name in report.broken() if name == "HTTP-STATUS" or name.partition("-")[0] not in ("HTTP", "LIVE")}


def run(first: int, time: int, duration: int = 2000) -> bytes:
    """An entry of the fragment run table."""
    return struct.pack(">IQI", first, time, duration)


def test_a_good_presentation_is_clean() -> None:
    report = judged(HdsShow())
    assert broken(report) == set()
    assert [(track.track, track.segments) for track in report.tracks] == [("160x90 20k", LAST), ("640x360 30k", LAST)]
    assert_clean(report)


def jump(show: HdsShow, *, marked: bool) -> None:
    """Half a second is missing before fragment 5."""
    for copy in range(1, COPIES):
        mark = [MARK.pack(5, 48_500, 0, 2)] if marked else []
        end = [MARK.pack(0, 0, 0, 0)] if copy == COPIES - 1 else []
        show.table(copy, runs=[run(1, 40_000), *mark, run(5, 48_500), *end], current=500)
    for bitrate in (20, 30):
        for number in range(5, LAST + 1):
            show.spoil(number, bitrate=bitrate, shift=500)


def test_marked_jumps_are_followed() -> None:
    show = HdsShow()
    jump(show, marked=True)
    assert broken(judged(show)) == set()


@pytest.mark.parametrize("follows", [True, False])
def test_the_manifest_says_the_size_that_pictures_have_now(follows: bool) -> None:
    """An encoder came back with another size: who was there sees it in the fragments, who comes now is told."""
    show = HdsShow()
    jump(show, marked=True)
    for number in range(5, LAST + 1):
        show.spoil(number, width=640)
    if follows:
        show.late_edits.append(('width="160" height="90"', 'width="640" height="360"'))
    assert broken(judged(show)) == (set() if follows else {"MEDIA-RESOLUTION"})


def test_sound_in_a_hole_of_the_pictures_begins_inside_its_fragment() -> None:
    """An encoder's end: the sound of the fragment before reaches into the hole, and what begins in it is all that its fragment has."""
    inside, outside = HdsShow(), HdsShow()
    for bitrate in (20, 30):
        inside.spoil(3, bitrate=bitrate, alone=600)
        outside.spoil(3, bitrate=bitrate, alone=600, shift=1500)
    assert "HDS-FRAGMENT-TIME" not in broken(judged(inside))
    assert "HDS-FRAGMENT-TIME" in broken(judged(outside))


MISTAKES: dict[str, tuple[str, Mistake]] = {  # the rule meant for it, and what it cannot help breaking
    # --- the manifest
    "no XML": ("HDS-XML", lambda show: show.edit("</manifest>", "")),
    "another namespace": ("HDS-XML", lambda show: show.edit("f4m/1.0", "f4m/7.0")),
    "a stream type that is none": ("HDS-VALUE", lambda show: show.edit(">live<", ">vod<")),
    "a width that is no number": ("HDS-VALUE", lambda show: show.edit('width="160"', 'width="wide"')),
    "recorded over a live bootstrap": ("HDS-STREAM-TYPE", lambda show: show.edit(">live<", ">recorded<")),
    "a bootstrap that is not there": ("HDS-MEDIA", lambda show: show.edit('bootstrapInfoId="b30"', 'bootstrapInfoId="b31"')),
    "a bootstrap without a place": ("HDS-BOOTSTRAP-INFO", lambda show: show.edit(' url="show30.bootstrap"', "")),
    "metadata that is none": ("HDS-METADATA", lambda show: show.edit('Id="b20"/>', 'Id="b20"><metadata>AAAA</metadata></media>')),
    "one bitrate for two": ("HDS-BITRATES", lambda show: show.edit('bitrate="30"', 'bitrate="20"')),
    "a bitrate far below": ("HDS-BITRATE", lambda show: show.edit('bitrate="30"', 'bitrate="3"')),
    "another width": ("MEDIA-RESOLUTION", lambda show: show.edit('width="640"', 'width="320"')),
    "a media is taken away": ("HDS-MEDIA-CHANGED", lambda show: show.late_edits.append(('bitrate="30"', 'bitrate="31"'))),
    # --- one bootstrap
    "bytes behind the tables": ("HDS-ABST", lambda show: show.table(tail=b"\x00")),
    "entries out of order": (
        "HDS-RUN-ORDER HDS-FRAGMENT-CHANGED HDS-FRAGMENT-TIME",
        lambda show: show.table(0, runs=[run(1, 40_000), run(3, 44_000), run(2, 46_000)], count=4, current=2000),
    ),
    "a jump without a mark": ("HDS-RUN-TIME", lambda show: jump(show, marked=False)),
    "a mark that is none": (
        "HDS-DISCONTINUITY",
        lambda show: show.table(0, runs=[run(1, 40_000), MARK.pack(3, 44_000, 0, 7), run(3, 44_000)]),
    ),
    "fewer fragments than entries": ("HDS-SEGMENT-RUN", lambda show: show.table(0, runs=[run(1, 40_000), run(4, 46_000)], count=2)),
    "a time past the newest": ("HDS-CURRENT-TIME", lambda show: show.table(1, current=9000)),
    "an end that goes on": ("HDS-END", lambda show: show.table(COPIES - 1, live=True)),
    # --- two bootstraps
    "one version for two": ("HDS-VERSION", lambda show: show.table(2, version=2)),
    "an old fragment moves": ("HDS-FRAGMENT-CHANGED", lambda show: show.table(1, move=2, current=0)),
    "the newest is taken back": ("HDS-WITHDRAWN", lambda show: show.table(2, newest=4)),
    "an end before the end": ("HDS-AFTER-END", lambda show: show.table(2, live=False)),
    # --- fragments
    "an answer for what will be": ("HDS-FUTURE", lambda show: setattr(show, "future", 500)),
    "another time": ("HDS-FRAGMENT-TIME", lambda show: show.spoil(3, shift=80)),
    "headers of zero": ("HDS-HEADER-TIME", lambda show: show.spoil(3, header_shift=-20_000)),
    "two boxes": ("FLV-FRAGMENT MEDIA-EMPTY", lambda show: show.spoil(3, mdats=2)),
    "a fragment cut off": ("MP4-BOX MEDIA-EMPTY", lambda show: show.spoil(3, cut=100)),
    "a stream number": ("FLV-TAG MEDIA-EMPTY", lambda show: show.spoil(3, stream=1)),
    "a size that is none": ("FLV-PREVIOUS-SIZE", lambda show: show.spoil(3, previous=-11)),
    "pictures out of order": ("FLV-ORDER", lambda show: show.spoil(3, swap=True)),
    "no headers": ("FLV-SEQUENCE-HEADER", lambda show: show.spoil(3, headers=False)),
    "another codec": ("FLV-CODEC", lambda show: show.spoil(3, flags=0xAE)),
    "a mark on what is no key frame": ("FLV-KEY", lambda show: show.spoil(3, marked=False)),
    "bytes behind the picture": ("FLV-NAL", lambda show: show.spoil(3, slack=2)),
    "no key frame first": ("MEDIA-KEY-FIRST", lambda show: show.spoil(3, key=False, marked=False)),
    "a swapped header": ("MEDIA-CONFIG-CHANGE MEDIA-RESOLUTION", lambda show: show.spoil(3, width=640)),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found_by_the_rule_meant_for_it(name: str) -> None:
    rules, spoil = MISTAKES[name]
    show = HdsShow()
    spoil(show)
    report = judged(show)
    assert broken(report) == set(rules.split()), [(each.rule.id, each.place, each.found, each.expected) for each in report.findings()]


def test_a_listed_fragment_that_is_not_there() -> None:
    recording = HdsShow().recording()
    del recording.answers[fragment_url(30, 3)]
    assert judge_recording(recording, URL, seconds=SECONDS).broken("error") == {"HTTP-STATUS"}


@pytest.mark.parametrize(("seconds", "rules"), [(18, set()), (60, {"HDS-DURATION"})])
def test_a_recorded_presentation_says_how_long_it_is(seconds: int, rules: set[str]) -> None:
    show = HdsShow()
    show.edit(">live</streamType>", f">recorded</streamType><duration>{seconds}</duration>")
    show.table(live=False, newest=LAST, version=7)
    recording = show.recording()
    for answers in recording.answers.values():
        answers[:] = [(0.0, answers[-1][1])]
    assert broken(judge_recording(recording, URL)) == rules
