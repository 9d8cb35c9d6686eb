"""DASH on demand with an index in each file (SegmentBase): a good one, and indexes that are none."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from pypackager.check.finding import Report
from tests.helpers.judged import BASE, assert_clean, judge_recording
from tests.helpers.live_dash import mux_dash
from tests.helpers.made_media import box
from tests.helpers.media import LADDER_SHORT
from tests.helpers.recorded import Recording

_SCALE = 44_100


def _index(sizes: Sequence[int], durations: Sequence[int], *, scale: int = _SCALE, indexes: bool = False) -> bytes:
    """A sidx (ISO 14496-12 8.16.3) of segments that follow at once; `indexes`: it says that each is an index again."""
    rows = b"".join(
        struct.pack(">III", size | indexes << 31, duration, 0x90000000) for size, duration in zip(sizes, durations, strict=True)
    )
    return box(b"sidx", struct.pack(">IIIIIHH", 0, 1, scale, 0, 0, 0, len(sizes)), rows)


def _judged(folder: Path, *, scale: int = _SCALE, indexes: bool = False, late: int = 0) -> Report:
    """The German sound of FFmpeg's presentation is one file with an index; @indexRange is so many bytes late."""
    recording: Recording = mux_dash(LADDER_SHORT, folder)
    (url,) = recording.urls("vod.mpd")
    text = recording.answers[url][0][1].body.decode()
    found = re.search(r'(<Representation id="3".*?)<SegmentTemplate.*?</SegmentTemplate>', text, re.DOTALL)
    assert found is not None
    durations: list[int] = []
    for duration, repeat in re.findall(r'<S [^>]*?d="(\d+)"(?: r="(\d+)")?', found[0]):
        durations += [int(duration)] * (1 + int(repeat or 0))
    header = recording.answers[BASE + "init-stream3.m4s"][0][1].body
    bodies = [recording.answers[f"{BASE}chunk-stream3-{n:05d}.m4s"][0][1].body for n in range(1, len(durations) + 1)]
    index = _index([len(body) for body in bodies], durations, scale=scale, indexes=indexes)
    first, last = len(header) + late, len(header) + len(index) - 1 + late
    place = f'<SegmentBase timescale="{_SCALE}" indexRange="{first}-{last}"><Initialization range="0-{len(header) - 1}"/></SegmentBase>'
    recording.replace(url, text.replace(found[0], f"{found[1]}<BaseURL>german.mp4</BaseURL>{place}").replace("isoff-live", "full"))
    recording.add(BASE + "german.mp4", b"".join([header, index, *bodies]), "audio/mp4")
    return judge_recording(recording, url)


def test_an_index_is_followed(tmp_path: Path) -> None:
    report = _judged(tmp_path)
    assert_clean(report)
    assert [track.segments for track in report.tracks] == [6, 6, 6, 6]


@pytest.mark.parametrize(
    "fault", [{"scale": 48_000}, {"indexes": True}, {"late": 40}], ids=["another timescale", "of indexes", "elsewhere"]
)
def test_an_index_that_is_none(fault: dict[str, int], tmp_path: Path) -> None:
    report = _judged(tmp_path, scale=fault.get("scale", _SCALE), indexes=bool(fault.get("indexes")), late=fault.get("late", 0))
    assert report.broken("error") == {"DASH-INDEX"}
    assert report.count("error") == 1
