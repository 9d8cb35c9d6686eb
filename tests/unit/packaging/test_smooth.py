"""Smooth fragments: too early, gone, what stands in, what is named."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pypackager.model.errors import PackagerError
from pypackager.model.plan import SmoothFragment
from pypackager.model.presentation import Presentation
from pypackager.packaging import answer
from pypackager.packaging.codec_private import annex_b
from tests.helpers.presentations import AVCC, NS, Row, Spec, audio, avc, body_of, gaps, ladder, periods, present, regular, single, video


def _fragment(presentation: Presentation, path: str) -> SmoothFragment:
    body = answer(presentation, path, "").body
    assert isinstance(body, SmoothFragment)
    return body


def _refused(presentation: Presentation, path: str) -> tuple[int, str]:
    with pytest.raises(PackagerError) as caught:
        answer(presentation, path, "")
    return caught.value.status, caught.value.code


def _video(time: int, bitrate: int = 3_000_000) -> str:
    return f"QualityLevels({bitrate})/Fragments(video={time})"


def test_a_fragment_names_its_successors() -> None:
    fragment = _fragment(present(single()), _video(180_000))
    assert (fragment.time, fragment.duration, fragment.successors) == (180_000, 180_000, ((360_000, 180_000), (540_000, 180_000)))
    assert not fragment.inband


def test_successors_go_on_over_a_period() -> None:
    fragment = _fragment(present(periods()), _video(6 * 180_000))
    assert fragment.successors == ((1_350_000, 180_000), (1_530_000, 180_000))


@pytest.mark.parametrize("row", [9, 10, 11, 1000])
def test_without_look_ahead_it_is_too_early(row: int) -> None:
    assert _refused(present(single()), _video(row * 180_000)) == (412, "TOO_EARLY")
    sound = answer(present(single()), "manifest", "").body
    assert isinstance(sound, bytes)
    video, _, _ = sound.partition(b"</StreamIndex>")
    times = [int(time) for time in re.findall(rb'<c t="(\d+)"', video)]
    assert times == [0, *range(5 * 180_000, 9 * 180_000, 180_000)]


def dash_js_buffers_s(seconds: list[float]) -> float:
    """What dash.js 5.2 makes its buffer's goal of a live list of chunks (MssParser.processManifest)."""
    window = sum(seconds)
    return min(max(window - 10, window / 2), 4 * seconds[0]) - 1.5 * seconds[0]


