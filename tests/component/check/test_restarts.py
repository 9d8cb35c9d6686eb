"""An encoder comes back with another size while a presentation is watched: what is announced is judged as it is then."""

from __future__ import annotations

import re
from collections.abc import Iterable

import trio
from trio.testing import MockClock

from pypackager.check.finding import Report
from pypackager.check.origin import Answer
from pypackager.check.run import run
from pypackager.check.session import Settings
from tests.helpers.judged import assert_clean, judge_recording
from tests.helpers.made_hls import FOLDERS, SECONDS, SEGMENTS, master_url, recorded_hls
from tests.helpers.recorded import RecordedOrigin, Recording, with_body

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


def test_a_judge_that_is_late_holds_no_old_copy_against_a_new_encoder() -> None:
    """The first look at the playlists shows what the second encoder sends, and the multivariant playlist was read before it came."""
    recording = restarted(follows=True)
    came = _came(recording)
    recording.epoch += came
    for url, answers in recording.answers.items():
        if url != master_url("fmp4"):
            recording.answers[url] = [(max(0.0, at - came), answer) for at, answer in answers]
    assert_clean(judge_recording(recording, master_url("fmp4"), seconds=SECONDS - came))


class _Slow(RecordedOrigin):
    """The multivariant playlist is a second on its way, and is as it is at the end of it."""

    async def ask(self, url: str, *, method: str = "GET", headers: Iterable[tuple[str, str]] = ()) -> Answer:
        if url == master_url("fmp4"):
            await trio.sleep(1)
        return await super().ask(url, method=method, headers=headers)


def test_playlists_are_looked_at_again_when_the_multivariant_playlist_changed_behind_their_last_look() -> None:
    recording = restarted(follows=True)

    async def main() -> Report:
        return await run([master_url("fmp4")], _Slow(recording), Settings(seconds=0.5))

    assert_clean(trio.run(main, clock=MockClock(autojump_threshold=0)))


def _came(recording: Recording) -> float:
    """When the second encoder's first segment was listed."""
    return next(at for at, answer in recording.answers[f"{FOLDERS['fmp4']}low.m3u8"] if b"DISCONTINUITY\n" in answer.body)
