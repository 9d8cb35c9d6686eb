"""Variants that look alike are different tracks."""

from __future__ import annotations

import re

from tests.helpers.judged import assert_clean, judge_recording
from tests.helpers.made_hls import SECONDS, master_url, recorded_hls


def test_variants_of_one_size_and_rate_are_told_apart() -> None:
    recording, master = recorded_hls("mpegts"), master_url("mpegts")
    for url, kept in list(recording.answers.items()):
        for at, answer in kept if "/low" in url else ():
            body = answer.body.replace(b"low", b"spare") if url.endswith(".m3u8") else answer.body
            recording.add(url.replace("/low", "/spare"), body, answer.header("content-type") or "", at=at)
    text = recording.answers[master][0][1].body.decode()
    variants = re.findall(r"#EXT-X-STREAM-INF.*\n.*\n", text)
    recording.replace(master, (text + variants[0].replace("low", "spare")).encode())
    report = judge_recording(recording, master, seconds=SECONDS)
    assert_clean(report)
    labels = [track.track for track in report.tracks]
    assert labels[2] == f"{labels[0]} (2)"
    assert [track.segments for track in report.tracks] == [6, 6, 6]