@pytest.mark.parametrize(
    ("seconds", "ready"),
    [
        ([2, 2], False),
        ([2, 2, 2], False),
        ([2, 2, 2, 2], True),
        # One frame more or less.
        ([2.04, 2, 2, 1.96], True),
        # A stump, or a long one, in front.
        ([0.52, 2, 2], False),
        ([0.52, 2, 2, 2], True),
        ([6, 2, 2, 2], False),
        ([6, *[2] * 7], False),
        ([6, *[2] * 8], True),
        ([6, 6, 6], False),
        ([8, 8], False),
        ([8, 8, 8], True),
        ([60], False),
        ([60, 60], True),
    ],
)
def test_a_live_manifest_is_there_when_a_player_can_buffer_from_it(seconds: list[float], ready: bool) -> None:
    assert not ready or dash_js_buffers_s(seconds) >= seconds[0] / 4
    rows, time = [], 0
    for duration in [*seconds, 2, 2]:
        rows.append(Row(time, round(duration * 90_000)))
        time += rows[-1].duration
    # Sound that came later takes nobody's manifest away.
    spec = Spec([video(1, rows), audio(2, regular(3, 96_000, start=(time - 540_000) * 48 // 90))])
    if ready:
        assert b"<SmoothStreamingMedia" in body_of(answer(present(spec), "manifest", ""))
    else:
        assert _refused(present(spec), "manifest") == (404, "NOT_READY")
    assert b"<SmoothStreamingMedia" in body_of(answer(present(replace(spec, ended=True, caches={})), "manifest", ""))


def test_a_hole_that_is_not_listed_yet_is_too_early() -> None:
    in_the_hole = _video(7 * 180_000)
    assert _refused(present(periods(), rows=slice(0, 9)), in_the_hole) == (412, "TOO_EARLY")
    assert _refused(present(periods()), in_the_hole) == (404, "NO_SUCH_FRAGMENT")


def test_the_last_fragments_are_served_after_the_end_without_look_ahead() -> None:
    presentation = present(replace(single(), ended=True))
    assert [_fragment(presentation, _video(row * 180_000)).successors for row in (8, 9, 10)] == [
        ((1_620_000, 180_000), (1_800_000, 180_000)),
        (),
        (),
    ]
    assert _refused(presentation, _video(11 * 180_000)) == (404, "NO_SUCH_FRAGMENT")


def test_what_left_the_window_is_gone() -> None:
    presentation = present(single(), rows=slice(3, None))
    assert _refused(presentation, _video(180_000)) == (404, "NO_SUCH_FRAGMENT")
    assert _refused(presentation, _video(540_001)) == (404, "NO_SUCH_FRAGMENT")
    kept = _fragment(presentation, _video(540_000))
    assert kept == _fragment(present(single()), _video(540_000))
    assert kept.sequence > _fragment(present(single()), _video(360_000)).sequence


@pytest.mark.parametrize("path", [_video(0, 1), "QualityLevels(3000000)/Fragments(audio-2=0)", "QualityLevels(128002)/Fragments(x=0)"])
def test_unknown_streams_are_404(path: str) -> None:
    assert _refused(present(single()), path) == (404, "NO_SUCH_STREAM")


def test_another_layer_stands_in_for_a_gap() -> None:
    fragment = _fragment(present(gaps()), _video(4 * 180_000, 1_500_000))
    assert fragment.source.ranges[0][0] == "/blobs/video-1.cmf"
    assert fragment.inband
    assert fragment.track_id == 2


def test_a_later_configuration_goes_in_band_however_the_window_moves() -> None:
    for first in (0, 3, 7):
        presentation = present(periods(), rows=slice(first, None))
        assert _fragment(presentation, _video(1_350_000)).inband


def test_a_level_is_as_large_as_its_largest_picture() -> None:
    picture = regular(7, config=1) + regular(6, start=7 * 180_000 + 90_000, period=1, config=2)
    presentation = present(Spec([video(1, picture, configs={1: avc(640, 360), 2: avc(384, 480)})]))
    text = body_of(answer(presentation, "manifest", "")).decode()
    assert 'MaxWidth="640" MaxHeight="480"' in text


def test_a_level_is_as_large_as_the_pictures_that_stand_in_for_its_own() -> None:
    rows = regular(8)
    holed = [replace(row, gap=number == 2) for number, row in enumerate(rows)]
    for large, lowest, middle, sizes in (
        (rows, rows, rows, ["640", "320", "480"]),
        # The layer above stands in where the lowest has none, and the one above that where that one lacks it, too.
        (rows, rows[:5], rows, ["640", "480", "480"]),
        (rows, holed, rows, ["640", "480", "480"]),
        (rows, holed, rows[3:], ["640", "640", "640"]),
        # Those below are smaller.
        (rows[:5], rows, rows, ["640", "320", "480"]),
    ):
        specs = zip((1, 2, 3), (large, lowest, middle), (640, 320, 480), (3_000_000, 500_000, 1_500_000), strict=True)
        tracks = [video(number, part, configs={1: avc(width, width * 9 // 16)}, bitrate=rate) for number, part, width, rate in specs]
        text = body_of(answer(present(Spec(tracks)), "manifest", "")).decode()
        assert re.findall(r'MaxWidth="(\d+)"', text) == sizes


def test_a_gap_in_every_layer_is_not_listed() -> None:
    rows = [replace(row, gap=number == 2) for number, row in enumerate(regular(8))]
    presentation = present(Spec([video(1, rows), video(2, rows)]))
    body = answer(presentation, "manifest", "").body
    assert isinstance(body, bytes)
    assert re.findall(rb'<c t="(\d+)"', body) == [b"0", b"180000", b"540000", b"720000", b"900000"]
    assert _fragment(presentation, _video(180_000)).successors == ((540_000, 180_000), (720_000, 180_000))


def test_one_shift_for_all_tracks() -> None:
    presentation = present(Spec([video(1, regular(8)), audio(2, regular(8, 88_200), rate=44_100)]))
    picture = _fragment(presentation, _video(0))
    sound = _fragment(presentation, "QualityLevels(128002)/Fragments(audio-2=0)")
    assert picture.composition_shift * NS // 90_000 == sound.composition_shift * NS // 44_100


def test_parameter_sets_have_start_codes() -> None:
    assert annex_b(AVCC).hex() == "00000001674d401fe8802802dd80b501010000000168ee3c80"


@pytest.mark.parametrize("size", range(5, len(AVCC)))
def test_a_record_cut_short_is_our_fault(size: int) -> None:
    with pytest.raises(PackagerError) as caught:
        annex_b(AVCC[:size])
    assert (caught.value.code, caught.value.status) == ("BAD_CONFIG", 500)


def test_a_late_layer_joins_the_stream() -> None:
    spec = ladder()
    late = replace(spec.tracks[1], rows=spec.tracks[1].rows[5:])
    body = answer(present(replace(spec, tracks=[spec.tracks[0], late])), "manifest", "").body
    assert isinstance(body, bytes)
    assert b'QualityLevels="2"' in body
