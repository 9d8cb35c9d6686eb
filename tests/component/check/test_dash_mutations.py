"""A good live DASH presentation is broken in one place at a time: the rule meant for it finds it, and no other rule of severity error.

Where it is broken is chance, from a seed that is printed: PYPACKAGER_SEED repeats it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
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


LOST = 3
"""Number of the segment that is missing, of six."""


def without_one(good: tuple[Recording, Copies], stream: int) -> tuple[Recording, Copies]:
    """A Representation lacks a segment: the one before is listed up to the one behind, once that is there, and the MPD says of it."""
    recording, copies = deepcopy(good)
    for number in range(LOST, 6):
        later = recording.answers[f"{BASE}chunk-stream{stream}-{number + 1:05d}.m4s"][0][1].body
        recording.replace(f"{BASE}chunk-stream{stream}-{number:05d}.m4s", later)
    del recording.answers[f"{BASE}chunk-stream{stream}-00006.m4s"]
    return recording, [_without_one(text, stream).replace('SegmentDuration="PT2.0S"', 'SegmentDuration="PT4.1S"') for text in copies]


def _without_one(text: str, stream: int) -> str:
    def change(found: re.Match[str]) -> str:
        rows = [(int(time), int(duration)) for time, duration in re.findall(r'<S t="(\d+)" d="(\d+)"/>', found[2])]
        before, gone, behind = rows[LOST - 2], rows[LOST - 1], rows[LOST:]
        told = f'<FailoverContent valid="false"><FCS t="{gone[0]}" d="{gone[1]}"/></FailoverContent>\n' if behind else ""
        kept = [*rows[: LOST - 2], (before[0], before[1] + (gone[1] if behind else 0)), *behind]
        return f"{found[1]}{told}<SegmentTimeline>" + "".join(f'<S t="{time}" d="{lasts}"/>\n' for time, lasts in kept)

    changed, times = re.subn(
        rf'(<Representation id="{stream}".*?)<SegmentTimeline>(.*?)(?=</SegmentTimeline>)', change, text, flags=re.DOTALL
    )
    assert times == 1
    return changed


def untold(text: str) -> str:
    return re.sub("<FailoverContent.*?</FailoverContent>", "", text)


@pytest.mark.parametrize("stream", [0, 3])
def test_a_gap_that_is_told_is_a_warning_while_it_goes_on_and_after(stream: int, good: tuple[Recording, Copies]) -> None:
    recording, copies = without_one(good, stream)
    report = judge(deepcopy(recording), copies)
    assert_clean(report, warnings=False)
    assert "DASH-TIMELINE-HOLE" in report.broken("warning")
    report = judge(recording, copies[-1:])
    assert report.broken() - {"HTTP-CACHE"} == {"MEDIA-HOLE", "DASH-TIMELINE-HOLE"}


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (untold, {"MEDIA-DURATION", "MEDIA-CONTINUOUS"}),
        (swap('valid="false"', 'valid="true"'), {"MEDIA-DURATION", "MEDIA-CONTINUOUS"}),
        # Half a second more is said to be missing, and half a second less.
        (lambda text: re.sub(r'FCS t="(\d+)" d="(\d+)"', lambda n: _moved(n, -22_050), text), {"MEDIA-DURATION", "MEDIA-CONTINUOUS"}),
        (lambda text: re.sub(r'FCS t="(\d+)" d="(\d+)"', lambda n: _moved(n, 22_050), text), {"MEDIA-DURATION", "MEDIA-CONTINUOUS"}),
    ],
)
def test_a_segment_over_a_gap_that_nothing_tells_of_is_too_long(
    change: Callable[[str], str], rules: set[str], good: tuple[Recording, Copies]
) -> None:
    recording, copies = without_one(good, 3)
    assert judge(recording, [change(copies[-1])]).broken("error") == rules


def _moved(found: re.Match[str], ticks: int) -> str:
    return f'FCS t="{int(found[1]) + ticks}" d="{int(found[2]) - ticks}"'


def test_a_gap_is_told_where_there_is_none(good: tuple[Recording, Copies]) -> None:
    recording, copies = deepcopy(good)
    told = swap(
        r'(<Representation id="3".*?)<SegmentTimeline>',
        r'\1<FailoverContent valid="false"><FCS t="110000" d="67152"/></FailoverContent><SegmentTimeline>',
    )
    assert judge(recording, [told(copies[-1])]).broken("error") == {"MEDIA-DURATION"}


def test_a_segment_grows_over_a_gap_that_nothing_tells_of(good: tuple[Recording, Copies]) -> None:
    recording, copies = without_one(good, 3)
    assert judge(recording, [untold(text) for text in copies]).broken("error") == {"DASH-SEGMENT-CHANGED"}
    recording, copies = without_one(good, 0)
    assert "DASH-ALIGNMENT" in judge(recording, [untold(text) for text in copies]).broken("error")
