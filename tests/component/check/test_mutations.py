"""Good recordings are broken in many ways, one at a time; the rule meant for it finds each, and no flood of others does.

What is broken is fixed; where (which segment, copy, variant, bit) is chance, from a seed that is printed: PYPACKAGER_SEED repeats it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Collection
from copy import deepcopy
from pathlib import Path

import pytest

from pypackager.check.finding import Report
from pypackager.check.rules import every_rule
from tests.helpers import live_dash, made_hds, made_smooth
from tests.helpers.judged import BASE, assert_clean, judge_recording
from tests.helpers.live_dash import judged_copies, publish
from tests.helpers.made_hds import HdsShow
from tests.helpers.made_hls import SECONDS, Container, master_url, recorded_hls
from tests.helpers.made_smooth import SmoothShow
from tests.helpers.mutations import boxes, hds_tables, mpds, packets, playlists, reloads, shows, smooth_manifests
from tests.helpers.mutations.patient import Patient
from tests.helpers.recorded import Recording
from tests.helpers.server_faults import server_faults

SEED = os.environ.get("PYPACKAGER_SEED", "1")
CMAF = {**playlists.GRAMMAR, **playlists.CLAIMS, **reloads.RELOADS, **boxes.SEGMENTS}
DASH: dict[str, tuple[str, set[str]]] = {
    "a segment from elsewhere in time": ("MEDIA-START", {"MEDIA-CONTINUOUS"}),
    "time jumps": ("MEDIA-START", {"MEDIA-CONTINUOUS"}),
    "all sound is late": ("MEDIA-START", {"SYNC-TRACKS", "MEDIA-TIME", "MEDIA-DURATION-EXACT"}),
    "a page with status 200": ("DASH-CONTAINER", set()),
    "the header of the other variant": ("DASH-CODECS", {"DASH-SIZE"}),
}
"""What finds a mistake there, where another rule than in HLS does."""
_MOST_FINDINGS = 9
"""Told in full, of all rules on all tracks; three of one rule on one track are."""


def patient(name: str, recording: Recording, container: Container) -> Patient:
    print(f"seed {SEED}")
    return Patient(recording, random.Random(f"{SEED} {name}"), container)


def assert_found(report: Report, rule: str, also: Collection[str]) -> None:
    told = "\n".join(f"{each.rule.id} at {each.place}: {each.found}, expected {each.expected}" for each in report.findings())
    found = report.broken()
    assert rule in found, told or "nothing"
    assert found <= {rule, *also}, told
    assert len(report.findings()) <= _MOST_FINDINGS, told


def assert_exactly(report: Report, rules: str) -> None:
    """These rules are broken; the recording of a made presentation has no headers to judge, and no clock worth it."""
    found = {rule for rule in report.broken() if rule == "HTTP-STATUS" or rule.partition("-")[0] not in ("HTTP", "LIVE")}
    assert found == set(rules.split()), [(each.rule.id, each.place, each.found, each.expected) for each in report.findings()]
    assert len(report.findings()) <= 2 * _MOST_FINDINGS


ELSEWHERE = {
    "DASH-INDEX": "component/check/test_dash_index.py",
    "DASH-PERIOD-START": "component/check/test_dash_mutations.py",
    "DASH-UTC-ANSWER": "component/check/test_dash_mutations.py",
    "DASH-UTC-WRONG": "component/check/test_dash_mutations.py",
    "HDS-DURATION": "unit/check/test_hds.py",
    "HTTP-TYPE-PLAYLIST": "unit/check/test_served.py",
}
"""Rules whose mistake is made in a good presentation of another kind (on demand, by another address), and the file that makes it."""


def test_every_error_has_a_mistake_that_it_finds() -> None:
    tables = (CMAF, packets.PACKETS, reloads.LIVENESS, boxes.COMPARED, shows.SMOOTH, shows.HDS)
    meant = {mistake.rule for table in tables for mistake in table.values()}
    meant |= {rules.split()[0] for table in (smooth_manifests.MANIFESTS, hds_tables.MANIFESTS) for rules, _ in table.values()}
    meant |= {rule for rule, _ in [*DASH.values(), *mpds.MUTATIONS.values()]}
    meant |= {rule for rules, _ in server_faults().values() for rule in rules}
    for rule, name in ELSEWHERE.items():
        assert f'"{rule}"' in (Path(__file__).parents[2] / name).read_text()
    errors = {rule.id for rule in every_rule() if rule.severity == "error"}
    assert errors - meant - ELSEWHERE.keys() == set()


@pytest.mark.parametrize("container", ["fmp4", "mpegts"])
def test_what_is_not_broken_is_clean(container: Container) -> None:
    report = judge_recording(recorded_hls(container), master_url(container), seconds=SECONDS)
    assert not report.findings()


def test_what_is_not_broken_is_the_same() -> None:
    recording = recorded_hls("fmp4")
    recording.answers |= recorded_hls("mpegts").answers
    assert_clean(judge_recording(recording, master_url("fmp4"), master_url("mpegts"), seconds=SECONDS, compare=True))


def test_a_gap_beside_which_there_is_media_is_none_to_complain_of() -> None:
    spared = patient("a gap", recorded_hls("fmp4"), "fmp4")
    reloads.gap(spared, "low", "audio")
    report = judge_recording(spared.recording, master_url("fmp4"), seconds=SECONDS)
    assert not report.findings()
    assert [track.gaps for track in report.tracks] == [1, 0, 1]


@pytest.mark.parametrize("name", CMAF)
def test_cmaf(name: str) -> None:
    broken = patient(name, recorded_hls("fmp4"), "fmp4")
    CMAF[name].spoil(broken)
    assert_found(judge_recording(broken.recording, master_url("fmp4"), seconds=SECONDS), CMAF[name].rule, CMAF[name].also)


@pytest.mark.parametrize("name", packets.PACKETS)
def test_transport_streams(name: str) -> None:
    broken = patient(name, recorded_hls("mpegts"), "mpegts")
    packets.PACKETS[name].spoil(broken)
    assert_found(
        judge_recording(broken.recording, master_url("mpegts"), seconds=SECONDS), packets.PACKETS[name].rule, packets.PACKETS[name].also
    )


@pytest.mark.parametrize("name", reloads.LIVENESS)
def test_liveness(name: str) -> None:
    broken = patient(name, recorded_hls("fmp4"), "fmp4")
    reloads.LIVENESS[name].spoil(broken)
    assert_found(
        judge_recording(broken.recording, master_url("fmp4"), seconds=20.0), reloads.LIVENESS[name].rule, reloads.LIVENESS[name].also
    )


@pytest.mark.parametrize("name", boxes.COMPARED)
def test_compared(name: str) -> None:
    broken = patient(name, recorded_hls("fmp4"), "fmp4")
    broken.recording.answers |= recorded_hls("mpegts").answers
    boxes.COMPARED[name].spoil(broken)
    report = judge_recording(broken.recording, master_url("fmp4"), master_url("mpegts"), seconds=SECONDS, compare=True)
    assert_found(report, boxes.COMPARED[name].rule, boxes.COMPARED[name].also)


@pytest.fixture(scope="module")
def dash(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """A live DASH presentation of the same ladder."""
    return publish(*judged_copies(tmp_path_factory.mktemp("dash")))


@pytest.mark.parametrize("name", boxes.SEGMENTS)
def test_dash(name: str, dash: Recording) -> None:
    media = {
        track: [f"{BASE}chunk-stream{n}-{number:05d}.m4s" for number in range(1, 7)] for n, track in enumerate(("low", "high", "audio"))
    }
    headers = {track: f"{BASE}init-stream{n}.m4s" for n, track in enumerate(media)}
    broken = Patient(deepcopy(dash), random.Random(f"{SEED} {name}"), media=media, headers=headers)
    boxes.SEGMENTS[name].spoil(broken)
    rule, also = DASH.get(name, (boxes.SEGMENTS[name].rule, set()))
    report = judge_recording(broken.recording, live_dash.URL, seconds=2.0 * live_dash.COPIES)
    assert_found(report, rule, {*boxes.SEGMENTS[name].also, *also})


@pytest.mark.parametrize("name", shows.SMOOTH)
def test_smooth(name: str) -> None:
    print(f"seed {SEED}")
    show = SmoothShow()
    shows.SMOOTH[name].spoil_smooth(show, random.Random(f"{SEED} {name}"))
    report = judge_recording(show.recording(), made_smooth.URL, seconds=made_smooth.SECONDS)
    assert_found(report, shows.SMOOTH[name].rule, shows.SMOOTH[name].also)


@pytest.mark.parametrize("name", smooth_manifests.MANIFESTS)
def test_smooth_manifests(name: str) -> None:
    print(f"seed {SEED}")
    rules, spoil = smooth_manifests.MANIFESTS[name]
    show = SmoothShow()
    spoil(show, random.Random(f"{SEED} {name}"))
    assert_exactly(judge_recording(show.recording(), made_smooth.URL, seconds=made_smooth.SECONDS), rules)


@pytest.mark.parametrize("name", hds_tables.MANIFESTS)
def test_hds_manifests(name: str) -> None:
    print(f"seed {SEED}")
    rules, spoil = hds_tables.MANIFESTS[name]
    show = HdsShow()
    spoil(show, random.Random(f"{SEED} {name}"))
    assert_exactly(judge_recording(show.recording(), made_hds.URL, seconds=made_hds.SECONDS), rules)


@pytest.mark.parametrize("name", shows.HDS)
def test_hds(name: str) -> None:
    print(f"seed {SEED}")
    show = HdsShow()
    shows.HDS[name].spoil_hds(show, random.Random(f"{SEED} {name}"))
    report = judge_recording(show.recording(), made_hds.URL, seconds=made_hds.SECONDS)
    assert_found(report, shows.HDS[name].rule, shows.HDS[name].also)


@pytest.mark.parametrize("name", server_faults())
@pytest.mark.parametrize("container", ["fmp4", "mpegts"])
def test_servers(name: str, container: Container) -> None:
    rules, quirks = server_faults()[name]
    recording = recorded_hls(container)
    recording.quirks.extend(quirks)
    report = judge_recording(recording, master_url(container), seconds=4.0)
    assert {rule for rule in report.broken() if rule.startswith("HTTP-")} == rules
    assert len(report.findings()) <= 4 * _MOST_FINDINGS
