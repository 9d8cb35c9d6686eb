"""HLS: what is listed, and what stays when the window moves."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from pypackager.model.errors import PackagerError
from pypackager.model.plan import TsSegment
from pypackager.model.presentation import Presentation
from pypackager.packaging import answer
from pypackager.packaging.languages import bcp47
from pypackager.packaging.segments import independent
from tests.helpers.presentations import (
    NS,
    Row,
    Spec,
    aac,
    audio,
    avc,
    body_of,
    cut_at_frames,
    ladder,
    periods,
    present,
    regular,
    single,
    video,
)


def _text(presentation: Presentation, path: str) -> str:
    return body_of(answer(presentation, path, "")).decode()


def test_a_segment_is_listed_when_it_is_full_or_the_next_one_opens() -> None:
    assert _text(present(single(), rows=slice(0, 3)), "hls/video-1.m3u8").count("#EXTINF") == 1
    assert _text(present(single(), rows=slice(0, 5)), "hls/video-1.m3u8").count("#EXTINF") == 1
    early = [replace(row, opens=number in {0, 2}) for number, row in enumerate(regular(4))]
    assert "0-2.m4s" in _text(present(Spec([video(1, early)])), "hls/video-1.m3u8")


def test_before_the_first_segment_is_full_there_is_no_playlist() -> None:
    for path in ("master.m3u8", "hls/video-1.m3u8", "ts3/video-1.m3u8", "manifest(format=m3u8-aapl)"):
        with pytest.raises(PackagerError) as caught:
            answer(present(single(), rows=slice(0, 2)), path, "")
        assert (caught.value.status, caught.value.code) == (404, "NOT_READY")


def test_sequences_go_on_while_the_window_slides() -> None:
    text = _text(present(periods(), rows=slice(6, None)), "hls/video-1.m3u8")
    assert "#EXT-X-MEDIA-SEQUENCE:2\n" in text
    assert "#EXT-X-DISCONTINUITY\n" in text
    text = _text(present(periods(), rows=slice(7, None)), "hls/video-1.m3u8")
    assert "#EXT-X-MEDIA-SEQUENCE:3\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n" in text
    assert "#EXT-X-DISCONTINUITY\n" not in text


def test_a_period_without_a_segment_counts_as_a_discontinuity() -> None:
    rows = regular(3) + [replace(row, period=2) for row in regular(3, start=900_000)]
    text = _text(present(Spec([video(1, rows)])), "hls/video-1.m3u8")
    assert "#EXT-X-DISCONTINUITY\n#EXT-X-DISCONTINUITY\n" in text


def test_the_playlist_of_a_segment_stays_until_the_next() -> None:
    spec = single()
    first, second, third = (answer(present(spec, rows=slice(0, last), version=last), "hls/video-1.m3u8", "") for last in (6, 7, 9))
    assert first is second
    assert first.etag != third.etag


def test_durations_never_drift() -> None:
    rows = regular(3000, 180_180)
    text = _text(present(Spec([video(1, rows)], fragments_per_segment=1)), "hls/video-1.m3u8")
    total = sum(int(value.replace(".", "")) for value in re.findall(r"#EXTINF:([\d.]+),", text))
    assert abs(total - 3000 * 2_002_000) <= 1


def test_a_partly_listed_segment_is_not_served() -> None:
    presentation = present(single())
    for path in ("video-1/0-2.m4s", "video-1/180000-3.m4s", "video-1/1620000-2.m4s", "video-1/0-1.ts", "video-1/0-4.ts"):
        with pytest.raises(PackagerError) as caught:
            answer(presentation, path, "")
        assert (caught.value.status, caught.value.code) == (404, "NO_SUCH_SEGMENT")
    assert answer(presentation, "video-1/0-3.ts", "").content_type == "video/mp2t"


def test_every_segment_of_a_fragment_that_starts_without_a_key_frame_is_not_independent() -> None:
    rows = [replace(row, sync=number != 3) for number, row in enumerate(regular(12))]
    spec = Spec([video(1, rows)])
    assert "INDEPENDENT" not in _text(present(spec), "hls/video-1.m3u8")
    assert "INDEPENDENT" not in _text(present(spec), "master.m3u8")
    assert "INDEPENDENT" in _text(present(spec, rows=slice(6, None)), "hls/video-1.m3u8")


def test_whether_segments_are_independent_does_not_depend_on_what_was_asked_before() -> None:
    rows = [replace(row, sync=number not in {0, 6}) for number, row in enumerate(regular(12))]
    spec = Spec([video(1, rows)])
    borders = [(start, stop) for start in range(0, 12, 3) for stop in range(start + 3, 13, 3)]
    for before in borders:
        for start, stop in borders:
            presentation = present(replace(spec, caches={}))
            independent(presentation, presentation.tracks[0], *before)
            expected = not any(row in range(start, stop) for row in (0, 6))
            assert independent(presentation, presentation.tracks[0], start, stop) is expected, (before, start, stop)


def test_audio_of_two_codecs_makes_two_groups() -> None:
    low = replace(audio(3, cut_at_frames(9), language="ger"), configs={1: aac(codec="mp4a.40.5")})
    text = _text(present(Spec([video(1, regular(9)), audio(2, cut_at_frames(9), language="eng"), low])), "master.m3u8")
    variants = re.findall(r'CODECS="([^"]+)".*AUDIO="([^"]+)"', text)
    assert variants == [("avc1.4D401F,mp4a.40.2", "audio-mp4a.40.2"), ("avc1.4D401F,mp4a.40.5", "audio-mp4a.40.5")]
    assert text.count("DEFAULT=YES") == 2


def test_equal_names_are_told_apart() -> None:
    spec = Spec([video(1, regular(9)), *(audio(number, cut_at_frames(9), language="eng") for number in (2, 3))])
    assert re.findall(r'NAME="([^"]+)"', _text(present(spec), "master.m3u8")) == ["en (audio-2)", "en (audio-3)"]


def test_muxed_audio_waits_for_its_end() -> None:
    rows: list[Row] = cut_at_frames(8)
    spec = Spec([video(1, regular(10)), audio(2, rows)])
    assert _text(present(spec), "ts/video-1.m3u8").count("#EXTINF") == 3
    assert _text(present(spec), "ts3/video-1.m3u8").count("#EXTINF") == 2
    stopped = Spec([video(1, regular(10)), audio(2, rows[:5])])
    assert _text(present(stopped), "ts3/video-1.m3u8").count("#EXTINF") == 3


def test_muxed_segments_wait_until_it_is_known_whether_they_are_the_last_of_a_period() -> None:
    spec = Spec([video(1, regular(9)), audio(2, cut_at_frames(9))])
    assert _text(present(spec), "ts/video-1.m3u8").count("#EXTINF") == 3
    assert _text(present(spec), "ts3/video-1.m3u8").count("#EXTINF") == 2
    early = present(spec, rows=slice(0, 3))
    assert "ts/video-1.m3u8" in _text(early, "manifest(format=m3u8-aapl)")
    with pytest.raises(PackagerError, match="NOT_READY"):
        answer(early, "manifest(format=m3u8-aapl-v3)", "")


def _muxed_audio(presentation: Presentation) -> list[list[int]]:
    """Start times of the audio rows in each segment of the ts3 playlist."""
    starts = {int(offset): int(time) for track in presentation.tracks for offset, time in zip(track.offset, track.time, strict=True)}
    found: list[list[int]] = []
    for url in re.findall(r"^\.\./(.+\.ts)$", _text(presentation, "ts3/video-1.m3u8"), re.MULTILINE):
        body = answer(presentation, url, "").body
        assert isinstance(body, TsSegment)
        found.append([starts[offset] for _, offset, _ in body.audio.ranges] if body.audio else [])
    return found


def test_a_segment_that_the_disk_lost_a_part_of_is_a_gap() -> None:
    rows = [replace(row, gap=n == 4) for n, row in enumerate(regular(9))]
    presentation = present(Spec([video(1, rows), audio(2, cut_at_frames(9))]))
    for playlist, url in (
        ("hls/video-1.m3u8", "video-1/540000-3.m4s"),
        ("ts/video-1.m3u8", "video-1/540000-3.ts"),
        ("ts3/video-1.m3u8", "video-1+audio-2/540000-3.ts"),
    ):
        text = _text(presentation, playlist)
        assert text.count("#EXT-X-GAP") == 1
        assert f"#EXT-X-GAP\n#EXTINF:6.000000,\n../{url}\n" in text
        # It was listed before, with other bytes; and nobody is to make up a count.
        for path in (url, url.replace("-3.", "-3000.")):
            with pytest.raises(PackagerError, match="NO_SUCH_SEGMENT"):
                answer(presentation, path, "")
    # Where a fragment is a segment, what is there is listed.
    assert answer(presentation, "video-1/540000.m4s", "").lifetime == "immutable"


def test_a_gap_in_muxed_audio_stays_a_stream_of_the_segment() -> None:
    sound = [replace(row, gap=n < 4) for n, row in enumerate(cut_at_frames(9))]
    presentation = present(Spec([video(1, regular(9)), audio(2, sound)]))
    body = answer(presentation, re.findall(r"^\.\./(.+\.ts)$", _text(presentation, "ts3/video-1.m3u8"), re.MULTILINE)[0], "").body
    assert isinstance(body, TsSegment)
    assert body.audio is not None


@pytest.mark.parametrize("ended", [False, True])
def test_audio_around_the_pictures_of_a_period_goes_with_the_nearest(ended: bool) -> None:
    picture = regular(3) + regular(4, start=10 * 90_000, period=1)
    sound = [Row(time * 480, length * 480, period, opens=time in {-30, 850, 1600}) for time, length, period in (
        (-30, 30, 0), (0, 200, 0), (200, 200, 0), (400, 200, 0), (600, 20, 0), (620, 150, 0),
        (850, 100, 1), (950, 50, 1), (1000, 200, 1), (1200, 200, 1), (1400, 200, 1), (1600, 199, 1), (1799, 40, 1),
    )]  # fmt: skip
    spec = Spec([video(1, picture), audio(2, [replace(row, time=row.time + 48_000) for row in sound])], ended=ended)
    spec = replace(spec, tracks=[replace(spec.tracks[0], rows=[replace(row, time=row.time + 90_000) for row in picture]), spec.tracks[1]])
    found = [[time // 480 - 100 for time in segment] for segment in _muxed_audio(present(spec))]
    last = [[1600, 1799]] if ended else []
    assert found == [[-30, 0, 200, 400, 600, 620], [850, 950, 1000, 1200, 1400], *last]


def test_audio_far_from_the_pictures_of_a_period_is_left_out() -> None:
    sound = [Row(0, 96_000), Row(96_000, 96_000), Row(192_000, 96_000), Row(288_000, 96_000), Row(384_000, 96_000)]
    spec = Spec([video(1, regular(1, start=3 * 90_000)), audio(2, sound)], ended=True)
    assert _muxed_audio(present(spec)) == [[192_000]]


def test_queries_that_are_not_known_change_nothing() -> None:
    presentation = present(ladder())
    assert answer(presentation, "master.m3u8", "x=1&%zz").body == answer(presentation, "master.m3u8", "").body


@pytest.mark.parametrize(
    ("code", "tag"),
    [
        ("eng", "en"),
        ("ger", "de"),
        ("deu", "de"),
        ("fre", "fr"),
        ("en", "en"),
        ("und", ""),
        ("", ""),
        ("pt-BR", "pt-BR"),
        ("haw", "haw"),
        ("CHI", "zh"),
    ],
)
def test_languages_are_as_short_as_they_can_be(code: str, tag: str) -> None:
    assert bcp47(code) == tag


def test_the_rate_of_a_transport_stream_holds_what_each_picture_costs_there() -> None:
    (cmaf,), (ts,) = (
        re.findall(r"[:,]BANDWIDTH=(\d+)", _text(present(Spec([video(1, regular(6))])), path))
        for path in ("master.m3u8", "manifest(format=m3u8-aapl)")
    )
    # 25 pictures: PES header, delimiter and clock reference, and half a packet of stuffing, above four bytes of 188.
    assert int(ts) >= int(cmaf) * 188 / 184 + 25 * 8 * (33 + 92)


def test_the_rate_of_a_transport_stream_holds_the_clock_between_rare_pictures() -> None:
    """One picture a second: nine packets of 188 bytes stand between them."""
    slow = Spec([video(1, regular(6), configs={1: avc(1280, 720, rate=(1, 1))})])
    found = re.search(r"[:,]BANDWIDTH=(\d+)", _text(present(slow), "manifest(format=m3u8-aapl)"))
    assert found
    assert int(found[1]) >= 3_600_000 * 188 // 184 + 8 * (9 * 188 + 32)


def test_the_rate_of_a_transport_stream_holds_what_a_short_segment_of_sound_costs_there() -> None:
    """Half a second: two tables, and packets up to a multiple of sixteen."""
    spec = Spec([audio(1, regular(6, 24_000))], interval_ns=NS // 2, fragments_per_segment=1, target_duration_s=1)
    found = re.search(r"[:,]BANDWIDTH=(\d+)", _text(present(spec), "manifest(format=m3u8-aapl)"))
    assert found
    frames, peak = 24, spec.tracks[0].peak_bps
    packets = -(-(peak // 16 + frames * 7 + 3 * 30) // 184) + 3
    assert int(found[1]) >= 2 * 8 * 188 * (2 + -(-packets // 16) * 16)


@pytest.mark.parametrize("alone", [True, False])
def test_sound_that_begins_before_the_first_picture_is_muxed_with_it(alone: bool) -> None:
    """Whether the grid makes the first fragments a segment of their own or not."""
    pictures = regular(6, start=27_000)
    sounds = [Row(0, 110_400), *cut_at_frames(5, start=110_400)]
    opens = {0, 1, 4} if alone else {0, 3}
    tracks = [[replace(row, opens=number in opens) for number, row in enumerate(rows)] for rows in (pictures, sounds)]
    presentation = present(Spec([video(1, tracks[0]), audio(2, tracks[1])], ended=True))
    assert _muxed_audio(presentation)[0][0] == 0
