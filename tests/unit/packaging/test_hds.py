"""HDS: numbers, time zero, muxed audio."""

from __future__ import annotations

import gzip
from dataclasses import replace

import msgspec
import pytest
from yt_dlp.downloader.f4m import build_fragments_list, read_bootstrap_info

from pypackager.model.errors import PackagerError
from pypackager.model.plan import F4fFragment, Text
from pypackager.model.presentation import Presentation
from pypackager.packaging import answer
from pypackager.packaging.hds_rows import ERA_MS
from tests.helpers.presentations import COLUMNS, Spec, audio, cut_at_frames, gaps, ladder, periods, present, regular, video


def _fragment(presentation: Presentation, path: str) -> F4fFragment:
    body = answer(presentation, path, "").body
    assert isinstance(body, F4fFragment)
    return body


def table(presentation: Presentation, path: str) -> list[list[int]]:
    """The fragment run table as the client reads it that is left: first number, time, duration, mark."""
    body = answer(presentation, path, "").body
    assert isinstance(body, bytes)
    found = read_bootstrap_info(body)
    return [list(run.values()) for run in found["fragments"][0]["fragments"]]


def test_numbers_and_times_stay_while_the_window_slides() -> None:
    whole = table(present(ladder()), "hds/v720+a-en.abst")
    slid = table(present(ladder(), rows=slice(6, None)), "hds/v720+a-en.abst")
    assert whole[0][0] == 1
    assert slid[0] == [7, whole[0][1] + 6 * 2000, 2000, None]


def test_a_period_is_a_discontinuity() -> None:
    assert table(present(periods()), "hds/video-1+audio-2.abst") == [
        [1, 0, 2000, None],
        [8, 15_000, 0, 2],
        [8, 15_000, 2000, None],
    ]


def test_time_starts_over_with_an_era() -> None:
    seconds = 1000 * ERA_MS // 1000 - 10
    start = seconds - seconds % 2
    presentation = present(Spec([video(1, regular(12, start=start * 90_000))]))
    runs = table(presentation, "hds/video-1.abst")
    assert [run[3] for run in runs] == [None, 2, None]
    assert runs[1][1] < 2000
    early, late = _fragment(presentation, "hds/video-1Seg1-Frag1"), _fragment(presentation, f"hds/video-1Seg1-Frag{runs[1][0]}")
    assert late.origin_ns - early.origin_ns == ERA_MS * 1_000_000
    for fragment, run in ((early, runs[0]), (late, runs[1])):
        assert fragment.origin_ns // 1_000_000 + run[1] == (start + 2 * (run[0] - 1)) * 1000


def test_a_long_table_is_deflated_as_text_is() -> None:
    """Of sound that is cut at the borders of pictures nearly every fragment is a run: half a megabyte in 25 hours."""
    presentation = present(Spec([audio(1, cut_at_frames(3000))]))
    published = answer(presentation, "hds/audio-1.abst", "")
    assert isinstance(published.body, Text)
    assert isinstance(published.gzip, Text)
    plain, member = b"".join(published.body.parts), b"".join(published.gzip.parts)
    assert gzip.decompress(member) == plain
    assert len(member) < len(plain) // 2
    assert len(read_bootstrap_info(plain)["fragments"][0]["fragments"]) > 2000


@pytest.mark.parametrize("spec", [ladder(), periods(), gaps()])
def test_the_client_finds_every_fragment_and_no_other(spec: Spec) -> None:
    presentation = present(replace(spec, ended=True), rows=slice(3, 12))
    track = presentation.tracks[0].info.id
    body = answer(presentation, f"hds/{track}.abst", "").body
    assert isinstance(body, bytes)
    found = read_bootstrap_info(body)
    assert not found["live"]
    assert list(found["fragments"][0]["fragments"][-1].values())[2:] == [0, 0]
    listed = build_fragments_list(found)
    assert listed == [(1, number) for number in range(4, 13)]
    for segment, number in listed:
        assert answer(presentation, f"hds/{track}Seg{segment}-Frag{number}", "").lifetime == "immutable"


def test_a_video_fragment_carries_the_default_audio_of_its_time() -> None:
    fragment = _fragment(present(ladder()), "hds/v720+a-enSeg1-Frag2")
    assert fragment.video is not None
    assert fragment.audio is not None
    assert [len(each.ranges) for each in (fragment.video, fragment.audio)] == [1, 1]
    assert fragment.audio.ranges[0][0] == "/blobs/a-en.cmf"


def test_a_gap_keeps_its_number_and_its_audio() -> None:
    fragment = _fragment(present(gaps()), "hds/video-2+audio-3Seg1-Frag5")
    assert fragment.video is None
    assert fragment.audio is not None


