"""An encoder comes back with another size while a presentation is watched: what is announced is judged as it is then."""

from __future__ import annotations

import re

from tests.helpers.judged import assert_clean, judge_recording
from tests.helpers.made_hls import FOLDERS, SECONDS, SEGMENTS, master_url, recorded_hls
from tests.helpers.recorded import Recording, with_body

_RESTART = SEGMENTS - 2
"""The first segment of the second encoder."""


def restarted(*, follows: bool) -> Recording:
    """What the low variant's encoder sends from a segment on is as the high one's; the multivariant playlist follows, or does not."""
    recording = recorded_hls("fmp4")
    for name, after in (("low", "high"), ("high", "high"), ("audio", "audio")):
        url = f"{FOLDERS['fmp4']}{name}.m3u8"
        recording.answers[url] = [
            (at, with_body(answer, _discontinued(answer.body.decode(), name, after).encode())) for at, answer in recording.answers[url]
        ]
    ((_, first),) = recording.answers[master_url("fmp4")]
    _, high = re.findall("#EXT-X-STREAM-INF:.*", first.body.decode())
    text = re.sub("#EXT-X-STREAM-INF:.*", high, first.body.decode())
    if follows:
        recording.add(master_url("fmp4"), text, "application/vnd.apple.mpegurl", at=2.0)
    return recording


def _discontinued(text: str, name: str, after: str) -> str:
    head, found, tail = text.partition(f"{name}{_RESTART}.m4s")
    if not found:
        return text
    start = head.rindex("#EXT-X-PROGRAM-DATE-TIME")
    border = f'#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="{after}.mp4"\n'
    return head[:start] + border + re.sub(rf"^{name}(\d+)", rf"{after}\1", head[start:] + found + tail, flags=re.MULTILINE)


def test_a_multivariant_playlist_that_follows_is_clean() -> None:
    assert_clean(judge_recording(restarted(follows=True), master_url("fmp4"), seconds=SECONDS))


def test_a_multivariant_playlist_that_stays_is_found() -> None:
    report = judge_recording(restarted(follows=False), master_url("fmp4"), seconds=SECONDS)
    wrong = {"MEDIA-RESOLUTION", "MEDIA-CODECS"}
    assert wrong <= report.broken() <= {*wrong, "HLS-BANDWIDTH", "HLS-AVERAGE-BANDWIDTH"}
