"""A good live DASH presentation is broken in one place at a time: the rule meant for it finds it, and no other rule of severity error.

Where it is broken is chance, from a seed that is printed: PYPACKAGER_SEED repeats it.
"""

from __future__ import annotations

import os
import re
from copy import deepcopy
from random import Random

import pytest

from pypackager.check.finding import Report
from tests.helpers.judged import BASE, assert_clean, judge_recording
from tests.helpers.live_dash import CLOCK, COPIES, URL, judged_copies, publish, utc_text
from tests.helpers.mutations.mpds import MUTATIONS, Copies, swap
from tests.helpers.recorded import EPOCH, Recording

SEED = os.environ.get("PYPACKAGER_SEED", "1")


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recording, Copies]:
    return judged_copies(tmp_path_factory.mktemp("dash"))


def judge(recording: Recording, copies: Copies) -> Report:
    report = judge_recording(publish(recording, copies), URL, seconds=2.0 * COPIES)
    assert len(report.tracks) == 4
    return report


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_broken_manifest(name: str, good: tuple[Recording, Copies]) -> None:
    recording, copies = deepcopy(good)
    rule, change = MUTATIONS[name]
    print(f"seed {SEED}")
    report = judge(recording, change(copies, Random(f"{SEED} {name}")))
    assert report.broken("error") == {rule}, [(each.rule.id, each.place.track, each.found, each.expected) for each in report.findings()]
    assert report.count("error") <= 4 * COPIES


def test_the_good_presentation_has_no_breach(good: tuple[Recording, Copies]) -> None:
    recording, copies = deepcopy(good)
    report = judge(recording, copies)
    assert_clean(report)
    assert [track.segments for track in report.tracks] == [6, 6, 6, 6]


def test_a_period_whose_start_nobody_knows(good: tuple[Recording, Copies]) -> None:
    recording, copies = deepcopy(good)
    unknown = [swap(r'(<Period id="0") start="[^"]*"', r"\1")(text) for text in copies]
    # It goes on: of what has ended the first Period starts at zero.
    assert judge_recording(publish(recording, unknown), URL, seconds=4.0).broken("error") == {"DASH-PERIOD-START"}


@pytest.mark.parametrize(("frames", "changed"), [(1, False), (5, True)])
def test_the_newest_segment_may_come_to_last_over_a_missing_frame(frames: int, changed: bool, good: tuple[Recording, Copies]) -> None:
    recording, copies = deepcopy(good)
    newest = re.compile(r'(<Representation id="3".*?<S [^>]*d=")(\d+)("/>\s*</SegmentTimeline>)', re.DOTALL)
    # It ended so much earlier while nothing was known of the next one.
    copies[1] = newest.sub(lambda found: f"{found[1]}{int(found[2]) - 1024 * frames}{found[3]}", copies[1])
    assert copies[1] != good[1][1]
    assert ("DASH-SEGMENT-CHANGED" in judge(recording, copies).broken("error")) == changed


def test_a_listed_segment_that_is_not_there(good: tuple[Recording, Copies]) -> None:
    recording, copies = deepcopy(good)
    del recording.answers[BASE + "chunk-stream1-00004.m4s"]
    assert judge(recording, copies).broken("error") == {"HTTP-STATUS"}


def test_a_clock_that_is_not_there(good: tuple[Recording, Copies]) -> None:
    recording, copies = deepcopy(good)
    publish(recording, copies)
    del recording.answers[CLOCK]
    assert judge_recording(recording, URL).broken("error") == {"DASH-UTC-ANSWER"}


def test_a_clock_that_is_wrong(good: tuple[Recording, Copies]) -> None:
    recording, copies = deepcopy(good)
    publish(recording, copies)
    recording.replace(CLOCK, utc_text(EPOCH + 3600))
    assert judge_recording(recording, URL).broken("error") == {"DASH-UTC-WRONG"}


def test_a_segment_of_another_time(good: tuple[Recording, Copies]) -> None:
    recording, copies = deepcopy(good)
    url = BASE + "chunk-stream1-00004.m4s"
    body = recording.answers[url][0][1].body
    at = body.index(b"tfdt") + 4
    # 64 bits since FFmpeg writes version 1.
    recording.replace(url, body[: at + 4] + (int.from_bytes(body[at + 4 : at + 12]) + 512).to_bytes(8) + body[at + 12 :])
    assert judge(recording, copies).broken("error") == {"MEDIA-START", "MEDIA-CONTINUOUS", "MEDIA-TIME"}


def test_swapped_initialisation(good: tuple[Recording, Copies]) -> None:
    recording, copies = deepcopy(good)
    recording.replace(BASE + "init-stream0.m4s", recording.answers[BASE + "init-stream1.m4s"][0][1].body)
    assert judge(recording, copies).broken("error") == {"DASH-CODECS", "DASH-SIZE"}