def _silent(first: int, last: int) -> Presentation:
    """Pictures and sound, neither of which has the rows from one to another."""
    tracks = [video(1, regular(10)), audio(2, cut_at_frames(10))]
    rows = [[replace(row, gap=first <= n <= last) for n, row in enumerate(track.rows)] for track in tracks]
    return present(Spec([replace(track, rows=each) for track, each in zip(tracks, rows, strict=True)], ended=True))


def test_a_gap_without_sound_is_a_jump_of_numbers_and_times() -> None:
    presentation = _silent(4, 5)
    # The mark has the number that would be due (Adobe F4V 2.11.2.2): who asks for it is sent to the next entry.
    assert table(presentation, "hds/video-1+audio-2.abst") == [
        [1, 0, 2000, None],
        [5, 12_000, 0, 3],
        [7, 12_000, 2000, None],
        [11, 20_000, 0, 0],
    ]
    # The client that is left counts on over it.
    assert _fragment(presentation, "hds/video-1+audio-2Seg1-Frag5").video is None


@pytest.mark.parametrize(("first", "last", "numbers"), [(0, 2, (4, 10)), (7, 9, (1, 7)), (9, 9, (1, 9))])
def test_a_list_begins_and_ends_with_something_to_play(first: int, last: int, numbers: tuple[int, int]) -> None:
    presentation = _silent(first, last)
    body = answer(presentation, "hds/video-1+audio-2.abst", "").body
    assert isinstance(body, bytes)
    listed = [number for _, number in build_fragments_list(read_bootstrap_info(body))]
    assert (listed[0], listed[-1]) == numbers
    with pytest.raises(PackagerError):
        answer(presentation, f"hds/video-1+audio-2Seg1-Frag{last + 1}", "")


def test_a_gap_is_the_same_whether_it_was_there_before_the_list_was_asked_for() -> None:
    at_once = _silent(4, 5)
    bit_by_bit = msgspec.structs.replace(at_once, caches={})
    for stop in range(2, 11):
        tracks = tuple(
            msgspec.structs.replace(track, **{name: getattr(track, name).part(0, stop) for name in COLUMNS}) for track in at_once.tracks
        )
        answer(msgspec.structs.replace(bit_by_bit, tracks=tracks, version=stop), "hds/video-1+audio-2.abst", "")
    assert table(bit_by_bit, "hds/video-1+audio-2.abst") == table(at_once, "hds/video-1+audio-2.abst")


def test_alternate_audio_is_media_of_its_own() -> None:
    fragment = _fragment(present(ladder()), "hds/a-deSeg1-Frag1")
    assert fragment.video is None
    assert fragment.audio is not None


def test_sound_alone_is_listed_at_the_times_that_its_tags_have() -> None:
    # Tags of sound are 200 ms later than the media (the core's PRESENTATION_SHIFT_MS), in every era.
    assert table(present(ladder()), "hds/a-de.abst")[0][1] == table(present(ladder()), "hds/v720+a-en.abst")[0][1] + 200
    last_ms = ERA_MS - 100
    presentation = present(Spec([audio(1, cut_at_frames(3, start=last_ms * 48))]))
    assert table(presentation, "hds/audio-1.abst")[0][:2] == [1, 100]
    assert _fragment(presentation, "hds/audio-1Seg1-Frag1").origin_ns == ERA_MS * 1_000_000


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("hds/v720+a-enSeg1-Frag17", "NO_SUCH_FRAGMENT"),
        ("hds/a-de+a-enSeg1-Frag1", "NO_SUCH_URL"),
        ("hds/nobodySeg1-Frag1", "NO_SUCH_TRACK"),
        ("hds/v720+nobodySeg1-Frag1", "NO_SUCH_TRACK"),
    ],
)
def test_what_is_not_there_is_404(path: str, code: str) -> None:
    with pytest.raises(PackagerError) as caught:
        answer(present(ladder()), path, "")
    assert (caught.value.status, caught.value.code) == (404, code)


def test_a_fragment_waits_for_its_audio() -> None:
    spec = Spec([video(1, regular(10)), audio(2, cut_at_frames(9))])
    with pytest.raises(PackagerError):
        answer(present(spec), "hds/video-1+audio-2Seg1-Frag10", "")
    assert _fragment(present(replace(spec, ended=True)), "hds/video-1+audio-2Seg1-Frag10").audio is None


def test_other_codecs_are_left_out() -> None:
    spec = ladder()
    hevc = replace(spec.tracks[0], configs={1: msgspec.structs.replace(spec.tracks[0].configs[1], codec="hvc1.1.6.L93.B0")})
    body = answer(present(replace(spec, tracks=[hevc, *spec.tracks[1:]])), "manifest.f4m", "").body
    assert isinstance(body, bytes)
    assert b"v720" not in body
    assert b"v360" in body
