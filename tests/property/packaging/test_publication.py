"""What every presentation keeps to, however its window moves: listed URLs are served, keep their content, and caches change nothing."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import permutations, zip_longest
from random import Random
from unittest import mock

import msgspec
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree
from yt_dlp.downloader.f4m import build_fragments_list, read_bootstrap_info

from pypackager.model.errors import PackagerError
from pypackager.model.plan import Published, Range, SmoothFragment, Stored, TsSegment
from pypackager.model.presentation import Presentation, TrackWindow
from pypackager.packaging import answer, hds, rows
from tests.helpers import fake_core
from tests.helpers.presentations import Row, Spec, Track, audio, avc, body_of, present, video

MPD = "{urn:mpeg:dash:schema:mpd:2011}"
MANIFESTS = ("manifest", "master.m3u8", "manifest(format=m3u8-aapl)", "manifest(format=m3u8-aapl-v3)", "manifest.mpd", "manifest.f4m")

SMALL = mock.patch.multiple(rows, BLOCK=4, MIN_GZIP=0)
"""Short windows have everything that long ones have."""


def life(seed: int, *, killed: bool = False) -> tuple[Spec, Random]:
    """A channel with up to three layers and two audio tracks: regular or not, with gaps, periods, and a layer of its own mind.

    Its encoder may be killed at each end: the layers' last fragments are then of unequal length, or missing.
    """
    draw = Random(seed)
    count = draw.randint(1, 40)
    steps = draw.choices([180_000, 180_000, 180_000, 90_000, 183_600], k=count) if draw.random() < 0.5 else [180_000] * count
    breaks = set(draw.sample(range(1, 40), draw.randint(0, 2)))
    tracks: list[Track] = []
    per_segment = draw.randint(1, 3)
    for number in range(1, draw.randint(0, 3) + 1):
        own = [216_000] * count if number == 3 and draw.random() < 0.5 else steps
        picture = list(_rows(90_000, own, breaks, set(draw.sample(range(40), draw.randint(0, 4)))))
        tracks.append(video(number, picture, configs={1: avc(1280, 720), 2: avc(640, 360), 3: avc(320, 180)}))
    if killed:
        tracks = [replace(track, rows=list(_killed(track.rows, draw))) for track in tracks]
    for number in range(4, 4 + draw.randint(0 if tracks else 1, 2)):
        sound = list(_rows(48_000, [step * 48 // 90 for step in steps], breaks, set(draw.sample(range(40), draw.randint(0, 4)))))
        if draw.random() < 0.5:
            sound = list(_widened(sound, per_segment))
        track = audio(number, sound, language="eng")
        tracks.append(replace(track, configs=dict.fromkeys((1, 2, 3), track.configs[1])))
    return Spec(tracks, fragments_per_segment=per_segment, ended=draw.random() < 0.5), draw


seeds = st.integers(0, 2**32)
"""A hundred small choices are one seed: drawing them one by one takes longer than the tests."""
lives = seeds.map(life)
killed = seeds.map(partial(life, killed=True))


def _rows(timescale: int, steps: list[int], breaks: set[int], gaps: set[int]) -> Iterator[Row]:
    time = 0
    for number, step in enumerate(steps):
        period = sum(each <= number for each in breaks)
        yield Row(time + period * timescale // 2, step, period=period, config=1 + period, gap=number in gaps)
        time += step


def _killed(rows: Sequence[Row], draw: Random) -> Iterator[Row]:
    """The rows of a layer whose encoder was killed at the end of each period: the last is shorter than it would be, or was never sent."""
    for row, after in zip_longest(rows, rows[1:]):
        left = draw.choice([0, 3_600, row.duration - 3_600, row.duration])
        if row is rows[0] or (after is not None and after.period == row.period):
            left = row.duration
        if left:
            yield replace(row, duration=left)


def _widened(rows: list[Row], per_segment: int) -> Iterator[Row]:
    """The rows of audio that begins in each period before the first picture and goes on behind the last; a full segment stays."""
    run = 0
    for number, row in enumerate(rows):
        starts = number == 0 or row.period != rows[number - 1].period
        run = 0 if starts else (run + 1) % per_segment
        if starts and number:
            yield Row(row.time - 9600, 9600, row.period, row.config, opens=True)
        full = run == per_segment - 1
        yield replace(row, opens=run == 0 and not (starts and number))
        if number + 1 == len(rows) or rows[number + 1].period != row.period:
            yield Row(row.time + row.duration, 2400, row.period, row.config, opens=full)


def _try(presentation: Presentation, path: str) -> Published | None:
    try:
        return answer(presentation, path, "")
    except PackagerError as error:
        if error.code != "NOT_READY":
            raise
        return None


def _text(published: Published | None) -> str:
    return "" if published is None else body_of(published).decode()


def _listed(presentation: Presentation) -> Iterator[str]:
    """Every URL of a segment or header that the manifests name."""
    for name in MANIFESTS[1:4]:
        for playlist in set(re.findall(r'URI="(.+?)"', text := _text(_try(presentation, name)))) | set(
            re.findall(r"^[^#].*$", text, re.MULTILINE)
        ):
            found = _text(answer(presentation, playlist, ""))
            gap = False
            for line in found.splitlines():
                if line.startswith("#EXT-X-MAP"):
                    yield line.split('"../')[1][:-1]
                elif not line.startswith("#"):
                    if not gap:
                        yield line.removeprefix("../")
                    gap = False
                gap = gap or line == "#EXT-X-GAP"
    yield from _listed_in_mpd(_text(_try(presentation, "manifest.mpd")))
    yield from _listed_in_smooth(_text(_try(presentation, "manifest")))
    yield from _listed_in_hds(presentation, _text(_try(presentation, "manifest.f4m")))


def _listed_in_mpd(text: str) -> Iterator[str]:
    for representation in etree.fromstring(text.encode()).iter(f"{MPD}Representation") if text else ():
        template = representation.find(f"{MPD}SegmentTemplate")
        yield template.get("initialization").replace("$RepresentationID$", representation.get("id"))
        time = -1
        for element in template.iter(f"{MPD}S"):
            assert int(element.get("t", time)) >= time
            time = int(element.get("t", time))
            for _ in range(int(element.get("r", 0)) + 1):
                yield f"{representation.get('id')}/{time}.m4s"
                time += int(element.get("d"))


def _listed_in_smooth(text: str) -> Iterator[str]:
    for stream in etree.fromstring(text.encode()).iter("StreamIndex") if text else ():
        for level in stream.iter("QualityLevel"):
            for time, _ in _chunks(stream):
                yield stream.get("Url").replace("{bitrate}", level.get("Bitrate")).replace("{start time}", str(time))


def _chunks(stream: etree._Element) -> Iterator[tuple[int, int]]:
    time = -1
    for element in stream.iter("c"):
        assert int(element.get("t", time)) >= time, "chunks do not overlap"
        time = int(element.get("t", time))
        for _ in range(int(element.get("r", 1))):
            yield time, int(element.get("d"))
            time += int(element.get("d"))


def _listed_in_hds(presentation: Presentation, text: str) -> Iterator[str]:
    for url in re.findall(r'<media[^>]* url="([^"]+)"', text):
        found = read_bootstrap_info(body_of(answer(presentation, f"{url}.abst", "")))
        for segment, number in build_fragments_list(found | {"live": False}):
            yield f"{url}Seg{segment}-Frag{number}"


@settings(max_examples=30, deadline=None)
@given(lives | killed)
# Audio before the first picture of a period, with one fragment to a segment.
@example(life(937218))
# Windows whose head is inside a segment, with fragments of 1 s; layers of their own mind whose audio leaves before them.
@example(life(109))
@example(life(144))
@example(life(358))
@example(life(818))
def test_a_url_keeps_its_content_and_caches_change_nothing(drawn: tuple[Spec, Random]) -> None:
    spec, draw = drawn
    length = max(len(track.rows) for track in spec.tracks)
    seen: dict[str, Published] = {}
    first = last = 0
    with SMALL, mock.patch.object(hds, "_core", fake_core):
        while last < length:
            last = min(length, last + draw.randint(1, 12))
            first = draw.randint(first, max(first, last - 3))
            live = replace(spec, ended=spec.ended and last == length)
            warm = present(live, rows=slice(first, last), version=last)
            cold = present(replace(live, caches={}), rows=slice(first, last), version=last)
            for name in MANIFESTS:
                _same(_try(warm, name), _try(cold, name))
            for url in _listed(warm):
                published = answer(warm, url, "")
                assert published.lifetime == "immutable"
                assert published == seen.setdefault(url, published), url
                _same(published, answer(cold, url, ""))
            for track in warm.tracks:
                for folder in ("hls", "ts", "ts3"):
                    _same(_try(warm, f"{folder}/{track.info.id}.m3u8"), _try(cold, f"{folder}/{track.info.id}.m3u8"))


@settings(max_examples=30, deadline=None)
@given(lives | killed)
# The layers' windows begin apart, because one lost its last fragment there.
@example(life(665, killed=True))
def test_what_left_the_window_a_moment_ago_is_served_and_not_listed(drawn: tuple[Spec, Random]) -> None:
    spec, draw = replace(drawn[0], ended=False), drawn[1]
    length = max(len(track.rows) for track in spec.tracks)
    seen: dict[str, Published] = {}
    first = last = before = 0
    with SMALL, mock.patch.object(hds, "_core", fake_core):
        while last < length:
            last = min(length, last + draw.randint(1, 12))
            before, first = first, draw.randint(first, max(first, last - 8))
            plain = present(spec, rows=slice(first, last), version=last)
            late = present(replace(spec, caches={}), rows=slice(before, last), version=last)
            shown = msgspec.structs.replace(plain, lately=lambda late=late: late)
            for name in MANIFESTS:
                assert _try(shown, name) == _try(plain, name)
            for url, published in seen.items():
                assert answer(shown, url, "") == published
            seen = {url: answer(shown, url, "") for url in _listed(shown)}


def _plain(published: Published | None) -> Published | None:
    if published is None or published.gzip is None:
        return published
    return msgspec.structs.replace(published, body=body_of(published), gzip=None)


def _same(warm: Published | None, cold: Published | None) -> None:
    """The same answer: its text may be in other parts, where a cold cache counts from another row."""
    assert _plain(warm) == _plain(cold)
    for each in (warm, cold):
        if each is not None and each.gzip is not None:
            assert gzip.decompress(each.gzip if isinstance(each.gzip, bytes) else b"".join(each.gzip.parts)) == body_of(each)


def _fits(layer: TrackWindow, other: TrackWindow) -> bool:
    """No fragment of the one begins within a fragment of the other."""
    spans = [(start, start + lasts) for start, lasts, size in zip(other.time, other.duration, other.size, strict=True) if size]
    return not any(start < time < end for time, size in zip(layer.time, layer.size, strict=True) if size for start, end in spans)


def _stored_as_listed(track: TrackWindow, time: int, duration: int) -> Range | None:
    for row in np.flatnonzero((track.time[:] == time) & (track.duration[:] == duration) & (track.size[:] > 0)).tolist():
        return f"/blobs/{track.info.id}.cmf", int(track.offset[row]), int(track.size[row])
    return None


@settings(max_examples=30, deadline=None)
@given(killed)
def test_smooth_lists_every_layer_in_step_and_serves_what_it_lists(drawn: tuple[Spec, Random]) -> None:
    spec, _ = drawn
    presentation = present(spec)
    text = _text(_try(presentation, "manifest"))
    for stream in etree.fromstring(text.encode()).iter("StreamIndex") if text else ():
        tracks = {str(track.info.bitrate): track for track in presentation.tracks if track.info.kind == stream.get("Type")}
        levels = [level.get("Bitrate") for level in stream.iter("QualityLevel")]
        with_media = {rate: track for rate, track in tracks.items() if any(track.size)}
        if stream.get("Type") == "video" and all(_fits(*pair) for pair in permutations(with_media.values(), 2)):
            assert levels == list(with_media)
        starts = {int(time) for level in levels for time in tracks[level].time[:][tracks[level].size[:] > 0]}
        for time, lasts in _chunks(stream):
            for level in levels:
                published = answer(presentation, stream.get("Url").replace("{bitrate}", level).replace("{start time}", str(time)), "")
                fragment = published.body
                assert isinstance(fragment, SmoothFragment)
                duration = fragment.duration
                assert fragment.time == time
                # Over what no layer has it is listed up to the next one.
                assert duration == lasts or (
                    duration < lasts and {start for start in starts if time < start <= time + lasts} == {time + lasts}
                )
                stored = {track.info.bitrate: range_ for track in tracks.values() if (range_ := _stored_as_listed(track, time, duration))}
                assert fragment.source.ranges == (stored.get(int(level), fragment.source.ranges[0]),)
                assert fragment.source.ranges[0] in stored.values()


@settings(max_examples=30, deadline=None)
@given(lives)
def test_muxed_segments_share_the_audio_out(drawn: tuple[Spec, Random]) -> None:
    spec, _ = drawn
    presentation = present(replace(spec, ended=True))
    for playlist in re.findall(r"^ts3/(video.*)\.m3u8$", _text(_try(presentation, "manifest(format=m3u8-aapl-v3)")), re.MULTILINE):
        muxed: list[tuple[str, int, int]] = []
        for url in re.findall(r"^\.\./(.*\+.*)$", _text(answer(presentation, f"ts3/{playlist}.m3u8", "")), re.MULTILINE):
            with suppress(PackagerError):  # a segment that is all gap
                body = answer(presentation, url, "").body
                assert isinstance(body, TsSegment)
                muxed += body.audio.ranges if body.audio else ()
        assert muxed == sorted(set(muxed), key=lambda each: each[1])
        layer = next(track for track in spec.tracks if track.info.id == playlist)
        sound = next((track for track in presentation.tracks if track.info.kind == "audio" and any(track.size)), None)
        # A layer of its own mind may begin and end a period far from the audio.
        if sound is not None and not any(row.gap or row.duration == 216_000 for row in layer.rows):
            assert len(muxed) == int((sound.size[:] > 0).sum())


@settings(max_examples=30, deadline=None)
@given(lives)
def test_an_hls_segment_is_the_dash_segments_of_its_time(drawn: tuple[Spec, Random]) -> None:
    spec, _ = drawn
    presentation = present(spec)
    for track in presentation.tracks:
        text = _text(_try(presentation, f"hls/{track.info.id}.m3u8"))
        total = sum(round(float(value) * 1_000_000) for value in re.findall(r"#EXTINF:([\d.]+),", text))
        urls = [line[3:] for line in text.splitlines() if line.startswith("../")]
        assert abs(total - _span_us(presentation, track.info.id, urls)) <= len(set(track.period.tolist())) + 1
        for url in urls:
            if (several := re.fullmatch(r".*/(\d+)-(\d+)\.m4s", url)) and (body := _stored(presentation, url)):
                start = track.time.tolist().index(int(several[1]))
                single = [
                    _stored(presentation, f"{track.info.id}/{time}.m4s") for time in track.time.tolist()[start : start + int(several[2])]
                ]
                assert sum(size for each in single for _, _, size in each) == sum(size for _, _, size in body)


def _span_us(presentation: Presentation, name: str, urls: list[str]) -> int:
    track = next(track for track in presentation.tracks if track.info.id == name)
    times = track.time.tolist()
    total = 0
    for url in urls:
        found = re.fullmatch(r".*/(\d+)(?:-(\d+))?\.m4s", url)
        assert found
        start = times.index(int(found[1]))
        total += sum(track.duration.tolist()[start : start + int(found[2] or 1)])
    return total * 1_000_000 // track.info.timescale


def _stored(presentation: Presentation, url: str) -> tuple[tuple[str, int, int], ...]:
    try:
        body = answer(presentation, url, "").body
    except PackagerError:
        return ()
    assert isinstance(body, Stored)
    return body.ranges
