"""HDS: a good presentation, and what is no mistake. Mistakes are made in tests/component/check/test_mutations.py."""

from __future__ import annotations

import pytest

from pypackager.check.finding import Report
from tests.helpers.judged import assert_clean, judge_recording
from tests.helpers.made_hds import LAST, SECONDS, URL, HdsShow, fragment_url
from tests.helpers.mutations.hds_tables import jump


def judged(show: HdsShow) -> Report:
    return judge_recording(show.recording(), URL, seconds=SECONDS)


def broken(report: Report) -> set[str]:
    """Rules on HDS and on media: a recording has no headers to judge, and no clock worth it."""
    return {name for name in report.broken() if name == "HTTP-STATUS" or name.partition("-")[0] not in ("HTTP", "LIVE")}


def test_a_good_presentation_is_clean() -> None:
    report = judged(HdsShow())
    assert broken(report) == set()
    assert [(track.track, track.segments) for track in report.tracks] == [("160x90 20k", LAST), ("640x360 30k", LAST)]
    assert_clean(report)


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
