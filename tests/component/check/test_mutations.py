"""Good recordings are broken in many ways, one at a time; the rule meant for it finds each, and no flood of others does.

What is broken is fixed; where (which segment, copy, variant, bit) is chance, from a seed that is printed: PYPACKAGER_SEED repeats it.
"""

from __future__ import annotations

import os
import random

import pytest

from pypackager.check.finding import Report
from tests.helpers.judged import assert_clean, judge_recording
from tests.helpers.made_hls import SECONDS, Container, master_url, recorded_hls
from tests.helpers.mutations import boxes, packets, playlists, reloads
from tests.helpers.mutations.patient import Mutation, Patient
from tests.helpers.recorded import Recording

SEED = os.environ.get("PYPACKAGER_SEED", "1")
CMAF = {**playlists.GRAMMAR, **playlists.CLAIMS, **reloads.RELOADS, **boxes.SEGMENTS}
_MOST_FINDINGS = 9
"""Told in full, of all rules on all tracks; three of one rule on one track are."""


def patient(name: str, recording: Recording, container: Container) -> Patient:
    print(f"seed {SEED}")
    return Patient(recording, random.Random(f"{SEED} {name}"), container)


def assert_found(report: Report, mistake: Mutation) -> None:
    told = "\n".join(f"{each.rule.id} at {each.place}: {each.found}, expected {each.expected}" for each in report.findings())
    found = report.broken()
    assert mistake.rule in found, told or "nothing"
    assert found <= {mistake.rule, *mistake.also}, told
    assert len(report.findings()) <= _MOST_FINDINGS, told


@pytest.mark.parametrize("container", ["fmp4", "mpegts"])
def test_what_is_not_broken_is_clean(container: Container) -> None:
    report = judge_recording(recorded_hls(container), master_url(container), seconds=SECONDS)
    assert not report.findings()


def test_what_is_not_broken_is_the_same() -> None:
    recording = recorded_hls("fmp4")
    recording.answers |= recorded_hls("mpegts").answers
    assert_clean(judge_recording(recording, master_url("fmp4"), master_url("mpegts"), seconds=SECONDS, compare=True))


@pytest.mark.parametrize("name", CMAF)
def test_cmaf(name: str) -> None:
    broken = patient(name, recorded_hls("fmp4"), "fmp4")
    CMAF[name].spoil(broken)
    assert_found(judge_recording(broken.recording, master_url("fmp4"), seconds=SECONDS), CMAF[name])


@pytest.mark.parametrize("name", packets.PACKETS)
def test_transport_streams(name: str) -> None:
    broken = patient(name, recorded_hls("mpegts"), "mpegts")
    packets.PACKETS[name].spoil(broken)
    assert_found(judge_recording(broken.recording, master_url("mpegts"), seconds=SECONDS), packets.PACKETS[name])


@pytest.mark.parametrize("name", reloads.LIVENESS)
def test_liveness(name: str) -> None:
    broken = patient(name, recorded_hls("fmp4"), "fmp4")
    reloads.LIVENESS[name].spoil(broken)
    assert_found(judge_recording(broken.recording, master_url("fmp4"), seconds=20.0), reloads.LIVENESS[name])


@pytest.mark.parametrize("name", boxes.COMPARED)
def test_compared(name: str) -> None:
    broken = patient(name, recorded_hls("fmp4"), "fmp4")
    broken.recording.answers |= recorded_hls("mpegts").answers
    boxes.COMPARED[name].spoil(broken)
    report = judge_recording(broken.recording, master_url("fmp4"), master_url("mpegts"), seconds=SECONDS, compare=True)
    assert_found(report, boxes.COMPARED[name])


def test_there_are_enough() -> None:
    assert len(CMAF) + len(packets.PACKETS) + len(reloads.LIVENESS) + len(boxes.COMPARED) >= 80
